package sqlitestore_test

import (
	"database/sql"
	"math/rand/v2"
	"net/url"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/testkit/histories"
)

// pause waits, in a test that plays with real processes: for longest at the most.
func pause(random *rand.Rand, longest time.Duration) {
	<-time.After(time.Duration(random.Int64N(int64(longest))))
}

func TestHistories(t *testing.T) {
	histories.Idempotency(t, func(t *testing.T) idempotency.Store { return open(t, newPath(t)) }, histories.Options{Histories: 48})
}

func TestHistoriesOfProcessesThatAreKilled(t *testing.T) {
	var all *family
	histories.Idempotency(t, func(t *testing.T) idempotency.Store {
		all = newFamily(t, newPath(t), 2)
		return all
	}, histories.Options{
		Clients: 3, Operations: 6, // the race detector makes SQLite slow
		Disturb: func(random *rand.Rand) {
			pause(random, 300*time.Millisecond)
			all.replaceOne(random)
		},
	})
}

// Some calls wait for the lock long enough, others give up.
func TestHistoriesOfProcessesWhileAnotherLocksTheFile(t *testing.T) {
	var other *sql.DB
	histories.Idempotency(t, func(t *testing.T) idempotency.Store {
		path := newPath(t)
		other = locker(t, path)
		return newFamily(t, path, 2)
	}, histories.Options{
		Histories: 16, Timeout: 100 * time.Millisecond,
		Disturb: func(random *rand.Rand) {
			pause(random, 30*time.Millisecond)
			if _, err := other.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
				t.Error(err)
				return
			}
			pause(random, 100*time.Millisecond)
			if _, err := other.ExecContext(t.Context(), "ROLLBACK"); err != nil {
				t.Error(err)
			}
		},
	})
}

// locker returns a single connection to a file, which is made. It waits for others.
func locker(t *testing.T, path string) *sql.DB {
	t.Helper()
	if err := open(t, path).EnsureSchema(t.Context()); err != nil {
		t.Fatal(err)
	}
	uri := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: "_pragma=busy_timeout(60000)"}
	db, err := sql.Open("sqlite", uri.String())
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}
