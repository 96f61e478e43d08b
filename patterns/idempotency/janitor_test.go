package idempotency_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns/idempotency"
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
