package sqlitestore_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"modernc.org/sqlite"

	"github.com/steadyfx/steady/internal/sqlrecord"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/sqlitestore"
)

// Times that no test outlives, and that it waits for.
const (
	long  = 10 * time.Minute
	short = 20 * time.Millisecond
)

func TestConfigurationIsChecked(t *testing.T) {
	for name, tc := range map[string]struct {
		cfg    sqlitestore.Config
		fields []string
	}{
		"nothing is said":        {sqlitestore.Config{}, []string{"path"}},
		"zero byte":              {sqlitestore.Config{Path: "a\x00b"}, []string{"path"}},
		"memory":                 {sqlitestore.Config{Path: ":memory:"}, []string{"path"}},
		"URI":                    {sqlitestore.Config{Path: "file:a.db?mode=ro"}, []string{"path"}},
		"table with a quote":     {sqlitestore.Config{Path: "a.db", Table: `a"b`}, []string{"table"}},
		"table with a digit":     {sqlitestore.Config{Path: "a.db", Table: "1a"}, []string{"table"}},
		"table with a dot":       {sqlitestore.Config{Path: "a.db", Table: "a.b"}, []string{"table"}},
		"table that is too long": {sqlitestore.Config{Path: "a.db", Table: strings.Repeat("t", 52)}, []string{"table"}},
		"table of SQLite":        {sqlitestore.Config{Path: "a.db", Table: "SQLite_master"}, []string{"table"}},
		"negative timeout":       {sqlitestore.Config{Path: "a.db", Timeout: -1}, []string{"timeout"}},
		"everything is wrong":    {sqlitestore.Config{Table: "é", Timeout: 1}, []string{"path", "table", "timeout"}},
		"nothing is wrong":       {sqlitestore.Config{Path: "a.db", Table: "Order", Timeout: time.Millisecond}, nil},
		"only a path is said":    {sqlitestore.Config{Path: "no/folder/a.db"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := sqlitestore.NewIdempotency(tc.cfg)
			if (err == nil) != (tc.fields == nil) {
				t.Fatalf("got error %v, want mistakes in %v", err, tc.fields)
			}
			if err == nil {
				return
			}
			var configuration *idempotency.ConfigurationError
			var field *patterns.FieldError
			if !errors.As(err, &configuration) || !errors.As(err, &field) {
				t.Fatalf("got %T, want a *ConfigurationError with a *FieldError", err)
			}
			for _, want := range tc.fields {
				if !strings.Contains(err.Error(), want+":") {
					t.Errorf("%q does not name %s", err, want)
				}
			}
			if got := strings.Count(err.Error(), "\n") + 1; got != len(tc.fields) {
				t.Errorf("got %d mistakes, want %d: %v", got, len(tc.fields), err)
			}
		})
	}
}

// unavailable wants a *BackendError with a cause.
func unavailable(t *testing.T, err, cause error, what string) {
	t.Helper()
	var e *idempotency.BackendError
	if !errors.As(err, &e) || e.Backend != "sqlite" || !errors.Is(err, cause) {
		t.Errorf("%s: got error %v, want a *BackendError of sqlite with %v", what, err, cause)
	}
}

// wrong wants a *StoreError.
func wrong(t *testing.T, err error, what string) {
	t.Helper()
	var e *idempotency.StoreError
	if !errors.As(err, &e) || e.Backend != "sqlite" {
		t.Errorf("%s: got error %v, want a *StoreError of sqlite", what, err)
	}
}

func TestFolderMustBeThere(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "later")
	s := open(t, filepath.Join(folder, "a.db"))
	err := s.Ping(t.Context())
	unavailable(t, err, fs.ErrNotExist, "no folder")
	if !strings.Contains(err.Error(), folder) {
		t.Errorf("%q does not name the folder", err)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("after the folder was made: %v", err)
	}

	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(t, filepath.Join(file, "a.db")).Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "not a folder") {
		t.Errorf("file for a folder: got error %v", err)
	}
}

func TestRelativePathIsThatOfTheStart(t *testing.T) {
	start := t.TempDir()
	t.Chdir(start)
	s := open(t, "a.db")
	t.Chdir(t.TempDir())
	claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long})
	if _, err := os.Stat(filepath.Join(start, "a.db")); err != nil {
		t.Errorf("the file is not where the process was: %v", err)
	}
}

