package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/steadyfx/steady/examples/payments/provider"
	"github.com/steadyfx/steady/examples/payments/report"
	"github.com/steadyfx/steady/testkit/services"
)

// TestDuplicatesOnTwoReplicasOfWhichOneIsKilled sends one payment 200 times at once, to both replicas.
func TestDuplicatesOnTwoReplicasOfWhichOneIsKilled(t *testing.T) {
	needsServers(t)
	redis, postgres := services.Redis(t), services.Postgres(t)
	for store, section := range map[string]struct {
		name   string
		values map[string]any
	}{
		"redis":    {"redis", map[string]any{"addrs": []string{redis.Addr()}}},
		"postgres": {"postgres", map[string]any{"dsn": postgres.URL}},
	} {
		t.Run(store, func(t *testing.T) {
			o := newOffice(t, store, section.name, section.values)
			const acting, other = 0, 1
			t.Run("the one that acts, after the charge", func(t *testing.T) {
				r := o.begin(t, "acting")
				r.await(t, "100 duplicates are told to wait", func() bool { return r.conflicts >= 100 })
				o.kill(t, acting)
				r.end(t, 2) // the second time for the claim that was taken over, and for the same charge
			})
			t.Run("the other one", func(t *testing.T) {
				r := o.begin(t, "other")
				r.await(t, "100 duplicates are told to wait", func() bool { return r.conflicts >= 100 })
				o.kill(t, other)
				o.bank.answer()
				r.end(t, 1)
			})
			t.Run("the one that acted, after the answer", func(t *testing.T) {
				r := o.begin(t, "acted")
				o.bank.answer()
				r.await(t, "20 have the answer", func() bool { return r.paid >= 20 })
				o.kill(t, acting)
				r.end(t, 1)
			})
		})
	}
}

// office is two replicas of the service, and their bank.
type office struct {
	fleet *fleet
	bank  *slowBank
}

func newOffice(t *testing.T, store, section string, values map[string]any) *office {
	t.Helper()
	o := &office{bank: newSlowBank()}
	bank := httptest.NewServer(o.bank)
	t.Cleanup(bank.Close)
	instance := func(name string, values map[string]any) map[string]any {
		return map[string]any{"instances": map[string]any{name: values}}
	}
	s := setup{}.
		with(section, values).
		with("payments", map[string]any{"provider": bank.URL, "answer_key": newAnswerKey()}).
		with("resilience", map[string]any{
			"pipelines": map[string]any{"provider": map[string]any{"steps": []any{
				map[string]any{"timeout": "provider.total"}, map[string]any{"circuit_breaker": "provider"},
			}}},
			"idempotency":     map[string]any{"backend": store, "lease": "1s"},
			"circuit_breaker": instance("provider", map[string]any{"sliding_window_seconds": "20s"}),
			"timeout":         instance("provider.total", map[string]any{"timeout": "9s"}),
		})
	var log output
	var err error
	o.fleet, err = startFleet(t.Context(), 2, s, func(happening) {}, &log, report.NewProgress(io.Discard))
	t.Cleanup(func() {
		if err := o.fleet.stop(); err != nil || t.Failed() {
			t.Errorf("%v\n%s", err, log.String())
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *office) kill(t *testing.T, replica int) {
	t.Helper()
	if err := o.fleet.crash(t.Context(), replica, 0); err != nil {
		t.Fatal(err)
	}
}

// slowBank is a provider that has charged when it says so, and answers the first request for a key when it is told to.
type slowBank struct {
	provider *provider.Server
	charged  chan string // keys
	answers  chan struct{}

	mu    sync.Mutex
	asked map[string]int // by key
}

func newSlowBank() *slowBank {
	return &slowBank{
		provider: provider.NewServer([]provider.Phase{{Name: "healthy"}}, 1),
		charged:  make(chan string), answers: make(chan struct{}), asked: map[string]int{},
	}
}

func (b *slowBank) answer() { b.answers <- struct{}{} }

func (b *slowBank) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Idempotency-Key")
	b.mu.Lock()
	b.asked[key]++
	first := b.asked[key] == 1
	b.mu.Unlock()
	answer := httptest.NewRecorder()
	b.provider.ServeHTTP(answer, r)
	if first {
		b.charged <- key
		select {
		case <-b.answers:
		case <-r.Context().Done(): // who asked was killed
			return
		}
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes()) // fails for one that was killed
}

// rush is 200 requests for one payment.
type rush struct {
	office *office
	key    string // of the bank
	order  string
	client http.Client
	done   sync.WaitGroup

	mu              sync.Mutex
	conflicts, paid int
	answers         map[string]int // final ones
	wrong           []string
}

const duplicates = 200

// begin returns when the first request, at replica 0, has charged. The others are under way, at both.
func (o *office) begin(t *testing.T, reference string) *rush {
	t.Helper()
	r := &rush{
		office: o, answers: map[string]int{},
		order:  fmt.Sprintf(`{"reference":%q,"account":"acct-1","amount":100,"currency":"EUR"}`, reference),
		client: http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: duplicates}},
	}
	t.Cleanup(r.client.CloseIdleConnections)
	o.fleet.mu.Lock()
	acting := o.fleet.replicas[0].url
	o.fleet.mu.Unlock()
	r.done.Go(func() { r.persist(t.Context(), reference, acting) })
	select {
	case r.key = <-o.bank.charged:
	case <-t.Context().Done():
		t.Fatal("nobody has charged")
	}
	for range duplicates - 1 {
		r.done.Go(func() { r.persist(t.Context(), reference, o.fleet.url()) })
	}
	return r
}

