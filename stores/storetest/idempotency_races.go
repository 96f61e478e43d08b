package storetest

import (
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

func cleanupRemovesOnlyExpired(s *suite) {
	s.acquire("pending", long)
	s.must(s.Set(s.Context(), "complete", []byte("result"), long), "set")
	s.must(s.Set(s.Context(), "for ever", []byte("result"), 0), "set")
	s.acquire("lapsed", short)
	s.must(s.Set(s.Context(), "expired", []byte("result"), short), "set")
	s.lapse("lapsed", "expired")
	removed := 0
	for range 4 {
		n, err := s.CleanupExpired(s.Context(), 1)
		s.must(err, "cleanup")
		if n < 0 || n > 1 {
			s.Errorf("cleanup with limit 1 removed %d", n)
		}
		removed += n
	}
	if removed > 2 {
		s.Errorf("cleanup removed %d records, but only 2 had expired", removed)
	}
	n, err := s.CleanupExpired(s.Context(), 0)
	if s.must(err, "cleanup"); n != 0 {
		s.Errorf("cleanup with limit 0 removed %d", n)
	}
	s.is(s.claim("pending"), idempotency.InProgress, "pending after cleanup")
	s.holds("complete", "result", "complete after cleanup")
	s.holds("for ever", "result", "complete without expiry after cleanup")
}

// raced returns n keys for a race, each brought into a state by prepare.
func (s *suite) raced(n int, prepare func(key string)) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = "race-" + strconv.Itoa(i)
		prepare(keys[i])
	}
	return keys
}

// cleanupSparesTakenOverClaims runs the cleanup in a tight loop while lapsed claims are taken over.
func cleanupSparesTakenOverClaims(s *suite) {
	for range 3 {
		keys := s.raced(min(s.raceKeys, 200), func(key string) { s.acquire(key, short) })
		s.lapse(keys...)

		var over atomic.Bool
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for !over.Load() {
					n, err := s.CleanupExpired(s.Context(), 10)
					if err != nil {
						s.Errorf("cleanup: %v", err)
						return
					}
					if n == 0 { // as always in a backend that expires records itself
						<-time.After(50 * time.Microsecond)
					}
				}
			})
		}
		won := make([]idempotency.Token, len(keys))
		atOnce(8, func(worker int) {
			for i := worker; i < len(keys); i += 8 {
				c, err := s.Claim(s.Context(), idempotency.ClaimRequest{Key: keys[i], Lease: long, Retention: long})
				if err != nil || c.Outcome != idempotency.Acquired {
					s.Errorf("claim of a lapsed key: got %v, error %v, want acquired", c.Outcome, err)
				}
				won[i] = c.Token
			}
		})
		over.Store(true)
		wg.Wait()
		for i, key := range keys {
			if err := s.Complete(s.Context(), key, won[i], nil, long); err != nil {
				s.Fatalf("cleanup took a live claim away: %v", err)
			}
			s.must(s.Delete(s.Context(), key), "delete")
		}
	}
}

func oneClaimantWinsAFreshKey(s *suite) { s.race(s.raced(s.raceKeys, func(string) {})) }

func oneClaimantWinsALapsedClaim(s *suite) {
	keys := s.raced(s.raceKeys, func(key string) { s.acquire(key, short) })
	s.lapse(keys...)
	s.race(keys)
}

func oneClaimantWinsAnExpiredResult(s *suite) {
	keys := s.raced(s.raceKeys, func(key string) {
		token := s.acquire(key, long)
		s.must(s.Complete(s.Context(), key, token, []byte("stale"), short), "complete")
	})
	s.lapse(keys...)
	s.race(keys)
}

const claimants = 32

