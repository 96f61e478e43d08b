package idempotency

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/steadyfx/steady/hooks"
)

// Scope names the principal or the tenant on whose behalf a request is made, as the server knows it. Keys of different
// scopes have nothing to do with each other. An empty name is refused with 403, so that requests whose caller could
// not be told never share keys by accident; a nil Scope names nobody.
type Scope func(*http.Request) string

// SharedScope is the [Scope] that says: all callers share their keys. Whoever sends another one's key, with the same
// request, gets the other one's response.
func SharedScope(*http.Request) string { return "shared" }

// Middleware guards handlers against requests that come more than once, as draft-ietf-httpapi-idempotency-key-header-07
// describes: the request header Idempotency-Key, quoted or not, names the action.
//
// A key belongs to a scope, a method and a route: the pattern of the http.ServeMux, or of another router that sets
// http.Request.Pattern, if the middleware runs inside of one, else the path. Method and route are the operation that
// events name. The method, the path, the query, the content type and the body must be the same each time, or what
// [WithPayload] says. The path is the one that the client asked for, whatever http.StripPrefix made of it. The host
// counts only where the pattern names it.
//
// The first request runs the handler. Its response is held back until it is stored, and then sent. Responses with
// status 2xx, 3xx and 4xx, except 408, 409, 425 and 429, are stored, with the headers that describe the content; any
// other gives the key back and goes to the client as it is. [WithStripeMode] stores 5xx too, and a handler decides
// otherwise with [KeepResponse] and [DiscardResponse]. A panic gives the key back, unless a part of a response that would
// be stored has been sent, and goes on. Later requests get the stored status, headers and body, with the header
// "Idempotent-Replayed: true", which a service with clients in browsers should expose by CORS.
//
// A 401 or a 403 of the handler is stored as well, and is the answer to a client that has got itself the right since.
// Authenticate outside of the middleware, where the scope comes from; and compress outside of it too, because the stored
// body goes to clients that accept other encodings.
//
// A response of more than Config.MaxResponseBody, and one that the handler flushes or hijacks, reaches the client as the
// handler writes it. It is not stored; that there was one is. Later requests get 410.
//
// The context of the handler is not cancelled when the client disconnects, because the client will want the response
// when it comes back. It keeps its deadline, if a handler further out has set one, and is cancelled when the claim is
// lost, see [Do]. A request that waits for another one, see Config.Wait, stops waiting when its client disconnects.
//
// All other answers are problems (RFC 9457, application/problem+json) with a member "code" and a link to the
// documentation: 400 for a header that is missing, but required, sent twice, empty, longer than Config.MaxKeyLength, or
// not printable ASCII; 403 for an empty scope; 413 for a body of more than Config.MaxRequestBody; 422 for a key that
// belongs to another request, be it still running or done; 409 with Retry-After while the first request is running; 500
// when there is a record that cannot be read; 503 with Retry-After when the store cannot be asked, unless
// Config.FailOpen says to run the handler all the same.
func Middleware(g *Guard, scope Scope, opts ...MiddlewareOption) func(http.Handler) http.Handler {
	m := newMiddleware(g, scope, opts)
	return func(next http.Handler) http.Handler {
		m := m
		m.next = next
		return &m
	}
}

type middleware struct {
	guard         *Guard
	scope         Scope
	methods       []string
	header        string // which carries the key
	strict        bool
	required      func(*http.Request) bool
	payload       func(*http.Request, []byte) []byte // nil: all that can matter
	maxBody       int64                              // of a request
	responses     keeping
	documentation string
	next          http.Handler
}

func (m *middleware) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !slices.Contains(m.methods, r.Method) {
		m.next.ServeHTTP(w, r)
		return
	}
	key, err := parseKey(r.Header[m.header], m.guard.cfg.MaxKeyLength, m.strict)
	if malformed, ok := errors.AsType[*MalformedKeyError](err); ok {
		m.refuse(w, m.keyMalformed(malformed))
		return
	}
	switch {
	case key != "":
		m.serve(w, r, key)
	case m.required(r):
		m.refuse(w, m.keyMissing())
	default:
		m.next.ServeHTTP(w, r)
	}
}

