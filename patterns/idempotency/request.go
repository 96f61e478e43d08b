package idempotency

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A request gets from minHint to maxHint bytes of memory for no more than saying how large it is.
const (
	minHint = 63
	maxHint = 64 << 10
)

// readBody reads all of the body, unless it is larger than limit.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	switch {
	case r.Body == nil || r.Body == http.NoBody:
		return nil, nil
	case r.ContentLength > limit: // before the client is told to go on and send it
		return nil, &http.MaxBytesError{Limit: limit}
	}
	// The length is a hint only: it may be a lie, or a handler further out has put another body in its place.
	body := make([]byte, 0, min(max(r.ContentLength, minHint), maxHint)+1)
	for src := http.MaxBytesReader(w, r.Body, limit); ; {
		n, err := src.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case errors.Is(err, io.EOF):
			return body, nil
		case err != nil:
			return nil, err
		case len(body) == cap(body):
			body = slices.Grow(body, len(body))
		}
	}
}

// again returns r with another context, and with a body that can be read once more.
func again(ctx context.Context, r *http.Request, body []byte) *http.Request {
	r = r.WithContext(ctx)
	r.Body = http.NoBody
	if len(body) > 0 {
		read := &readBefore{}
		read.Reset(body)
		r.Body = read
	}
	return r
}

// readBefore is the body of a request that was read before.
type readBefore struct{ bytes.Reader }

func (*readBefore) Close() error { return nil }

// operation returns the method and the route: the pattern that the router found, without its method, or the path.
func operation(r *http.Request, path string) string {
	if r.Pattern == "" {
		return r.Method + " " + path
	}
	route := r.Pattern
	if blank := strings.IndexAny(route, " \t"); blank >= 0 {
		route = strings.TrimLeft(route[blank:], " \t")
	}
	if len(r.Pattern) == len(r.Method)+len(" ")+len(route) && strings.HasPrefix(r.Pattern, r.Method+" ") {
		return r.Pattern // as it is nearly always written
	}
	return r.Method + " " + route
}

// requestedPath returns the path in the request line. A handler further out may have cut r.URL.Path, and what two such
// handlers leave can be the same for different resources.
func requestedPath(r *http.Request) string {
	path := r.URL.EscapedPath()
	if line, _, _ := strings.Cut(r.RequestURI, "?"); line == path {
		return path // as nearly always
	}
	if requested, err := url.ParseRequestURI(r.RequestURI); err == nil {
		return requested.EscapedPath()
	}
	return path
}

// requestFingerprint is [Fingerprint] for a request: its method, its path, and what payload returns or else its query,
// content type and body.
func requestFingerprint(
	r *http.Request, path string, body []byte, payload func(*http.Request, []byte) []byte,
) []byte {
	parts := make([]byte, 0, 256)
	parts = appendPart(parts, r.Method)
	parts = appendPart(parts, path)
	if payload != nil {
		body = payload(r, body)
	} else {
		parts = appendPart(parts, canonicalQuery(r.URL.RawQuery))
		parts = appendPart(parts, first(r.Header, "Content-Type"))
	}
	parts = binary.BigEndian.AppendUint64(parts, uint64(len(body)))
	h := sha256.New()
	h.Write(parts)
	h.Write(body)
	return h.Sum(nil)
}

func appendPart(parts []byte, part string) []byte {
	return append(binary.BigEndian.AppendUint64(parts, uint64(len(part))), part...)
}

// canonicalQuery sorts the query by name. The order of values of one name is kept, because it can mean something.
func canonicalQuery(raw string) string {
	if raw == "" {
		return ""
	}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return raw // which ParseQuery has read in part only
	}
	return query.Encode()
}
