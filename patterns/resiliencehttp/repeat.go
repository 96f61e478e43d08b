package resiliencehttp

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
)

// idempotent is the rule that [WithRepeatable] replaces.
func idempotent(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	default:
		return carriesKey(req)
	}
}

// carriesKey reports whether req has a header by which the server recognizes a repetition. One without any value is the
// convention of net/http for a request that is idempotent, but sends no key.
func carriesKey(req *http.Request) bool {
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if values, ok := req.Header[name]; ok && (len(values) == 0 || values[0] != "") {
			return true
		}
	}
	return false
}

// requestBody is where the attempts of one exchange have their request body from.
type requestBody struct {
	repeatable bool                          // the request may be sent more than once
	again      func() (io.ReadCloser, error) // nil: there is no body, or it can be had only once
	buffered   bool                          // the request's own body is used up
	own        bool                          // what net/http would send a second time, it must not
}

// prepare finds out whether req may be repeated. On an error, its body is closed.
func (t *Transport) prepare(req *http.Request) (requestBody, error) {
	b := requestBody{repeatable: t.repeatable(req)}
	if !hasBody(req) {
		return b, nil
	}
	b.again, b.own = req.GetBody, idempotent(req)
	if !b.repeatable || b.again != nil {
		return b, nil
	}
	if req.ContentLength <= 0 || req.ContentLength > t.buffer {
		b.repeatable = false
		return b, nil
	}
	content, err := io.ReadAll(req.Body)
	closeBody(req)
	if err != nil {
		return b, fmt.Errorf("reading the body of the request: %w", err)
	}
	b.buffered = true
	b.again = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
	return b, nil
}

// request returns the request of the given attempt (1-based), without its context.
func (b *requestBody) request(req *http.Request, attempt int) (*http.Request, error) {
	r := *req
	if hasBody(req) {
		if b.own || b.buffered {
			r.GetBody = nil
		}
		if attempt > 1 || b.buffered {
			body, err := b.again()
			if err != nil {
				return nil, fmt.Errorf("getting the body of the request again: %w", err)
			}
			r.Body = body
		}
	}
	return &r, nil
}

func hasBody(req *http.Request) bool { return req.Body != nil && req.Body != http.NoBody }

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}
