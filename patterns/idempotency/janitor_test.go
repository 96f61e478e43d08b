package idempotency_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/memstore"
)

func newJanitor(t *testing.T, store idempotency.Store, cfg idempotency.Config) (*idempotency.Janitor, *eventLog) {
	t.Helper()
	events := newEventLog()
	j, err := idempotency.NewJanitor(store, cfg, idempotency.WithBus(&events.bus))
	if err != nil {
		t.Fatal(err)
	}
	return j, events
}

func TestJanitorRemovesWhatHasExpiredInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		for i := range 2500 {
			if err := store.Set(t.Context(), fmt.Sprint(i), nil, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		if err := store.Set(t.Context(), "stays", nil, 0); err != nil {
			t.Fatal(err)
		}
		j, events := newJanitor(t, store, idempotency.Config{CleanupInterval: 5 * time.Minute})
		j.Start()
		time.Sleep(5*time.Minute*9/10 - 1)
		wantEqual(t, "batches before the first interval", store.count("cleanup"), 0)
		time.Sleep(5 * time.Minute / 5)
		synctest.Wait()
		wantEqual(t, "batches", store.count("cleanup"), 3)
		time.Sleep(24 * time.Hour)
		if err := j.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if n := store.count("cleanup") - 3; n < 262 || n > 320 { // 24 h / 330 s, 24 h / 270 s
			t.Errorf("%d rounds in 24 h", n)
		}
		events.want(t, "idempotency.cleaned")
		cleaned := events.all()[0].(hooks.IdempotencyCleaned)
		if cleaned.Removed != 2500 || cleaned.Err != nil {
			t.Errorf("got %+v", cleaned)
		}
		if _, found, _ := store.Get(t.Context(), "stays"); !found {
			t.Error("a live result is gone")
		}
	})
}

func TestJanitorsOfManyReplicasShareTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const replicas, records = 8, 20_000
		store, err := memstore.NewIdempotency(memstore.Config{MaxEntries: records + 1})
		if err != nil {
			t.Fatal(err)
		}
		for i := range records {
			if err := store.Set(t.Context(), fmt.Sprint(i), nil, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		held, err := store.Claim(t.Context(), idempotency.ClaimRequest{Key: "held", Lease: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		events := newEventLog()
		var running sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		for range replicas {
			j, err := idempotency.NewJanitor(store, idempotency.Config{CleanupInterval: 5 * time.Minute}, idempotency.WithBus(&events.bus))
			if err != nil {
				t.Fatal(err)
			}
			running.Go(func() { j.Run(ctx) })
		}
		time.Sleep(10 * time.Minute)
		cancel()
		running.Wait()
		removed := 0
		for _, e := range events.all() {
			cleaned := e.(hooks.IdempotencyCleaned)
			if removed += cleaned.Removed; cleaned.Err != nil {
				t.Error(cleaned.Err)
			}
		}
		wantEqual(t, "records removed by all replicas", removed, records)
		if err := store.Complete(t.Context(), "held", held.Token, nil, 0); err != nil {
			t.Errorf("a janitor took a live claim: %v", err)
		}
	})
}

func TestJanitorTellsOfFailuresAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		_ = store.Set(t.Context(), "k", nil, time.Second)
		store.before = func(ctx context.Context, op string, n int) error {
			switch n {
			case 1:
				return unavailable(op)
			case 2:
				<-ctx.Done() // hangs for as long as it is allowed to
				return unavailable(op)
			}
			return nil
		}
		j, events := newJanitor(t, store, idempotency.Config{CleanupInterval: time.Minute})
		j.Start()
		time.Sleep(5 * time.Minute)
		if err := j.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		events.want(t, "idempotency.cleaned", "idempotency.cleaned", "idempotency.cleaned")
		for i, want := range []hooks.IdempotencyCleaned{
			{Err: errBoom}, {Err: errBoom, Elapsed: time.Minute}, {Removed: 1},
		} {
			got := events.all()[i].(hooks.IdempotencyCleaned)
			if !errors.Is(got.Err, want.Err) || got.Removed != want.Removed || got.Elapsed != want.Elapsed {
				t.Errorf("event %d: got %+v, want %+v", i, got, want)
			}
		}
	})
}

// endless always finds a full batch, and does not look at its context.
type endless struct{ idempotency.Store }

func (endless) CleanupExpired(_ context.Context, limit int) (int, error) {
	time.Sleep(700 * time.Millisecond)
	return limit, nil
}

func TestJanitorRestsThoughTheStoreIsDeafToItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, events := newJanitor(t, endless{newStore(t)}, idempotency.Config{CleanupInterval: time.Minute})
		j.Start()
		time.Sleep(2*time.Minute + 10*time.Second)
		if err := j.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		all := events.all()
		if len(all) == 0 {
			t.Fatal("it never rests")
		}
		got := all[0].(hooks.IdempotencyCleaned)
		if !errors.Is(got.Err, context.DeadlineExceeded) || got.Elapsed != 60200*time.Millisecond || got.Removed != 86*1000 {
			t.Errorf("got %+v, want one round, until a batch ends after a minute", got)
		}
	})
}

func TestJanitorStartsAndStopsAnyNumberOfTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		j, events := newJanitor(t, store, idempotency.Config{CleanupInterval: time.Minute})
		stop := func() {
			t.Helper()
			if err := j.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		}
		stop()
		for range 3 {
			before := store.count("cleanup")
			j.Start()
			j.Start()
			time.Sleep(70 * time.Second)
			synctest.Wait()
			wantEqual(t, "rounds", store.count("cleanup")-before, 1)
			stop()
			stop()
		}
		time.Sleep(time.Hour)
		wantEqual(t, "rounds after the stop", store.count("cleanup"), 3)
		events.want(t)
	})
}

func TestJanitorStopWaitsForTheRoundWithinItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		store.before = func(_ context.Context, _ string, n int) error {
			if n == 1 {
				time.Sleep(30 * time.Second) // deaf to its context
				return unavailable("cleanup")
			}
			return nil
		}
		j, events := newJanitor(t, store, idempotency.Config{CleanupInterval: time.Minute})
		j.Start()
		time.Sleep(66 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := j.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		j.Start() // runs when the first is over, not beside it
		time.Sleep(time.Second)
		if err := j.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		wantEqual(t, "rounds", store.count("cleanup"), 1)
		events.want(t) // that it was told to stop is no failure
	})
}
