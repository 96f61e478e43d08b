package resiliencehttp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/bulkhead"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/pipeline"
	"github.com/steadyfx/steady/patterns/ratelimit"
	"github.com/steadyfx/steady/patterns/resiliencehttp"
	"github.com/steadyfx/steady/patterns/throttle"
	"github.com/steadyfx/steady/patterns/timeout"
	"github.com/steadyfx/steady/stores/memstore"
)

// serve answers one request without a connection.
func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// status is a handler that answers with it.
func status(code int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
}

func wantProblem(t *testing.T, w *httptest.ResponseRecorder, status int, code, title string) {
	t.Helper()
	var p map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("status %d, body %q: %v", w.Code, w.Body, err)
	}
	wantEqual(t, "status", w.Code, status)
	wantEqual(t, "status in the body", p["status"], any(float64(status)))
	wantEqual(t, "code", p["code"], any(code))
	wantEqual(t, "title", p["title"], any(title))
	wantEqual(t, "type", p["type"], any("about:blank"))
	wantEqual(t, "content type", w.Header().Get("Content-Type"), "application/problem+json")
	if p["detail"] == "" {
		t.Error("there is no detail")
	}
}

// Pitfall 17: the breaker of a handler is blind to 5xx, and an open circuit is answered with 429 and no Retry-After.
func TestPitfall17StatusOf5xxOpensTheCircuit(t *testing.T) {
	breaker, err := circuitbreaker.New("api", circuitbreaker.Config{FailureThreshold: 2, RecoveryTimeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	runs := 0
	h := resiliencehttp.Handler(breaker)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		runs++
		w.Header().Set("X-Of-Handler", "yes")
		w.WriteHeader(http.StatusInternalServerError)
	}))
	for range 2 {
		wantEqual(t, "status", serve(h, newRequest(t, "GET", "/", nil)).Code, 500)
	}
	w := serve(h, newRequest(t, "GET", "/", nil))
	wantProblem(t, w, 503, "LEX_ERR_RES_009", "Service is unavailable")
	wantEqual(t, "Retry-After", w.Header().Get("Retry-After"), "30")
	wantEqual(t, "header of the handler", w.Header().Get("X-Of-Handler"), "")
	wantEqual(t, "runs", runs, 2)
	if strings.Contains(w.Body.String(), `"api"`) {
		t.Errorf("the name of the circuit is no business of clients: %s", w.Body)
	}
}

func TestWhatCountsAsAFailureOfAHandler(t *testing.T) {
	for code, failure := range map[int]bool{200: false, 302: false, 404: false, 429: false, 500: true, 501: true, 503: true} {
		var errs []error
		wantEqual(t, "status", serve(resiliencehttp.Handler(seen(&errs))(status(code)), newRequest(t, "GET", "/", nil)).Code, code)
		wantEqual(t, http.StatusText(code), errs[0] != nil, failure)
		if failure {
			e := wantStatusError(t, errs[0], code)
			wantEqual(t, "method", e.Method, "GET")
			wantEqual(t, "text begins", strings.HasPrefix(e.Error(), "GET: 50"), true)
		}
	}
}

// Pitfall 17 as well: a request waits longer than its context allows.
func TestPitfall17WaitingEndsWithTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots, err := bulkhead.New("api", bulkhead.Config{MaxConcurrent: 1, QueueSize: 5, Timeout: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		h := resiliencehttp.Handler(slots)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
		var wg sync.WaitGroup
		wg.Go(func() { serve(h, newRequest(t, "GET", "/", nil)) })
		synctest.Wait()
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		w := serve(h, newRequest(t, "GET", "/", nil).WithContext(ctx))
		wantProblem(t, w, 503, "LEX_ERR_RES_010", "Service is unavailable")
		wantEqual(t, "Retry-After", w.Header().Get("Retry-After"), "1")
		wantEqual(t, "waited", time.Since(begun), 20*time.Millisecond)
		close(release)
		wg.Wait()
	})
}

