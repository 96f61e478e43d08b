package memstore_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/memstore"
	"github.com/steadyfx/steady/stores/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Idempotency(t, func(t *testing.T) idempotency.Store { return open(t, 0) }, storetest.InBubble(), storetest.RaceKeys(1000))
}

// The bubble makes the checks fast; this makes them race.
func TestConformanceInRealTime(t *testing.T) {
	storetest.Idempotency(t, func(t *testing.T) idempotency.Store { return open(t, 0) })
}

func open(tb testing.TB, maxEntries int) *memstore.Idempotency {
	tb.Helper()
	m, err := memstore.NewIdempotency(memstore.Config{MaxEntries: maxEntries})
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// Times that no test outlives, and that it waits for.
const (
	long  = time.Hour
	short = time.Second
)

func claim(tb testing.TB, m *memstore.Idempotency, key string, lease time.Duration) idempotency.Claim {
	tb.Helper()
	c, err := m.Claim(tb.Context(), idempotency.ClaimRequest{Key: key, Lease: lease})
	if err != nil {
		tb.Fatalf("claim of %s: %v", key, err)
	}
	return c
}

func set(tb testing.TB, m *memstore.Idempotency, key string, ttl time.Duration) {
	tb.Helper()
	if err := m.Set(tb.Context(), key, []byte(key), ttl); err != nil {
		tb.Fatalf("set %s: %v", key, err)
	}
}

func wantKeys(tb testing.TB, m *memstore.Idempotency, present, absent []string) {
	tb.Helper()
	for _, key := range present {
		if !m.Has(key) {
			tb.Errorf("%s is gone, want it kept", key)
		}
	}
	for _, key := range absent {
		if m.Has(key) {
			tb.Errorf("%s is kept, want it gone", key)
		}
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	for _, entries := range []int{-1, math.MinInt, math.MaxInt32 + 1} {
		_, err := memstore.NewIdempotency(memstore.Config{MaxEntries: entries})
		var configuration *idempotency.ConfigurationError
		var field *patterns.FieldError
		if !errors.As(err, &configuration) || !errors.As(err, &field) || field.Field != "max_entries" {
			t.Errorf("MaxEntries %d: got error %v, want a *ConfigurationError about max_entries", entries, err)
		}
	}
}

func TestZeroConfigKeepsTenThousand(t *testing.T) {
	m := open(t, 0)
	for i := range 10_001 {
		set(t, m, strconv.Itoa(i), 0)
	}
	if n := m.Size(); n != 10_000 {
		t.Errorf("got %d entries, want 10000", n)
	}
	wantKeys(t, m, []string{"1", "10000"}, []string{"0"})
}

func TestOldestResultIsEvictedFirst(t *testing.T) {
	m := open(t, 3)
	for _, key := range []string{"a", "b", "c"} {
		set(t, m, key, long)
	}
	set(t, m, "a", long) // stored anew: now the youngest
	set(t, m, "d", long)
	wantKeys(t, m, []string{"c", "a", "d"}, []string{"b"})
	claim(t, m, "e", long)
	wantKeys(t, m, []string{"a", "d", "e"}, []string{"c"})
	if n := m.Size(); n != 3 {
		t.Errorf("got %d entries, want 3", n)
	}
}

func TestPendingClaimIsNeverEvicted(t *testing.T) {
	m := open(t, 3)
	first, second := claim(t, m, "first", long), claim(t, m, "second", long)
	for i := range 100 {
		set(t, m, strconv.Itoa(i), long)
	}
	wantKeys(t, m, []string{"first", "second", "99"}, []string{"98"})
	for key, c := range map[string]idempotency.Claim{"first": first, "second": second} {
		if err := m.Complete(t.Context(), key, c.Token, nil, long); err != nil {
			t.Errorf("complete of %s: %v", key, err)
		}
	}
}

func TestStoreFullOfClaimsRefusesNewKeys(t *testing.T) {
	m := open(t, 2)
	held := claim(t, m, "a", long)
	claim(t, m, "b", long)
	_, claimErr := m.Claim(t.Context(), idempotency.ClaimRequest{Key: "c", Lease: long})
	_, acquireErr := m.Acquire(t.Context(), "c", long)
	for op, err := range map[string]error{
		"claim": claimErr, "acquire": acquireErr, "set": m.Set(t.Context(), "c", nil, long),
	} {
		var full *idempotency.BackendError
		if !errors.As(err, &full) || !strings.Contains(err.Error(), "max_entries") {
			t.Errorf("%s: got error %v, want a *BackendError that names max_entries", op, err)
		}
	}
	if c := claim(t, m, "a", long); c.Outcome != idempotency.InProgress {
		t.Errorf("claim of a key that is there: got %v, want in_progress", c.Outcome)
	}
	if err := m.Set(t.Context(), "b", nil, long); err != nil {
		t.Errorf("set of a key that is there: %v", err)
	}
	if c := claim(t, m, "c", long); c.Outcome != idempotency.Acquired {
		t.Errorf("claim when a result can be evicted: got %v, want acquired", c.Outcome)
	}
	if err := m.Release(t.Context(), "a", held.Token); err != nil {
		t.Fatal(err)
	}
	if c := claim(t, m, "d", long); c.Outcome != idempotency.Acquired {
		t.Errorf("claim after a release: got %v, want acquired", c.Outcome)
	}
}

func TestExpiredRecordsMakeRoomBeforeResults(t *testing.T) {
	for name, keysOf := range map[string]func(*memstore.Idempotency) []string{
		"one shard": func(m *memstore.Idempotency) []string { return neighbours(m, 7) },
		"several":   func(*memstore.Idempotency) []string { return []string{"0", "1", "2", "3", "4", "5", "6"} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := open(t, 4)
				k := keysOf(m)
				oldest, expires, lapses, pending, one, two, three := k[0], k[1], k[2], k[3], k[4], k[5], k[6]
				set(t, m, oldest, long)
				set(t, m, expires, short)
				claim(t, m, lapses, short)
				claim(t, m, pending, long)
				time.Sleep(short)
				if st := m.Stats(); st != (memstore.Stats{Total: 4, Active: 2, Expired: 2}) {
					t.Errorf("got %+v, want 2 of 4 expired", st)
				}
				set(t, m, one, long)
				set(t, m, two, long)
				wantKeys(t, m, []string{oldest, pending, one, two}, []string{expires, lapses})
				set(t, m, three, long)
				wantKeys(t, m, []string{pending, one, two, three}, []string{oldest})
			})
		})
	}
}

func TestAbandonedClaimsMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := open(t, 100)
		for i := range 100 {
			claim(t, m, strconv.Itoa(i), short)
		}
		time.Sleep(short)
		for i := range 100 {
			if c := claim(t, m, "new-"+strconv.Itoa(i), long); c.Outcome != idempotency.Acquired {
				t.Fatalf("claim %d: got %v, want acquired", i, c.Outcome)
			}
		}
		if _, err := m.Acquire(t.Context(), "one too many", long); err == nil {
			t.Error("the store took a claim more than it has room for")
		}
	})
}

// Eviction may take an extended claim for an expired one until it looks closely.
func TestExtendedClaimIsNotEvictedAtItsFirstDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := open(t, 3)
		for _, key := range []string{"a", "b"} {
			c := claim(t, m, key, short)
			if err := m.Extend(t.Context(), key, c.Token, long); err != nil {
				t.Fatal(err)
			}
		}
		set(t, m, "oldest", long)
		time.Sleep(short)
		claim(t, m, "c", long)
		wantKeys(t, m, []string{"a", "b", "c"}, []string{"oldest"})
		if _, err := m.Acquire(t.Context(), "d", long); err == nil {
			t.Error("the store took a claim more than it has room for")
		}
		wantKeys(t, m, []string{"a", "b", "c"}, []string{"d"})
	})
}

func TestExpiryIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := open(t, 0)
		const lease = 1500*time.Millisecond + 7
		first := claim(t, m, "k", lease)
		time.Sleep(lease - 1)
		if c := claim(t, m, "k", lease); c.Outcome != idempotency.InProgress || c.RetryAfter != time.Millisecond {
			t.Errorf("a nanosecond before: got %v, retry after %v; want in_progress, 1ms", c.Outcome, c.RetryAfter)
		}
		time.Sleep(time.Nanosecond)
		second := claim(t, m, "k", lease)
		if second.Outcome != idempotency.Acquired || second.Fence <= first.Fence {
			t.Fatalf("at the end of the lease: got %v with fence %d after %d", second.Outcome, second.Fence, first.Fence)
		}
		if err := m.Complete(t.Context(), "k", second.Token, []byte("result"), lease); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lease - 1)
		if c := claim(t, m, "k", lease); c.Outcome != idempotency.Done || c.Age != lease-1 {
			t.Errorf("a nanosecond before: got %v aged %v, want done aged %v", c.Outcome, c.Age, lease-1)
		}
		time.Sleep(time.Nanosecond)
		if _, found, _ := m.Get(t.Context(), "k"); found {
			t.Error("the result is there when its time is up")
		}
	})
}

func TestRecordTellsItsTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := open(t, 0)
		time.Sleep(short)
		created := time.Now()
		c := claim(t, m, "k", long)
		time.Sleep(short)
		rec, _, err := m.GetRecord(t.Context(), "k")
		if err != nil || !rec.CreatedAt.Equal(created) || !rec.ExpiresAt.Equal(created.Add(long)) {
			t.Errorf("pending: got %v to %v, error %v; want %v to %v", rec.CreatedAt, rec.ExpiresAt, err, created, created.Add(long))
		}
		if err := m.Complete(t.Context(), "k", c.Token, nil, long); err != nil {
			t.Fatal(err)
		}
		stored := time.Now()
		rec, _, err = m.GetRecord(t.Context(), "k")
		if err != nil || !rec.CreatedAt.Equal(created) || !rec.ExpiresAt.Equal(stored.Add(long)) {
			t.Errorf("complete: got %v to %v, error %v; want %v to %v", rec.CreatedAt, rec.ExpiresAt, err, created, stored.Add(long))
		}
	})
}

func TestTimesBeyondTheEndOfTimeMeanNever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := open(t, 0)
		time.Sleep(long)
		set(t, m, "set", math.MaxInt64)
		claim(t, m, "claimed", math.MaxInt64)
		time.Sleep(100 * 365 * 24 * time.Hour)
		wantKeys(t, m, []string{"set", "claimed"}, nil)
		if n, _ := m.CleanupExpired(t.Context(), 10); n != 0 {
			t.Errorf("cleanup removed %d records that never expire", n)
		}
	})
}

func TestCleanupRemovesWhatHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := open(t, 0)
		var live []string
		for i := range 100 {
			key := strconv.Itoa(i)
			switch i % 4 {
			case 0:
				set(t, m, key, short)
			case 1:
				claim(t, m, key, short)
			case 2:
				set(t, m, key, long)
				live = append(live, key)
			case 3:
				claim(t, m, key, long)
				live = append(live, key)
			}
		}
		time.Sleep(short)
		for _, want := range []int{0, 30, 20, 0} {
			limit := min(want, 30)
			if want == 20 {
				limit = 1000
			}
			if n, err := m.CleanupExpired(t.Context(), limit); n != want || err != nil {
				t.Errorf("cleanup of at most %d: removed %d, error %v, want %d", limit, n, err, want)
			}
		}
		wantKeys(t, m, live, nil)
		if st := m.Stats(); st != (memstore.Stats{Total: 50, Active: 50}) || m.Size() != 50 {
			t.Errorf("got %+v and size %d, want 50, all active", st, m.Size())
		}
	})
}

func TestCleanupMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := open(t, 2)
		set(t, m, "result", short)
		claim(t, m, "claim", short)
		time.Sleep(short)
		if n, err := m.CleanupExpired(t.Context(), 2); n != 2 || err != nil {
			t.Fatalf("cleanup removed %d, error %v, want 2", n, err)
		}
		for _, key := range []string{"a", "b"} {
			if c := claim(t, m, key, long); c.Outcome != idempotency.Acquired {
				t.Errorf("claim of %s: got %v, want acquired", key, c.Outcome)
			}
		}
	})
}

func TestClearRemovesEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := open(t, 2)
		held := claim(t, m, "pending", short)
		set(t, m, "complete", short)
		m.Clear()
		if st := m.Stats(); st != (memstore.Stats{}) || m.Size() != 0 {
			t.Errorf("got %+v and size %d after clear", st, m.Size())
		}
		time.Sleep(short)
		if n, err := m.CleanupExpired(t.Context(), 10); n != 0 || err != nil {
			t.Errorf("cleanup after clear: removed %d, error %v", n, err)
		}
		if err := m.Complete(t.Context(), "pending", held.Token, nil, long); !errors.Is(err, idempotency.ErrClaimLost) {
			t.Errorf("complete of a cleared claim: got error %v, want ErrClaimLost", err)
		}
		c := claim(t, m, "pending", long)
		if c.Outcome != idempotency.Acquired || c.Fence <= held.Fence {
			t.Errorf("claim after clear: got %v with fence %d after %d", c.Outcome, c.Fence, held.Fence)
		}
		claim(t, m, "other", long)
		if _, err := m.Acquire(t.Context(), "third", long); err == nil {
			t.Error("clear left room for more than MaxEntries")
		}
	})
}

// Also where the clock stands still, as it does here, and where the record of the last acquisition is gone.
func TestFenceGrowsWithEveryAcquisition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := open(t, 0)
		last := time.Now().UnixMicro() - 1
		for range 100 {
			c := claim(t, m, "k", long)
			if c.Outcome != idempotency.Acquired || c.Fence <= last {
				t.Fatalf("got %v with fence %d after %d", c.Outcome, c.Fence, last)
			}
			last = c.Fence
			if err := m.Release(t.Context(), "k", c.Token); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(short)
		if c := claim(t, m, "k", long); c.Fence != time.Now().UnixMicro() {
			t.Errorf("got fence %d, want the time, %d", c.Fence, time.Now().UnixMicro())
		}
	})
}

// A janitor that removes what somebody holds lets two act at once.
func TestPitfall26CleanupNeverFreesAHeldKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := open(t, 0)
		held := claim(t, m, "k", short)
		for range 10 {
			time.Sleep(short / 2)
			if err := m.Extend(t.Context(), "k", held.Token, short); err != nil {
				t.Fatal(err)
			}
			if n, _ := m.CleanupExpired(t.Context(), 100); n != 0 {
				t.Fatal("cleanup removed a claim that was extended")
			}
			if c := claim(t, m, "k", short); c.Outcome != idempotency.InProgress {
				t.Fatalf("claim of a held key: got %v", c.Outcome)
			}
		}
	})
}

