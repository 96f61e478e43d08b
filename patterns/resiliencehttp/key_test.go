package resiliencehttp_test

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/resiliencehttp"
	"github.com/steadyfx/steady/patterns/timeout"
)

// keys collects the Idempotency-Key of each request.
type keys struct {
	mu  sync.Mutex
	all []string
}

func (k *keys) take(r *http.Request) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all = append(k.all, strings.Join(r.Header.Values("Idempotency-Key"), "|"))
	return len(k.all)
}

var quotedUUID = regexp.MustCompile(`^"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"$`)

func TestAttemptsShareAKeyAndRequestsDoNot(t *testing.T) {
	var seen keys
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		wantEqual(t, "body", string(body), "body")
		if seen.take(r)%3 != 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	rt := resiliencehttp.New(newWire(t), retries(t, 3), resiliencehttp.WithIdempotencyKeys(nil))
	r := newRequest(t, "POST", s.URL, strings.NewReader("body"))
	first := do(t, rt, r)
	read(t, first)
	wantEqual(t, "status", first.StatusCode, http.StatusOK)
	wantEqual(t, "key of the caller's request", len(r.Header), 0)
	wantEqual(t, "key of the response's", first.Request.Header.Get("Idempotency-Key"), seen.all[0])
	read(t, do(t, rt, newRequest(t, "PATCH", s.URL, strings.NewReader("body"))))

	wantEqual(t, "requests", len(seen.all), 6)
	for i, key := range seen.all {
		if !quotedUUID.MatchString(key) {
			t.Errorf("key %s", key)
		}
		wantEqual(t, "key of the same request", key, seen.all[i/3*3])
	}
	if seen.all[0] == seen.all[3] {
		t.Error("two requests have the same key")
	}
}

func TestKeysAreForRequestsThatNeedOne(t *testing.T) {
	for _, tt := range []struct {
		name     string
		method   string
		header   http.Header
		newKey   func(*http.Request) string
		want     string // "*": a UUID
		requests int32
	}{
		{name: "POST", method: "POST", want: "*", requests: 2},
		{name: "PATCH", method: "PATCH", want: "*", requests: 2},
		{name: "GET", method: "GET", requests: 2},
		{name: "PUT", method: "PUT", requests: 2},
		{name: "DELETE", method: "DELETE", requests: 2},
		{name: "key of the caller", method: "POST", header: http.Header{"Idempotency-Key": {"mine"}}, want: "mine", requests: 2},
		{name: "key by another name", method: "POST", header: http.Header{"X-Idempotency-Key": {"mine"}}, requests: 2},
		{name: "idempotent without a key", method: "POST", header: http.Header{"Idempotency-Key": {}}, requests: 2},
		{name: "empty key", method: "POST", header: http.Header{"Idempotency-Key": {""}}, want: "*", requests: 2},
		{name: "no header at all", method: "POST", header: nil, want: "*", requests: 2},
		{name: "form of the server", method: "POST", want: "order-1042", requests: 2,
			newKey: func(r *http.Request) string { return "order-" + r.Header.Get("Order") },
			header: http.Header{"Order": {"1042"}}},
		{name: "none by choice", method: "POST", newKey: func(*http.Request) string { return "" }, requests: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var seen keys
			s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
				seen.take(r)
				w.WriteHeader(http.StatusServiceUnavailable)
			})
			r := newRequest(t, tt.method, s.URL, nil)
			if tt.header != nil || tt.name == "no header at all" {
				r.Header = tt.header.Clone()
			}
			rt := resiliencehttp.New(newWire(t), retries(t, 2), resiliencehttp.WithIdempotencyKeys(tt.newKey))
			read(t, do(t, rt, r))
			wantEqual(t, "requests", s.requests.Load(), tt.requests)
			for _, key := range seen.all {
				if tt.want == "*" && quotedUUID.MatchString(key) {
					continue
				}
				wantEqual(t, "key", key, tt.want)
			}
			wantEqual(t, "headers of the caller's request", len(r.Header), len(tt.header))
		})
	}
}