func TestFullBulkheadIs503(t *testing.T) {
	slots, err := bulkhead.New("api", bulkhead.Config{MaxConcurrent: 1})
	if err != nil {
		t.Fatal(err)
	}
	var h http.Handler
	h = resiliencehttp.Handler(slots)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		w := serve(h, r)
		wantProblem(t, w, 503, "LEX_ERR_RES_010", "Service is unavailable")
		wantEqual(t, "Retry-After", w.Header().Get("Retry-After"), "1")
	}))
	wantEqual(t, "status", serve(h, newRequest(t, "GET", "/", nil)).Code, 200)
}

func TestHandlerThatRunsOutOfTime(t *testing.T) {
	for _, tt := range []struct {
		name   string
		write  int // status that the handler writes after its deadline; 0: none
		status int
	}{{"without a response", 0, 504}, {"with a response", 200, 200}, {"with an error", 500, 500}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limit, err := timeout.New("api", timeout.Config{Timeout: time.Second})
				if err != nil {
					t.Fatal(err)
				}
				var errs []error
				p := patterns.Compose(seen(&errs), limit)
				w := serve(resiliencehttp.Handler(p)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Length", "99")
					<-r.Context().Done()
					if tt.write != 0 {
						w.WriteHeader(tt.write)
					}
				})), newRequest(t, "GET", "/", nil))
				wantEqual(t, "timeout", errors.Is(errs[0], timeout.ErrTimeout), tt.write != 200)
				if tt.status != 504 {
					wantEqual(t, "status", w.Code, tt.status)
					return
				}
				wantProblem(t, w, 504, "LEX_ERR_RES_011", "The request took too long")
				wantEqual(t, "Retry-After", w.Header().Get("Retry-After"), "")
				wantEqual(t, "Content-Length", w.Header().Get("Content-Length"), "")
			})
		})
	}
}

func TestClientThatGoesAwayIsNoFailure(t *testing.T) {
	errGone := errors.New("gone")
	breaker, err := circuitbreaker.New("api", circuitbreaker.Config{FailureThreshold: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	var errs []error
	w := serve(resiliencehttp.Handler(patterns.Compose(seen(&errs), breaker))(http.HandlerFunc(
		func(http.ResponseWriter, *http.Request) { cancel(errGone) })), newRequest(t, "GET", "/", nil).WithContext(ctx))
	wantProblem(t, w, 503, "LEX_ERR_RES_001", "The request was cancelled")
	wantEqual(t, "circuit", breaker.State(), circuitbreaker.Closed)
	if !errors.Is(errs[0], context.Canceled) || !errors.Is(errs[0], errGone) {
		t.Errorf("got %v", errs[0])
	}
}

func TestOtherErrorsOfAPolicy(t *testing.T) {
	for name, p := range map[string]policy{
		"before": func(context.Context, patterns.Operation) error { return errBoom },
		"after":  func(ctx context.Context, op patterns.Operation) error { _ = op(ctx); return errBoom },
		"none":   func(context.Context, patterns.Operation) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			w := serve(resiliencehttp.Handler(p)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})),
				newRequest(t, "GET", "/", nil))
			wantProblem(t, w, 500, "LEX_ERR_RES_001", "Internal server error")
		})
	}
}

func TestHandlerThatWritesNothingIs200WithItsHeader(t *testing.T) {
	h := resiliencehttp.Handler(nil)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Of-Handler", "yes")
		w.Header().Del("X-Outer")
	}))
	w := httptest.NewRecorder()
	w.Header().Set("X-Outer", "gone")
	h.ServeHTTP(w, newRequest(t, "GET", "/", nil))
	wantEqual(t, "status", w.Code, 200)
	wantEqual(t, "header", w.Header().Get("X-Of-Handler"), "yes")
	wantEqual(t, "header that was removed", w.Header().Get("X-Outer"), "")
}

// limit is a rate limit of n requests. Its error is one too.
type limit struct {
	n, used int
	reset   time.Duration
}

func (l *limit) RateLimit() patterns.RateLimit {
	return patterns.RateLimit{
		Name: `per "client"é`, Quota: l.n, Window: time.Minute, Remaining: l.n - l.used, Reset: l.reset,
	}
}

func (l *limit) Execute(ctx context.Context, op patterns.Operation) error {
	if l.used++; l.used > l.n {
		return limited{l}
	}
	return op(ctx)
}