// race lets claimants claim each key at the same time. One wins, and the others learn that somebody acts or get the
// winner's result, never another one. The winners of every other key complete when all have been answered, so that
// nobody can be saved by the result.
func (s *suite) race(keys []string) {
	for n, key := range keys {
		var winners atomic.Int32
		var answered sync.WaitGroup
		answered.Add(claimants)
		atOnce(claimants, func(int) {
			c, err := s.Claim(s.Context(), idempotency.ClaimRequest{Key: key, Lease: long, Retention: long})
			answered.Done()
			switch {
			case err != nil:
				s.Errorf("claim: %v", err)
			case c.Outcome == idempotency.Acquired:
				winners.Add(1)
				if n%2 == 0 {
					answered.Wait()
				}
				if err := s.Complete(s.Context(), key, c.Token, []byte("fresh"), long); err != nil {
					s.Errorf("the winner could not complete: %v", err)
				}
			case c.Outcome == idempotency.Done && string(c.Value) != "fresh":
				s.Errorf("got the result %q, which is not that of the winner", c.Value)
			case c.Outcome != idempotency.Done && c.Outcome != idempotency.InProgress:
				s.Errorf("got %v", c.Outcome)
			}
		})
		if n := winners.Load(); n != 1 {
			s.Fatalf("%d of %d claimants acquired the key at the same time, want 1", n, claimants)
		}
		s.holds(key, "fresh", "after the race")
	}
}

// lateOwnerOrNewOne lets the owner of a lapsed claim complete it while another takes it over: one of them gets it.
func lateOwnerOrNewOne(s *suite) {
	tokens := map[string]idempotency.Token{}
	keys := s.raced(s.raceKeys, func(key string) { tokens[key] = s.acquire(key, short) })
	s.lapse(keys...)
	for _, key := range keys {
		var completed, acquired bool
		atOnce(2, func(i int) {
			if i == 0 {
				err := s.Complete(s.Context(), key, tokens[key], []byte("late"), long)
				if completed = err == nil; !completed && !errors.Is(err, idempotency.ErrClaimLost) {
					s.Errorf("complete: %v", err)
				}
				return
			}
			c, err := s.Claim(s.Context(), idempotency.ClaimRequest{Key: key, Lease: long, Retention: long})
			if err != nil {
				s.Errorf("claim: %v", err)
			}
			if acquired = c.Outcome == idempotency.Acquired; !acquired && string(c.Value) != "late" {
				s.Errorf("claim: got %v with %q, want the late result", c.Outcome, c.Value)
			}
		})
		if completed == acquired {
			s.Fatalf("the late owner completed: %v, another acquired: %v; want one of them", completed, acquired)
		}
	}
}

// heartbeatKeepsTheClaim lets an owner extend a short lease again and again while others claim the key. Where the owner
// itself was late, the others may have it: then the check has shown nothing and takes more time.
func heartbeatKeepsTheClaim(s *suite) {
	const beats = 12
	for try, lease := 0, 60*time.Millisecond; try < 5; try, lease = try+1, 2*lease {
		key := "beating-" + strconv.Itoa(try)
		asked := time.Now()
		token := s.acquire(key, lease)
		var until atomic.Int64 // the lease lasts at least so long after asked
		until.Store(int64(lease))
		var over, taken atomic.Bool
		var claimants sync.WaitGroup
		for range 4 {
			claimants.Go(func() {
				for !over.Load() && !taken.Load() {
					c, err := s.Claim(s.Context(), idempotency.ClaimRequest{Key: key, Lease: long})
					if err != nil {
						s.Errorf("claim: %v", err)
						return
					}
					if c.Outcome == idempotency.Acquired {
						taken.Store(true)
						if at := time.Since(asked); at < time.Duration(until.Load())-2*time.Millisecond {
							s.Errorf("a claim that lasts until %v was taken over before %v", time.Duration(until.Load()), at)
						}
					}
					<-time.After(time.Millisecond)
				}
			})
		}
		var err error
		for range beats {
			<-time.After(lease / 3)
			beat := time.Since(asked)
			if err = s.Extend(s.Context(), key, token, lease); err != nil {
				break
			}
			until.Store(int64(beat + lease))
		}
		over.Store(true)
		claimants.Wait()
		if err == nil && !taken.Load() {
			s.must(s.Complete(s.Context(), key, token, nil, long), "complete")
			return
		}
		if !taken.Load() || !errors.Is(err, idempotency.ErrClaimLost) {
			s.Fatalf("extend: got error %v, though taken over: %v", err, taken.Load())
		}
	}
	s.Fatal("the owner was never in time to extend its claim: the machine is too slow for this check")
}
