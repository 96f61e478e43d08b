package idempotency

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Scope names the principal or the tenant on whose behalf a request is made, as the server knows it. Keys of different
// scopes have nothing to do with each other. An empty name is refused with 403, so that requests whose caller could
// not be told never share keys by accident; a nil Scope names nobody.
type Scope func(*http.Request) string

// SharedScope is the [Scope] that says: all callers share their keys. Whoever sends another one's key, with the same
// request, gets the other one's response.
func SharedScope(*http.Request) string { return "shared" }

// MiddlewareOption changes a [Middleware].
type MiddlewareOption func(*middleware)

// WithMethods sets which methods are guarded, instead of POST and PATCH.
func WithMethods(methods ...string) MiddlewareOption {
	return func(m *middleware) { m.methods = methods }
}

// WithRequiredKey refuses guarded requests without a key with 400, instead of letting them pass unguarded.
func WithRequiredKey() MiddlewareOption { return func(m *middleware) { m.required = true } }

// WithMaxRequestBody sets how many bytes the body of a request with a key may have, instead of 1 MiB.
func WithMaxRequestBody(bytes int64) MiddlewareOption {
	return func(m *middleware) { m.maxBody = bytes }
}

// WithDocumentation sets the address of a page that explains to clients how the service treats keys. It is the type of
// all problems.
func WithDocumentation(address string) MiddlewareOption {
	return func(m *middleware) { m.documentation = address }
}

// Middleware guards handlers against requests that come more than once, as draft-ietf-httpapi-idempotency-key-header-07
// describes: the request header Idempotency-Key, quoted or not, names the action.
//
// A key belongs to a scope, a method and a route: the pattern of the http.ServeMux if the middleware runs inside of
// one, else the path. Method and route are the operation that events name. The method, the path, the query, the
// content type and the body must be the same each time. The path is the one that the client asked for, whatever
// http.StripPrefix made of it. The host counts only where the pattern names it.
//
// The first request runs the handler. Its response is held back until it is stored, and then sent. Responses with
// status 2xx, 3xx and 4xx, except 408, 409, 425 and 429, are stored, with the headers that describe the content; any
// other gives the key back and goes to the client as it is. A panic gives the key back and goes on. Later requests get
// the stored status, headers and body, with the header "Idempotent-Replayed: true", which a service with clients in
// browsers should expose by CORS.
//
// A response of more than 1 MiB, and one that the handler flushes or hijacks, reaches the client as the handler writes
// it. It is not stored; that there was one is. Later requests get 410.
//
// The context of the handler is not cancelled when the client disconnects, because the client will want the response
// when it comes back. It keeps its deadline, if a handler further out has set one, and is cancelled when the claim is
// lost, see [Do].
//
// All other answers are problems (RFC 9457, application/problem+json) with a member "code": 400 for a header that is
// missing, but required, sent twice, empty, longer than Config.MaxKeyLength, or not printable ASCII; 403 for an empty
// scope; 413 for a body that is too large; 422 for a key that belongs to another request, be it still running or done;
// 409 with Retry-After while the first request is running; 503 with Retry-After when the store cannot be asked.
func Middleware(g *Guard, scope Scope, opts ...MiddlewareOption) func(http.Handler) http.Handler {
	m := middleware{
		guard: g, scope: scope, methods: []string{http.MethodPost, http.MethodPatch}, maxBody: 1 << 20,
	}
	for _, opt := range opts {
		opt(&m)
	}
	if scope == nil {
		m.scope = func(*http.Request) string { return "" }
	}
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
	required      bool
	maxBody       int64
	documentation string
	next          http.Handler
}

// errNotStored is the error of a handler whose response is not to be stored.
var errNotStored = errors.New("the response is not stored")

func (m *middleware) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !slices.Contains(m.methods, r.Method) {
		m.next.ServeHTTP(w, r)
		return
	}
	key, err := keyOf(r.Header, m.guard.cfg.MaxKeyLength)
	switch {
	case err != nil:
		m.refuse(w, keyMalformed(err))
	case key != "":
		m.serve(w, r, key)
	case m.required:
		m.refuse(w, keyMissing())
	default:
		m.next.ServeHTTP(w, r)
	}
}

