package resiliencehttp_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/fallback"
	"github.com/steadyfx/steady/patterns/resiliencehttp"
	"github.com/steadyfx/steady/patterns/retry"
	"github.com/steadyfx/steady/patterns/timeout"
)

// Pitfall 7: bodies of discarded responses stay open.
func TestPitfall07DiscardedBodiesAreDrainedAndClosed(t *testing.T) {
	s := newServer(t, answers(503))
	w := newWire(t) // counts open bodies
	rt := resiliencehttp.New(w, retries(t, 3))
	for range 20 {
		resp := do(t, rt, newRequest(t, "GET", s.URL, nil))
		wantEqual(t, "open bodies", w.open.Load(), int32(1))
		read(t, resp)
	}
	wantEqual(t, "requests", s.requests.Load(), int32(60))
	wantEqual(t, "connections", s.connections.Load(), int32(1)) // a body that was not drained costs one
}

func TestBodyThatIsTooLargeToBeDrainedIsClosed(t *testing.T) {
	for _, declared := range []bool{true, false} {
		s := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
			if declared {
				w.Header().Set("Content-Length", fmt.Sprint(64<<20))
			}
			w.WriteHeader(http.StatusServiceUnavailable)
			chunk := make([]byte, 64<<10)
			for range 1024 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		})
		resp := do(t, resiliencehttp.New(newWire(t), retries(t, 2)), newRequest(t, "GET", s.URL, nil))
		_ = resp.Body.Close()
		wantEqual(t, "connections", s.connections.Load(), int32(2))
	}
}

func TestBodyThatDoesNotEndIsNotWaitedFor(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	resp := do(t, resiliencehttp.New(newWire(t), retries(t, 2)), newRequest(t, "GET", s.URL, nil))
	_ = resp.Body.Close()
	wantEqual(t, "requests", s.requests.Load(), int32(2))
}

// Pitfall 8: a policy of retries repeats a POST.
func TestPitfall08OnlyWhatMayBeRepeatedIsSentAgain(t *testing.T) {
	unknown := func() io.Reader { return io.MultiReader(strings.NewReader("body")) } // neither length nor GetBody
	for _, tt := range []struct {
		name     string
		method   string
		key      []string
		body     io.Reader
		length   int64
		opts     []resiliencehttp.Option
		requests int32
	}{
		{name: "GET", method: "GET", requests: 3},
		{name: "method that is empty", method: "", requests: 3},
		{name: "HEAD", method: "HEAD", requests: 3},
		{name: "OPTIONS", method: "OPTIONS", requests: 3},
		{name: "TRACE", method: "TRACE", requests: 3},
		{name: "DELETE", method: "DELETE", requests: 3},
		{name: "PUT", method: "PUT", body: strings.NewReader("body"), requests: 3},
		{name: "POST", method: "POST", requests: 1},
		{name: "POST with a body", method: "POST", body: strings.NewReader("body"), requests: 1},
		{name: "PATCH", method: "PATCH", body: strings.NewReader("body"), requests: 1},
		{name: "POST with a key", method: "POST", key: []string{"k"}, body: strings.NewReader("body"), requests: 3},
		{name: "POST with an empty key", method: "POST", key: []string{""}, requests: 1},
		{name: "POST that is idempotent without a key", method: "POST", key: []string{}, requests: 3},
		{name: "PUT with a body that can be kept", method: "PUT", body: unknown(), length: 4, requests: 3},
		{name: "PUT with a body of unknown length", method: "PUT", body: unknown(), requests: 1},
		{name: "PUT with a body too large to be kept", method: "PUT", body: unknown(), length: 4, requests: 1,
			opts: []resiliencehttp.Option{resiliencehttp.WithBuffer(3)}},
		{name: "PUT where nothing is kept", method: "PUT", body: unknown(), length: 4, requests: 1,
			opts: []resiliencehttp.Option{resiliencehttp.WithBuffer(0)}},
		{name: "POST by choice", method: "POST", body: strings.NewReader("body"), requests: 3,
			opts: []resiliencehttp.Option{resiliencehttp.WithRepeatable(func(*http.Request) bool { return true })}},
		{name: "GET by choice", method: "GET", requests: 1,
			opts: []resiliencehttp.Option{resiliencehttp.WithRepeatable(func(*http.Request) bool { return false })}},
		{name: "POST by choice, with a body that is gone", method: "POST", body: unknown(), requests: 1,
			opts: []resiliencehttp.Option{resiliencehttp.WithRepeatable(func(*http.Request) bool { return true })}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := ""
			if tt.body != nil {
				want = "body"
			}
			s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
				if got, err := io.ReadAll(r.Body); string(got) != want || err != nil {
					t.Errorf("the server got %q, %v", got, err)
				}
				w.WriteHeader(http.StatusServiceUnavailable)
			})
			r := newRequest(t, tt.method, s.URL, tt.body)
			r.Method = tt.method
			if tt.key != nil {
				r.Header["Idempotency-Key"] = tt.key
			}
			if tt.length > 0 {
				r.ContentLength = tt.length
			}
			resp := do(t, resiliencehttp.New(newWire(t), retries(t, 3), tt.opts...), r)
			wantEqual(t, "status", resp.StatusCode, 503)
			wantEqual(t, "requests", s.requests.Load(), tt.requests)
			read(t, resp)
		})
	}
}

