package idempotency_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

var errGone = errors.New("client went away")

// questions are what can be asked of a context before something happens to it: the first one may decide how the others
// are answered.
var questions = map[string]func(context.Context){
	"nothing": func(context.Context) {},
	"err":     func(ctx context.Context) { _ = ctx.Err() },
	"done":    func(ctx context.Context) { _ = ctx.Done() },
	"cause":   func(ctx context.Context) { _ = context.Cause(ctx) },
}

// wantOver checks how a context, and one that is derived from it now, have ended.
func wantOver(t *testing.T, ctx context.Context, err, cause error) {
	t.Helper()
	wantEqual(t, "err", ctx.Err(), err)
	wantEqual(t, "cause", context.Cause(ctx), cause)
	synctest.Wait()
	select {
	case <-ctx.Done():
	default:
		t.Error("not done")
	}
	derived, cancel := context.WithCancel(ctx)
	defer cancel()
	wantEqual(t, "derived err", derived.Err(), err)
	wantEqual(t, "derived cause", context.Cause(derived), cause)
}

func TestContextOfTheFunctionEndsWithTheCall(t *testing.T) {
	for name, ask := range questions {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, _ := newGuard(t, newStore(t), idempotency.Config{})
				caller, leave := context.WithCancelCause(t.Context())
				var got context.Context
				_, err := idempotency.Do(caller, g, charge("k"), func(ctx context.Context) (int, error) {
					ask(ctx)
					got = ctx
					return 1, ctx.Err()
				})
				wantEqual(t, "error", err, error(nil))
				leave(errGone)
				wantOver(t, got, context.Canceled, context.Canceled)
			})
		})
	}
}

func TestContextOfTheFunctionEndsWithThatOfTheCaller(t *testing.T) {
	for name, ask := range questions {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, _ := newGuard(t, newStore(t), idempotency.Config{})
				caller, leave := context.WithCancelCause(t.Context())
				_, _ = idempotency.Do(caller, g, charge("cancelled"), func(ctx context.Context) (int, error) {
					ask(ctx)
					_, ok := ctx.Deadline()
					wantEqual(t, "has a deadline", ok, false)
					leave(errGone)
					wantOver(t, ctx, context.Canceled, errGone)
					return 1, nil
				})
				caller, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, _ = idempotency.Do(caller, g, charge("late"), func(ctx context.Context) (int, error) {
					ask(ctx)
					deadline, _ := ctx.Deadline()
					wantEqual(t, "deadline", time.Until(deadline), time.Second)
					time.Sleep(time.Second - 1)
					wantEqual(t, "err", ctx.Err(), error(nil))
					time.Sleep(time.Nanosecond)
					synctest.Wait()
					wantOver(t, ctx, context.DeadlineExceeded, context.DeadlineExceeded)
					return 1, nil
				})
			})
		})
	}
}

func TestContextOfTheFunctionEndsWithItsClaim(t *testing.T) {
	for name, ask := range questions {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newStore(t)
				store.before = func(_ context.Context, op string, _ int) error {
					if op == "extend" {
						return idempotency.ErrClaimLost
					}
					return nil
				}
				g, _ := newGuard(t, store, idempotency.Config{Lease: 30 * time.Second})
				_, _ = idempotency.Do(t.Context(), g, charge("k"), func(ctx context.Context) (int, error) {
					ask(ctx)
					time.Sleep(10 * time.Second)
					synctest.Wait()
					wantOver(t, ctx, context.Canceled, idempotency.ErrClaimLost)
					return 1, nil
				})
			})
		})
	}
}

func TestContextOfTheFunctionHasTheValuesOfTheCaller(t *testing.T) {
	type ctxKey struct{}
	number := new(int) // a key of the same type as the one of the standard library
	g, _ := newGuard(t, newStore(t), idempotency.Config{})
	caller := context.WithValue(context.WithValue(t.Context(), ctxKey{}, "a"), number, "b")
	_, err := idempotency.Do(caller, g, charge("order-1042"), func(ctx context.Context) (int, error) {
		derived, cancel := context.WithCancel(ctx)
		defer cancel()
		for _, ctx := range []context.Context{ctx, derived} {
			wantEqual(t, "value", ctx.Value(ctxKey{}), any("a"))
			wantEqual(t, "value of a number", ctx.Value(number), any("b"))
			call, _ := idempotency.CallOf(ctx)
			wantEqual(t, "call", call.Key, "order-1042")
			if _, ok := idempotency.FenceOf(ctx); !ok {
				t.Error("no fence")
			}
			if shown := fmt.Sprintf("%v %+v %s", ctx, ctx, ctx); strings.Contains(shown, "1042") {
				t.Errorf("the context shows the key: %s", shown)
			}
		}
		return 1, nil
	})
	wantEqual(t, "error", err, error(nil))
}

func TestDerivedContextsStartNoGoroutine(t *testing.T) {
	store := newStore(t)
	derive := func(ctx context.Context) {
		before := runtime.NumGoroutine()
		_, cancel := context.WithCancel(ctx)
		wantEqual(t, "goroutines", runtime.NumGoroutine(), before)
		cancel()
	}
	store.before = func(ctx context.Context, op string, _ int) error {
		if op == "complete" {
			derive(ctx)
		}
		return nil
	}
	g, _ := newGuard(t, store, idempotency.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := idempotency.Do(ctx, g, charge("k"), func(ctx context.Context) (int, error) {
		derive(ctx)
		return 1, nil
	})
	wantEqual(t, "error", err, error(nil))
}

func TestStoreKnowsHowLongTheLastWriteMayTake(t *testing.T) {
	type ctxKey struct{}
	for name, ask := range questions {
		for op, end := range map[string]error{"complete": nil, "release": errBoom} {
			for lease, limit := range map[time.Duration]time.Duration{time.Minute: 5 * time.Second, time.Second: time.Second} {
				t.Run(fmt.Sprint(name, " ", op, " ", lease), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						store := newStore(t)
						caller, leave := context.WithCancelCause(context.WithValue(t.Context(), ctxKey{}, "a"))
						var writing context.Context
						store.before = func(ctx context.Context, called string, n int) error {
							if called != op {
								return nil
							}
							writing = ctx
							ask(ctx)
							if n == 1 {
								leave(errGone)
								deadline, _ := ctx.Deadline()
								wantEqual(t, "time left", time.Until(deadline), limit)
								wantEqual(t, "value", ctx.Value(ctxKey{}), any("a"))
								_, ok := idempotency.CallOf(ctx)
								wantEqual(t, "is that of the function", ok, false)
								time.Sleep(limit / 2)
								wantEqual(t, "err", ctx.Err(), error(nil))
								return nil
							}
							time.Sleep(limit - 1)
							wantEqual(t, "err", ctx.Err(), error(nil))
							time.Sleep(time.Nanosecond)
							synctest.Wait()
							wantOver(t, ctx, context.DeadlineExceeded, context.DeadlineExceeded)
							return nil
						}
						g, _ := newGuard(t, store, idempotency.Config{Lease: lease})
						_, err := idempotency.Do(caller, g, charge("first"), failing(1, end))
						wantEqual(t, "error", err, end)
						wantOver(t, writing, context.Canceled, context.Canceled)
						_, err = idempotency.Do(t.Context(), g, charge("second"), failing(1, end))
						wantEqual(t, "error", err, end)
						wantEqual(t, "writes", store.count(op), 2)
					})
				})
			}
		}
	}
}
