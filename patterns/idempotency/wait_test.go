package idempotency_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns/idempotency"
)

// occupy starts a call of the key "k" that lasts for d and ends as fn does. It returns when the call is running.
func occupy(t *testing.T, g *idempotency.Guard, d time.Duration, fn func() (int, error)) {
	t.Helper()
	go func() {
		defer func() { _ = recover() }()
		_, _ = idempotency.Do(t.Context(), g, charge("k"), func(context.Context) (int, error) {
			time.Sleep(d)
			return fn()
		})
	}()
	synctest.Wait()
}

func TestDuplicateThatWaitsGetsTheResultAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		g, events := newGuard(t, store, idempotency.Config{Wait: time.Minute})
		occupy(t, g, 5*time.Second, func() (int, error) { return 1, nil })
		began := time.Now()
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				result, err := idempotency.Do(t.Context(), g, charge("k"), returning(new(int), 2))
				if err != nil || result.Value != 1 || !result.IsDuplicate || result.Age != 0 {
					t.Errorf("got %+v and %v", result, err)
				}
				wantEqual(t, "waited", time.Since(began), 5*time.Second)
			})
		}
		wg.Wait()
		for _, e := range events.all() {
			wantEqual(t, "event", e.EventName(), hooks.IdempotencyKeyHit{}.EventName())
		}
		if n := store.count("claim"); n < 31 || n > 10*30 {
			t.Errorf("%d claims", n) // one each, one after entering, one after the wake, and some in between
		}
	})
}

func TestDuplicateWaitsNoLongerThanItsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, events := newGuard(t, newStore(t), idempotency.Config{Wait: 3 * time.Second})
		occupy(t, g, time.Minute, func() (int, error) { return 1, nil })
		began := time.Now()
		runs := 0
		_, err := idempotency.Do(t.Context(), g, charge("k"), returning(&runs, 2))
		conflict := errorAs[*idempotency.ConflictError](t, err)
		wantEqual(t, "waited", time.Since(began), 3*time.Second)
		wantEqual(t, "conflict", *conflict, idempotency.ConflictError{Operation: "charge", RetryAfter: 27 * time.Second})
		wantEqual(t, "runs", runs, 0)
		events.want(t, "idempotency.conflict")
		time.Sleep(time.Minute)
	})
}

func TestDuplicateThatWaitsActsWhenTheFirstCallGivesUp(t *testing.T) {
	for name, end := range map[string]func() (int, error){
		"error":  func() (int, error) { return 0, errBoom },
		"panic":  func() (int, error) { panic("ouch") },
		"goexit": func() (int, error) { runtime.Goexit(); return 0, nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, _ := newGuard(t, newStore(t), idempotency.Config{Wait: time.Minute})
				occupy(t, g, 5*time.Second, end)
				began := time.Now()
				runs := 0
				result, err := idempotency.Do(t.Context(), g, charge("k"), returning(&runs, 2))
				if err != nil || result.Value != 2 || result.IsDuplicate || runs != 1 {
					t.Errorf("got %+v and %v, %d runs", result, err, runs)
				}
				wantEqual(t, "waited", time.Since(began), 5*time.Second)
			})
		})
	}
}

func TestDuplicateInAnotherProcessPollsForTheResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		here, _ := newGuard(t, store, idempotency.Config{})
		there, _ := newGuard(t, store, idempotency.Config{Wait: time.Minute})
		occupy(t, here, 20*time.Second, func() (int, error) { return 1, nil })
		began := time.Now()
		result, err := idempotency.Do(t.Context(), there, charge("k"), returning(new(int), 2))
		if err != nil || result.Value != 1 {
			t.Errorf("got %+v and %v", result, err)
		}
		if waited := time.Since(began); waited < 20*time.Second || waited > 20*time.Second+500*time.Millisecond {
			t.Errorf("waited %v", waited)
		}
		if n := store.count("claim"); n < 40 || n > 100 { // pauses of 250 to 500 ms, after a few shorter ones
			t.Errorf("%d claims", n)
		}
	})
}

func TestDuplicateThatWaitsTakesOverADeadClaimAtTheEndOfItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		g, events := newGuard(t, store, idempotency.Config{Wait: time.Minute})
		_, err := store.Claim(t.Context(), idempotency.ClaimRequest{Key: "6:charge0:k", Lease: 10 * time.Second})
		if err != nil {
			t.Fatal(err) // the claim of a process that is no more
		}
		began := time.Now()
		result, err := idempotency.Do(t.Context(), g, charge("k"), returning(new(int), 2))
		if err != nil || result.Value != 2 {
			t.Errorf("got %+v and %v", result, err)
		}
		if waited := time.Since(began); waited < 10*time.Second || waited > 10*time.Second+time.Millisecond {
			t.Errorf("waited %v", waited)
		}
		events.want(t)
	})
}

