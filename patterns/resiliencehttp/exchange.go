package resiliencehttp

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/steadyfx/steady/patterns"
)

// exchange is one call of RoundTrip: its attempts, one after the other or at once, and their responses.
type exchange struct {
	transport *Transport
	req       *http.Request
	host      patterns.Policy // nil: none
	body      requestBody

	mu       sync.Mutex
	attempts int
	over     bool     // RoundTrip has returned, or is about to
	only     error    // of the attempt of a request that must not be repeated
	failed   *reply   // the latest one whose status is a failure; it is in open
	open     []*reply // what is neither closed nor handed out
}

// errNoResponse is the error when a policy says that all is well although no attempt was.
var errNoResponse = errors.New("resiliencehttp: the policy succeeded without a response: it must not hide errors")

// errNothing is the error when the next http.RoundTripper breaks its contract.
var errNothing = errors.New("resiliencehttp: the next http.RoundTripper returned neither a response nor an error")

// onlyOnce is why a request that must not be repeated is not.
const onlyOnce = "it may be sent only once; give it an Idempotency-Key, if the server knows that, and a body with GetBody"

// run is the operation of the policy.
func (x *exchange) run(ctx context.Context) (*http.Response, error) {
	if x.host == nil {
		return x.attempt(ctx)
	}
	return patterns.Do(ctx, x.host, x.attempt)
}

func (x *exchange) attempt(ctx context.Context) (*http.Response, error) {
	attempt, previous, err := x.begin()
	if err != nil {
		return nil, err
	}
	if previous != nil {
		previous.discard()
	}
	return x.end(x.send(ctx, attempt))
}

// begin counts an attempt and returns the failed response that it replaces, if there is one.
func (x *exchange) begin() (attempt int, previous *reply, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.over:
		return 0, nil, notSent(x.req, "RoundTrip has returned")
	case x.attempts == 0 || x.body.repeatable:
	case x.only != nil:
		return 0, nil, x.only
	default:
		return 0, nil, notSent(x.req, onlyOnce)
	}
	x.attempts++
	previous = x.failed
	x.forget(previous)
	x.failed = nil
	return x.attempts, previous, nil
}

// send makes one attempt. Its context is that of the policy until there is a response; from then on it is the policy's
// deadline and the caller's context that end it.
func (x *exchange) send(policy context.Context, attempt int) (*reply, error) {
	req, err := x.body.request(x.req, attempt)
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancelCause(context.WithoutCancel(policy))
	release := func() { end(nil) }
	if deadline, ok := policy.Deadline(); ok {
		var stop context.CancelFunc
		ctx, stop = context.WithDeadline(ctx, deadline)
		release = func() { stop(); end(nil) }
	}
	caller := x.req.Context()
	detach := context.AfterFunc(policy, func() { end(context.Cause(policy)) })
	forget := context.AfterFunc(caller, func() { end(context.Cause(caller)) })
	r := &reply{release: func() { forget(); release() }}
	returned := false
	defer func() {
		if !returned { // an error or a panic
			detach()
			r.release()
		}
	}()
	r.resp, err = x.transport.next.RoundTrip(req.WithContext(ctx)) //nolint:bodyclose // closed by who gets it
	if err == nil && r.resp == nil {
		err = errNothing
	}
	if err != nil {
		return nil, withCause(policy, err)
	}
	if !detach() { // the response came with the end of its context, which has spoiled it
		_ = r.resp.Body.Close()
		return nil, patterns.Ended(policy)
	}
	r.resp.Request = x.req
	if x.transport.failure(r.resp) {
		r.failure = statusErrorOf(r.resp)
	}
	returned = true
	r.wrapBody()
	return r, nil
}

// end takes the outcome of an attempt and turns it into one for the policy.
func (x *exchange) end(r *reply, err error) (*http.Response, error) {
	if r != nil && r.failure != nil {
		err = r.failure
	}
	if err != nil && !x.body.repeatable {
		err = permanent{err}
	}
	if unwanted := x.keep(r, err); unwanted != nil {
		unwanted.close()
	}
	if err != nil {
		return nil, err
	}
	return r.resp, nil
}

// keep records the outcome of an attempt. It returns the response that nobody can get any more because of that, if
// there is one: the last failed one, or r itself if it comes too late.
func (x *exchange) keep(r *reply, err error) (unwanted *reply) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.body.repeatable {
		x.only = err
	}
	if x.over || r == nil {
		return r
	}
	x.open = append(x.open, r)
	if r.failure != nil {
		unwanted = x.failed
		x.forget(unwanted)
		x.failed = r
	}
	return unwanted
}

// result returns what RoundTrip returns for the outcome of the policy.
func (x *exchange) result(resp *http.Response, err error) (*http.Response, error) {
	if resp == nil {
		resp = x.failedResponse(err)
	}
	if resp != nil {
		x.handOut(resp)
		return resp, nil
	}
	if p, ok := err.(permanent); ok { //nolint:errorlint // only what is outermost can be taken off
		err = p.error
	}
	return nil, withCause(x.req.Context(), cmp.Or(err, errNoResponse))
}

// failedResponse returns the response behind err, which the caller gets in its place, or nil.
func (x *exchange) failedResponse(err error) *http.Response {
	if x.req.Context().Err() != nil {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.failed == nil || err != nil && !errors.Is(err, x.failed.failure) {
		return nil
	}
	return x.failed.resp
}

// handOut leaves resp to the caller.
func (x *exchange) handOut(resp *http.Response) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, r := range x.open {
		if r.resp == resp {
			x.forget(r)
			return
		}
	}
}

// abandon closes what was not handed out. Attempts that are still in flight close what they get by themselves.
func (x *exchange) abandon() {
	x.mu.Lock()
	x.over = true
	open, attempts := x.open, x.attempts
	x.open, x.failed = nil, nil
	x.mu.Unlock()
	for _, r := range open {
		r.close()
	}
	if attempts == 0 && !x.body.buffered {
		closeBody(x.req)
	}
}

// forget takes r off the list of open ones. The caller holds the lock.
func (x *exchange) forget(r *reply) {
	for i, other := range x.open {
		if other == r {
			x.open = append(x.open[:i], x.open[i+1:]...)
			return
		}
	}
}