// serve handles a request with a key.
func (m *middleware) serve(w http.ResponseWriter, r *http.Request, key string) {
	scope := m.scope(r)
	if scope == "" {
		m.refuse(w, m.callerUnknown())
		return
	}
	body, err := readBody(w, r, m.maxBody)
	if err != nil {
		if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok { // the limit may be that of a handler further out
			m.refuse(w, m.bodyTooLarge(tooLarge.Limit))
		} else {
			m.refuse(w, bodyUnreadable())
		}
		return
	}
	path := requestedPath(r)
	call := Call{
		Operation: operation(r, path), Scope: scope, Key: key, Fingerprint: requestFingerprint(r, path, body, m.payload),
	}
	ctx, cancel := withoutDisconnect(r.Context())
	defer cancel()
	a, err := m.guard.admit(ctx, r.Context(), call)
	switch {
	case err != nil:
		m.refuse(w, m.problemOf(ctx, call, err))
	case a.claim.Outcome == Done:
		m.replay(ctx, w, call, a.claim.Value)
	case a.unprotected:
		m.handle(withoutClaim(ctx, call), w, r, body)
	default:
		m.act(ctx, w, r, call, a, body)
	}
}

// act runs the handler under a claim, and stores its response.
func (m *middleware) act(
	ctx context.Context, w http.ResponseWriter, r *http.Request, call Call, a admission, body []byte,
) {
	response := newRecorder(w, &m.responses)
	defer response.undo()
	e := m.guard.execution(call, a)
	e.response = response
	_ = e.run(ctx, a.asked, func(ctx context.Context) ([]byte, error) { // whose error only says not to store
		m.handle(ctx, response, r, body)
		if response.ttl > 0 {
			e.retention = response.ttl
		}
		return response.result()
	})
	response.finish()
}

// handle runs the handler with a body that it can read once more.
func (m *middleware) handle(ctx context.Context, w http.ResponseWriter, r *http.Request, body []byte) {
	inner := again(ctx, r, body)
	defer func() { r.MultipartForm = inner.MultipartForm }() // whose files net/http removes with the outer request
	m.next.ServeHTTP(w, inner)
}

func (m *middleware) replay(ctx context.Context, w http.ResponseWriter, call Call, stored []byte) {
	resp, err := decodeResponse(stored)
	switch {
	case err == nil:
		resp.replay(w)
	case errors.Is(err, errNotKept):
		m.refuse(w, m.notReplayable())
	default:
		m.refuse(w, m.unreadable(ctx, call, err))
	}
}

func (m *middleware) refuse(w http.ResponseWriter, p problem) { p.write(w, m.documentation) }

// problemOf says in HTTP why the guard did not let the handler run.
func (m *middleware) problemOf(ctx context.Context, call Call, err error) problem {
	if conflict, ok := errors.AsType[*ConflictError](err); ok {
		return m.outstanding(conflict.RetryAfter)
	}
	if _, ok := errors.AsType[*DuplicateRequestError](err); ok {
		return m.keyReused()
	}
	if broken, ok := errors.AsType[*StoreError](err); ok {
		if broken.Op == opDecrypt {
			return m.unreadable(ctx, call, err)
		}
		return m.recordUnreadable()
	}
	return m.storeDown()
}

// unreadable tells the operator, because the client cannot do anything about it.
func (m *middleware) unreadable(ctx context.Context, call Call, err error) problem {
	hooks.Emit(ctx, m.guard.bus, hooks.IdempotencyStoreFailed{Operation: call.Operation, Err: err, At: time.Now()})
	return m.responseUnreadable()
}

// withoutDisconnect returns ctx without its cancellation, but with its deadline.
func withoutDisconnect(ctx context.Context) (context.Context, context.CancelFunc) {
	detached := context.WithoutCancel(ctx)
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithDeadline(detached, deadline)
	}
	return detached, func() {}
}