func TestClaimThatWaitedBeatsFromItsAcquisition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		g, events := newGuard(t, store, idempotency.Config{Lease: 3 * time.Second, Wait: time.Minute})
		occupy(t, g, 20*time.Second, func() (int, error) { return 0, errBoom })
		_, err := idempotency.Do(t.Context(), g, charge("k"), func(ctx context.Context) (int, error) {
			before := store.count("extend")
			synctest.Wait()
			wantEqual(t, "beats at once", store.count("extend")-before, 0)
			time.Sleep(10 * time.Second)
			return 1, ctx.Err()
		})
		wantEqual(t, "error", err, error(nil))
		events.want(t, "idempotency.released")
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := newGuard(t, newStore(t), idempotency.Config{Wait: time.Hour})
		occupy(t, g, time.Minute, func() (int, error) { return 1, nil })
		gone := errors.New("the client is gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancelled := time.AfterFunc(time.Second, func() { cancel(gone) })
		defer cancelled.Stop()
		began, runs := time.Now(), 0
		_, err := idempotency.Do(ctx, g, charge("k"), returning(&runs, 2))
		wantError[*idempotency.ConflictError](t, err)
		if !errors.Is(err, context.Canceled) || !errors.Is(err, gone) {
			t.Errorf("got %v", err)
		}
		wantEqual(t, "waited", time.Since(began), time.Second)

		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		_, err = idempotency.Do(ctx, g, charge("k"), returning(&runs, 2))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		wantEqual(t, "runs", runs, 0)
		time.Sleep(time.Minute)
	})
}

func TestWaitOutlastsAStoreThatIsDownForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		g, events := newGuard(t, store, idempotency.Config{Wait: time.Minute, FailOpen: true})
		occupy(t, g, 10*time.Second, func() (int, error) { return 1, nil })
		began := time.Now()
		store.before = func(_ context.Context, op string, n int) error {
			if since := time.Since(began); op == "claim" && since > time.Second && since < 15*time.Second {
				return unavailable(op)
			}
			return nil
		}
		runs := 0
		result, err := idempotency.Do(t.Context(), g, charge("k"), returning(&runs, 2))
		if err != nil || result.Value != 1 || runs != 0 {
			t.Errorf("got %+v and %v, %d runs", result, err, runs)
		}
		events.want(t, "idempotency.hit")
	})
}

func TestWaitOnAStoreThatStaysDownEndsInAConflict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		g, events := newGuard(t, store, idempotency.Config{Wait: 10 * time.Second, FailOpen: true})
		store.before = func(_ context.Context, op string, n int) error {
			if op == "claim" && n > 2 {
				return unavailable(op)
			}
			return nil
		}
		occupy(t, g, time.Minute, func() (int, error) { return 1, nil })
		began, runs := time.Now(), 0
		_, err := idempotency.Do(t.Context(), g, charge("k"), returning(&runs, 2))
		wantError[*idempotency.ConflictError](t, err)
		wantError[*idempotency.BackendError](t, err)
		wantEqual(t, "waited", time.Since(began), 10*time.Second)
		wantEqual(t, "runs", runs, 0) // although the guard fails open: it is known that somebody is acting
		events.want(t, "idempotency.conflict")
		time.Sleep(time.Minute)
	})
}

func TestWaitEndsWithAnErrorThatIsNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		g, _ := newGuard(t, store, idempotency.Config{Wait: 10 * time.Second})
		store.before = func(_ context.Context, op string, n int) error {
			if op == "claim" && n > 2 {
				return &idempotency.StoreError{Backend: "test", Op: op, Err: errBoom}
			}
			return nil
		}
		occupy(t, g, time.Minute, func() (int, error) { return 1, nil })
		began := time.Now()
		_, err := idempotency.Do(t.Context(), g, charge("k"), returning(new(int), 2))
		wantError[*idempotency.StoreError](t, err)
		wantEqual(t, "waited", time.Since(began), time.Duration(0))
		time.Sleep(time.Minute)
	})
}

func TestDuplicateWithAnotherPayloadDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := newGuard(t, newStore(t), idempotency.Config{Wait: time.Hour})
		call := charge("k")
		call.Fingerprint = []byte("a")
		go func() {
			_, _ = idempotency.Do(t.Context(), g, call, func(context.Context) (int, error) {
				time.Sleep(time.Second)
				return 0, errBoom
			})
		}()
		synctest.Wait()
		began := time.Now()
		call.Fingerprint = []byte("b")
		_, err := idempotency.Do(t.Context(), g, call, returning(new(int), 2))
		wantError[*idempotency.DuplicateRequestError](t, err)
		wantEqual(t, "waited", time.Since(began), time.Duration(0))
		time.Sleep(time.Second)
	})
}

func TestEveryDuplicateThatWaitsIsAnswered(t *testing.T) {
	g, _ := newGuard(t, newStore(t), idempotency.Config{Wait: time.Minute})
	for range 20 {
		var attempts, runs, answered atomic.Int32
		call := charge("k" + time.Now().String())
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				for {
					result, err := idempotency.Do(t.Context(), g, call, func(context.Context) (int32, error) {
						runtime.Gosched()
						if attempts.Add(1) < 4 {
							return 0, errBoom
						}
						return runs.Add(1), nil
					})
					if err == nil {
						answered.Add(result.Value)
						return
					}
					wantEqual(t, "error", err, errBoom)
				}
			})
		}
		wg.Wait()
		wantEqual(t, "runs", runs.Load(), 1)
		wantEqual(t, "answered", answered.Load(), 32)
		wantEqual(t, "attempts", attempts.Load(), 4)
	}
}
