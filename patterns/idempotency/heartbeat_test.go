package idempotency_test

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// running starts a call that sleeps for d, or until its context ends, and returns where its result will be.
func running(
	t *testing.T, g *idempotency.Guard, d time.Duration,
) (cause func() error, result func() (idempotency.Result[string], error)) {
	t.Helper()
	var (
		ended error
		res   idempotency.Result[string]
		err   error
		done  = make(chan struct{})
	)
	go func() {
		defer close(done)
		res, err = idempotency.Do(t.Context(), g, charge("k"), func(ctx context.Context) (string, error) {
			select {
			case <-time.After(d):
			case <-ctx.Done():
				ended = context.Cause(ctx)
			}
			return "done", nil
		})
	}()
	synctest.Wait()
	return func() error { <-done; return ended },
		func() (idempotency.Result[string], error) { <-done; return res, err }
}

func TestHeartbeatKeepsTheClaimOfALongCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		g, events := newGuard(t, store, idempotency.Config{Lease: 30 * time.Second})
		cause, result := running(t, g, 10*time.Minute+time.Second)
		for range 60 {
			time.Sleep(10 * time.Second)
			synctest.Wait()
			_, err := idempotency.Do(t.Context(), g, charge("k"), returning(new(int), "twice"))
			conflict := errorAs[*idempotency.ConflictError](t, err)
			wantEqual(t, "lease left", conflict.RetryAfter, 30*time.Second)
		}
		wantEqual(t, "cause", cause(), error(nil))
		res, err := result()
		if err != nil || res.IsDuplicate {
			t.Errorf("got %+v and %v", res, err)
		}
		wantEqual(t, "extensions", store.count("extend"), 60)
		time.Sleep(time.Hour / 2)
		wantEqual(t, "extensions after the call", store.count("extend"), 60)
		for _, e := range events.all() {
			wantEqual(t, "event", e.EventName(), "idempotency.conflict")
		}
	})
}

func TestHeartbeatRunsOnWhenTheCallerHasGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		g, _ := newGuard(t, store, idempotency.Config{Lease: 3 * time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		cancelled := time.AfterFunc(time.Second/2, cancel)
		defer cancelled.Stop()
		_, err := idempotency.Do(ctx, g, charge("k"), func(context.Context) (int, error) {
			time.Sleep(10*time.Second + time.Second/2) // whatever the context says
			return 1, nil
		})
		if err != nil {
			t.Error(err)
		}
		wantEqual(t, "extensions", store.count("extend"), 10)
	})
}

func TestLostClaimCancelsTheCallWithACause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		store.before = func(_ context.Context, op string, n int) error {
			if op == "extend" && n == 2 {
				return idempotency.ErrClaimLost
			}
			return nil
		}
		g, events := newGuard(t, store, idempotency.Config{Lease: 30 * time.Second})
		began := time.Now()
		cause, result := running(t, g, time.Hour)
		if err := cause(); !errors.Is(err, idempotency.ErrClaimLost) {
			t.Errorf("cause: %v", err)
		}
		wantEqual(t, "time", time.Since(began), 20*time.Second)
		if _, err := result(); err != nil {
			t.Error(err)
		}
		wantEqual(t, "extensions", store.count("extend"), 2)
		events.want(t, "idempotency.claim_lost")
	})
}

func TestTakenOverClaimIsToldOnceAndTheValueReturned(t *testing.T) {
	for name, lease := range map[string]time.Duration{
		"found by the heartbeat": 3 * time.Second, "found at the end": time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newStore(t)
				g, events := newGuard(t, store, idempotency.Config{Lease: lease})
				result, err := idempotency.Do(t.Context(), g, charge("k"), func(ctx context.Context) (string, error) {
					if err := store.Set(ctx, "6:charge0:k", []byte("\x02\"theirs\""), 0); err != nil {
						t.Error(err)
					}
					time.Sleep(2 * time.Second)
					return "ours", nil
				})
				if err != nil || result.Value != "ours" {
					t.Errorf("got %+v and %v", result, err)
				}
				events.want(t, "idempotency.claim_lost")
				result, err = idempotency.Do(t.Context(), g, charge("k"), returning(new(int), "again"))
				if err != nil || result.Value != "theirs" {
					t.Errorf("duplicate: got %+v and %v", result, err)
				}
			})
		})
	}
}

func TestFailedCallThatLostItsClaimLeavesTheKeyAlone(t *testing.T) {
	store := newStore(t)
	store.before = func(_ context.Context, op string, _ int) error {
		if op == "release" {
			return idempotency.ErrClaimLost
		}
		return nil
	}
	g, events := newGuard(t, store, idempotency.Config{})
	_, err := idempotency.Do(t.Context(), g, charge("k"), failing(0, errBoom))
	wantEqual(t, "error", err, errBoom)
	events.want(t, "idempotency.claim_lost")
}

