package resiliencehttp

import (
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
)

// keyHeader is the header by which a server recognizes a request that comes again.
const keyHeader = "Idempotency-Key"

// WithIdempotencyKeys gives an Idempotency-Key to the requests that could be sent only once without: those whose method
// is not idempotent, and that have none. All attempts carry the same key, so that the server, if it knows such keys,
// carries the request out once. A second request to the transport, be it with the same content or by a redirect, is
// another one and gets another key: who repeats requests by other means, or in another process, sets the header before.
// The key is in the header of the Request of the response.
//
// newKey returns the value of the header, in the form that the server wants, or nothing for a request that is to have
// none. It is for servers with a rule of their own, and for keys that are derived from the content. It must not change
// the request and must be safe for concurrent use. A nil newKey is a random UUID in double quotes, as
// draft-ietf-httpapi-idempotency-key-header-07 recommends.
func WithIdempotencyKeys(newKey func(*http.Request) string) Option {
	if newKey == nil {
		newKey = quotedUUID
	}
	return func(t *Transport) { t.newKey = newKey }
}

// withKey returns req, or a copy with a key if it is to have one.
func (t *Transport) withKey(req *http.Request) *http.Request {
	if t.newKey == nil || idempotent(req) {
		return req
	}
	key := t.newKey(req)
	if key == "" {
		return req
	}
	keyed := *req
	keyed.Header = make(http.Header, len(req.Header)+1)
	maps.Copy(keyed.Header, req.Header)
	keyed.Header.Set(keyHeader, key)
	return &keyed
}

// quotedUUID returns a random UUID (RFC 9562, version 4) as a String of RFC 8941.
func quotedUUID(*http.Request) string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // which cannot fail
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return fmt.Sprintf(`"%x-%x-%x-%x-%x"`, id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// outstanding reports whether a response says that the same request, sent before, is still being carried out.
func outstanding(resp *http.Response) bool {
	return resp.StatusCode == http.StatusConflict && resp.Header.Get("Retry-After") != "" && carriesKey(resp.Request)
}