func TestWritesAreFlushedAndReadersCannotWrite(t *testing.T) {
	s := open(t, newPath(t))
	writer, err := s.Writer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	readers, err := s.Readers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const full = "2"
	for _, tc := range []struct {
		db           *sql.DB
		pragma, want string
	}{
		{writer, "journal_mode", "wal"}, {writer, "synchronous", full}, {readers, "journal_mode", "wal"}, {readers, "query_only", "1"},
		{writer, "busy_timeout", "0"}, {readers, "busy_timeout", "0"}, // which would not look at contexts
	} {
		var got string
		if err := tc.db.QueryRowContext(t.Context(), "PRAGMA "+tc.pragma).Scan(&got); err != nil || got != tc.want {
			t.Errorf("%s: got %s, error %v, want %s", tc.pragma, got, err, tc.want)
		}
	}
	if n := writer.Stats().MaxOpenConnections; n != 1 {
		t.Errorf("%d connections may write, want 1", n)
	}
}

func TestClosedStoreRefuses(t *testing.T) {
	for name, use := range map[string]bool{"before use": false, "after use": true} {
		s := open(t, newPath(t))
		if use {
			claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long})
		}
		for range 2 {
			if err := s.Close(); err != nil {
				t.Errorf("closed %s: %v", name, err)
			}
		}
		_, err := s.Acquire(t.Context(), "k", long)
		unavailable(t, err, sqlrecord.ErrClosed, "claim after close "+name)
		unavailable(t, s.Ping(t.Context()), sqlrecord.ErrClosed, "ping after close "+name)
	}
}

func TestRecordsSurviveReopening(t *testing.T) {
	path := newPath(t)
	before := open(t, path)
	ctx := t.Context()
	done := claim(t, before, idempotency.ClaimRequest{Key: "done", Lease: long, Fingerprint: []byte("fp")})
	pending := claim(t, before, idempotency.ClaimRequest{Key: "pending", Lease: long})
	if err := before.Complete(ctx, "done", done.Token, []byte("result"), 0); err != nil {
		t.Fatal(err)
	}
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a closed store leaves its journal: %v", err)
	}

	after := open(t, path)
	if c := claim(t, after, idempotency.ClaimRequest{Key: "done", Lease: long, Fingerprint: []byte("fp")}); c.Outcome != idempotency.Done ||
		string(c.Value) != "result" || c.Fence != done.Fence {
		t.Errorf("result after reopening: got %+v", c)
	}
	if c := claim(t, after, idempotency.ClaimRequest{Key: "done", Lease: long, Fingerprint: []byte("other")}); c.Outcome != idempotency.Mismatch {
		t.Errorf("other fingerprint after reopening: got %v", c.Outcome)
	}
	if c := claim(t, after, idempotency.ClaimRequest{Key: "pending", Lease: long}); c.Outcome != idempotency.InProgress {
		t.Errorf("pending after reopening: got %v", c.Outcome)
	}
	if err := after.Complete(ctx, "pending", pending.Token, nil, long); err != nil {
		t.Errorf("complete of a claim from before: %v", err)
	}
}

// SQLite refuses at once what begins as a reader and goes on as a writer after somebody else has written, so nothing of
// ours may. Nor may a file that is locked be an error while there is time.
func TestHandlesOnOneFileDoNotFailEachOther(t *testing.T) {
	path := newPath(t)
	var stores []*sqlitestore.Idempotency
	for range 4 {
		stores = append(stores, open(t, path))
	}
	ctx := t.Context()
	var turn atomic.Int32
	atOnce(8, func() {
		s := stores[int(turn.Add(1))%len(stores)]
		for i := range 20 {
			key := []string{"a", "b", "c"}[i%3]
			c, err := s.Claim(ctx, idempotency.ClaimRequest{Key: key, Lease: time.Millisecond, Retention: short})
			if err != nil {
				t.Errorf("claim: %v", err)
			}
			_, cleanupErr := s.CleanupExpired(ctx, 10)
			_, _, getErr := s.GetRecord(ctx, key)
			for op, err := range map[string]error{
				"extend": s.Extend(ctx, key, c.Token, short), "complete": s.Complete(ctx, key, c.Token, nil, time.Millisecond),
				"release": s.Release(ctx, key, c.Token), "set": s.Set(ctx, key, nil, time.Millisecond),
				"delete": s.Delete(ctx, key), "cleanup": cleanupErr, "get": getErr,
			} {
				if err != nil && !errors.Is(err, idempotency.ErrClaimLost) {
					t.Errorf("%s: %v", op, err)
				}
			}
		}
	})
}