func TestWhatMustNotBeRepeatedFailsForGood(t *testing.T) {
	s := newServer(t, answers(503))
	p, err := retry.New("api", retry.Config{BaseDelay: time.Hour, MaxDelay: time.Hour}) // would not end in time
	if err != nil {
		t.Fatal(err)
	}
	w := newWire(t)
	resp := do(t, resiliencehttp.New(w, p), newRequest(t, "POST", s.URL, nil))
	wantEqual(t, "status", resp.StatusCode, 503)
	read(t, resp)
	fails := tripper(func(*http.Request) (*http.Response, error) { return nil, errBoom })
	if _, err = resiliencehttp.New(fails, p).RoundTrip(newRequest(t, "POST", s.URL, nil)); err != errBoom {
		t.Errorf("the error is not that of the attempt: %v", err)
	}
}

// Pitfall 9: the date form of Retry-After is ignored and the other one has no cap.
func TestPitfall09RetryAfterIsKnownToThePolicy(t *testing.T) {
	for _, tt := range []struct {
		status int
		after  func(now time.Time) string
		want   time.Duration
	}{
		{503, func(time.Time) string { return "7" }, 7 * time.Second},
		{429, func(now time.Time) string { return now.Add(90 * time.Second).Format(http.TimeFormat) }, 90 * time.Second},
		{503, func(now time.Time) string { return now.Add(-time.Hour).Format(http.TimeFormat) }, 0},
		{503, func(time.Time) string { return "99999999999999999999" }, 24 * time.Hour},
		{503, func(time.Time) string { return "soon" }, 0},
		{500, func(time.Time) string { return "" }, 0},
	} {
		now := time.Date(1999, 12, 31, 23, 59, 58, 0, time.UTC) // of a server whose clock is wrong
		s := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", now.Format(http.TimeFormat))
			w.Header().Set("Retry-After", tt.after(now))
			w.WriteHeader(tt.status)
		})
		var errs []error
		read(t, do(t, resiliencehttp.New(newWire(t), seen(&errs)), newRequest(t, "GET", s.URL+"/secret?token=1", nil)))
		e := wantStatusError(t, errs[0], tt.status)
		wantEqual(t, tt.after(now), e.RetryAfter, tt.want)
		wantEqual(t, "method", e.Method, "GET")
		wantEqual(t, "host", "http://"+e.Host, s.URL)
		wantEqual(t, "code", patterns.Code(e), "LEX_ERR_RES_001")
		text := fmt.Sprintf("GET %s: %d %s", e.Host, tt.status, http.StatusText(tt.status))
		if tt.want > 0 {
			text += "; retry in " + tt.want.String()
		}
		wantEqual(t, "text", e.Error(), text)
	}
}

