package resiliencehttp

import (
	"context"
	"mime/multipart"
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/steadyfx/steady/patterns"
)

// HandlerOption changes a [Handler].
type HandlerOption func(*handler)

// WithRequestPolicy runs each request through what policyOf returns for it, inside of the policy of [Handler]: for
// example a rate limit for each client, by ratelimit.Keyed.For. A nil policy adds nothing. policyOf must be safe for
// concurrent use.
func WithRequestPolicy(policyOf func(*http.Request) patterns.Policy) HandlerOption {
	return func(h *handler) { h.policyOf = policyOf }
}

// Handler runs handlers under policy, nil meaning patterns.Direct. The policy gets the context of the request, so a
// request whose client has gone waits for nothing, and the handler gets the context of the policy. The handler is run
// at most once, whatever the policy repeats. A panic passes through after the policy has released what it held.
//
// A rate limit refuses a request rather than let it wait without a bound: wherever it is in the policy, it lets a request
// wait for up to its own MaxWait, or until the deadline of the request or of a timeout around it. If there is neither, as
// by default, a request that it does not let through is refused at once (see patterns.WithBoundedWaits). That does not
// hold for limiters that the handler itself calls.
//
// To the policy, the handler failed if it wrote a status of 5xx, or if its context ended before it wrote any. If the
// handler wrote a status, that is the response. Otherwise an error of the policy becomes a problem (RFC 9457,
// application/problem+json) with a member "code":
//
//   - 429 if a rate limit refused the request: the error is a [RateLimiter], such as a ratelimit.LimitedError;
//   - 503 if another policy refused it, such as an open circuit or a full bulkhead, or if it was not run in time;
//   - 504 if the handler ran out of time. Other than with 429 and 503, it may have done something;
//   - 500 for any other error.
//
// 429 and 503 have Retry-After: what the error asks for (see patterns.RetryIn), but at least 1 s. If the policy is a
// [RateLimiter], or has some among its patterns.Members, as a pipeline may, every response has RateLimit and
// RateLimit-Policy.
//
// Responses are not buffered; flushing, hijacking and http.ResponseController work. If the policy stops waiting for the
// handler before that wrote anything, the problem is sent and what the handler writes from then on fails with
// http.ErrHandlerTimeout; if it did write, its response is waited for.
func Handler(policy patterns.Policy, opts ...HandlerOption) func(http.Handler) http.Handler {
	h := handler{policy: policy, limiters: limitersOf(policy)}
	for _, opt := range opts {
		opt(&h)
	}
	return func(next http.Handler) http.Handler {
		h := h
		h.next = next
		return &h
	}
}

type handler struct {
	policy   patterns.Policy // nil: none
	limiters []RateLimiter   // in policy
	policyOf func(*http.Request) patterns.Policy
	next     http.Handler
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var own patterns.Policy
	if h.policyOf != nil {
		own = h.policyOf(r)
	}
	limiters := slices.Concat(h.limiters, limitersOf(own))
	c := &call{next: h.next, r: r, w: newWriter(w), limiters: limiters, done: make(chan struct{})}
	ctx := patterns.WithBoundedWaits(r.Context(), true)
	c.answer(patterns.Compose(h.policy, own).Execute(ctx, c.run))
}

// call is one request to a handler.
type call struct {
	next     http.Handler
	r        *http.Request
	w        *writer
	limiters []RateLimiter

	begun atomic.Bool   // by the handler, which may begin once; or it never may
	done  chan struct{} // closed when the handler has ended; what follows is set before

	returned bool // it did not panic
	err      error
	form     *multipart.Form
}

// errRunning is the error of a second attempt beside the first one.
var errRunning = &refusal{"the handler is still running, and is never run twice"}

// run is the operation of the policy.
func (c *call) run(ctx context.Context) error {
	if c.begun.Swap(true) {
		select {
		case <-c.done:
			return c.err
		default:
			return errRunning
		}
	}
	defer close(c.done)
	setRateLimit(c.w.Header(), limitsOf(c.limiters))
	r := c.r.WithContext(patterns.WithBoundedWaits(ctx, patterns.BoundedWaits(c.r.Context()))) // as it was
	c.next.ServeHTTP(c.w, r)
	c.returned, c.form = true, r.MultipartForm
	switch {
	case c.w.status >= http.StatusInternalServerError:
		c.err = permanent{&StatusError{Method: method(c.r), StatusCode: c.w.status}}
	case c.w.status == 0 && ctx.Err() != nil:
		c.err = permanent{patterns.Ended(ctx)}
	}
	return c.err
}

// answer sees to the response after the policy has returned err.
func (c *call) answer(err error) {
	if !c.begun.Swap(true) {
		c.refuse(err, false)
		return
	}
	select {
	case <-c.done:
	default: // the policy did not wait
		if err != nil && c.w.take() {
			c.refuse(err, true)
			return
		}
		<-c.done
	}
	if !c.returned {
		panic(http.ErrAbortHandler) // as the handler did, after the policy had returned
	}
	c.r.MultipartForm = c.form // whose files net/http removes
	if c.w.status == 0 && err != nil {
		c.refuse(err, true)
		return
	}
	c.w.finish()
}

func (c *call) refuse(err error, ran bool) {
	limits, limited := limitsBehind(err, c.limiters)
	setRateLimit(c.w.w.Header(), limits)
	problemOf(err, ran, limited).write(c.w.w)
}
