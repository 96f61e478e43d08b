package idempotency_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// sleepy is a handler that takes a while.
func sleepy(runs *atomic.Int32, d time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(d)
		_, _ = fmt.Fprintf(w, "run %d", runs.Add(1))
	})
}

func TestRequestWaitsForTheOneThatIsRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		g, events := newGuard(t, newStore(t), idempotency.Config{Wait: 10 * time.Second})
		h := idempotency.Middleware(g, idempotency.SharedScope)(sleepy(&runs, 9*time.Second))
		go post(h, "k")
		synctest.Wait()
		began := time.Now()
		w := post(h, "k")
		wantEqual(t, "body", w.Body.String(), "run 1")
		wantEqual(t, "replayed", w.Header().Get("Idempotent-Replayed"), "true")
		wantEqual(t, "waited", time.Since(began), 9*time.Second)

		h = idempotency.Middleware(g, idempotency.SharedScope)(sleepy(&runs, time.Minute))
		go post(h, "long")
		synctest.Wait()
		began = time.Now()
		wantProblem(t, send(h, request("POST", "/orders", "long", "another")),
			http.StatusUnprocessableEntity, idempotency.CodeDuplicate, titleReused)
		wantEqual(t, "a mismatch waited", time.Since(began), 0)
		wantProblem(t, post(h, "long"), http.StatusConflict, idempotency.CodeConflict, titleRunning)
		wantEqual(t, "waited in vain", time.Since(began), 10*time.Second)
		events.want(t, "idempotency.hit", "idempotency.mismatch", "idempotency.conflict")
		time.Sleep(time.Minute)
	})
}

func TestWaitingRequestDoesNotOutliveItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		store := newStore(t)
		store.before = func(ctx context.Context, _ string, _ int) error { return ctx.Err() }
		g, _ := newGuard(t, store, idempotency.Config{Wait: time.Hour})
		h := idempotency.Middleware(g, idempotency.SharedScope)(sleepy(&runs, 10*time.Second))
		go post(h, "k")
		synctest.Wait()
		client, disconnect := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, disconnect)
		began := time.Now()
		wantEqual(t, "status", send(h, request("POST", "/orders", "k", "{}").WithContext(client)).Code, http.StatusConflict)
		wantEqual(t, "waited", time.Since(began), 3*time.Second)

		deadline, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wantEqual(t, "status", send(h, request("POST", "/orders", "k", "{}").WithContext(deadline)).Code, http.StatusConflict)
		wantEqual(t, "waited", time.Since(began), 4*time.Second)
		time.Sleep(time.Minute)
		wantEqual(t, "runs", runs.Load(), 1)
	})
}

// A claim that is cut short may have reached the store, and would block the key for its lease.
func TestDisconnectDoesNotCutAClaimShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, disconnect := context.WithCancel(t.Context())
		store := newStore(t)
		store.after = func(ctx context.Context, op string, _ int) error {
			if op == "claim" {
				disconnect()
			}
			return ctx.Err()
		}
		var runs atomic.Int32
		g, _ := newGuard(t, store, idempotency.Config{})
		h := idempotency.Middleware(g, idempotency.SharedScope)(counted(&runs))
		h.ServeHTTP(httptest.NewRecorder(), request("POST", "/orders", "k", "{}").WithContext(client))
		wantEqual(t, "retry", post(h, "k").Header().Get("Idempotent-Replayed"), "true")
		wantEqual(t, "runs", runs.Load(), 1)
	})
}
