package circuitbreaker_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/state"
	"github.com/steadyfx/steady/stores/memstore"
)

// broken is a store that goes wrong in the ways that are set.
type broken struct {
	state.Store
	panics, ends atomic.Bool
	unwritable   atomic.Pointer[string] // what is in keys that cannot be written
	slow         atomic.Bool            // to say what it has read
	lost         atomic.Int64           // replies of writes still to be lost
}

func (b *broken) Get(ctx context.Context, key string) (state.Value, bool, error) {
	if b.panics.Load() {
		panic("no map")
	}
	v, found, err := b.Store.Get(ctx, key)
	if b.slow.Load() {
		time.Sleep(20 * time.Millisecond)
	}
	return v, found, err
}

func (b *broken) CompareAndSwap(
	ctx context.Context, key string, old state.Version, data []byte, ttl time.Duration,
) (state.Version, bool, error) {
	if part := b.unwritable.Load(); part != nil && strings.Contains(key, *part) {
		return 0, false, errOutage
	}
	v, swapped, err := b.Store.CompareAndSwap(ctx, key, old, data, ttl)
	if b.lost.Add(-1) >= 0 {
		return 0, false, errOutage
	}
	return v, swapped, err
}

func (b *broken) Watch(ctx context.Context, key string) iter.Seq2[state.Value, error] {
	if b.panics.Load() {
		panic("no map")
	}
	if b.ends.Load() {
		return func(func(state.Value, error) bool) {}
	}
	return b.Store.Watch(ctx, key)
}

func TestStoreThatPanicsEndsNeitherTheProcessNorTheSharing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &broken{Store: memstore.NewState()}
		store.panics.Store(true)
		one := newReplica(t, store, circuitbreaker.DistributedConfig{}, fragile)
		repeat(t, one.Breaker, 1, fail)
		time.Sleep(time.Minute)
		repeat(t, one.Breaker, 1, fail) // a probe, on its own
		store.panics.Store(false)
		two := newReplica(t, store, circuitbreaker.DistributedConfig{}, fragile)
		time.Sleep(10 * time.Second)
		wantState(t, two.Breaker, circuitbreaker.Open)
		two.Reset()
		synctest.Wait()
		wantState(t, one.Breaker, circuitbreaker.Closed)
		if got := fmt.Sprint(*one.events); got != "[degraded opened half_opened opened recovered closed]" {
			t.Fatalf("announced %s", got)
		}
	})
}

func TestWatchThatEndsIsTakenUpAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &broken{Store: memstore.NewState()}
		store.ends.Store(true)
		one := newReplica(t, store, circuitbreaker.DistributedConfig{}, fragile)
		two := newReplica(t, store, circuitbreaker.DistributedConfig{}, fragile)
		repeat(t, one.Breaker, 1, fail)
		store.ends.Store(false)
		time.Sleep(10 * time.Second)
		wantState(t, two.Breaker, circuitbreaker.Open)
	})
}

func TestLostReplyIsNotTakenForTheDecisionOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &broken{Store: memstore.NewState()}
		all := newReplicas(t, 2, store, circuitbreaker.DistributedConfig{})
		store.lost.Store(2)
		repeat(t, all[0].Breaker, 1, fail)
		time.Sleep(time.Minute)
		store.lost.Store(2)
		repeat(t, all[0].Breaker, 2, succeed)
		time.Sleep(time.Minute)
		wantState(t, all[1].Breaker, circuitbreaker.Closed)
		if m := all[0].Metrics(); m.State != circuitbreaker.Closed || m.Generation != 3 {
			t.Fatalf("got %+v", m)
		}
	})
}

func TestWhatAHandHasDoneIsToldAlthoughTheCircuitHasGoneOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &outage{Store: memstore.NewState()}
		all := newReplicas(t, 2, store, circuitbreaker.DistributedConfig{})
		all[0].ForceOpen()
		time.Sleep(time.Second)
		store.down.Store(true)
		store.delay.Store(int64(20 * time.Millisecond))
		all[1].Reset()
		time.Sleep(10 * time.Millisecond) // that is on its way, and will fail
		repeat(t, all[1].Breaker, 1, fail)
		time.Sleep(time.Second)
		store.down.Store(false)
		time.Sleep(10 * time.Second)
		for _, r := range all {
			wantState(t, r.Breaker, circuitbreaker.Open)
		}
	})
}

