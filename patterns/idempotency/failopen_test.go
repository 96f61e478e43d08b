package idempotency_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns/idempotency"
)

func TestGuardThatFailsOpenActsWithoutTheStore(t *testing.T) {
	store := newStore(t).failing("claim")
	g, events := newGuard(t, store, idempotency.Config{FailOpen: true})
	runs := 0
	result, err := idempotency.Do(t.Context(), g, charge("k"), func(ctx context.Context) (int, error) {
		runs++
		call, _ := idempotency.CallOf(ctx)
		wantEqual(t, "key", call.Key, "k")
		if fence, ok := idempotency.FenceOf(ctx); ok {
			t.Errorf("fence %d", fence)
		}
		return 1, nil
	})
	if err != nil || runs != 1 {
		t.Fatalf("%d runs, %v", runs, err)
	}
	wantEqual(t, "result", result, idempotency.Result[int]{Value: 1, Key: "k"})
	wantEqual(t, "writes", store.count("complete")+store.count("release"), 0)
	events.want(t, "idempotency.store_failed", "idempotency.unprotected")
	e := events.all()[1].(hooks.IdempotencyUnprotected)
	if e.Operation != "charge" || len(e.KeyDigest) != 16 || !errors.Is(e.Err, errBoom) {
		t.Errorf("got %+v", e)
	}

	_, err = idempotency.Do(t.Context(), g, charge("k"), failing(0, errBoom))
	wantEqual(t, "error", err, errBoom)
}

func TestFailingOpenInsideOfAnotherCallHasNoFence(t *testing.T) {
	store := newStore(t)
	g, _ := newGuard(t, store, idempotency.Config{FailOpen: true})
	_, err := idempotency.Do(t.Context(), g, charge("outer"), func(ctx context.Context) (int, error) {
		store.failing("claim")
		inner, err := idempotency.Do(ctx, g, charge("inner"), func(ctx context.Context) (bool, error) {
			_, fenced := idempotency.FenceOf(ctx)
			return fenced, nil
		})
		wantEqual(t, "fenced", inner.Value, false)
		return 1, err
	})
	wantEqual(t, "error", err, error(nil))
}

func TestOnlyAnOutageOpensAGuard(t *testing.T) {
	broken := newStore(t)
	broken.before = func(_ context.Context, op string, _ int) error {
		return &idempotency.StoreError{Backend: "test", Op: op, Err: errBoom}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	late, stop := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer stop()
	for name, test := range map[string]struct {
		ctx    context.Context
		store  idempotency.Store
		events []string
	}{
		"nonsense":  {t.Context(), broken, []string{"idempotency.store_failed"}},
		"cancelled": {cancelled, newStore(t), nil},
		"late":      {late, newStore(t), []string{"idempotency.store_failed"}},
	} {
		g, events := newGuard(t, test.store, idempotency.Config{FailOpen: true})
		runs := 0
		if _, err := idempotency.Do(test.ctx, g, charge("k"), returning(&runs, 1)); err == nil || runs != 0 {
			t.Errorf("%s: %d runs, %v", name, runs, err)
		}
		events.want(t, test.events...)
	}
}

func TestMiddlewareOnAGuardThatFailsOpenServes(t *testing.T) {
	var runs atomic.Int32
	store := newStore(t).failing("claim")
	g, _ := newGuard(t, store, idempotency.Config{FailOpen: true})
	h := idempotency.Middleware(g, idempotency.SharedScope)(counted(&runs))
	for _, body := range []string{"run 1", "run 2"} {
		w := post(h, "k")
		if w.Code != http.StatusCreated || w.Body.String() != body {
			t.Errorf("got %d %q", w.Code, w.Body)
		}
	}
	wantEqual(t, "writes", store.count("complete")+store.count("release"), 0)
}
