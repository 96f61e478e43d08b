package storetest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// SkewedClient adds a check of a store whose backend has a clock of its own: that it goes by that clock when the
// client's is wrong. Open returns an empty store, like that of the suite, but on a client that it makes: it is called in
// a testing/synctest bubble, where the clock says the year 2000, stands still while calls are under way, and leaps.
func SkewedClient(open func(t *testing.T) idempotency.Store) Option {
	return func(o *options) { o.skewed = open }
}

func (o *options) runSkewed(t *testing.T) {
	t.Run("ClockOfTheClientDoesNotMatter", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			clockOfTheClientDoesNotMatter(&suite{TB: t, Store: o.skewed(t), raceKeys: o.keys})
		})
	})
}

// clockOfTheClientDoesNotMatter runs in a bubble with a store that is not of it.
func clockOfTheClientDoesNotMatter(s *suite) {
	held := s.acquire("held", long)
	s.must(s.Set(s.Context(), "result", []byte("result"), long), "set")
	s.acquire("lapsing", short)
	s.must(s.Set(s.Context(), "expiring", nil, short), "set")

	// The clock of the client stands still, that of the backend does not.
	const enough = 100_000 // calls, each of which takes real time
	acquired := false
	for calls := 0; ; calls++ {
		c := s.claimWith(idempotency.ClaimRequest{Key: "lapsing", Lease: long})
		_, found, err := s.Get(s.Context(), "expiring")
		s.must(err, "get")
		acquired = acquired || c.Outcome == idempotency.Acquired
		if acquired && !found {
			break
		}
		if calls == enough {
			s.Fatalf("a lease and a retention of %v are not over after %d calls by a client whose clock stands still", short, calls)
		}
	}

	// Now it leaps ahead.
	<-time.After(2 * long)
	s.is(s.claim("held"), idempotency.InProgress, "claim of a held key by a client whose clock is ahead")
	s.holds("result", "result", "for a client whose clock is ahead")
	if n, err := s.CleanupExpired(s.Context(), 10); err != nil || n > 1 {
		s.Errorf("cleanup by a client whose clock is ahead removed %d, error %v, want at most the one that has expired", n, err)
	}
	s.must(s.Complete(s.Context(), "held", held, []byte("done"), long), "complete")
	done := s.claim("held")
	s.is(done, idempotency.Done, "claim of a completed key")
	if done.Age >= long || done.ExpiresIn <= 0 || done.ExpiresIn > long {
		s.Errorf("a result that was just stored for %v is said to be %v old and to expire in %v", long, done.Age, done.ExpiresIn)
	}

	rec := s.record("held")
	if kept := rec.ExpiresAt.Sub(rec.CreatedAt); kept < long-2*time.Millisecond || kept >= 2*long {
		s.Errorf("the record expires %v after it was made, want about %v", kept, long)
	}
	if ahead := time.Now(); rec.CreatedAt.Sub(ahead) < 365*24*time.Hour {
		s.Errorf("the record was made at %v: that is the clock of the client, which says %v", rec.CreatedAt, ahead)
	}
}

// nothingExpiresEarly measures from before the call that began a time to after the one that found it over: whatever the
// calls took, the time between them cannot be shorter.
func nothingExpiresEarly(s *suite) {
	const span = 50 * time.Millisecond
	began := time.Now()
	token := s.acquire("claimed", span)
	s.must(s.Set(s.Context(), "set", nil, span), "set")
	s.must(s.Complete(s.Context(), "completed", s.acquire("completed", long), nil, span), "complete")
	extended := time.Now()
	s.must(s.Extend(s.Context(), "claimed", token, 2*span), "extend")
	for key, from := range map[string]time.Time{"set": began, "completed": began, "claimed": extended} {
		want := span
		if key == "claimed" {
			want = 2 * span
		}
		for s.claimWith(idempotency.ClaimRequest{Key: key, Lease: long}).Outcome != idempotency.Acquired {
			<-time.After(time.Millisecond)
		}
		// The clocks may run at slightly different speeds, and count in milliseconds.
		if lasted := time.Since(from); lasted < want-2*time.Millisecond {
			s.Errorf("%s for %v lasted %v at most", key, want, lasted)
		}
	}
}
