package idempotency_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/steadyfx/steady/patterns/idempotency"
)

func TestRequestsRunUnprotectedWithoutAStoreByChoice(t *testing.T) {
	g, events := newGuard(t, newStore(t).failing("claim"), idempotency.Config{FailOpen: true})
	runs := 0
	h := idempotency.Middleware(g, idempotency.SharedScope)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		runs++
		body, err := io.ReadAll(r.Body)
		call, _ := idempotency.CallOf(r.Context())
		_, fenced := idempotency.FenceOf(r.Context())
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		_, _ = fmt.Fprintf(w, "%s %v %s %s %t", body, err, call.Operation, call.Key, fenced)
	}))
	for range 2 {
		w := post(h, "k")
		wantEqual(t, "body", w.Body.String(), "{} <nil> POST /orders k false")
		wantEqual(t, "replayed", w.Header().Get("Idempotent-Replayed"), "")
	}
	wantEqual(t, "runs", runs, 2)
	events.want(t, "idempotency.store_failed", "idempotency.unprotected", "idempotency.store_failed", "idempotency.unprotected")
}

func TestStoredResponseThatCannotBeDecryptedIsA500(t *testing.T) {
	const title = "The response for this Idempotency-Key is unreadable"
	var runs atomic.Int32
	store, events := newStore(t), newEventLog()
	for i, key := range []string{"a", "b", "b"} {
		g := guardWith(t, store, idempotency.WithEncryption(keyFor(key)), idempotency.WithBus(&events.bus))
		w := post(idempotency.Middleware(g, idempotency.SharedScope)(counted(&runs)), "k")
		if i == 0 {
			wantEqual(t, "first", w.Body.String(), "run 1")
			continue
		}
		wantProblem(t, w, http.StatusInternalServerError, idempotency.CodeStore, title)
		wantEqual(t, "Retry-After", w.Header().Get("Retry-After"), "")
	}
	wantEqual(t, "runs", runs.Load(), 1)
	events.want(t, "idempotency.hit", "idempotency.store_failed", "idempotency.hit", "idempotency.store_failed")
}

func TestRecordThatMakesNoSenseIsA500(t *testing.T) {
	const title = "The record of this Idempotency-Key is unreadable"
	var runs atomic.Int32
	nonsense := newStore(t)
	nonsense.before = func(_ context.Context, op string, _ int) error {
		return &idempotency.StoreError{Backend: "test", Op: op, Err: errBoom}
	}
	for _, store := range []idempotency.Store{
		nonsense, answering{newStore(t), idempotency.Claim{Outcome: 9}},
	} {
		g, _ := newGuard(t, store, idempotency.Config{FailOpen: true})
		w := post(idempotency.Middleware(g, idempotency.SharedScope)(counted(&runs)), "k")
		wantProblem(t, w, http.StatusInternalServerError, idempotency.CodeStore, title)
	}
	wantEqual(t, "runs", runs.Load(), 0)
}