func TestRetryWaitsAsLongAsTheServerAsks(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	ctx, cancel := context.WithCancel(t.Context())
	var waits []time.Duration
	p := retries(t, 2, retry.WithOnRetry(func(_ context.Context, _ int, delay time.Duration, _ error) {
		waits = append(waits, delay)
		cancel()
	}))
	_, err := resiliencehttp.New(newWire(t), p).RoundTrip(newRequest(t, "GET", s.URL, nil).WithContext(ctx))
	if !errors.Is(err, context.Canceled) || len(waits) != 1 || waits[0] < 7*time.Second {
		t.Errorf("got %v after waits of %v", err, waits)
	}
}

// Pitfall 10: merging two contexts costs a goroutine for as long as the longer one lives.
func TestPitfall10FinishedRequestsLeaveNoGoroutineBehind(t *testing.T) {
	app, stop := context.WithCancel(t.Context())
	defer stop()
	s := newServer(t, answers(503, 200))
	w := newWire(t)
	limit, err := timeout.New("api", timeout.Config{Timeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	rt := resiliencehttp.New(w, patterns.Compose(retries(t, 2), limit))
	before := goleak.IgnoreCurrent()
	for range 200 {
		r := newRequest(t, "GET", s.URL, nil).WithContext(app)
		read(t, do(t, rt, r))
	}
	w.CloseIdleConnections()
	s.Close()
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

func TestLastResponseIsReturnedOpen(t *testing.T) {
	s := newServer(t, answers(500, 502, 503))
	resp := do(t, resiliencehttp.New(newWire(t), retries(t, 3)), newRequest(t, "GET", s.URL, nil))
	body := read(t, resp)
	wantEqual(t, "status", resp.StatusCode, 503)
	wantEqual(t, "end of the body", body[len(body)-1:], "3")
}

func TestSuccessAfterFailures(t *testing.T) {
	s := newServer(t, answers(500, 429, 200))
	r := newRequest(t, "GET", s.URL, nil)
	resp := do(t, resiliencehttp.New(newWire(t), retries(t, 5)), r)
	body := read(t, resp)
	wantEqual(t, "status", resp.StatusCode, 200)
	wantEqual(t, "end of the body", body[len(body)-1:], "3")
	wantEqual(t, "request of the response", resp.Request, r)
}

func TestLastResponseIsReturnedThoughAnotherAttemptIsRefused(t *testing.T) {
	s := newServer(t, answers(503))
	registry, err := circuitbreaker.NewRegistry(patterns.Instances[circuitbreaker.Config]{
		Default: circuitbreaker.Config{FailureThreshold: 2, RecoveryTimeout: time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	rt := resiliencehttp.New(newWire(t), retries(t, 5), resiliencehttp.WithBreakers(registry))
	body := read(t, do(t, rt, newRequest(t, "GET", s.URL, nil)))
	wantEqual(t, "end of the body", body[len(body)-1:], "2")
	if _, err := rt.RoundTrip(newRequest(t, "GET", s.URL, nil)); !errors.Is(err, circuitbreaker.ErrOpen) {
		t.Errorf("an open circuit has no response: %v", err)
	}
	wantEqual(t, "requests", s.requests.Load(), int32(2))
}

func TestErrorAfterAFailedResponseIsReturned(t *testing.T) {
	w := newWire(t)
	s := newServer(t, answers(503))
	n := 0
	rt := resiliencehttp.New(tripper(func(r *http.Request) (*http.Response, error) {
		if n++; n == 2 {
			return nil, errBoom
		}
		return w.RoundTrip(r)
	}), retries(t, 2))
	if resp, err := rt.RoundTrip(newRequest(t, "GET", s.URL, nil)); resp != nil || !errors.Is(err, errBoom) {
		t.Errorf("got %v, %v", resp, err)
	}
}

func TestErrorThatIsNotOfTheFailedResponseIsReturned(t *testing.T) {
	s := newServer(t, answers(503))
	p := policy(func(ctx context.Context, op patterns.Operation) error { _ = op(ctx); return errBoom })
	if resp, err := resiliencehttp.New(newWire(t), p).RoundTrip(newRequest(t, "GET", s.URL, nil)); resp != nil || err != errBoom {
		t.Errorf("got %v, %v", resp, err)
	}
}

func TestEveryHostHasItsOwnBreaker(t *testing.T) {
	bad, good := newServer(t, answers(500)), newServer(t, answers(200))
	registry, err := circuitbreaker.NewRegistry(patterns.Instances[circuitbreaker.Config]{
		Default: circuitbreaker.Config{FailureThreshold: 2, RecoveryTimeout: time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	var hosts []string
	rt := resiliencehttp.New(newWire(t), nil, resiliencehttp.WithBreakers(registry),
		resiliencehttp.WithHostPolicy(func(host string) patterns.Policy { hosts = append(hosts, host); return nil }))
	for range 5 {
		if resp, err := rt.RoundTrip(newRequest(t, "GET", bad.URL, nil)); err == nil {
			read(t, resp)
		}
		read(t, do(t, rt, newRequest(t, "GET", good.URL, nil)))
	}
	wantEqual(t, "requests to the bad one", bad.requests.Load(), int32(2))
	wantEqual(t, "requests to the good one", good.requests.Load(), int32(5))
	wantEqual(t, "breakers", len(registry.All()), 2)
	wantEqual(t, "host", "http://"+hosts[0], bad.URL)
}

func TestHostThatABreakerCannotHaveIsAnError(t *testing.T) {
	registry, err := circuitbreaker.NewRegistry(patterns.Instances[circuitbreaker.Config]{})
	if err != nil {
		t.Fatal(err)
	}
	body := &requestBody{Reader: strings.NewReader("body")}
	rt := resiliencehttp.New(nil, nil, resiliencehttp.WithBreakers(registry))
	_, err = rt.RoundTrip(newRequest(t, "PUT", "http://"+strings.Repeat("h", 129)+"/", body))
	if !errors.Is(err, patterns.ErrConfiguration) {
		t.Errorf("got %v", err)
	}
	wantEqual(t, "body closed", body.closed.Load(), int32(1))
}

// A policy's context ends when Execute returns, and the body is read after that.
func TestBodyOutlivesThePolicyUntilItsDeadline(t *testing.T) {
	more := make(chan struct{})
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "first")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-more:
			_, _ = io.WriteString(w, ", last")
		case <-r.Context().Done():
		}
	})
	long, err := timeout.New("long", timeout.Config{Timeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	resp := do(t, resiliencehttp.New(newWire(t), long), newRequest(t, "GET", s.URL, nil))
	close(more)
	wantEqual(t, "body", read(t, resp), "first, last")

	more = make(chan struct{}) // never
	short, err := timeout.New("short", timeout.Config{Timeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	resp = do(t, resiliencehttp.New(newWire(t), short), newRequest(t, "GET", s.URL, nil))
	_, err = io.ReadAll(resp.Body)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the limit did not hold for the body: %v", err)
	}
	_ = resp.Body.Close()
}

func TestLimitOfAnAttemptEndsIt(t *testing.T) {
	s := newServer(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	short, err := timeout.New("short", timeout.Config{Timeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: resiliencehttp.New(newWire(t), patterns.Compose(retries(t, 2), short))}
	_, err = client.Get(s.URL)
	if !errors.Is(err, timeout.ErrTimeout) || !errors.Is(err, retry.ErrExhausted) {
		t.Errorf("got %v", err)
	}
	wantEqual(t, "requests", s.requests.Load(), int32(2))
	client.Transport = resiliencehttp.New(newWire(t), short)
	_, err = client.Post(s.URL, "text/plain", nil)
	if failed, ok := errors.AsType[*url.Error](err); !ok || !failed.Timeout() {
		t.Errorf("net/http does not know that it was a timeout: %v", err)
	}
}

func TestErrorOfAnAttemptSaysThatItsContextEnded(t *testing.T) {
	errGone := errors.New("gone")
	p := policy(func(ctx context.Context, op patterns.Operation) error {
		ctx, cancel := context.WithCancelCause(ctx)
		cancel(errGone)
		return op(ctx)
	})
	_, err := resiliencehttp.New(tripper(func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		wantEqual(t, "cause", context.Cause(r.Context()), errGone)
		return nil, errBoom
	}), p).RoundTrip(newRequest(t, "GET", "http://api.example/", nil))
	for _, target := range []error{context.Canceled, errGone, errBoom} {
		if !errors.Is(err, target) {
			t.Errorf("%v does not match %v", err, target)
		}
	}
}

func TestContextOfTheAttemptEndsWithTheBody(t *testing.T) {
	type key struct{}
	for _, tt := range []struct {
		name string
		body io.ReadCloser
		end  func(body io.ReadCloser)
	}{
		{"closed", io.NopCloser(strings.NewReader("body")), func(b io.ReadCloser) { _ = b.Close() }},
		{"read", io.NopCloser(strings.NewReader("body")), func(b io.ReadCloser) { _, _ = io.ReadAll(b) }},
		{"none", http.NoBody, nil},
	} {
		var attempt, policyCtx context.Context
		p := policy(func(ctx context.Context, op patterns.Operation) error {
			ctx, cancel := context.WithCancel(context.WithValue(ctx, key{}, "of the policy"))
			defer cancel()
			policyCtx = ctx
			return op(ctx)
		})
		resp := do(t, resiliencehttp.New(tripper(func(r *http.Request) (*http.Response, error) {
			attempt = r.Context()
			return &http.Response{StatusCode: http.StatusOK, Body: tt.body}, nil
		}), p), newRequest(t, "GET", "http://api.example/", nil))
		wantEqual(t, tt.name+": value", attempt.Value(key{}), any("of the policy"))
		wantEqual(t, tt.name+": the policy's context has ended", policyCtx.Err() != nil, true)
		wantEqual(t, tt.name+": ended before the body", attempt.Err() != nil, tt.end == nil)
		if tt.end != nil {
			tt.end(resp.Body)
		}
		wantEqual(t, tt.name+": ended with the body", attempt.Err() != nil, true)
	}
}

func TestCallerEndsEverything(t *testing.T) {
	errGone := errors.New("gone")
	release := make(chan struct{})
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			_ = http.NewResponseController(w).Flush()
		}
		if r.URL.Path == "/backoff" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		close(release)
		<-r.Context().Done()
	})
	breaker, err := circuitbreaker.New("api", circuitbreaker.Config{FailureThreshold: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("in flight", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() { <-release; cancel(errGone) }()
		rt := resiliencehttp.New(newWire(t), patterns.Compose(retries(t, 3), breaker))
		if _, err := rt.RoundTrip(newRequest(t, "GET", s.URL, nil).WithContext(ctx)); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		wantEqual(t, "circuit", breaker.State(), circuitbreaker.Closed)
	})
	t.Run("in the body", func(t *testing.T) {
		release = make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		resp := do(t, resiliencehttp.New(newWire(t), retries(t, 3)), newRequest(t, "GET", s.URL+"/body", nil).WithContext(ctx))
		cancel()
		if _, err := io.ReadAll(resp.Body); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		_ = resp.Body.Close()
	})
	t.Run("after a failed response", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		p := policy(func(ctx context.Context, op patterns.Operation) error {
			defer cancel(errGone)
			return op(ctx)
		})
		resp, err := resiliencehttp.New(newWire(t), p).RoundTrip(newRequest(t, "GET", s.URL+"/backoff", nil).WithContext(ctx))
		if resp != nil || !errors.Is(err, context.Canceled) || !errors.Is(err, errGone) {
			t.Errorf("got %v, %v", resp, err)
		}
		wantEqual(t, "method", wantStatusError(t, err, 503).Method, "GET")
	})
	t.Run("between attempts", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		slow, err := retry.New("api", retry.Config{BaseDelay: time.Hour, MaxDelay: time.Hour}, retry.WithOnRetry(
			func(context.Context, int, time.Duration, error) { cancel() }))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := resiliencehttp.New(newWire(t), slow).RoundTrip(newRequest(t, "GET", s.URL+"/backoff", nil).WithContext(ctx))
		if resp != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, %v", resp, err)
		}
	})
}

func TestBodyOfTheRequestIsAlwaysClosed(t *testing.T) {
	refuses := policy(func(context.Context, patterns.Operation) error { return errBoom })
	sends := tripper(func(r *http.Request) (*http.Response, error) {
		defer r.Body.Close()
		got, err := io.ReadAll(r.Body)
		wantEqual(t, "body", string(got), "body")
		return nil, err
	})
	for _, tt := range []struct {
		name   string
		policy patterns.Policy
		reader io.Reader
		length int64
		err    error
	}{
		{"refused", refuses, strings.NewReader("body"), 0, errBoom},
		{"refused after it was kept", refuses, strings.NewReader("body"), 4, errBoom},
		{"unreadable", nil, io.MultiReader(strings.NewReader("bo"), failing{}), 4, errBoom},
		{"sent", retries(t, 2), strings.NewReader("body"), 4, nil},
	} {
		body := &requestBody{Reader: tt.reader}
		r := newRequest(t, "PUT", "http://api.example/", body)
		r.ContentLength = tt.length
		_, err := resiliencehttp.New(sends, tt.policy).RoundTrip(r)
		if err == nil || tt.err != nil && !errors.Is(err, tt.err) {
			t.Errorf("%s: got %v", tt.name, err)
		}
		wantEqual(t, tt.name+": closed", body.closed.Load(), int32(1))
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errBoom }

func TestBodyThatCannotBeHadAgainEndsTheCall(t *testing.T) {
	s := newServer(t, answers(503))
	r := newRequest(t, "PUT", s.URL, strings.NewReader("body"))
	r.GetBody = func() (io.ReadCloser, error) { return nil, errBoom }
	_, err := resiliencehttp.New(newWire(t), retries(t, 2)).RoundTrip(r)
	if !errors.Is(err, errBoom) || !strings.Contains(err.Error(), "getting the body of the request again") {
		t.Errorf("got %v", err)
	}
}

// net/http sends a request a second time by itself if it can get the body again and takes it for idempotent.
func TestNetHTTPRepeatsNothingThatHasABodyByItself(t *testing.T) {
	for _, tt := range []struct {
		method, key string
		kept        bool
	}{{"POST", "", true}, {"PATCH", "", true}, {"POST", "k", false}, {"PUT", "", false}, {"GET", "", false}} {
		r := newRequest(t, tt.method, "http://api.example/", strings.NewReader("body"))
		if tt.key != "" {
			r.Header.Set("Idempotency-Key", tt.key)
		}
		var got *http.Request
		_, _ = resiliencehttp.New(tripper(func(r *http.Request) (*http.Response, error) {
			got = r
			return nil, errBoom
		}), nil).RoundTrip(r)
		wantEqual(t, tt.method+tt.key+": GetBody", got.GetBody != nil, tt.kept)
		wantEqual(t, "GetBody of the caller's request", r.GetBody != nil, true)
	}
}

func TestWhatIsAFailure(t *testing.T) {
	for status, failure := range map[int]bool{
		200: false, 301: false, 404: false, 408: false, 429: true, 500: true, 501: false, 502: true, 503: true, 504: true,
	} {
		s := newServer(t, answers(status))
		var errs []error
		resp := do(t, resiliencehttp.New(newWire(t), seen(&errs)), newRequest(t, "GET", s.URL, nil))
		read(t, resp)
		wantEqual(t, "status", resp.StatusCode, status)
		wantEqual(t, http.StatusText(status), errs[0] != nil, failure)
	}
	s := newServer(t, answers(404))
	var errs []error
	missing := func(resp *http.Response) bool { return resp.StatusCode == http.StatusNotFound }
	rt := resiliencehttp.New(newWire(t), seen(&errs), resiliencehttp.WithFailure(missing))
	read(t, do(t, rt, newRequest(t, "GET", s.URL, nil)))
	wantEqual(t, "method", wantStatusError(t, errs[0], 404).Method, "GET")
}

func TestUpgradedConnectionCanBeWrittenTo(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "echo")
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		line, _ := rw.ReadString('\n')
		_, _ = io.WriteString(conn, "echo "+line)
	})
	r := newRequest(t, "GET", s.URL, nil)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "echo")
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp := do(t, resiliencehttp.New(transport, nil), r)
	conn, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		t.Fatalf("%T cannot be written to", resp.Body)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); line != "echo hello\n" || err != nil {
		t.Errorf("got %q, %v", line, err)
	}
}