func TestAnswerToAnOutstandingRequestIsTriedAgain(t *testing.T) {
	for _, tt := range []struct {
		name       string
		status     int
		retryAfter string
		key        string
		requests   int32
	}{
		{"outstanding", http.StatusConflict, "0", "k", 2},
		{"conflict of the service", http.StatusConflict, "", "k", 1},
		{"without a key", http.StatusConflict, "0", "", 1},
		{"another status", http.StatusUnprocessableEntity, "0", "k", 1},
	} {
		s := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
			if tt.retryAfter != "" {
				w.Header().Set("Retry-After", tt.retryAfter)
			}
			w.WriteHeader(tt.status)
		})
		r := newRequest(t, "PUT", s.URL, nil)
		if tt.key != "" {
			r.Header.Set("Idempotency-Key", tt.key)
		}
		resp := do(t, resiliencehttp.New(newWire(t), retries(t, 2)), r)
		read(t, resp)
		wantEqual(t, tt.name+": status", resp.StatusCode, tt.status)
		wantEqual(t, tt.name+": requests", s.requests.Load(), tt.requests)
	}
}

func TestAnswerToAnOutstandingRequestIsNothingToABreaker(t *testing.T) {
	anyConflict := resiliencehttp.WithFailure(func(resp *http.Response) bool { return resp.StatusCode == http.StatusConflict })
	for _, tt := range []struct {
		name                    string
		status                  int
		retryAfter, key         string
		opts                    []resiliencehttp.Option
		requests                int32
		ignored, failed, passed uint64
	}{
		{"outstanding", http.StatusConflict, "0", "k", nil, 9, 9, 0, 0},
		{"outstanding by another rule", http.StatusConflict, "0", "k", []resiliencehttp.Option{anyConflict}, 9, 9, 0, 0},
		{"conflict by another rule", http.StatusConflict, "0", "", []resiliencehttp.Option{anyConflict}, 5, 0, 5, 0},
		{"conflict of the service", http.StatusConflict, "", "k", nil, 1, 0, 0, 1},
		{"too many requests", http.StatusTooManyRequests, "0", "k", nil, 5, 0, 5, 0},
	} {
		s := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
			if tt.retryAfter != "" {
				w.Header().Set("Retry-After", tt.retryAfter)
			}
			w.WriteHeader(tt.status)
		})
		breakers, err := circuitbreaker.NewRegistry(patterns.Instances[circuitbreaker.Config]{
			Default: circuitbreaker.Config{FailureThreshold: 5, RecoveryTimeout: time.Hour},
		})
		if err != nil {
			t.Fatal(err)
		}
		opts := append(tt.opts, resiliencehttp.WithBreakers(breakers))
		r := newRequest(t, "PUT", s.URL, nil)
		if tt.key != "" {
			r.Header.Set("Idempotency-Key", tt.key)
		}
		resp := do(t, resiliencehttp.New(newWire(t), retries(t, 9), opts...), r)
		read(t, resp)
		wantEqual(t, tt.name+": status", resp.StatusCode, tt.status)
		wantEqual(t, tt.name+": requests", s.requests.Load(), tt.requests)
		m := breakers.All()[0].Metrics()
		wantEqual(t, tt.name+": ignored", m.TotalIgnored, tt.ignored)
		wantEqual(t, tt.name+": failed", m.TotalFailures, tt.failed)
		wantEqual(t, tt.name+": passed", m.TotalSuccesses, tt.passed)
	}
}

func TestAttemptThatWasGivenUpIsAskedForAgain(t *testing.T) {
	var seen keys
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body) // or the server does not notice that the client has gone
		switch seen.take(r) {
		case 1:
			<-r.Context().Done()
		case 2:
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusConflict)
		default:
			_, _ = io.WriteString(w, "the response")
		}
	})
	attempt, err := timeout.New("attempt", timeout.Config{Timeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	rt := resiliencehttp.New(newWire(t), patterns.Compose(retries(t, 20), attempt), resiliencehttp.WithIdempotencyKeys(nil))
	resp := do(t, rt, newRequest(t, "POST", s.URL, strings.NewReader("body")))
	wantEqual(t, "body", read(t, resp), "the response")
	for _, key := range seen.all {
		wantEqual(t, "key", key, seen.all[0])
	}
}
