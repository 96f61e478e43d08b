//go:build !race

package idempotency_test

import (
	"context"
	"io"
	"net/http"
	"strconv"
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

func TestFirstCallAllocatesLittle(t *testing.T) {
	g, err := idempotency.New(newStore(t).Store, idempotency.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context()) // for a context that ends with this one there would be more
	defer cancel()
	receipt, run := []byte("receipt"), 0
	handler := func(ctx context.Context) ([]byte, error) { return receipt, ctx.Err() }
	n := testing.AllocsPerRun(1000, func() {
		run++
		call := idempotency.Call{Operation: "charge", Scope: "7", Key: strconv.Itoa(100 + run), Fingerprint: receipt}
		if _, err := idempotency.Process(ctx, g, call, handler); err != nil {
			t.Error(err)
		}
	})
	// The key twice, the execution, its timer and what that calls, the result three times.
	if n > 8 {
		t.Errorf("%v allocations", n)
	}
}

func TestMiddlewareAllocatesLittle(t *testing.T) {
	g, err := idempotency.New(newStore(t).Store, idempotency.Config{})
	if err != nil {
		t.Fatal(err)
	}
	receipt := []byte("receipt")
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Location", "/orders/1")
		_, _ = w.Write(receipt)
	})
	guarded := idempotency.Middleware(g, idempotency.SharedScope)(bare)
	r := request(http.MethodPost, "/orders", "k", "{}")
	r.Pattern = "POST /orders"
	content := strings.NewReader("{}")
	r.Body = io.NopCloser(content)
	run := 0
	allocations := func(h http.Handler, key func() string) float64 {
		return testing.AllocsPerRun(1000, func() {
			r.Header[idempotency.KeyHeader][0] = key()
			content.Reset("{}")
			h.ServeHTTP(discard{http.Header{}}, r)
		})
	}
	fresh := func() string { run++; return strconv.Itoa(100 + run) }
	again := func() string { return "k" }
	for _, test := range []struct {
		name string
		key  func() string
		more float64 // than the handler alone
	}{
		// The body, the fingerprint, the key of the store, the context without the client; the request and its body once
		// more; the recorder, the header as it was sent twice, and what is stored; the execution, its timer and what that
		// calls; the result in the store.
		{"first", fresh, 14},
		// The first four, the result, and the header twice, but not the two values that the handler sets.
		{"replay", again, 5},
	} {
		n, floor := allocations(guarded, test.key), allocations(bare, test.key)
		if n > floor+test.more {
			t.Errorf("%s: %v allocations, the handler alone has %v", test.name, n, floor)
		}
	}
}