func TestCapHoldsWhileEverybodyWrites(t *testing.T) {
	const maxEntries, workers = 50, 16
	m := open(t, maxEntries)
	var over atomic.Bool
	var watcher, writers sync.WaitGroup
	watcher.Go(func() {
		for !over.Load() {
			m.Stats()
			if _, err := m.CleanupExpired(t.Context(), 1); err != nil {
				t.Errorf("cleanup: %v", err)
			}
		}
	})
	for w := range workers {
		writers.Go(func() {
			for i := range 500 {
				key := fmt.Sprintf("%d-%d", w, i)
				c, err := m.Claim(t.Context(), idempotency.ClaimRequest{Key: key, Lease: long})
				if err != nil || c.Outcome != idempotency.Acquired {
					t.Errorf("claim: got %v, error %v, though there are fewer claims than entries", c.Outcome, err)
					return
				}
				switch i % 3 {
				case 0:
					err = m.Complete(t.Context(), key, c.Token, nil, long)
				case 1:
					err = m.Release(t.Context(), key, c.Token)
				case 2:
					err = m.Set(t.Context(), key, nil, long)
				}
				if err != nil {
					t.Errorf("the claim of %s was taken away: %v", key, err)
				}
			}
		})
	}
	writers.Wait()
	over.Store(true)
	watcher.Wait()
	if n := m.Size(); n > maxEntries {
		t.Errorf("got %d entries, want at most %d", n, maxEntries)
	}
	for i := range maxEntries {
		claim(t, m, "last-"+strconv.Itoa(i), long)
	}
	if _, err := m.Acquire(t.Context(), "one too many", long); err == nil {
		t.Error("the store has lost count: it took a claim more than it has room for")
	}
}

func TestDuplicatesOfANewKeyEvictOneResult(t *testing.T) {
	const maxEntries, duplicates = 4, 16
	m := open(t, maxEntries)
	for i := range 1000 {
		var old []string
		for k := range maxEntries {
			old = append(old, fmt.Sprintf("%d-%d", i, k))
			set(t, m, old[k], long)
		}
		key := fmt.Sprintf("%d-new", i)
		var winners atomic.Int32
		var wg sync.WaitGroup
		gate := make(chan struct{})
		for range duplicates {
			wg.Go(func() {
				<-gate
				c, err := m.Claim(t.Context(), idempotency.ClaimRequest{Key: key, Lease: long})
				if err != nil {
					t.Errorf("claim: %v", err)
				}
				if c.Outcome == idempotency.Acquired {
					winners.Add(1)
				}
			})
		}
		close(gate)
		wg.Wait()
		if winners.Load() != 1 {
			t.Fatalf("%d of %d acquired the key", winners.Load(), duplicates)
		}
		wantKeys(t, m, append(old[1:], key), old[:1])
		if err := m.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRefusedClaimLeavesNothing(t *testing.T) {
	m := open(t, 1)
	held := claim(t, m, "held", long)
	for range 3 {
		if _, err := m.Acquire(t.Context(), "refused", long); err == nil {
			t.Fatal("the store took a claim more than it has room for")
		}
		if err := m.Set(t.Context(), "refused", nil, long); err == nil {
			t.Fatal("the store took a result more than it has room for")
		}
		wantKeys(t, m, []string{"held"}, []string{"refused"})
		if n := m.Size(); n != 1 {
			t.Fatalf("got %d entries, want 1", n)
		}
	}
	if err := m.Release(t.Context(), "held", held.Token); err != nil {
		t.Fatal(err)
	}
	set(t, m, "refused", long)
	wantKeys(t, m, []string{"refused"}, []string{"held"})
}

// A payment that was made counts for an hour, unless an eleventh thousand comes in between: nobody may find that out
// from a customer.
func TestLossBeforeItsTimeIsCountedAndTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := new(hooks.Bus)
		var told []int
		hooks.On(bus, func(_ context.Context, e hooks.IdempotencyEvicted) { told = append(told, e.Evicted) })
		m, err := memstore.NewIdempotency(memstore.Config{MaxEntries: 2}, memstore.WithBus(bus))
		if err != nil {
			t.Fatal(err)
		}
		set := func(n int, ttl time.Duration) {
			for range n {
				if err := m.Set(t.Context(), strconv.Itoa(m.Size())+time.Now().String(), nil, ttl); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
			}
		}
		set(5, time.Hour) // 3 lost, of which the first is told at once
		time.Sleep(time.Minute)
		set(1, time.Hour) // and the others with the next
		time.Sleep(time.Hour)
		set(2, time.Hour) // what makes room now has expired
		if st := m.Stats(); st.Evicted != 4 || !slices.Equal(told, []int{1, 3}) {
			t.Errorf("evicted %d, told of %v", st.Evicted, told)
		}
	})
}
