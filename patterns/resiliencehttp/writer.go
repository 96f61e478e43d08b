package resiliencehttp

import (
	"bufio"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
)

// writer is the http.ResponseWriter of a handler that the policy may stop waiting for. The response belongs to whoever
// claims it first: the handler by writing, or the one who answers in its place.
type writer struct {
	w      http.ResponseWriter
	header http.Header // the handler's; w's own is left alone until it writes
	owner  atomic.Int32
	status int // 0: not written yet
}

// Owners of a response.
const (
	nobody int32 = iota
	theHandler
	another
)

func newWriter(w http.ResponseWriter) *writer { return &writer{w: w, header: w.Header().Clone()} }

// take takes the response away from the handler, if it has not begun to write.
func (w *writer) take() bool { return w.owner.CompareAndSwap(nobody, another) }

// claim makes the response the handler's, if it is not another's.
func (w *writer) claim() bool {
	return w.owner.CompareAndSwap(nobody, theHandler) || w.owner.Load() == theHandler
}

// Header returns the header, which the handler may change until it writes the status.
func (w *writer) Header() http.Header { return w.header }

// Unwrap lets http.ResponseController reach what w does not know.
func (w *writer) Unwrap() http.ResponseWriter { return w.w }

// WriteHeader sends the status, the first time, and informational ones before.
func (w *writer) WriteHeader(status int) {
	if w.status != 0 || !w.claim() {
		return
	}
	w.sendHeader()
	if status < 100 || status >= 200 || status == http.StatusSwitchingProtocols {
		w.status = status
	}
	w.w.WriteHeader(status)
}

// Write sends a part of the body.
func (w *writer) Write(p []byte) (int, error) {
	if err := w.begin(); err != nil {
		return 0, err
	}
	return w.w.Write(p)
}

// ReadFrom sends a part of the body in the way that costs the server the least.
func (w *writer) ReadFrom(src io.Reader) (int64, error) {
	if err := w.begin(); err != nil {
		return 0, err
	}
	return io.Copy(w.w, src)
}

// Flush sends what was written so far.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError is Flush for http.ResponseController.
func (w *writer) FlushError() error {
	if err := w.begin(); err != nil {
		return err
	}
	return http.NewResponseController(w.w).Flush()
}

// Hijack hands the connection to the handler.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !w.claim() {
		return nil, nil, http.ErrHandlerTimeout
	}
	conn, rw, err := http.NewResponseController(w.w).Hijack()
	if err == nil {
		w.status = http.StatusSwitchingProtocols
	}
	return conn, rw, err
}

// begin sees to it that a status is sent before the body.
func (w *writer) begin() error {
	if !w.claim() {
		return http.ErrHandlerTimeout
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return nil
}

// finish follows a handler that has returned. If it wrote nothing, net/http sends a status and the header that is set
// here; otherwise it sends the trailers.
func (w *writer) finish() {
	if w.status == 0 {
		w.sendHeader()
	} else {
		w.sendTrailers()
	}
}

// sendTrailers passes on what the handler has put into the header for the end of the body.
func (w *writer) sendTrailers() {
	declared := strings.Join(w.header["Trailer"], ",")
	for name, values := range w.header {
		isDeclared := func(d string) bool { return http.CanonicalHeaderKey(strings.TrimSpace(d)) == name }
		if strings.HasPrefix(name, http.TrailerPrefix) || slices.ContainsFunc(strings.Split(declared, ","), isDeclared) {
			w.w.Header()[name] = values
		}
	}
}

// sendHeader makes the header of the response the handler's.
func (w *writer) sendHeader() {
	header := w.w.Header()
	maps.DeleteFunc(header, func(name string, _ []string) bool { _, ok := w.header[name]; return !ok })
	maps.Copy(header, w.header)
}