type limited struct{ *limit }

func (limited) Error() string                    { return "limited" }
func (l limited) RetryIn() (time.Duration, bool) { return l.reset, true }
func (limited) Is(target error) bool             { return target == patterns.ErrRejected }

func TestRateLimitIsAnnounced(t *testing.T) {
	l := &limit{n: 1, reset: 1500 * time.Millisecond}
	outer := &limit{n: 100}
	for name, h := range map[string]http.Handler{
		"policy": resiliencehttp.Handler(&limit{n: 1, reset: l.reset})(status(204)),
		"of the request": resiliencehttp.Handler(nil, resiliencehttp.WithRequestPolicy(
			func(r *http.Request) patterns.Policy { wantEqual(t, "path", r.URL.Path, "/"); return l }))(status(204)),
	} {
		w := serve(h, newRequest(t, "GET", "/", nil))
		wantEqual(t, name+": status", w.Code, 204)
		wantEqual(t, name+": policy", w.Header().Get("RateLimit-Policy"), `"per \"client\"?";q=1;w=60`)
		wantEqual(t, name+": limit", w.Header().Get("RateLimit"), `"per \"client\"?";r=0;t=2`)
		w = serve(h, newRequest(t, "GET", "/", nil))
		wantProblem(t, w, 429, "LEX_ERR_RES_001", "Too many requests")
		wantEqual(t, name+": Retry-After", w.Header().Get("Retry-After"), "2")
		wantEqual(t, name+": policy", w.Header().Get("RateLimit-Policy"), `"per \"client\"?";q=1;w=60`)
		wantEqual(t, name+": limit", w.Header().Get("RateLimit"), `"per \"client\"?";r=0;t=2`)
	}
	wantEqual(t, "limit without a name", serve(resiliencehttp.Handler(fixed{Quota: 5, Remaining: 5})(status(200)),
		newRequest(t, "GET", "/", nil)).Header().Get("RateLimit"), `"default";r=5`)
	w := serve(resiliencehttp.Handler(fixed{Name: "of no quota"})(status(200)), newRequest(t, "GET", "/", nil))
	wantEqual(t, "limit of no quota", w.Header().Get("RateLimit")+w.Header().Get("RateLimit-Policy"), "")
	both := resiliencehttp.Handler(outer, resiliencehttp.WithRequestPolicy(func(*http.Request) patterns.Policy {
		return struct{ patterns.Policy }{patterns.Direct{}} // is none
	}))
	wantEqual(t, "limit", serve(both(status(200)), newRequest(t, "GET", "/", nil)).Header().Get("RateLimit"),
		`"per \"client\"?";r=99`)
}

// fixed is a limit that never changes and limits nothing.
type fixed patterns.RateLimit

func (f fixed) RateLimit() patterns.RateLimit                          { return patterns.RateLimit(f) }
func (fixed) Execute(ctx context.Context, op patterns.Operation) error { return op(ctx) }

func TestLimitsInsideOfAPolicyAreAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, err := throttle.New("api", throttle.Config{Calls: 2, Period: time.Minute, Strategy: throttle.SlidingCounter})
		if err != nil {
			t.Fatal(err)
		}
		site, err := ratelimit.NewTokenBucket("site", ratelimit.Config{Limit: 1, Period: time.Hour, Burst: 9, MaxWait: -1})
		if err != nil {
			t.Fatal(err)
		}
		line, err := pipeline.New("api", pipeline.Config{
			Named: map[pipeline.Step]patterns.Policy{"site": site, "again": retries(t, 2), "api": api},
			Order: []pipeline.Step{"site", "again", "api"},
		})
		if err != nil {
			t.Fatal(err)
		}
		for name, p := range map[string]patterns.Policy{
			"pipeline":            line,
			"pipeline in another": patterns.Compose(fixed{}, line, fixed{}),
		} {
			h := resiliencehttp.Handler(p)(status(204))
			w := serve(h, newRequest(t, "GET", "/", nil))
			wantEqual(t, name+": policy", w.Header().Get("RateLimit-Policy"), `"site";q=1;w=3600, "api";q=2;w=60`)
			if r := w.Header().Get("RateLimit"); !strings.HasPrefix(r, `"site";r=`) || !strings.Contains(r, `, "api";r=`) {
				t.Errorf("%s: %s", name, r)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		w := serve(resiliencehttp.Handler(line)(status(204)), newRequest(t, "GET", "/", nil).WithContext(ctx))
		wantProblem(t, w, 429, "LEX_ERR_RES_012", "Too many requests")
		wantEqual(t, "refused: limit", w.Header().Get("RateLimit"), `"site";r=6, "api";r=0;t=90`)
		wantEqual(t, "refused: Retry-After", w.Header().Get("Retry-After"), "90")
	})
}