func TestStoreThatIsDownForPartOfTheLeaseCostsNothing(t *testing.T) {
	for _, down := range []struct{ from, to time.Duration }{
		{10 * time.Second, 28 * time.Second}, {25 * time.Second, 48 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			store := newStore(t)
			began := time.Now()
			store.before = func(_ context.Context, op string, _ int) error {
				if since := time.Since(began); op == "extend" && since >= down.from && since < down.to {
					return unavailable(op)
				}
				return nil
			}
			g, events := newGuard(t, store, idempotency.Config{Lease: 30 * time.Second})
			time.Sleep(time.Second)
			cause, result := running(t, g, 2*time.Minute)
			_, err := result()
			wantEqual(t, "error", err, error(nil))
			wantEqual(t, "cause", cause(), error(nil))
			events.want(t)
		})
	}
}

func TestStoreThatIsDownForTheWholeLeaseCancelsTheCall(t *testing.T) {
	for _, test := range []struct {
		lease time.Duration
		hangs bool
	}{{30 * time.Second, false}, {30 * time.Second, true}, {12 * time.Second, true}} {
		synctest.Test(t, func(t *testing.T) {
			store := newStore(t)
			store.before = func(ctx context.Context, op string, _ int) error {
				if op != "extend" {
					return nil
				}
				if test.hangs {
					<-ctx.Done()
				}
				return unavailable(op)
			}
			g, events := newGuard(t, store, idempotency.Config{Lease: test.lease})
			began := time.Now()
			cause, result := running(t, g, time.Hour)
			err := cause()
			if !errors.Is(err, idempotency.ErrClaimLost) || !errors.Is(err, errBoom) {
				t.Errorf("cause: %v", err)
			}
			if took := time.Since(began).Truncate(time.Millisecond); took != test.lease {
				t.Errorf("%+v: cancelled after %v", test, took)
			}
			if n := store.count("extend"); n < 2 {
				t.Errorf("%+v: the store was asked %d times", test, n)
			}
			if _, err := result(); err != nil {
				t.Error(err)
			}
			events.want(t, "idempotency.claim_lost")
		})
	}
}

func TestNoBeatOutlivesItsCall(t *testing.T) {
	for _, end := range []error{unavailable("extend"), idempotency.ErrClaimLost} {
		synctest.Test(t, func(t *testing.T) {
			store := newStore(t)
			var beating atomic.Int32
			store.before = func(ctx context.Context, op string, _ int) error {
				if op == "extend" {
					beating.Add(1)
					<-ctx.Done() // a slow store, which the end of the call interrupts
					time.Sleep(time.Millisecond)
					beating.Add(-1)
					return end
				}
				return nil
			}
			g, events := newGuard(t, store, idempotency.Config{Lease: 30 * time.Second})
			began := time.Now()
			_, _ = idempotency.Do(t.Context(), g, charge("k"), func(context.Context) (int, error) {
				time.Sleep(11 * time.Second)
				wantEqual(t, "beats in the call", beating.Load(), 1)
				return 1, nil
			})
			wantEqual(t, "beats after the call", beating.Load(), 0)
			wantEqual(t, "time", time.Since(began), 11*time.Second+time.Millisecond)
			time.Sleep(time.Hour)
			wantEqual(t, "extensions", store.count("extend"), 1)
			events.want(t)
		})
	}
}

func TestCallThatEndsAtABeatDoesNotWaitForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		store.before = func(ctx context.Context, op string, _ int) error {
			if op == "extend" {
				<-ctx.Done()
				return unavailable(op)
			}
			return nil
		}
		g, events := newGuard(t, store, idempotency.Config{Lease: 30 * time.Second})
		for n := range 100 { // which comes first, the end or the beat, is left to chance
			began := time.Now()
			_, err := idempotency.Do(t.Context(), g, charge(strconv.Itoa(n)), func(context.Context) (int, error) {
				time.Sleep(10 * time.Second)
				return 1, nil
			})
			wantEqual(t, "error", err, error(nil))
			wantEqual(t, "time", time.Since(began), 10*time.Second)
		}
		events.want(t)
	})
}

func TestSlowClaimStillBeatsInTime(t *testing.T) {
	for _, slow := range []time.Duration{25 * time.Second, 40 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			store := newStore(t)
			store.after = func(_ context.Context, op string, _ int) error {
				if op == "claim" {
					time.Sleep(slow) // the answer is long on its way, or the process was suspended
				}
				return nil
			}
			g, events := newGuard(t, store, idempotency.Config{Lease: 30 * time.Second})
			_, err := idempotency.Do(t.Context(), g, charge("k"), func(ctx context.Context) (int, error) {
				synctest.Wait()
				wantEqual(t, "extensions", store.count("extend"), 1)
				return 1, ctx.Err()
			})
			wantEqual(t, "error", err, error(nil))
			events.want(t)
		})
	}
}
