package idempotency_test

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// askedStore makes a call of charge that must not run, and reports whether the store was asked.
func askedStore(t *testing.T, g *idempotency.Guard, store *faultStore, key string, age time.Duration) bool {
	t.Helper()
	claims, runs := store.count("claim"), 0
	result, err := idempotency.Do(t.Context(), g, charge(key), returning(&runs, 2))
	if err != nil {
		t.Fatal(err)
	}
	if result.Value != 1 || !result.IsDuplicate || !result.FromCache || result.Fence == 0 || result.Key != key {
		t.Errorf("got %+v", result)
	}
	wantEqual(t, "age", result.Age, age)
	wantEqual(t, "runs", runs, 0)
	return store.count("claim") > claims
}

func TestCacheAnswersWithoutTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		g, events := newGuard(t, store, idempotency.Config{CacheEntries: 10, CacheTTL: time.Minute})
		other, _ := newGuard(t, store, idempotency.Config{CacheEntries: 10, CacheTTL: time.Minute})
		if _, err := idempotency.Do(t.Context(), g, charge("k"), returning(new(int), 1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		wantEqual(t, "own result: asked", askedStore(t, g, store, "k", 10*time.Second), false)
		wantEqual(t, "other's result: asked", askedStore(t, other, store, "k", 10*time.Second), true)
		time.Sleep(50*time.Second - 1)
		wantEqual(t, "other's result again: asked", askedStore(t, other, store, "k", time.Minute-1), false)
		wantEqual(t, "at the end: asked", askedStore(t, g, store, "k", time.Minute-1), false)
		time.Sleep(time.Nanosecond)
		wantEqual(t, "after the end: asked", askedStore(t, g, store, "k", time.Minute), true)
		wantEqual(t, "read again: asked", askedStore(t, g, store, "k", time.Minute), false)
		events.want(t, "idempotency.hit", "idempotency.hit", "idempotency.hit", "idempotency.hit")
	})
}

func TestCacheDoesNotOutliveTheResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		cfg := idempotency.Config{TTL: time.Minute, CacheEntries: 10, CacheTTL: time.Hour}
		g, _ := newGuard(t, store, cfg)
		other, _ := newGuard(t, store, cfg)
		for i, late := range []*idempotency.Guard{g, other, g, other} {
			call, life := charge("k"+strconv.Itoa(i)), time.Minute
			if i >= 2 {
				call.TTL, life = 30*time.Second, 30*time.Second
			}
			runs := 0
			do := func(g *idempotency.Guard) bool {
				result, err := idempotency.Do(t.Context(), g, call, returning(&runs, 1))
				if err != nil {
					t.Fatal(err)
				}
				return result.IsDuplicate
			}
			do(g)
			time.Sleep(life / 2)
			wantEqual(t, "read by another", do(other), true)
			time.Sleep(life/2 - 1)
			wantEqual(t, "before its end", do(g) && do(other), true)
			wantEqual(t, "runs", runs, 1)
			time.Sleep(time.Nanosecond)
			wantEqual(t, "at its end", do(late), false)
			wantEqual(t, "after its end", do(g) && do(other), true)
			wantEqual(t, "runs", runs, 2)
		}
	})
}

// Another may have stored the result for a shorter time than this guard would.
func TestCacheDoesNotOutliveWhatAnotherHasStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		brief, _ := newGuard(t, store, idempotency.Config{TTL: time.Minute})
		g, _ := newGuard(t, store, idempotency.Config{TTL: time.Hour, CacheEntries: 10, CacheTTL: time.Hour})
		runs := 0
		if _, err := idempotency.Do(t.Context(), brief, charge("k"), returning(&runs, 1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		wantEqual(t, "asked", askedStore(t, g, store, "k", 30*time.Second), true)
		time.Sleep(30*time.Second - 1)
		wantEqual(t, "asked just before the end", askedStore(t, g, store, "k", time.Minute-1), false)
		time.Sleep(time.Nanosecond)
		if result, err := idempotency.Do(t.Context(), g, charge("k"), returning(&runs, 2)); err != nil || result.Value != 2 {
			t.Errorf("at the end: got %+v and %v, want a new result", result, err)
		}
	})
}