func TestOneOfManyHandlesWinsTheFirstClaim(t *testing.T) {
	for range 5 {
		path := newPath(t)
		var winners atomic.Int32
		var stores []*sqlitestore.Idempotency
		for range 4 {
			stores = append(stores, open(t, path))
		}
		var turn atomic.Int32
		atOnce(16, func() { // all of them open the file and make the table
			s := stores[int(turn.Add(1))%len(stores)]
			c, err := s.Claim(t.Context(), idempotency.ClaimRequest{Key: "k", Lease: long})
			switch {
			case err != nil:
				t.Errorf("claim: %v", err)
			case c.Outcome == idempotency.Acquired:
				winners.Add(1)
			case c.Outcome != idempotency.InProgress:
				t.Errorf("got %v", c.Outcome)
			}
		})
		if n := winners.Load(); n != 1 {
			t.Fatalf("%d acquired the key, want 1", n)
		}
	}
}

// lockOf returns a connection that holds the lock that writers need, until the returned function is called.
func lockOf(t *testing.T, path string) (unlock func()) {
	t.Helper()
	other := open(t, path)
	db, err := other.Writer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if _, err := conn.ExecContext(t.Context(), "ROLLBACK"); err != nil {
			t.Error(err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestLockedFileIsWaitedForAndReadMeanwhile(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	ctx := t.Context()
	if err := s.Set(ctx, "done", []byte("result"), long); err != nil {
		t.Fatal(err)
	}
	unlock := lockOf(t, path)

	if c := claim(t, s, idempotency.ClaimRequest{Key: "done", Lease: long}); c.Outcome != idempotency.Done {
		t.Errorf("replay while another writes: got %v", c.Outcome)
	}
	limited, cancel := context.WithTimeout(ctx, short)
	defer cancel()
	_, err := s.Claim(limited, idempotency.ClaimRequest{Key: "k", Lease: long})
	unavailable(t, err, context.DeadlineExceeded, "claim that waits for longer than its context")
	impatient, err := sqlitestore.NewIdempotency(sqlitestore.Config{Path: path, Timeout: short})
	if err != nil {
		t.Fatal(err)
	}
	defer impatient.Close()
	unavailable(t, impatient.Delete(ctx, "k"), context.DeadlineExceeded, "delete that waits for longer than its timeout")

	waiting := make(chan error)
	go func() {
		_, err := s.Claim(ctx, idempotency.ClaimRequest{Key: "k", Lease: long})
		waiting <- err
	}()
	select {
	case err := <-waiting:
		t.Fatalf("claim while another writes: got error %v, want it to wait", err)
	case <-time.After(short):
	}
	unlock()
	if err := <-waiting; err != nil {
		t.Errorf("claim after another wrote: %v", err)
	}
}

// The connection that writes is not given up by a call that waits for the lock for longer than its context lasts.
func TestCallThatWaitsForTheLockLeavesNoTrace(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	first := claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long})
	unlock := lockOf(t, path)
	limited, cancel := context.WithTimeout(t.Context(), short)
	defer cancel()
	atOnce(8, func() {
		err := s.Complete(limited, "k", first.Token, []byte("late"), long)
		unavailable(t, err, context.DeadlineExceeded, "complete that waits for too long")
	})
	unlock()
	if rec, _, err := s.GetRecord(t.Context(), "k"); err != nil || rec.Status != idempotency.StatusPending {
		t.Errorf("got a %v record, error %v, want it as it was", rec.Status, err)
	}
	if err := s.Complete(t.Context(), "k", first.Token, []byte("result"), long); err != nil {
		t.Error(err)
	}
}

func TestFenceGrowsWhateverBecomesOfTheRecord(t *testing.T) {
	s := open(t, newPath(t))
	ctx := t.Context()
	last := int64(0)
	next := func(what string) idempotency.Claim {
		t.Helper()
		before := time.Now().UnixMicro()
		c := claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long})
		const resolution = 1000
		if c.Outcome != idempotency.Acquired || c.Fence <= last || c.Fence < before-resolution || c.Fence > time.Now().UnixMicro()+resolution {
			t.Fatalf("%s: got %v with fence %d after %d, want the time of %d", what, c.Outcome, c.Fence, last, before)
		}
		last = c.Fence
		return c
	}
	first := next("first claim")
	if err := s.Release(ctx, "k", first.Token); err != nil {
		t.Fatal(err)
	}
	next("after a release")
	if err := s.Delete(ctx, "k"); err != nil {
		t.Fatal(err)
	}
	<-time.After(2 * time.Millisecond) // of a deleted record nothing is known but the time
	next("after a delete")

	// The fence is as if it came from a time ahead.
	ahead := last + 2*time.Hour.Microseconds()
	alter(t, s, "UPDATE idempotency_keys SET fence = ?1, expires_at = 0", ahead)
	if c := claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long}); c.Fence != ahead+1 || c.Token.Fence != ahead+1 {
		t.Errorf("claim: got fence %d, want %d", c.Fence, ahead+1)
	}
	if err := s.Set(ctx, "k", nil, long); err != nil {
		t.Fatal(err)
	}
	if rec, _, err := s.GetRecord(ctx, "k"); err != nil || rec.Fence != ahead+2 {
		t.Errorf("set: got fence %d, error %v, want %d", rec.Fence, err, ahead+2)
	}
}