// A limiter is described by its error, in which it says more than it knows itself, also if nobody can see it in the
// policy, but not if it has no quota to tell.
func TestLimitBehindARefusalIsAnnounced(t *testing.T) {
	for _, tt := range []struct {
		refused       ratelimit.LimitedError
		policy, state string
	}{
		{ratelimit.LimitedError{Name: "tenant", Limit: 5, Period: time.Minute, RetryAfter: 2 * time.Second},
			`"site";q=9;w=1, "tenant";q=5;w=60`, `"site";r=8, "tenant";r=0;t=2`},
		{ratelimit.LimitedError{Name: "site", Limit: 9, Period: time.Second, RetryAfter: 2 * time.Second},
			`"site";q=9;w=1`, `"site";r=0;t=2`},
		{ratelimit.LimitedError{Name: "adaptive"}, `"site";q=9;w=1`, `"site";r=8`},
	} {
		p := patterns.Compose(fixed{Name: "site", Quota: 9, Window: time.Second, Remaining: 8},
			policy(func(context.Context, patterns.Operation) error { return fmt.Errorf("call: %w", &tt.refused) }))
		w := serve(resiliencehttp.Handler(p)(status(204)), newRequest(t, "GET", "/", nil))
		wantProblem(t, w, 429, "LEX_ERR_RES_012", "Too many requests")
		wantEqual(t, "policy", w.Header().Get("RateLimit-Policy"), tt.policy)
		wantEqual(t, "state", w.Header().Get("RateLimit"), tt.state)
	}
}

func TestLimitersOfThisLibraryAreAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket, err := ratelimit.NewTokenBucket("all", ratelimit.Config{Limit: 6, Period: time.Minute, Burst: 2, MaxWait: -1})
		if err != nil {
			t.Fatal(err)
		}
		window, err := ratelimit.NewSlidingWindow("client", ratelimit.WindowConfig{Limit: 1, Period: time.Minute, MaxWait: -1})
		if err != nil {
			t.Fatal(err)
		}
		h := resiliencehttp.Handler(bucket, resiliencehttp.WithRequestPolicy(func(*http.Request) patterns.Policy { return window }))
		for i, want := range []struct {
			status            int
			state, retryAfter string
		}{
			{204, `"all";r=1, "client";r=0;t=60`, ""},
			{429, `"all";r=0;t=10, "client";r=0;t=60`, "60"},
			{429, `"all";r=0;t=10, "client";r=0;t=60`, "10"},
		} {
			w := serve(h(status(204)), newRequest(t, "GET", "/", nil))
			wantEqual(t, "status", w.Code, want.status)
			wantEqual(t, "policy", w.Header().Get("RateLimit-Policy"), `"all";q=6;w=60, "client";q=1;w=60`)
			wantEqual(t, "state", w.Header().Get("RateLimit"), want.state)
			wantEqual(t, "Retry-After", w.Header().Get("Retry-After"), want.retryAfter)
			if i > 0 {
				wantProblem(t, w, 429, "LEX_ERR_RES_012", "Too many requests")
			}
		}
	})
}

