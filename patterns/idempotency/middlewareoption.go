package idempotency

import (
	"cmp"
	"net/http"
)

// MiddlewareOption changes a [Middleware].
type MiddlewareOption func(*middleware)

// WithMethods sets which methods are guarded, instead of POST and PATCH.
func WithMethods(methods ...string) MiddlewareOption {
	return func(m *middleware) { m.methods = methods }
}

// WithRequiredKey refuses guarded requests without a key with 400, instead of letting them pass unguarded.
func WithRequiredKey() MiddlewareOption {
	return WithRequiredKeyFor(func(*http.Request) bool { return true })
}

// WithRequiredKeyFor is [WithRequiredKey] for the requests for which required is true: for a middleware that is in front
// of several routes. It must be safe for concurrent use.
func WithRequiredKeyFor(required func(*http.Request) bool) MiddlewareOption {
	return func(m *middleware) { m.required = required }
}

// WithStrictKeys takes only keys as the draft wants them, in double quotes, and refuses others with 400.
func WithStrictKeys() MiddlewareOption { return func(m *middleware) { m.strict = true } }

// WithHeaderName sets which header carries the key, instead of [KeyHeader].
func WithHeaderName(name string) MiddlewareOption {
	return func(m *middleware) { m.header = http.CanonicalHeaderKey(name) }
}

// WithPayload sets what must be the same each time that a key comes, besides the method and the path: the bytes that
// payload returns, instead of the query, the content type and the body. So a client can change what does not matter,
// such as the time of sending in the body, or must not change what else does, such as a header that selects a version.
//
// payload must not change or keep the body, which is nil if there is none, and must be safe for concurrent use. Of a
// body that it does not understand, it should return all.
func WithPayload(payload func(r *http.Request, body []byte) []byte) MiddlewareOption {
	return func(m *middleware) { m.payload = payload }
}

// WithMaxRequestBody sets how many bytes the body of a request with a key may have, instead of Config.MaxRequestBody.
func WithMaxRequestBody(bytes int64) MiddlewareOption {
	return func(m *middleware) { m.maxBody = bytes }
}

// WithMaxResponseBody sets how many bytes a response may have to be stored, instead of Config.MaxResponseBody.
func WithMaxResponseBody(bytes int64) MiddlewareOption {
	return func(m *middleware) { m.responses.maxBody = max(bytes, 0) }
}

// WithReplayedHeaders adds headers to those that are stored and replayed: Cache-Control, Content-Disposition,
// Content-Encoding, Content-Language, Content-Location, Content-Type, ETag, Last-Modified, Link, Location and Vary. What
// belongs to the first exchange is never replayed, even if it is named here: Set-Cookie, Date, the headers of
// authentication and those of the connection.
func WithReplayedHeaders(names ...string) MiddlewareOption {
	return func(m *middleware) { m.responses.keepHeaders(names) }
}

// WithStripeMode also stores responses with status 5xx, so that a request that has failed on the server is not carried
// out again under the same key.
func WithStripeMode() MiddlewareOption {
	return func(m *middleware) { m.responses.serverErrors = true }
}

// WithDocumentation sets the address of a page that explains to clients how the service treats keys and for how long it
// remembers them, which the draft wants each service to publish. It is the type of all problems and the target of their
// Link. Without it, they refer to the draft.
func WithDocumentation(address string) MiddlewareOption {
	return func(m *middleware) { m.documentation = cmp.Or(address, draft) }
}

func newMiddleware(g *Guard, scope Scope, opts []MiddlewareOption) middleware {
	m := middleware{
		guard: g, scope: scope, methods: []string{http.MethodPost, http.MethodPatch}, header: KeyHeader,
		required: func(*http.Request) bool { return false },
		maxBody:  g.cfg.MaxRequestBody, responses: keeping{maxBody: g.cfg.MaxResponseBody}, documentation: draft,
	}
	for _, opt := range opts {
		opt(&m)
	}
	if scope == nil {
		m.scope = func(*http.Request) string { return "" }
	}
	return m
}
