package idempotency_test

import (
	"context"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

type layer struct{}

func TestHandlerDecidesWhetherItsResponseIsKept(t *testing.T) {
	keep := func(ctx context.Context) { idempotency.KeepResponse(ctx, 0) }
	flush := func(w http.ResponseWriter) { w.(http.Flusher).Flush() }
	for _, test := range []struct {
		name   string
		status int
		decide []func(context.Context)
		after  func(http.ResponseWriter)
		want   int // status of the second response, 0: the handler runs again
	}{
		{name: "500 as usual", status: 500},
		{name: "500 kept", status: 500, decide: []func(context.Context){keep}, want: 500},
		{name: "409 kept", status: 409, decide: []func(context.Context){keep}, want: 409},
		{name: "200 discarded", status: 200, decide: []func(context.Context){idempotency.DiscardResponse}},
		{name: "kept after all", status: 500, decide: []func(context.Context){idempotency.DiscardResponse, keep}, want: 500},
		{name: "discarded after all", status: 200, decide: []func(context.Context){keep, idempotency.DiscardResponse}},
		{name: "flushed 500 kept", status: 500, decide: []func(context.Context){keep}, after: flush, want: 410},
		{name: "flushed 200 discarded", status: 200, decide: []func(context.Context){idempotency.DiscardResponse}, after: flush},
	} {
		t.Run(test.name, func(t *testing.T) {
			runs := 0
			h := guarded(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				runs++
				ctx := context.WithValue(r.Context(), layer{}, "in between")
				for _, decide := range test.decide {
					decide(ctx)
				}
				w.WriteHeader(test.status)
				if test.after != nil {
					test.after(w)
				}
			}))
			wantEqual(t, "status", post(h, "k").Code, test.status)
			second := post(h, "k").Code
			if test.want == 0 {
				wantEqual(t, "runs", runs, 2)
				return
			}
			wantEqual(t, "second status", second, test.want)
			wantEqual(t, "runs", runs, 1)
		})
	}
}

func TestFunctionsInAHandlerDecideForTheHandler(t *testing.T) {
	g, _ := newGuard(t, newStore(t), idempotency.Config{})
	runs := 0
	charged := func(ctx context.Context) error {
		_, err := idempotency.Do(ctx, g, charge(strconv.Itoa(runs)), func(ctx context.Context) (int, error) {
			idempotency.DiscardResponse(ctx)
			return 1, nil
		})
		return err
	}
	h := guarded(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		runs++
		wantEqual(t, "error", charged(r.Context()), error(nil))
	}))
	post(h, "k")
	post(h, "k")
	wantEqual(t, "runs", runs, 2)
	runs++
	wantEqual(t, "error without a handler", charged(t.Context()), error(nil))
}

func TestHandlerDecidesHowLongItsResponseIsKept(t *testing.T) {
	for name, test := range map[string]struct {
		ttl, want time.Duration
		cache     int
	}{
		"configured": {0, time.Minute, 0}, "negative": {-time.Second, time.Minute, 0},
		"shorter": {time.Second, time.Second, 0}, "longer": {time.Hour, time.Hour, 0},
		"shorter than the local cache": {time.Second, time.Second, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, _ := newGuard(t, newStore(t), idempotency.Config{TTL: time.Minute, CacheEntries: test.cache})
				runs := 0
				h := idempotency.Middleware(g, idempotency.SharedScope)(
					http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
						runs++
						idempotency.KeepResponse(r.Context(), test.ttl)
					}))
				post(h, "k")
				time.Sleep(test.want - time.Nanosecond)
				post(h, "k")
				wantEqual(t, "runs before the end", runs, 1)
				time.Sleep(time.Nanosecond)
				post(h, "k")
				wantEqual(t, "runs after it", runs, 2)
			})
		})
	}
}

func TestDecisionsAreForGuardedRequestsOnly(t *testing.T) {
	g, _ := newGuard(t, newStore(t).failing("claim"), idempotency.Config{FailOpen: true})
	runs := 0
	h := idempotency.Middleware(g, idempotency.SharedScope)(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			runs++
			idempotency.KeepResponse(r.Context(), time.Minute)
			idempotency.DiscardResponse(r.Context())
			_, _ = w.Write([]byte(strconv.Itoa(runs)))
		}))
	for i, key := range []string{"", "k", "k"} {
		wantEqual(t, "body", post(h, key).Body.String(), strconv.Itoa(i+1))
	}
}