func TestCommandIsNotUndoneByWhatWasDecidedBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &outage{Store: memstore.NewState()}
		all := newReplicas(t, 2, store, circuitbreaker.DistributedConfig{})
		store.delay.Store(int64(20 * time.Millisecond))
		all[0].ForceOpen() // is there after 40 ms
		time.Sleep(30 * time.Millisecond)
		repeat(t, all[1].Breaker, 1, fail) // is about to be told, and then too late
		time.Sleep(5 * time.Millisecond)
		all[1].Reset()
		time.Sleep(10 * time.Second)
		for _, r := range all {
			wantState(t, r.Breaker, circuitbreaker.Closed)
		}
	})
}

func TestHalfOpenTimeoutThatNobodyNoticedDoesNotReopenWhatOthersHaveClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bounded := fragile
		bounded.HalfOpenTimeout = 3 * time.Second
		store := memstore.NewState()
		one := newReplica(t, store, circuitbreaker.DistributedConfig{}, bounded)
		two := newReplica(t, store, circuitbreaker.DistributedConfig{}, bounded)
		repeat(t, one.Breaker, 1, fail)
		synctest.Wait()
		time.Sleep(time.Minute)
		repeat(t, one.Breaker, 1, succeed) // and no more
		time.Sleep(4 * time.Second)
		repeat(t, two.Breaker, 2, succeed)
		time.Sleep(time.Second)
		wantState(t, one.Breaker, circuitbreaker.Closed)
		wantState(t, two.Breaker, circuitbreaker.Closed)
	})
}

func TestLeaseLastsAsLongAsTheLastProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		patient := fragile
		patient.SuccessThreshold = 3
		store := memstore.NewState()
		one := newReplica(t, store, circuitbreaker.DistributedConfig{}, patient)
		two := newReplica(t, store, circuitbreaker.DistributedConfig{}, patient)
		repeat(t, one.Breaker, 1, fail)
		synctest.Wait()
		time.Sleep(time.Minute)
		repeat(t, one.Breaker, 1, succeed)
		time.Sleep(900 * time.Millisecond)
		if _, err := one.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second - 1)
		if _, err := two.Acquire(t.Context()); !errors.Is(err, circuitbreaker.ErrOpen) {
			t.Fatalf("two probes at a time: %v", err)
		}
	})
}

// hasty waits only a second, but takes no probe for lost within a minute.
func hasty() circuitbreaker.Config {
	cfg := fragile
	cfg.RecoveryTimeout, cfg.Timeout = time.Second, time.Minute
	return cfg
}

func TestLeaseIsKeptWhileAnOlderDecisionIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &broken{Store: memstore.NewState()}
		one := newReplica(t, store, circuitbreaker.DistributedConfig{}, hasty())
		two := newReplica(t, store, circuitbreaker.DistributedConfig{}, hasty())
		repeat(t, one.Breaker, 1, fail)
		synctest.Wait()
		time.Sleep(time.Second)
		states := ":state:"
		store.unwritable.Store(&states)
		repeat(t, one.Breaker, 1, fail) // is told later
		time.Sleep(time.Second)
		if _, err := one.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		store.unwritable.Store(nil)
		time.Sleep(10 * time.Second)
		if _, err := two.Acquire(t.Context()); !errors.Is(err, circuitbreaker.ErrOpen) {
			t.Fatalf("two probes at a time: %v", err)
		}
	})
}