// unbounded returns limiters of one request a minute that say nothing of how long a request may wait.
func unbounded(t *testing.T) map[string]patterns.Policy {
	t.Helper()
	bucket, err := ratelimit.NewTokenBucket("api", ratelimit.Config{Limit: 1, Period: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	store, err := memstore.NewRateLimit(memstore.RateLimitConfig{})
	if err != nil {
		t.Fatal(err)
	}
	shared, err := ratelimit.NewDistributed("api", ratelimit.DistributedConfig{Limit: 1, Period: time.Minute}, store)
	if err != nil {
		t.Fatal(err)
	}
	limiters := map[string]patterns.Policy{"token bucket": bucket, "distributed": shared}
	for _, strategy := range []throttle.Strategy{throttle.TokenBucket, throttle.SlidingWindow} {
		limiters["throttle, "+string(strategy)] = newThrottle(t, throttle.Config{Strategy: strategy})
	}
	return limiters
}

// newThrottle returns one for a request a minute.
func newThrottle(t *testing.T, cfg throttle.Config) *throttle.Throttler {
	t.Helper()
	cfg.Calls, cfg.Period = 1, time.Minute
	th, err := throttle.New("api", cfg)
	if err != nil {
		t.Fatal(err)
	}
	return th
}

func TestRequestIsRefusedRatherThanLeftToWaitWithoutABound(t *testing.T) {
	for place, handler := range map[string]func(patterns.Policy) func(http.Handler) http.Handler{
		"the policy": func(p patterns.Policy) func(http.Handler) http.Handler { return resiliencehttp.Handler(p) },
		"of a request": func(p patterns.Policy) func(http.Handler) http.Handler {
			return resiliencehttp.Handler(nil, resiliencehttp.WithRequestPolicy(func(*http.Request) patterns.Policy { return p }))
		},
		"in a pipeline": func(p patterns.Policy) func(http.Handler) http.Handler {
			line, err := pipeline.New("api", pipeline.Config{
				Named: map[pipeline.Step]patterns.Policy{"again": retries(t, 3), "limit": p},
				Order: []pipeline.Step{"again", "limit"},
			})
			if err != nil {
				t.Fatal(err)
			}
			return resiliencehttp.Handler(line)
		},
		"in a policy that hides it": func(p patterns.Policy) func(http.Handler) http.Handler {
			return resiliencehttp.Handler(policy(p.Execute))
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			for name, p := range unbounded(t) {
				h := handler(p)(status(204))
				wantEqual(t, place+", "+name+": status", serve(h, newRequest(t, "GET", "/", nil)).Code, 204)
				begun := time.Now()
				w := serve(h, newRequest(t, "GET", "/", nil))
				wantEqual(t, place+", "+name+": waited", time.Since(begun), time.Duration(0))
				wantProblem(t, w, 429, "LEX_ERR_RES_012", "Too many requests")
				wantEqual(t, place+", "+name+": Retry-After", w.Header().Get("Retry-After"), "60")
				wantEqual(t, place+", "+name+": policy", w.Header().Get("RateLimit-Policy"), `"api";q=1;w=60`)
				wantEqual(t, place+", "+name+": limit", w.Header().Get("RateLimit"), `"api";r=0;t=60`)
			}
		})
	}
}

func TestRequestWaitsWithinABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit, err := timeout.New("api", timeout.Config{Timeout: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		live := t.Context()
		late, cancel := context.WithTimeout(live, time.Hour)
		defer cancel()
		for name, tt := range map[string]struct {
			p       patterns.Policy
			request context.Context
		}{
			"MaxWait":                 {newThrottle(t, throttle.Config{MaxWait: time.Hour}), live},
			"deadline of the request": {newThrottle(t, throttle.Config{}), late},
			"timeout around it":       {patterns.Compose(limit, newThrottle(t, throttle.Config{})), live},
		} {
			h := resiliencehttp.Handler(tt.p)(status(204))
			begun := time.Now()
			for range 2 {
				wantEqual(t, name+": status", serve(h, newRequest(t, "GET", "/", nil).WithContext(tt.request)).Code, 204)
			}
			wantEqual(t, name+": waited", time.Since(begun), time.Minute)
		}
	})
}