func TestPolicyThatHidesTheFailure(t *testing.T) {
	chain, err := fallback.New("api", fallback.WithDefault(struct{}{}))
	if err != nil {
		t.Fatal(err)
	}
	hides := fallback.NewPolicy(chain)
	s := newServer(t, answers(503))
	resp := do(t, resiliencehttp.New(newWire(t), hides), newRequest(t, "GET", s.URL, nil))
	wantEqual(t, "status", resp.StatusCode, 503)
	read(t, resp)
	fails := tripper(func(*http.Request) (*http.Response, error) { return nil, errBoom })
	if resp, err := resiliencehttp.New(fails, hides).RoundTrip(newRequest(t, "GET", s.URL, nil)); resp != nil || err == nil {
		t.Errorf("got %v, %v", resp, err)
	}
}

func TestRoundTripperThatReturnsNothing(t *testing.T) {
	nothing := tripper(func(*http.Request) (*http.Response, error) { return nil, nil })
	if resp, err := resiliencehttp.New(nothing, nil).RoundTrip(newRequest(t, "GET", "http://api.example/", nil)); resp != nil ||
		err == nil || !strings.Contains(err.Error(), "neither a response nor an error") {
		t.Errorf("got %v, %v", resp, err)
	}
}

func TestPanicPassesAndLeavesNothingOpen(t *testing.T) {
	w := newWire(t)
	s := newServer(t, answers(503))
	var contexts []context.Context
	rt := resiliencehttp.New(tripper(func(r *http.Request) (*http.Response, error) {
		if contexts = append(contexts, r.Context()); len(contexts) == 2 {
			panic(errBoom)
		}
		return w.RoundTrip(r)
	}), retries(t, 3))
	defer func() {
		wantEqual(t, "panic", recover(), any(errBoom))
		for _, ctx := range contexts {
			wantEqual(t, "context ended", ctx.Err() != nil, true)
		}
	}()
	_, _ = rt.RoundTrip(newRequest(t, "GET", s.URL, nil))
}

func TestIdleConnectionsAreClosedOnRequest(t *testing.T) {
	var closed atomic.Int32
	client := &http.Client{Transport: resiliencehttp.New(closer{&closed}, nil)}
	client.CloseIdleConnections()
	wantEqual(t, "closed", closed.Load(), int32(1))
	resiliencehttp.New(tripper(nil), nil).CloseIdleConnections() // knows of none
}

type closer struct{ closed *atomic.Int32 }

func (c closer) RoundTrip(*http.Request) (*http.Response, error) { return nil, errBoom }
func (c closer) CloseIdleConnections()                           { c.closed.Add(1) }