func TestLeaseIsGivenBackWhenOthersCloseTheCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.NewState()
		one := newReplica(t, store, circuitbreaker.DistributedConfig{}, hasty())
		two := newReplica(t, store, circuitbreaker.DistributedConfig{}, hasty())
		repeat(t, one.Breaker, 1, fail)
		synctest.Wait()
		time.Sleep(time.Second)
		if _, err := one.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		two.Reset()
		synctest.Wait()
		repeat(t, two.Breaker, 1, fail)
		synctest.Wait()
		time.Sleep(time.Second)
		if _, err := two.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestLeaseIsGivenBackByAReplicaThatSeesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &broken{Store: memstore.NewState()}
		two := newReplica(t, store, circuitbreaker.DistributedConfig{}, hasty())
		store.ends.Store(true)
		one := newReplica(t, store, circuitbreaker.DistributedConfig{}, hasty())
		for range 2 { // the second is a probe
			repeat(t, one.Breaker, 1, fail)
			synctest.Wait()
			time.Sleep(time.Second)
		}
		if _, err := two.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestLeaseThatEndsWhileItIsAskedForIsAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &broken{Store: memstore.NewState()}
		all := newReplicas(t, 2, store, circuitbreaker.DistributedConfig{})
		repeat(t, all[0].Breaker, 1, fail)
		synctest.Wait()
		time.Sleep(time.Minute)
		if _, err := all[0].Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1295 * time.Millisecond) // 5 ms are left
		store.slow.Store(true)
		for range 2 {
			_, _ = all[1].Acquire(t.Context())
		}
		if m := all[1].Metrics(); m.ProbesInFlight != 1 {
			t.Fatalf("got %+v", m)
		}
	})
}

func TestCircuitThatClosesWhileTheStoreIsAskedRejectsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &outage{Store: memstore.NewState()}
		all := newReplicas(t, 2, store, circuitbreaker.DistributedConfig{})
		repeat(t, all[0].Breaker, 1, fail)
		time.Sleep(61 * time.Second)
		if _, err := all[0].Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		store.delay.Store(int64(20 * time.Millisecond))
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := all[1].Acquire(t.Context()); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(10 * time.Millisecond)
		all[1].Reset()
		wg.Wait()
	})
}

func TestReplicasCloseTogetherAlsoWhenTheStoreHasForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newReplicas(t, 2, memstore.NewState(), circuitbreaker.DistributedConfig{})
		repeat(t, all[0].Breaker, 1, fail)
		synctest.Wait()
		time.Sleep(24 * time.Hour)
		repeat(t, all[1].Breaker, 2, succeed)
		synctest.Wait()
		wantState(t, all[0].Breaker, circuitbreaker.Closed)
	})
}

func TestLongestWaitsDoNotOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.NewState()
		forever := circuitbreaker.Config{FailureThreshold: 1, RecoveryTimeout: math.MaxInt64}
		all := []replica{newReplica(t, store, circuitbreaker.DistributedConfig{Prefix: "other:"}, forever)}
		forever.RecoveryJitter, forever.RecoveryBackoffFactor = 1, 2
		for range 2 {
			all = append(all, newReplica(t, store, circuitbreaker.DistributedConfig{}, forever))
		}
		time.Sleep(time.Hour)
		repeat(t, all[0].Breaker, 1, fail)
		repeat(t, all[1].Breaker, 1, fail)
		time.Sleep(20 * 365 * 24 * time.Hour)
		for _, r := range all {
			wantState(t, r.Breaker, circuitbreaker.Open)
			if err := r.Execute(t.Context(), succeed); !errors.Is(err, circuitbreaker.ErrOpen) {
				t.Errorf("got %v", err)
			}
		}
		b := halfOpen(t, circuitbreaker.Config{Timeout: math.MaxInt64, HalfOpenTimeout: math.MaxInt64})
		if _, err := b.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		if m := b.Metrics(); m.State != circuitbreaker.HalfOpen || m.ProbesInFlight != 1 {
			t.Errorf("got %+v", m)
		}
	})
}

func TestRegistryWithoutABackendSharesWithNobody(t *testing.T) {
	r, err := circuitbreaker.NewRegistry(patterns.Instances[circuitbreaker.Config]{})
	if err != nil {
		t.Fatal(err)
	}
	r.SetBackend(nil)
	if _, err := r.GetOrCreate("payments"); err != nil {
		t.Fatal(err)
	}
}