func TestLimiterThatTheHandlerCallsIsLeftAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, bounded := range []bool{false, true} {
			dependency := newThrottle(t, throttle.Config{})
			begun := time.Now()
			var err error
			h := resiliencehttp.Handler(nil)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				dependency.TryAcquire()
				err = dependency.Acquire(r.Context())
			}))
			serve(h, newRequest(t, "GET", "/", nil).WithContext(patterns.WithBoundedWaits(t.Context(), bounded)))
			wantEqual(t, "refused", errors.Is(err, ratelimit.ErrLimited), bounded)
			wantEqual(t, "waited", time.Since(begun) == time.Minute, !bounded)
		}
	})
}

func TestClientsHaveALimitEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clients, err := ratelimit.NewKeyed("client", ratelimit.KeyedConfig{Limit: 2, Period: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		h := resiliencehttp.Handler(fixed{Name: "site", Quota: 9, Window: time.Second, Remaining: 8},
			resiliencehttp.WithRequestPolicy(func(r *http.Request) patterns.Policy { return clients.For(r.Header.Get("Client")) }),
		)(status(204))
		for i, want := range []struct {
			client     string
			status     int
			state      string
			retryAfter string
		}{
			{"ada", 204, `"client";r=1`, ""},
			{"ada", 204, `"client";r=0;t=30`, ""},
			{"ada", 429, `"client";r=0;t=30`, "30"},
			{"bob", 204, `"client";r=1`, ""},
		} {
			r := newRequest(t, "GET", "/", nil)
			r.Header.Set("Client", want.client)
			w := serve(h, r)
			wantEqual(t, fmt.Sprint(i, ": status"), w.Code, want.status)
			wantEqual(t, fmt.Sprint(i, ": policy"), w.Header().Get("RateLimit-Policy"), `"site";q=9;w=1, "client";q=2;w=60`)
			wantEqual(t, fmt.Sprint(i, ": state"), w.Header().Get("RateLimit"), `"site";r=8, `+want.state)
			wantEqual(t, fmt.Sprint(i, ": Retry-After"), w.Header().Get("Retry-After"), want.retryAfter)
		}
	})
}

func TestHandlerIsRunOnce(t *testing.T) {
	runs := 0
	h := resiliencehttp.Handler(retries(t, 3))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		runs++
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "once")
	}))
	w := serve(h, newRequest(t, "GET", "/", nil))
	if w.Code != 503 || w.Body.String() != "once" || runs != 1 {
		t.Errorf("got %d, %q after %d runs", w.Code, w.Body, runs)
	}
	runs = 0
	h = resiliencehttp.Handler(race(3))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		runs++
		_, _ = io.WriteString(w, "once")
	}))
	if w = serve(h, newRequest(t, "GET", "/", nil)); w.Code != 200 || w.Body.String() != "once" || runs != 1 {
		t.Errorf("got %d, %q after %d runs", w.Code, w.Body, runs)
	}
}

func TestSecondRunOfAHandlerHasTheResultOfTheFirst(t *testing.T) {
	var errs []error
	serve(resiliencehttp.Handler(twice(&errs))(status(500)), newRequest(t, "GET", "/", nil))
	wantEqual(t, "second result", errs[1], errs[0])
	wantEqual(t, "permanent", errors.Is(errs[0], patterns.ErrPermanent), true)
	errs = nil
	serve(resiliencehttp.Handler(twice(&errs))(status(200)), newRequest(t, "GET", "/", nil))
	wantEqual(t, "second result", errs[1], error(nil))
}

func TestPanicOfAHandlerPasses(t *testing.T) {
	slots, err := bulkhead.New("api", bulkhead.Config{MaxConcurrent: 1})
	if err != nil {
		t.Fatal(err)
	}
	h := resiliencehttp.Handler(slots)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	for range 3 { // the slot is free again
		func() {
			defer func() { wantEqual(t, "panic", recover(), any(http.ErrAbortHandler)) }()
			serve(h, newRequest(t, "GET", "/", nil))
		}()
	}
}

// detached is a policy that stops waiting when its channel is closed.
func detached(stop <-chan struct{}, end *sync.WaitGroup) policy {
	return func(ctx context.Context, op patterns.Operation) error {
		result := make(chan error, 1)
		end.Go(func() {
			defer func() { _ = recover() }()
			result <- op(ctx)
		})
		select {
		case err := <-result:
			return err
		case <-stop:
			return &timeout.Error{Operation: "api", Err: errBoom}
		}
	}
}

