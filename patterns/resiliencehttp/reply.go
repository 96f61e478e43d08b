package resiliencehttp

import (
	"io"
	"net/http"
	"time"
)

// reply is a response together with what ends its attempt.
type reply struct {
	resp    *http.Response
	failure *StatusError // nil unless the response is a failure
	release func()       // ends the context; may be called more than once
}

// A response that is discarded for another attempt is read to its end, so that its connection can be used again, but no
// longer and no further than this. Otherwise the connection is closed.
const (
	drainBytes = 64 << 10
	drainTime  = 50 * time.Millisecond
)

// discard drains and closes a response.
func (r *reply) discard() {
	if r.resp.ContentLength <= drainBytes { // or is unknown
		timer := time.AfterFunc(drainTime, r.release)
		defer timer.Stop()
		_, _ = io.CopyN(io.Discard, r.resp.Body, drainBytes+1)
	}
	r.close()
}

// close closes a response as it is.
func (r *reply) close() {
	_ = r.resp.Body.Close()
	r.release()
}

// wrapBody makes the end of the body that of the attempt.
func (r *reply) wrapBody() {
	b := &responseBody{ReadCloser: r.resp.Body, release: r.release}
	switch w, upgraded := r.resp.Body.(io.Writer); {
	case r.resp.Body == http.NoBody:
		r.release()
	case upgraded:
		r.resp.Body = struct {
			*responseBody
			io.Writer
		}{b, w}
	default:
		r.resp.Body = b
	}
}

// responseBody ends the attempt when it has been read to its end, fails or is closed.
type responseBody struct {
	io.ReadCloser
	release func()
}

// Read reads from the body.
func (b *responseBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.release()
	}
	return n, err
}

// Close closes the body first, so that a reader finds it closed and not cancelled.
func (b *responseBody) Close() error {
	err := b.ReadCloser.Close()
	b.release()
	return err
}
