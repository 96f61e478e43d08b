package idempotency_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/steadyfx/steady/patterns/idempotency"
)

func TestLengthOfABodyIsOnlyAHint(t *testing.T) {
	h := guarded(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	for _, size := range []int{0, 1, 62, 63, 64, 65, 128, 64 << 10, 64<<10 + 1, 64<<10 + 2, 1 << 20} {
		for _, length := range []int64{-1, 0, 1, int64(size), 1 << 20} {
			body := strings.Repeat("0123456789abcdef", size/16+1)[:size]
			r := request("POST", "/", fmt.Sprint(size, length), body)
			r.ContentLength = length
			if w := send(h, r); w.Code != http.StatusOK || w.Body.String() != body {
				t.Errorf("%d bytes declared as %d: status %d, %d bytes", size, length, w.Code, w.Body.Len())
			}
		}
	}
}

func TestFingerprintIsThatOfAllParts(t *testing.T) {
	var got idempotency.Call
	h := guarded(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got, _ = idempotency.CallOf(r.Context())
	}))
	send(h, request("PATCH", "/a%2Fb?y=1&x=2", "k", "{}", "Content-Type", "text/plain"))
	var parts [][]byte
	for _, part := range []string{"PATCH", "/a%2Fb", "x=2&y=1", "text/plain", "{}"} {
		parts = append(parts, []byte(part))
	}
	wantEqual(t, "fingerprint", got.Fingerprint, idempotency.Fingerprint(parts...))
}

// router is one of those that keep what they have found in the context, and run their middlewares before it.
type router struct {
	middlewares []func(http.Handler) http.Handler
	routes      map[string]http.Handler
	pattern     bool // sets http.Request.Pattern
}

type restOfPath struct{}

func (rt *router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, nested := r.Context().Value(restOfPath{}).(string)
	if !nested {
		path = r.URL.Path
	}
	var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for prefix, next := range rt.routes {
			if rest, ok := strings.CutPrefix(path, prefix); ok {
				r = r.WithContext(context.WithValue(r.Context(), restOfPath{}, rest))
				if rt.pattern {
					r.Pattern += prefix
				}
				next.ServeHTTP(w, r)
				return
			}
		}
		http.NotFound(w, r)
	})
	for i := len(rt.middlewares) - 1; i >= 0; i-- {
		h = rt.middlewares[i](h)
	}
	h.ServeHTTP(w, r)
}

func TestRoutersOfOthers(t *testing.T) {
	g, _ := newGuard(t, newStore(t), idempotency.Config{})
	once := idempotency.Middleware(g, idempotency.SharedScope)
	var runs atomic.Int32
	leaf := func(name string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			call, _ := idempotency.CallOf(r.Context())
			_, _ = fmt.Fprintf(w, "%s, run %d of %s", name, runs.Add(1), call.Operation)
		})
	}
	leaves := func() map[string]http.Handler {
		return map[string]http.Handler{"/orders": leaf("orders"), "/refunds": leaf("refunds")}
	}
	for _, test := range []struct {
		name            string
		router          http.Handler
		key             string
		orders, refunds string
	}{
		{"used at the top", &router{
			middlewares: []func(http.Handler) http.Handler{once},
			routes:      map[string]http.Handler{"/v1": &router{routes: leaves()}},
		}, "top", "orders, run 1 of POST /v1/orders", "refunds, run 2 of POST /v1/refunds"},
		{"used below a mount", &router{pattern: true, routes: map[string]http.Handler{"/v1": &router{
			middlewares: []func(http.Handler) http.Handler{once}, routes: leaves(),
		}}}, "mount", "orders, run 3 of POST /v1", "mismatch"},
		{"with one route", &router{pattern: true, routes: map[string]http.Handler{"/v1": &router{
			pattern: true, routes: map[string]http.Handler{"/orders": once(leaf("orders")), "/refunds": once(leaf("refunds"))},
		}}}, "route", "orders, run 4 of POST /v1/orders", "refunds, run 5 of POST /v1/refunds"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for range 2 {
				w := send(test.router, request("POST", "/v1/orders", test.key, "{}"))
				wantEqual(t, "orders", w.Body.String(), test.orders)
				w = send(test.router, request("POST", "/v1/refunds", test.key, "{}"))
				if test.refunds == "mismatch" {
					wantProblem(t, w, http.StatusUnprocessableEntity, idempotency.CodeDuplicate, titleReused)
				} else {
					wantEqual(t, "refunds", w.Body.String(), test.refunds)
				}
			}
		})
	}
}