func TestHandlerThatIsNotWaitedForWritesNoMore(t *testing.T) {
	stop, goOn := make(chan struct{}), make(chan struct{})
	var end sync.WaitGroup
	h := resiliencehttp.Handler(detached(stop, &end))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Of-Handler", "yes")
		close(stop)
		<-goOn
		w.Header().Set("X-Late", "yes")
		w.WriteHeader(http.StatusOK)
		_, err := io.WriteString(w, "late")
		wantEqual(t, "write", err, http.ErrHandlerTimeout)
		_, err = w.(io.ReaderFrom).ReadFrom(strings.NewReader("late"))
		wantEqual(t, "read from", err, http.ErrHandlerTimeout)
		wantEqual(t, "flush", http.NewResponseController(w).Flush(), http.ErrHandlerTimeout)
		_, _, err = http.NewResponseController(w).Hijack()
		wantEqual(t, "hijack", err, http.ErrHandlerTimeout)
	}))
	w := serve(h, newRequest(t, "GET", "/", nil))
	close(goOn)
	end.Wait()
	wantProblem(t, w, 504, "LEX_ERR_RES_011", "The request took too long")
	wantEqual(t, "headers of the handler", w.Header().Get("X-Of-Handler")+w.Header().Get("X-Late"), "")
}

func TestHandlerThatHasBegunToWriteIsWaitedFor(t *testing.T) {
	for _, panics := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			stop := make(chan struct{})
			var end sync.WaitGroup
			h := resiliencehttp.Handler(detached(stop, &end))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "first")
				close(stop)
				time.Sleep(time.Second)
				if panics {
					panic(errBoom)
				}
				_, err := io.WriteString(w, ", last")
				wantEqual(t, "write", err, error(nil))
			}))
			w := httptest.NewRecorder()
			begun := time.Now()
			func() {
				defer func() {
					if got := recover(); panics && got != http.ErrAbortHandler || !panics && got != nil {
						t.Errorf("panicked with %v", got) // else the client takes the response for complete
					}
				}()
				h.ServeHTTP(w, newRequest(t, "GET", "/", nil))
			}()
			wantEqual(t, "waited", time.Since(begun), time.Second)
			end.Wait()
			if want := map[bool]string{false: "first, last", true: "first"}[panics]; w.Code != 200 || w.Body.String() != want {
				t.Errorf("got %d, %q", w.Code, w.Body)
			}
		})
	}
}

func TestOnlyTheFirstStatusCounts(t *testing.T) {
	var errs []error
	w := serve(resiliencehttp.Handler(seen(&errs))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		w.WriteHeader(http.StatusInternalServerError)
	})), newRequest(t, "GET", "/", nil))
	if w.Code != 200 || errs[0] != nil {
		t.Errorf("got %d, %v", w.Code, errs[0])
	}
}

func TestHandlerIsNotBegunAfterTheAnswer(t *testing.T) {
	goOn := make(chan struct{})
	var end sync.WaitGroup
	p := policy(func(ctx context.Context, op patterns.Operation) error {
		end.Go(func() {
			<-goOn
			if err := op(ctx); !errors.Is(err, patterns.ErrRejected) {
				t.Errorf("got %v", err)
			}
		})
		return context.DeadlineExceeded
	})
	w := serve(resiliencehttp.Handler(p)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the handler is run")
	})), newRequest(t, "GET", "/", nil))
	close(goOn)
	end.Wait()
	wantProblem(t, w, 503, "LEX_ERR_RES_001", "Service is unavailable")
}

func TestMultipartFilesAreRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s := newServer(t, resiliencehttp.Handler(nil)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(0); err != nil {
			t.Error(err)
		}
	})).ServeHTTP)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "name")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write(make([]byte, 11<<20)) // more than net/http keeps in memory
	_ = form.Close()
	r := newRequest(t, "POST", s.URL, &body)
	r.Header.Set("Content-Type", form.FormDataContentType())
	read(t, do(t, newWire(t), r))
	s.Close() // waits for the end of the handler
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	if err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