// alter changes the table behind the store's back.
func alter(t *testing.T, s *sqlitestore.Idempotency, query string, args ...any) {
	t.Helper()
	db, err := s.Writer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatal(err)
	}
}

// A read that has begun goes on, but nobody waits for his turn beyond his context.
func TestWaitToReadEndsWithItsContext(t *testing.T) {
	s := open(t, newPath(t))
	leave, err := s.Occupy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), short)
	defer cancel()
	_, err = s.Claim(ctx, idempotency.ClaimRequest{Key: "k", Lease: long})
	unavailable(t, err, context.DeadlineExceeded, "claim that waits for its turn to read")
	ctx, cancel = context.WithTimeout(t.Context(), short)
	defer cancel()
	unavailable(t, s.Ping(ctx), context.DeadlineExceeded, "ping that waits for its turn")
	leave()
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("with a free seat: %v", err)
	}
}

func count(t *testing.T, s *sqlitestore.Idempotency) (rows int) {
	t.Helper()
	db, err := s.Readers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM idempotency_keys").Scan(&rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestReleaseIsRepeatedOnlyByItsOwner(t *testing.T) {
	s := open(t, newPath(t))
	ctx := t.Context()
	first := claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long})
	for range 2 {
		if err := s.Release(ctx, "k", first.Token); err != nil {
			t.Fatalf("release: %v", err)
		}
	}
	stranger := idempotency.Token{Owner: [16]byte{1}, Fence: first.Fence}
	if err := s.Release(ctx, "k", stranger); !errors.Is(err, idempotency.ErrClaimLost) {
		t.Errorf("release of a stranger: got error %v, want ErrClaimLost", err)
	}
	if err := s.Extend(ctx, "k", first.Token, long); !errors.Is(err, idempotency.ErrClaimLost) {
		t.Errorf("extend of a released claim: got error %v, want ErrClaimLost", err)
	}
	claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long})
	if err := s.Release(ctx, "k", first.Token); !errors.Is(err, idempotency.ErrClaimLost) {
		t.Errorf("release after another has claimed the key: got error %v, want ErrClaimLost", err)
	}
}

func TestReleasedKeyIsFreeWhateverTheClockSays(t *testing.T) {
	s := open(t, newPath(t))
	c := claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long})
	if err := s.Release(t.Context(), "k", c.Token); err != nil {
		t.Fatal(err)
	}
	alter(t, s, "UPDATE idempotency_keys SET expires_at = ?1", time.Now().Add(time.Hour).UnixMicro())
	limited, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if ok, err := s.Acquire(limited, "k", long); !ok || err != nil {
		t.Errorf("claim of a released key: got %v, error %v", ok, err)
	}
}