func TestCacheKeepsTheLatest(t *testing.T) {
	store := newStore(t)
	g, _ := newGuard(t, store, idempotency.Config{CacheEntries: 2})
	asked := func(key string) bool {
		t.Helper()
		claims := store.count("claim")
		if _, err := idempotency.Do(t.Context(), g, charge(key), returning(new(int), 1)); err != nil {
			t.Fatal(err)
		}
		return store.count("claim") > claims
	}
	wantEqual(t, "asked", []bool{asked("a"), asked("b"), asked("a")}, []bool{true, true, false})
	wantEqual(t, "c drops b", []bool{asked("c"), asked("a"), asked("b")}, []bool{true, false, true})
	wantEqual(t, "b has dropped c", []bool{asked("a"), asked("b"), asked("c")}, []bool{false, false, true})
}

func TestLargeResultsAreNotKeptAtHand(t *testing.T) {
	store := newStore(t)
	g, _ := newGuard(t, store, idempotency.Config{CacheEntries: 2})
	for size, asks := range map[int]int{64<<10 - 1: 1, 64 << 10: 3} { // and one byte for the format
		before := store.count("claim")
		for range 3 {
			result, err := idempotency.Process(t.Context(), g, charge(strconv.Itoa(size)), returning(new(int), make([]byte, size)))
			if err != nil || len(result.Value) != size {
				t.Errorf("%d bytes and %v", len(result.Value), err)
			}
		}
		wantEqual(t, "claims", store.count("claim")-before, asks)
	}
}

func TestResultThatWasNotStoredIsNotKeptAtHand(t *testing.T) {
	for _, err := range []error{idempotency.ErrClaimLost, &idempotency.StoreError{Backend: "test", Op: "complete", Err: errBoom}} {
		store := newStore(t)
		store.before = func(_ context.Context, op string, _ int) error {
			if op == "complete" {
				return err
			}
			return nil
		}
		g, _ := newGuard(t, store, idempotency.Config{CacheEntries: 2})
		if _, err := idempotency.Do(t.Context(), g, charge("k"), returning(new(int), 1)); err != nil {
			t.Fatal(err)
		}
		_, err := idempotency.Do(t.Context(), g, charge("k"), returning(new(int), 1))
		wantError[*idempotency.ConflictError](t, err)
	}
}

// A result that came to a caller without a fingerprint says nothing about the record's, and the other way round.
func TestCacheLeavesUnknownFingerprintsToTheStore(t *testing.T) {
	call := func(fingerprint string) idempotency.Call {
		return idempotency.Call{Operation: "charge", Key: "k", Fingerprint: []byte(fingerprint)}
	}
	for _, test := range []struct {
		first, second, third string
		mismatch             bool
	}{
		{"a", "", "b", true}, {"a", "", "a", false}, {"", "a", "b", false}, {"", "", "b", false}, {"a", "a", "b", true},
	} {
		store := newStore(t)
		g, _ := newGuard(t, store, idempotency.Config{CacheEntries: 2})
		for _, fingerprint := range []string{test.first, test.second} {
			if _, err := idempotency.Do(t.Context(), g, call(fingerprint), returning(new(int), 1)); err != nil {
				t.Errorf("%+v: %v", test, err)
			}
		}
		_, err := idempotency.Do(t.Context(), g, call(test.third), returning(new(int), 1))
		wantEqual(t, "mismatch", err != nil, test.mismatch)
	}
}

func TestAnswersFromTheCacheAreTheCallersOwn(t *testing.T) {
	g, _ := newGuard(t, newStore(t), idempotency.Config{CacheEntries: 2})
	given := []byte("receipt")
	for range 4 {
		result, err := idempotency.Process(t.Context(), g, charge("k"), returning(new(int), given))
		if err != nil || string(result.Value) != "receipt" {
			t.Errorf("got %q and %v", result.Value, err)
		}
		clear(result.Value)
		copy(given, "another") // the function's own too
		given = []byte("receipt")
	}
}
