package idempotency_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/memstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(sharing{m}) }

var errBoom = errors.New("boom")

func unavailable(op string) error {
	return &idempotency.BackendError{Backend: "test", Op: op, Err: errBoom}
}

// faultStore is a memory store whose calls can be made to fail: before they reach it, or after.
type faultStore struct {
	idempotency.Store

	mu            sync.Mutex
	calls         map[string]int
	before, after func(ctx context.Context, op string, n int) error // n counts the calls of op from 1
}

func newStore(t testing.TB) *faultStore {
	t.Helper()
	memory, err := memstore.NewIdempotency(memstore.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return &faultStore{Store: memory, calls: map[string]int{}}
}

// failing lets every call of op fail before it reaches the store.
func (s *faultStore) failing(op string) *faultStore {
	s.before = func(_ context.Context, called string, _ int) error {
		if called == op {
			return unavailable(op)
		}
		return nil
	}
	return s
}

func (s *faultStore) do(ctx context.Context, op string, call func() error) error {
	s.mu.Lock()
	s.calls[op]++
	n := s.calls[op]
	s.mu.Unlock()
	if s.before != nil {
		if err := s.before(ctx, op, n); err != nil {
			return err
		}
	}
	if err := call(); err != nil {
		return err
	}
	if s.after != nil {
		return s.after(ctx, op, n)
	}
	return nil
}

func (s *faultStore) count(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[op]
}

func (s *faultStore) Claim(ctx context.Context, req idempotency.ClaimRequest) (c idempotency.Claim, err error) {
	err = s.do(ctx, "claim", func() error { c, err = s.Store.Claim(ctx, req); return err })
	return c, err
}

func (s *faultStore) Complete(
	ctx context.Context, key string, token idempotency.Token, value []byte, ttl time.Duration,
) error {
	return s.do(ctx, "complete", func() error { return s.Store.Complete(ctx, key, token, value, ttl) })
}

func (s *faultStore) Extend(ctx context.Context, key string, token idempotency.Token, lease time.Duration) error {
	return s.do(ctx, "extend", func() error { return s.Store.Extend(ctx, key, token, lease) })
}

func (s *faultStore) Release(ctx context.Context, key string, token idempotency.Token) error {
	return s.do(ctx, "release", func() error { return s.Store.Release(ctx, key, token) })
}

func (s *faultStore) CleanupExpired(ctx context.Context, limit int) (n int, err error) {
	err = s.do(ctx, "cleanup", func() error { n, err = s.Store.CleanupExpired(ctx, limit); return err })
	return n, err
}

// eventLog keeps what was emitted.
type eventLog struct {
	bus hooks.Bus

	mu     sync.Mutex
	events []hooks.Event
}

func newEventLog() *eventLog {
	l := &eventLog{}
	hooks.On(&l.bus, func(_ context.Context, e hooks.Event) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.events = append(l.events, e)
	})
	return l
}

func (l *eventLog) all() []hooks.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.events)
}

// want fails the test unless exactly these events were emitted, in that order.
func (l *eventLog) want(t *testing.T, names ...string) {
	t.Helper()
	var got []string
	for _, e := range l.all() {
		got = append(got, e.EventName())
	}
	if !slices.Equal(got, names) {
		t.Errorf("events: got %q, want %q", got, names)
	}
}

func newGuard(t testing.TB, store idempotency.Store, cfg idempotency.Config) (*idempotency.Guard, *eventLog) {
	t.Helper()
	events := newEventLog()
	g, err := idempotency.New(store, cfg, idempotency.WithBus(&events.bus))
	if err != nil {
		t.Fatal(err)
	}
	return g, events
}

// charge is the call that most tests make.
func charge(key string) idempotency.Call { return idempotency.Call{Operation: "charge", Key: key} }

// returning is a function that counts its runs and returns v.
func returning[T any](runs *int, v T) func(context.Context) (T, error) {
	return func(context.Context) (T, error) {
		*runs++
		return v, nil
	}
}

// failing is a function that returns v and err.
func failing[T any](v T, err error) func(context.Context) (T, error) {
	return func(context.Context) (T, error) { return v, err }
}

// request makes a request of a method, a target and a body with a key; an empty key leaves the header out. More
// headers come in pairs.
func request(method, target, key, body string, headers ...string) *http.Request {
	r := httptest.NewRequestWithContext(context.Background(), method, target, strings.NewReader(body))
	if key != "" {
		r.Header.Set(idempotency.KeyHeader, key)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

// send returns the response of h.
func send(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// post sends a POST of {} with a key.
func post(h http.Handler, key string) *httptest.ResponseRecorder {
	return send(h, request(http.MethodPost, "/orders", key, "{}"))
}

// answer is what a server has sent.
type answer struct {
	status int
	header http.Header
	body   string
}

// postTo posts with a key to a server.
func postTo(ctx context.Context, server *httptest.Server, key string) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/orders", strings.NewReader("{}"))
	if err != nil {
		return answer{}, err
	}
	r.Header.Set(idempotency.KeyHeader, key)
	resp, err := server.Client().Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return answer{status: resp.StatusCode, header: resp.Header, body: string(body)}, err
}

func wantEqual[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// wantError fails the test unless err is, or wraps, an E of this package.
func wantError[E error](t *testing.T, err error) {
	t.Helper()
	_ = errorAs[E](t, err)
}

// errorAs is wantError for those who look into the error.
func errorAs[E error](t *testing.T, err error) E {
	t.Helper()
	e, ok := errors.AsType[E](err)
	if !ok {
		t.Fatalf("error: got %v (%T), want a %v", err, err, reflect.TypeFor[E]())
	}
	if !errors.Is(err, idempotency.ErrIdempotency) {
		t.Errorf("error %v is not ErrIdempotency", err)
	}
	return e
}