func TestCleanupSparesWhatItsOwnerMayStillWant(t *testing.T) {
	s := open(t, newPath(t))
	ctx := t.Context()
	cleanup := func(want int, what string) {
		t.Helper()
		if n, err := s.CleanupExpired(ctx, 1000); n != want || err != nil {
			t.Errorf("%s: removed %d, error %v, want %d", what, n, err, want)
		}
	}
	purge := func(d time.Duration) {
		t.Helper()
		alter(t, s, "UPDATE idempotency_keys SET purge_after = purge_after - ?1", d.Microseconds())
	}
	lapsed := claim(t, s, idempotency.ClaimRequest{Key: "lapsed", Lease: time.Millisecond})
	retained := claim(t, s, idempotency.ClaimRequest{Key: "retained", Lease: time.Millisecond, Retention: time.Hour})
	released := claim(t, s, idempotency.ClaimRequest{Key: "released", Lease: time.Hour})
	if err := errors.Join(s.Release(ctx, "released", released.Token), s.Set(ctx, "expired", nil, time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	<-time.After(5 * time.Millisecond)
	cleanup(1, "expired result")
	if err := s.Extend(ctx, "lapsed", lapsed.Token, time.Millisecond); err != nil {
		t.Errorf("extend of a lapsed claim after a cleanup: %v", err)
	}
	purge(59 * time.Second)
	cleanup(0, "59 s later")
	if err := s.Release(ctx, "released", released.Token); err != nil {
		t.Errorf("second release after a cleanup: %v", err)
	}
	purge(2 * time.Second)
	cleanup(2, "lapsed and released claim after a minute")
	if err := s.Complete(ctx, "retained", retained.Token, []byte("late"), long); err != nil {
		t.Errorf("complete of a lapsed claim that was to be retained: %v", err)
	}
	purge(time.Hour - 2*time.Minute)
	cleanup(0, "before the end of the retention")
	purge(2 * time.Minute)
	cleanup(1, "after the end of the retention")
	if n := count(t, s); n != 0 {
		t.Errorf("%d records are left", n)
	}

	// What lasts longer than it was said at first is kept for as long as it lasts.
	c := claim(t, s, idempotency.ClaimRequest{Key: "longer", Lease: time.Millisecond, Retention: time.Millisecond})
	if err := s.Complete(ctx, "longer", c.Token, nil, time.Hour); err != nil {
		t.Fatal(err)
	}
	c = claim(t, s, idempotency.ClaimRequest{Key: "for ever", Lease: time.Millisecond})
	if err := errors.Join(s.Complete(ctx, "for ever", c.Token, nil, 0), s.Set(ctx, "set for ever", nil, 0)); err != nil {
		t.Fatal(err)
	}
	c = claim(t, s, idempotency.ClaimRequest{Key: "extended", Lease: time.Millisecond})
	if err := s.Extend(ctx, "extended", c.Token, time.Hour); err != nil {
		t.Fatal(err)
	}
	purge(time.Hour - time.Minute)
	cleanup(0, "results and a claim that last longer than it was said")
	purge(3 * time.Minute)
	cleanup(2, "after their time")
	if n := count(t, s); n != 2 {
		t.Errorf("%d records are left, want those without expiry", n)
	}
}

func TestCleanupRemovesTheOldestFirst(t *testing.T) {
	s := open(t, newPath(t))
	for _, key := range []string{"c", "a", "b"} {
		if err := s.Set(t.Context(), key, []byte(key), time.Millisecond); err != nil {
			t.Fatal(err)
		}
		<-time.After(2 * time.Millisecond)
	}
	db, err := s.Readers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"ab", "b", ""} {
		if n, err := s.CleanupExpired(t.Context(), 1); n != 1 || err != nil {
			t.Errorf("removed %d, error %v, want 1", n, err)
		}
		var left sql.NullString
		err := db.QueryRowContext(t.Context(), "SELECT group_concat(result, '' ORDER BY result) FROM idempotency_keys").Scan(&left)
		if err != nil || left.String != want {
			t.Errorf("left is %q, error %v, want %q", left.String, err, want)
		}
	}
}

func TestTablesKeepStoresApart(t *testing.T) {
	path := newPath(t)
	for _, table := range []string{"", "other", "Order", strings.Repeat("t", 51)} {
		s := openTable(t, path, table)
		if c := claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long}); c.Outcome != idempotency.Acquired {
			t.Errorf("claim in table %q: got %v, want acquired", table, c.Outcome)
		}
	}
}

