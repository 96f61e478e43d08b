//go:build !race

package idempotency_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/steadyfx/steady/patterns/idempotency"
)

func TestReplayAllocatesTheKeyAndTheResult(t *testing.T) {
	for name, cfg := range map[string]idempotency.Config{"store": {}, "cache": {CacheEntries: 1}} {
		g, err := idempotency.New(newStore(t).Store, cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, call := t.Context(), idempotency.Call{Operation: "charge", Scope: "7", Key: "order-1042", Fingerprint: []byte("a")}
		handler := returning(new(int), []byte("receipt"))
		n := testing.AllocsPerRun(1000, func() {
			if _, err := idempotency.Process(ctx, g, call, handler); err != nil {
				t.Error(err)
			}
		})
		if n != 2 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestReplayOverHTTPAllocatesLittle(t *testing.T) {
	g, err := idempotency.New(newStore(t).Store, idempotency.Config{})
	if err != nil {
		t.Fatal(err)
	}
	h := idempotency.Middleware(g, idempotency.SharedScope)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Location", "/orders/1")
		_, _ = io.WriteString(w, "receipt")
	}))
	body := strings.NewReader("{}")
	r := request(http.MethodPost, "/orders", "k", "{}")
	r.Body = io.NopCloser(body)
	n := testing.AllocsPerRun(1000, func() {
		body.Reset("{}")
		h.ServeHTTP(discard{http.Header{}}, r)
	})
	// Of it, the writer is two; then the request without its client, its body twice, operation, key, fingerprint, the
	// record, and the header twice.
	if n > 11 {
		t.Errorf("%v allocations", n)
	}
}