// serve handles a request with a key.
func (m *middleware) serve(w http.ResponseWriter, r *http.Request, key string) {
	scope := m.scope(r)
	if scope == "" {
		m.refuse(w, callerUnknown())
		return
	}
	body, err := m.readBody(w, r)
	if err != nil {
		if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok { // the limit may be that of a handler further out
			m.refuse(w, bodyTooLarge(tooLarge.Limit))
		} else {
			m.refuse(w, bodyUnreadable())
		}
		return
	}
	ctx, cancel := withoutDisconnect(r.Context())
	defer cancel()
	call := Call{Operation: r.Method + " " + route(r), Scope: scope, Key: key, Fingerprint: fingerprintOf(r, body)}
	recorder := newRecorder(w)
	claim, err := m.guard.run(ctx, call, func(ctx context.Context) ([]byte, error) {
		m.handle(withCall(ctx, call), recorder, r, body)
		return recorder.result()
	})
	switch {
	case err == nil && claim.Outcome == Done:
		m.replay(w, claim.Value)
	case err == nil, errors.Is(err, errNotStored):
		recorder.finish()
	default:
		m.refuse(w, problemOf(err))
	}
}

// handle runs the handler with a body that it can read once more.
func (m *middleware) handle(ctx context.Context, w http.ResponseWriter, r *http.Request, body []byte) {
	inner := r.WithContext(ctx)
	inner.Body = io.NopCloser(bytes.NewReader(body))
	defer func() { r.MultipartForm = inner.MultipartForm }() // whose files net/http removes with the outer request
	m.next.ServeHTTP(w, inner)
}

func (m *middleware) replay(w http.ResponseWriter, stored []byte) {
	resp, err := decodeResponse(stored)
	switch {
	case err == nil:
		resp.replay(w)
	case errors.Is(err, errNotKept):
		m.refuse(w, notReplayable())
	default:
		m.refuse(w, unreadable())
	}
}

func (m *middleware) refuse(w http.ResponseWriter, p problem) { p.write(w, m.documentation) }

// readBody reads all of the body, unless it is too large.
func (m *middleware) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	switch {
	case r.Body == nil:
		return nil, nil
	case r.ContentLength > m.maxBody: // before the client is told to go on and send it
		return nil, &http.MaxBytesError{Limit: m.maxBody}
	}
	return io.ReadAll(http.MaxBytesReader(w, r.Body, m.maxBody))
}

// withoutDisconnect returns ctx without its cancellation, but with its deadline.
func withoutDisconnect(ctx context.Context) (context.Context, context.CancelFunc) {
	detached := context.WithoutCancel(ctx)
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithDeadline(detached, deadline)
	}
	return detached, func() {}
}

// route returns the pattern that the mux found, without the method, or the path.
func route(r *http.Request) string {
	if r.Pattern == "" {
		return requestedPath(r)
	}
	if method := strings.IndexAny(r.Pattern, " \t"); method >= 0 {
		return strings.TrimLeft(r.Pattern[method:], " \t")
	}
	return r.Pattern
}

// requestedPath returns the path in the request line. A handler further out may have cut r.URL.Path, and what two such
// handlers leave can be the same for different resources.
func requestedPath(r *http.Request) string {
	if requested, err := url.ParseRequestURI(r.RequestURI); err == nil {
		return requested.EscapedPath()
	}
	return r.URL.EscapedPath()
}

func fingerprintOf(r *http.Request, body []byte) []byte {
	return Fingerprint([]byte(r.Method), []byte(requestedPath(r)), []byte(canonicalQuery(r.URL.RawQuery)),
		[]byte(r.Header.Get("Content-Type")), body)
}

// canonicalQuery sorts the query by name. The order of values of one name is kept, because it can mean something.
func canonicalQuery(raw string) string {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return raw // which ParseQuery has read in part only
	}
	return query.Encode()
}

// problemOf says in HTTP why the guard did not let the handler run.
func problemOf(err error) problem {
	if conflict, ok := errors.AsType[*ConflictError](err); ok {
		return outstanding(conflict.RetryAfter)
	}
	if _, ok := errors.AsType[*DuplicateRequestError](err); ok {
		return keyReused()
	}
	return storeDown()
}