func TestTableMadeByHandIsUsed(t *testing.T) {
	path := newPath(t)
	other := open(t, path)
	ddl, err := sqlitestore.DDL(sqlitestore.Config{Table: "payments"})
	if err != nil {
		t.Fatal(err)
	}
	alter(t, other, ddl)
	alter(t, other, ddl) // changes nothing
	s := openTable(t, path, "payments")
	if err := s.CheckSchema(t.Context()); err != nil {
		t.Error(err)
	}
	claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long})

	_, err = sqlitestore.DDL(sqlitestore.Config{Table: `"; DROP TABLE a`})
	var configuration *idempotency.ConfigurationError
	if !errors.As(err, &configuration) {
		t.Errorf("statements for a name that is none: got error %v, want a *ConfigurationError", err)
	}
}

func TestSchemaIsCheckedAndMade(t *testing.T) {
	path := newPath(t)
	s := openTable(t, path, "records")
	ctx := t.Context()
	unavailable(t, s.CheckSchema(ctx), fs.ErrNotExist, "check without a file")
	misfit := func(err error, what, want string) {
		t.Helper()
		var configuration *idempotency.ConfigurationError
		if !errors.As(err, &configuration) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want a *ConfigurationError with %q", what, err, want)
		}
	}
	other := open(t, path)
	if err := other.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	misfit(s.CheckSchema(ctx), "check without a table", "sqlitestore.DDL")
	for _, columns := range []string{
		"key TEXT PRIMARY KEY, result BLOB",
		"key BLOB, state INTEGER, owner BLOB, fence INTEGER, fingerprint BLOB, created_at INTEGER, stored_at INTEGER, " +
			"expires_at INTEGER, purge_after INTEGER, result BLOB", // without a primary key
	} {
		alter(t, other, "CREATE TABLE records ("+columns+")")
		misfit(s.CheckSchema(ctx), columns, "which must be")
		misfit(s.EnsureSchema(ctx), columns, "which must be")
		misfit(s.Set(ctx, "k", nil, 0), columns, "which must be")
		alter(t, other, "DROP TABLE records")
	}
	if err := s.EnsureSchema(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.CheckSchema(ctx); err != nil {
		t.Error(err)
	}
}

// Nothing is done where the table cannot be used.
func TestTableThatWasDropped(t *testing.T) {
	s := open(t, newPath(t))
	ctx := t.Context()
	c := claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long})
	alter(t, s, "DROP TABLE idempotency_keys")
	_, claimErr := s.Acquire(ctx, "k", long)
	for what, err := range map[string]error{
		"claim": claimErr, "complete": s.Complete(ctx, "k", c.Token, nil, long), "ping": s.Ping(ctx),
	} {
		var unavailable *idempotency.BackendError
		if !errors.As(err, &unavailable) || !strings.Contains(err.Error(), "no such table") {
			t.Errorf("%s: got error %v, want a *BackendError that says why", what, err)
		}
	}
}

func TestResultThatIsTooLarge(t *testing.T) {
	s := open(t, newPath(t))
	ctx := t.Context()
	c := claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long})
	writer, err := s.Writer(ctx)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := writer.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	const lengthOfValues = 0
	if _, err := sqlite.Limit(conn, lengthOfValues, 10_000); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	err = s.Complete(ctx, "k", c.Token, make([]byte, 10_001), long)
	if wrong(t, err, "complete"); !strings.Contains(err.Error(), "the result is too large for the store") {
		t.Errorf("got error %v, want one that says so", err)
	}
	if err := s.Complete(ctx, "k", c.Token, make([]byte, 5_000), long); err != nil {
		t.Errorf("a result that fits: %v", err)
	}
}

func TestWhatNoStoreWroteIsAStoreError(t *testing.T) {
	s := open(t, newPath(t))
	for _, set := range []string{"state = 3", "state = -1", "fence = -1", "owner = x'00'"} {
		if err := s.Delete(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long})
		alter(t, s, "UPDATE idempotency_keys SET "+set)
		_, err := s.Acquire(t.Context(), "k", long)
		wrong(t, err, "claim where "+set)
		_, _, err = s.Get(t.Context(), "k")
		wrong(t, err, "get where "+set)
	}

	path := newPath(t)
	if err := os.WriteFile(path, bytes.Repeat([]byte("not a database. "), 512), 0o600); err != nil {
		t.Fatal(err)
	}
	wrong(t, open(t, path).Ping(t.Context()), "another kind of file")
}
