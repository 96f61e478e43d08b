package storetest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/memstore"
)

// recorder is a test that remembers its failures instead of failing.
type recorder struct {
	testing.TB
	mu     sync.Mutex
	errors []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func (r *recorder) Error(args ...any) { r.Errorf("%s", fmt.Sprint(args...)) }

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Fatal(args ...any) { r.Fatalf("%s", fmt.Sprint(args...)) }

// failures runs a check in a bubble and returns what it complained about.
func failures(t *testing.T, c check, spoil func(*memstore.Idempotency) idempotency.Store) (complaints []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		store, err := memstore.NewIdempotency(memstore.Config{})
		if err != nil {
			t.Fatal(err)
		}
		r := &recorder{TB: t}
		done := make(chan struct{})
		go func() { // of its own, for Fatalf to end
			defer close(done)
			c.run(&suite{TB: r, Store: spoil(store), raceKeys: 20})
		}()
		<-done
		complaints = r.errors
	})
	return complaints
}

func TestSuitePassesARightStore(t *testing.T) {
	Idempotency(t, func(t *testing.T) idempotency.Store {
		store, err := memstore.NewIdempotency(memstore.Config{})
		if err != nil {
			t.Fatal(err)
		}
		return store
	}, InBubble(), RaceKeys(20))
}

// TestEveryCheckCatchesItsMistake spoils a right store in one way at a time and wants the check that is there for it to
// complain.
func TestEveryCheckCatchesItsMistake(t *testing.T) {
	caught := map[string]bool{}
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			for _, name := range m.caughtBy {
				caught[name] = true
				i := slices.IndexFunc(idempotencyChecks, func(c check) bool { return c.name == name })
				if i < 0 {
					t.Fatalf("there is no check %s", name)
				}
				if len(failures(t, idempotencyChecks[i], m.spoil)) == 0 {
					t.Errorf("check %s passes", name)
				}
			}
		})
	}
	for _, c := range idempotencyChecks {
		if !caught[c.name] {
			t.Errorf("no mistake shows that check %s can fail", c.name)
		}
	}
}

// TestSuiteFailsAGetThenSetStore runs all checks against the store that people write first: it looks, and then it
// writes. Nothing is wrong with it until two come at once.
func TestSuiteFailsAGetThenSetStore(t *testing.T) {
	failed := map[string]bool{}
	for _, c := range idempotencyChecks {
		failed[c.name] = len(failures(t, c, func(m *memstore.Idempotency) idempotency.Store { return &getThenSet{m} })) > 0
	}
	for name, want := range map[string]bool{
		"FirstClaimIsAcquired": false, "SecondClaimIsInProgress": false, "CompletedClaimIsDone": false, "ResultExpires": false,
		"OneClaimantWinsAFreshKey": true, "OneClaimantWinsALapsedClaim": true, "OneClaimantWinsAnExpiredResult": true,
	} {
		if failed[name] != want {
			t.Errorf("check %s failed: %v, want %v", name, failed[name], want)
		}
	}
}

// getThenSet claims in two steps, between which others come in, as they do when each step is a round trip.
type getThenSet struct{ *memstore.Idempotency }

func (s *getThenSet) Claim(ctx context.Context, req idempotency.ClaimRequest) (idempotency.Claim, error) {
	if _, found, err := s.GetRecord(ctx, req.Key); err != nil || found {
		return s.Idempotency.Claim(ctx, req)
	}
	runtime.Gosched()
	c, err := s.Idempotency.Claim(ctx, req)
	if err == nil && c.Outcome != idempotency.Acquired {
		if err := s.Delete(ctx, req.Key); err != nil { // what SET does without NX
			return idempotency.Claim{}, err
		}
		return s.Idempotency.Claim(ctx, req)
	}
	return c, err
}

// spoiled is a store with some of its operations replaced.
type spoiled struct {
	*memstore.Idempotency
	claim    func(ctx context.Context, req idempotency.ClaimRequest) (idempotency.Claim, error)
	complete func(ctx context.Context, key string, token idempotency.Token, value []byte, ttl time.Duration) error
	extend   func(ctx context.Context, key string, token idempotency.Token, lease time.Duration) error
	release  func(ctx context.Context, key string, token idempotency.Token) error
	get      func(ctx context.Context, key string) ([]byte, bool, error)
	record   func(ctx context.Context, key string) (idempotency.Record, bool, error)
	set      func(ctx context.Context, key string, value []byte, ttl time.Duration) error
	delete   func(ctx context.Context, key string) error
	acquire  func(ctx context.Context, key string, ttl time.Duration) (bool, error)
	cleanup  func(ctx context.Context, limit int) (int, error)
	ping     func(ctx context.Context) error
}

func (s *spoiled) Claim(ctx context.Context, req idempotency.ClaimRequest) (idempotency.Claim, error) {
	return s.claim(ctx, req)
}

func (s *spoiled) Complete(
	ctx context.Context, key string, token idempotency.Token, value []byte, ttl time.Duration,
) error {
	return s.complete(ctx, key, token, value, ttl)
}

func (s *spoiled) Extend(ctx context.Context, key string, token idempotency.Token, lease time.Duration) error {
	return s.extend(ctx, key, token, lease)
}

func (s *spoiled) Release(ctx context.Context, key string, token idempotency.Token) error {
	return s.release(ctx, key, token)
}

func (s *spoiled) Get(ctx context.Context, key string) ([]byte, bool, error) { return s.get(ctx, key) }

func (s *spoiled) GetRecord(ctx context.Context, key string) (idempotency.Record, bool, error) {
	return s.record(ctx, key)
}

func (s *spoiled) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return s.set(ctx, key, value, ttl)
}

func (s *spoiled) Delete(ctx context.Context, key string) error { return s.delete(ctx, key) }

func (s *spoiled) Acquire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	return s.acquire(ctx, key, ttl)
}

func (s *spoiled) CleanupExpired(ctx context.Context, limit int) (int, error) {
	return s.cleanup(ctx, limit)
}

func (s *spoiled) Ping(ctx context.Context) error { return s.ping(ctx) }

// spoil lets change replace operations of a right store.
func spoil(change func(s *spoiled)) func(*memstore.Idempotency) idempotency.Store {
	return func(m *memstore.Idempotency) idempotency.Store {
		s := &spoiled{
			Idempotency: m, claim: m.Claim, complete: m.Complete, extend: m.Extend, release: m.Release, get: m.Get,
			record: m.GetRecord, set: m.Set, delete: m.Delete, acquire: m.Acquire, cleanup: m.CleanupExpired, ping: m.Ping,
		}
		change(s)
		return s
	}
}

// TestClockOfTheClientIsFound runs the check of skewed clients against a store that has no other clock.
func TestClockOfTheClientIsFound(t *testing.T) {
	c := check{"ClockOfTheClientDoesNotMatter", clockOfTheClientDoesNotMatter}
	if len(failures(t, c, spoil(func(*spoiled) {}))) == 0 {
		t.Errorf("check %s passes", c.name)
	}
}

// TestUnspoiledStorePasses is the counter-proof of the mistakes: what they are made of is right.
func TestUnspoiledStorePasses(t *testing.T) {
	for _, c := range idempotencyChecks {
		if complaints := failures(t, c, spoil(func(*spoiled) {})); len(complaints) > 0 {
			t.Errorf("check %s: %s", c.name, strings.Join(complaints, "; "))
		}
	}
}
