package main

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/steadyfx/steady/testkit/services"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEachTransferIsBookedOnceWhateverCrashes(t *testing.T) {
	server := services.Postgres(t)
	for range 2 { // the first run leaves nothing behind that the second could trip over
		var out strings.Builder
		if err := run(t.Context(), []string{"-dsn", server.URL, "-transfers", "30"}, &out); err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
		for _, want := range []string{
			"30 transfers, sent ",
			"sum of balances: 10000000 before, 10000000 after; 30 bookings of 30 transfers: each was booked once",
		} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("want %q in\n%s", want, out.String())
			}
		}
		for _, none := range []string{": 0 crashes", ", 0 answers", ", 0 duplicates"} {
			if strings.Contains(out.String(), none) {
				t.Errorf("a run with%s shows nothing:\n%s", strings.TrimLeft(none, ":,"), out.String())
			}
		}
	}
}

func TestAuditSeesWhatIsWrong(t *testing.T) {
	pool, end, err := connect(t.Context(), services.Postgres(t).URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := end(); err != nil {
			t.Error(err)
		}
	}()
	b := &bank{pool: pool}
	if err := b.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{
		"INSERT INTO bookings VALUES ('a', 1), ('a', 1)", // booked twice, and another not at all
		"DELETE FROM bookings WHERE true",
		"INSERT INTO bookings VALUES ('a', 1), ('b', 1); UPDATE accounts SET balance = balance + 1 WHERE id = 1",
	} {
		if _, err := pool.Exec(t.Context(), wrong); err != nil {
			t.Fatal(err)
		}
		if state, err := b.audit(t.Context(), 2); err == nil {
			t.Errorf("after %q: all is well: %s", wrong, state)
		}
	}
	if _, err := pool.Exec(t.Context(), "UPDATE accounts SET balance = balance - 1 WHERE id = 1"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.audit(t.Context(), 2); err != nil {
		t.Error(err)
	}
}

func TestDatabaseThatCannotBeIsReported(t *testing.T) {
	for dsn, want := range map[string]string{
		"postgres://app:s3cr3t@127.0.0.1:1/app": "127.0.0.1",
		"postgres://app:s3cr3t@host:port/app":   "-dsn must be",
	} {
		err := run(t.Context(), []string{"-dsn", dsn}, new(strings.Builder))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("got error %v, want one with %q and no password", err, want)
		}
	}
}
