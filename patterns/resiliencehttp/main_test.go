package resiliencehttp_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/resiliencehttp"
	"github.com/steadyfx/steady/patterns/retry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBoom = errors.New("boom")

func wantEqual(t *testing.T, what string, got, want any) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// server counts the requests and the connections that it gets.
type server struct {
	*httptest.Server
	requests, connections atomic.Int32
}

func newServer(t *testing.T, h http.HandlerFunc) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		h(w, r)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// answers gives one status after the other, the last one again and again, with the number of the request as the body.
func answers(statuses ...int) http.HandlerFunc {
	var n atomic.Int32
	return func(w http.ResponseWriter, _ *http.Request) {
		i := int(n.Add(1))
		w.WriteHeader(statuses[min(i, len(statuses))-1])
		_, _ = io.WriteString(w, strings.Repeat("x", 4096)+" "+string(rune('0'+i)))
	}
}

// wire is a real transport that knows how many bodies of responses are open.
type wire struct {
	*http.Transport
	open atomic.Int32
}

func newWire(t *testing.T) *wire {
	t.Helper()
	w := &wire{Transport: &http.Transport{}}
	t.Cleanup(func() {
		w.CloseIdleConnections()
		if open := w.open.Load(); open != 0 {
			t.Errorf("%d bodies are open", open)
		}
	})
	return w
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.Transport.RoundTrip(r)
	if err == nil && resp.Body != http.NoBody {
		w.open.Add(1)
		resp.Body = &counted{ReadCloser: resp.Body, open: &w.open}
	}
	return resp, err
}

type counted struct {
	io.ReadCloser
	open *atomic.Int32
	once sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.ReadCloser.Close()
}

// tripper is an http.RoundTripper that is no connection.
type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// requestBody notices whether it is closed.
type requestBody struct {
	io.Reader
	closed atomic.Int32
}

func (b *requestBody) Close() error { b.closed.Add(1); return nil }

func newRequest(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// read returns the whole body and closes it.
func read(t *testing.T, resp *http.Response) string {
	t.Helper()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("reading the body: %v", err)
	}
	_ = resp.Body.Close()
	return string(content)
}

// do sends a request whose response must come.
func do(t *testing.T, rt http.RoundTripper, r *http.Request) *http.Response {
	t.Helper()
	resp, err := rt.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func retries(t *testing.T, attempts int, opts ...retry.Option) *retry.Policy {
	t.Helper()
	p, err := retry.New("api", retry.Config{
		MaxAttempts: attempts, BaseDelay: time.Millisecond, MaxDelay: time.Minute, BackoffFactor: 1, Jitter: retry.NoJitter,
	}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// policy is one that knows nothing but Execute.
type policy func(ctx context.Context, op patterns.Operation) error

func (p policy) Execute(ctx context.Context, op patterns.Operation) error { return p(ctx, op) }

// seen keeps the errors of the attempts.
func seen(errs *[]error) patterns.Policy {
	return policy(func(ctx context.Context, op patterns.Operation) error {
		err := op(ctx)
		*errs = append(*errs, err)
		return err
	})
}

// wantStatusError finds out whether err is a failed response.
func wantStatusError(t *testing.T, err error, status int) *resiliencehttp.StatusError {
	t.Helper()
	e, ok := errors.AsType[*resiliencehttp.StatusError](err)
	if !ok || e.StatusCode != status || !errors.Is(err, patterns.ErrResilience) {
		t.Fatalf("got %v, want status %d", err, status)
	}
	return e
}
