package idempotency

import (
	"bufio"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"time"
)

// recorder holds a response back until it is stored. A response that grows too large, is flushed or hijacked goes to
// the client as the handler writes it from then on.
type recorder struct {
	w       http.ResponseWriter
	keeping *keeping
	header  http.Header // of w, and the handler's
	before  fields      // header as the handler found it

	status   int    // 0: not written yet
	sent     fields // header as it was when the status was written
	length   int64  // as declared by Content-Length, or -1
	written  int64
	stored   []byte // what will be stored, as far as it was written; nil once started
	head     int    // where the body begins in it
	started  bool   // status, header and body so far were sent
	hijacked bool

	decision decision
	ttl      time.Duration // 0 or less: that of the call
}

// errNotStored is why a response is not the answer to later requests.
var errNotStored = errors.New("the response is not stored")

func newRecorder(w http.ResponseWriter, k *keeping) *recorder {
	header := w.Header()
	return &recorder{w: w, keeping: k, header: header, before: fieldsOf(header), length: -1}
}

// Header returns the header, which the handler may change until it writes the status.
func (r *recorder) Header() http.Header { return r.header }

// Unwrap lets http.ResponseController reach what r does not know.
func (r *recorder) Unwrap() http.ResponseWriter { return r.w }

// WriteHeader records the status, the first time. An informational one is sent at once.
func (r *recorder) WriteHeader(status int) {
	switch {
	case r.hijacked || r.status != 0:
	case status >= 100 && status < 200 && status != http.StatusSwitchingProtocols:
		r.w.WriteHeader(status)
	default:
		r.status, r.sent = status, fieldsOf(r.header)
		r.stored = appendHead(make([]byte, 0, headRoom), status, r.sent, r.keeping)
		r.head = len(r.stored)
		if declared := first(r.header, "Content-Length"); declared != "" { // an error costs more than to look
			if length, err := strconv.ParseInt(declared, 10, 64); err == nil && length >= 0 {
				r.length = length
			}
		}
	}
}

// Write records or sends a part of the body. It fails where that of net/http would.
func (r *recorder) Write(p []byte) (int, error) {
	held, err := r.accept(len(p))
	switch {
	case err != nil:
		return 0, err
	case held:
		r.stored = append(r.stored, p...)
		return len(p), nil
	default:
		return r.w.Write(p)
	}
}

// WriteString is Write for io.WriteString.
func (r *recorder) WriteString(s string) (int, error) {
	held, err := r.accept(len(s))
	switch {
	case err != nil:
		return 0, err
	case held:
		r.stored = append(r.stored, s...)
		return len(s), nil
	default:
		return io.WriteString(r.w, s)
	}
}

// accept reports whether n more bytes of the body are held back. If not, what was held back has been sent.
func (r *recorder) accept(n int) (held bool, err error) {
	switch {
	case r.hijacked:
		return false, http.ErrHijacked
	case r.status == 0:
		r.WriteHeader(http.StatusOK)
	}
	switch {
	case n == 0:
		return true, nil
	case r.status < 200 || r.status == http.StatusNoContent || r.status == http.StatusNotModified:
		return false, http.ErrBodyNotAllowed
	}
	r.written += int64(n)
	switch {
	case r.length >= 0 && r.written > r.length:
		return false, http.ErrContentLength
	case !r.started && r.held()+int64(n) <= r.keeping.maxBody:
		return true, nil
	}
	return false, r.start()
}

// held is how long the body is that is held back, until start.
func (r *recorder) held() int64 { return int64(len(r.stored) - r.head) }

// ReadFrom is Write for io.Copy. What is not held back, the connection may send without a copy, for example of a file.
func (r *recorder) ReadFrom(src io.Reader) (n int64, err error) {
	if !r.started {
		room := r.keeping.maxBody - r.held()
		n, err = io.Copy(writer{r}, io.LimitReader(src, max(room, room+1))) // one more shows that it does not fit
		if err != nil || !r.started {
			return n, err
		}
	}
	more, err := io.Copy(r.w, src)
	return n + more, err
}

// writer hides ReadFrom.
type writer struct{ io.Writer }

// Flush sends what was written so far.
func (r *recorder) Flush() { _ = r.FlushError() }

// FlushError is Flush for http.ResponseController.
func (r *recorder) FlushError() error {
	if r.hijacked {
		return http.ErrHijacked
	}
	if err := r.start(); err != nil {
		return err
	}
	return http.NewResponseController(r.w).Flush()
}

// Hijack hands the connection to the handler. What was written before is sent first.
func (r *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if r.status != 0 && !r.hijacked {
		if err := r.start(); err != nil {
			return nil, nil, err
		}
	}
	conn, rw, err := http.NewResponseController(r.w).Hijack()
	if err == nil {
		r.hijacked = true
	}
	return conn, rw, err
}

// start sends what was recorded so far; from then on nothing is. What the handler has put into the header since it wrote
// the status is there again after that: of it, net/http takes the trailers.
func (r *recorder) start() error {
	if r.started {
		return nil
	}
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	r.started = true
	var late http.Header
	if !r.sent.equal(r.header) {
		late = r.sent.changed(r.header)
		r.sent.restore(r.header)
	}
	r.w.WriteHeader(r.status)
	var err error
	if body := r.stored[r.head:]; len(body) > 0 {
		_, err = r.w.Write(body)
	}
	r.stored = nil
	maps.Copy(r.header, late)
	return err
}

// begun reports whether the client may have received a part of the response: what cannot be taken back.
func (r *recorder) begun() bool { return r.started || r.hijacked }

// result is called once the handler is done. It returns what to store, or errNotStored if a later request with the
// same key is to be handled anew.
func (r *recorder) result() ([]byte, error) {
	if r.status == 0 && !r.hijacked {
		r.WriteHeader(http.StatusOK)
	}
	kept := r.hijacked || r.keeping.status(r.status)
	switch r.decision {
	case keep:
		kept = true
	case discard:
		kept = false
	}
	switch {
	case !kept:
		return nil, errNotStored
	case r.begun():
		return tombstone(), nil
	default:
		return r.stored, nil
	}
}

// finish sends what was held back.
func (r *recorder) finish() {
	if !r.hijacked {
		_ = r.start() // fails only for a client that is gone
	}
}

// undo leaves no trace of a response that was not sent, for a handler further out that recovers from a panic.
func (r *recorder) undo() {
	if !r.begun() {
		r.before.restore(r.header)
	}
}