// persist sends the request until it has the answer.
func (r *rush) persist(ctx context.Context, key, url string) {
	for ; ; url = r.office.fleet.url() {
		status, retryAfter, body := r.send(ctx, key, url)
		r.mu.Lock()
		switch status {
		case http.StatusCreated:
			r.paid++
			r.answers[body]++
		case http.StatusConflict, http.StatusServiceUnavailable:
			r.conflicts++
			if retryAfter == "" {
				r.wrong = append(r.wrong, fmt.Sprintf("%d without Retry-After: %s", status, body))
			}
		case 0: // no answer
		default:
			r.wrong = append(r.wrong, fmt.Sprintf("got %d: %s", status, body))
		}
		r.mu.Unlock()
		if status == http.StatusCreated {
			return
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return
		}
	}
}

func (r *rush) send(ctx context.Context, key, url string) (status int, retryAfter, body string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/payments", strings.NewReader(r.order))
	if err != nil {
		return 0, "", ""
	}
	req.Header.Set("X-Tenant", "tenant-1")
	req.Header.Set("Idempotency-Key", key)
	req.GetBody = nil
	resp, err := r.client.Do(req)
	if err != nil {
		return 0, "", ""
	}
	defer resp.Body.Close()
	var content bytes.Buffer
	if _, err := content.ReadFrom(resp.Body); err != nil {
		return 0, "", ""
	}
	return resp.StatusCode, resp.Header.Get("Retry-After"), content.String()
}

func (r *rush) await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	eventually(t, what, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return ok()
	})
}

// end waits until everybody has the answer, and looks into the books.
func (r *rush) end(t *testing.T, executions int) {
	t.Helper()
	r.done.Wait()
	if len(r.answers) != 1 || r.paid != duplicates {
		t.Errorf("%d of %d were answered, with %d different answers: %v", r.paid, duplicates, len(r.answers), r.answers)
	}
	for _, wrong := range r.wrong {
		t.Error(wrong)
	}
	b := r.office.bank
	b.mu.Lock()
	asked := b.asked[r.key]
	b.mu.Unlock()
	if asked != executions {
		t.Errorf("executed %d times, want %d", asked, executions)
	}
	charges := 0
	for _, c := range b.provider.Charges() {
		if c.Key == r.key {
			charges++
		}
	}
	entries, err := r.office.fleet.entries()
	if err != nil {
		t.Fatal(err)
	}
	accepted := 0
	for _, e := range entries {
		if e.Payment.ID == r.key {
			accepted += e.Accepted
		}
	}
	if charges != 1 || accepted != 1 {
		t.Errorf("charged %d times and accepted %d times, want once", charges, accepted)
	}
}
