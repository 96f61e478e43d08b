package service_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/steadyfx/steady/examples/payments/service"
)

// journaled is a service with a journal.
func journaled(t *testing.T, path string) *world {
	t.Helper()
	return newWorldWith(t, patient, charges, map[string]any{"journal": path})
}

func TestPaymentsOutliveTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "payments")
	w := journaled(t, path)
	for _, key := range []string{"k1", "k2"} {
		if answer := w.post(t, "a", key, order); answer.Code != http.StatusCreated {
			t.Fatalf("got %d, %s", answer.Code, answer.Body)
		}
	}
	written, err := os.ReadFile(path) // before any end of the first
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"whole":                  string(written),
		"a line begun":           string(written) + `{"id":"pay_3","ref`,
		"a line without its end": string(written) + `{"id":"pay_3"}`,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "payments")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			next := journaled(t, path)
			if next.ledger.Size() != 2 {
				t.Errorf("%d payments after the restart, want 2", next.ledger.Size())
			}
			next.post(t, "a", "k1", order) // its store of keys is in memory, so it acts again
			next.post(t, "a", "k4", order)
			all, err := service.ReadLedger(path)
			if err != nil {
				t.Fatal(err)
			}
			accepted := 0
			for _, e := range all.Entries() {
				accepted += e.Accepted
			}
			if all.Size() != 3 || accepted != 4 {
				t.Errorf("%d payments, accepted %d times; want 3 and 4", all.Size(), accepted)
			}
		})
	}
}

func TestJournalsOfProcessesAreReadTogether(t *testing.T) {
	var paths []string
	for _, content := range []string{`{"id":"pay_1"}` + "\n", `{"id":"pay_1"}` + "\n" + `{"id":"pay_2"}` + "\n"} {
		path := filepath.Join(t.TempDir(), "payments")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	all, err := service.ReadLedger(paths...)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, e := range all.Entries() {
		got[e.Payment.ID] = e.Accepted
	}
	if len(got) != 2 || got["pay_1"] != 2 || got["pay_2"] != 1 {
		t.Errorf("got %v", got)
	}
}

func TestJournalThatCannotBeReadIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "payments")
	if err := os.WriteFile(path, []byte("nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, t.TempDir()} {
		if _, err := service.ReadLedger(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v, want an error that names %s", err, path)
		}
	}
}

func TestPaymentThatCannotBeRecordedIsNotAccepted(t *testing.T) {
	w := journaled(t, filepath.Join(t.TempDir(), "payments"))
	w.ledger.BreakJournal(errors.New("the disk is full"))
	for range 2 { // and the key is free again
		answer := w.post(t, "a", "k1", order)
		wantProblem(t, answer, http.StatusServiceUnavailable, "")
		wantRetryAfter(t, answer, "1")
	}
	if seen := w.asked.seen(); len(seen) != 2 || seen[0] != seen[1] || w.ledger.Size() != 0 {
		t.Errorf("the provider was asked for %v, %d payments were accepted", seen, w.ledger.Size())
	}
}
