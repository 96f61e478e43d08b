package traffic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a payment service that does what it should, unless a test wants otherwise.
type fake struct {
	misbehave func(w http.ResponseWriter, key string, seen int) bool // true: it has answered

	mu     sync.Mutex
	orders map[string]string // body of the first request of a tenant and key
	seen   map[string]int
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client has gone
	}
	key := r.Header.Get("X-Tenant") + " " + r.Header.Get("Idempotency-Key")
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen[key]++
	first, known := f.orders[key]
	if f.misbehave != nil && f.misbehave(w, key, f.seen[key]) {
		return
	}
	var o order
	if err := json.Unmarshal(body, &o); err != nil {
		http.Error(w, "bad order", http.StatusBadRequest)
		return
	}
	switch {
	case known && first != string(body):
		problem(w, http.StatusUnprocessableEntity)
		return
	case known:
		w.Header().Set("Idempotent-Replayed", "true")
	default:
		f.orders[key] = string(body)
	}
	if o.Amount > declinedAbove {
		problem(w, http.StatusPaymentRequired)
		return
	}
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"id":"pay %s"}`, key)
}

func problem(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"status":%d}`, status)
}

// direct brings requests to a handler without a network, in the time that an answer takes.
type direct struct{ handler http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	if !wait(r.Context(), latency) {
		return nil, r.Context().Err()
	}
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	return w.Result(), nil
}

const latency = 10 * time.Millisecond

// newClient returns a client of a fake, to be used in a bubble.
func newClient(o Options, misbehave func(http.ResponseWriter, string, int) bool) *Client {
	c := New(o)
	c.http.Transport = direct{&fake{misbehave: misbehave, orders: map[string]string{}, seen: map[string]int{}}}
	return c
}

func options() Options {
	return Options{
		URL: func() string { return "http://service" }, Seed: 1, Customers: 16, Payments: 60, Duration: time.Hour, Grace: time.Hour,
	}
}

func TestGoodServiceIsPaidAndBlamedForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := newClient(options(), nil)
		told := client.Run(t.Context())
		if len(told) != 60 {
			t.Errorf("%d payments, want 60", len(told))
		}
		accepted, declined := 0, 0
		for _, p := range told {
			switch p.Status {
			case http.StatusCreated:
				accepted++
				if want := "pay " + p.Tenant + " " + p.Key; p.ID != want {
					t.Errorf("ID %q, want %q", p.ID, want)
				}
			case http.StatusPaymentRequired:
				declined++
			}
			if len(p.Offences) > 0 {
				t.Errorf("%s: %v", p.Reference, p.Offences)
			}
		}
		c := client.Counts()
		if c.Accepted != accepted || c.Declined != declined || accepted+declined != 60 || declined == 0 {
			t.Errorf("counted %+v of %d accepted and %d declined", c, accepted, declined)
		}
		if c.Replays == 0 || c.Mismatches == 0 || c.Disconnects == 0 || c.Conflicts != 0 || c.StoreDown != 0 {
			t.Errorf("counted %+v, want replays, mismatches and disconnects", c)
		}
		latencies := client.Latencies()
		if len(latencies) != c.Requests-c.Disconnects || slices.Max(latencies) != latency {
			t.Errorf("%d latencies of up to %v for %+v", len(latencies), slices.Max(latencies), c)
		}
	})
}

func TestServicesThatAreBlamed(t *testing.T) {
	for _, test := range []struct {
		name      string
		misbehave func(w http.ResponseWriter, key string, seen int) bool
		want      string
	}{
		{"another answer each time", func(w http.ResponseWriter, key string, seen int) bool {
			w.WriteHeader(http.StatusCreated)
			fmt.Fprintf(w, `{"id":"pay %s","n":%d}`, key, seen)
			return true
		}, "differs from the first"},
		{"another status", func(w http.ResponseWriter, _ string, seen int) bool {
			if seen == 2 {
				problem(w, http.StatusPaymentRequired)
			}
			return seen == 2
		}, "got 402 after 201"},
		{"a raw error", func(w http.ResponseWriter, _ string, seen int) bool {
			if seen == 1 {
				http.Error(w, "nil pointer", http.StatusBadGateway)
			}
			return seen == 1
		}, "not a problem"},
		{"no Retry-After", func(w http.ResponseWriter, _ string, seen int) bool {
			if seen == 1 {
				problem(w, http.StatusServiceUnavailable)
			}
			return seen == 1
		}, "without Retry-After"},
		{"500", func(w http.ResponseWriter, _ string, _ int) bool {
			problem(w, http.StatusInternalServerError)
			return true
		}, "got 500"},
		{"any body for a key", func(w http.ResponseWriter, key string, _ int) bool {
			w.WriteHeader(http.StatusCreated)
			fmt.Fprintf(w, `{"id":"pay %s"}`, key)
			return true
		}, "only 422 is right"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				told := newClient(options(), test.misbehave).Run(t.Context())
				if !slices.ContainsFunc(told, func(p Payment) bool {
					return slices.ContainsFunc(p.Offences, func(o string) bool { return strings.Contains(o, test.want) })
				}) {
					t.Errorf("nobody complained that %q", test.want)
				}
			})
		})
	}
}

func TestAnswersThatAskForItAreRetriedUntilThereIsAFinalOne(t *testing.T) {
	statuses := []int{
		http.StatusConflict, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
	}
	synctest.Test(t, func(t *testing.T) {
		client := newClient(options(), func(w http.ResponseWriter, _ string, seen int) bool {
			if seen > len(statuses) {
				return false
			}
			w.Header().Set("Retry-After", "1")
			problem(w, statuses[seen-1])
			return true
		})
		for _, p := range client.Run(t.Context()) {
			if p.Status == 0 || len(p.Offences) > 0 {
				t.Errorf("%s: status %d, %v", p.Reference, p.Status, p.Offences)
			}
		}
		if c := client.Counts(); c.Retries < 3*60 || c.Conflicts != 60 {
			t.Errorf("counted %+v, want a conflict and at least 3 retries for each of 60 payments", c)
		}
	})
}

func TestPaymentIsGivenUpAfterTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.Duration, o.Grace = time.Minute, 5*time.Second
		began := time.Now()
		told := newClient(o, func(w http.ResponseWriter, _ string, _ int) bool {
			w.Header().Set("Retry-After", "3600")
			problem(w, http.StatusServiceUnavailable)
			return true
		}).Run(t.Context())
		if took := time.Since(began); took != o.Duration+o.Grace {
			t.Errorf("the run took %v, want %v", took, o.Duration+o.Grace)
		}
		for _, p := range told {
			if p.Status != 0 || len(p.Offences) > 0 {
				t.Errorf("%s: status %d, %v; want it given up", p.Reference, p.Status, p.Offences)
			}
		}
	})
}

func TestServiceThatIsNotThereIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.Duration, o.Grace = time.Minute, time.Second
		client := New(o)
		client.http.Transport = absent{}
		for _, p := range client.Run(t.Context()) {
			if p.Status != 0 || len(p.Offences) > 0 {
				t.Errorf("%s: status %d, %v; want it given up", p.Reference, p.Status, p.Offences)
			}
		}
		if c := client.Counts(); c.Retries == 0 || c.Disconnects != 0 || c.Unanswered == 0 {
			t.Errorf("counted %+v, want retries, and no disconnect that is the client's", c)
		}
	})
}

// absent is the way to a service that is not there.
type absent struct{}

func (absent) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("refused") }

func TestInterruptEndsTheTrafficAndSettlesWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, interrupt := context.WithCancel(t.Context())
		defer interrupt()
		o := options()
		o.Payments = 1_000_000
		told := newClient(o, func(w http.ResponseWriter, _ string, seen int) bool {
			if seen > 1 {
				return false
			}
			interrupt() // with the first request
			w.Header().Set("Retry-After", "1")
			problem(w, http.StatusServiceUnavailable)
			return true
		}).Run(ctx)
		if len(told) == 0 || len(told) > o.Customers {
			t.Errorf("%d payments, want at most one for each of %d customers", len(told), o.Customers)
		}
		for _, p := range told {
			if p.Status == 0 {
				t.Errorf("%s was given up", p.Reference)
			}
		}
	})
}

func TestSeedDecidesThePayments(t *testing.T) {
	plan := func(seed uint64) []string {
		c := New(Options{Seed: seed, Customers: 1})
		c.run = "run"
		var all []string
		for n := range 50 {
			p := c.newPayment(n)
			all = append(all, fmt.Sprint(p.result, p.scenario, p.copies, p.patience, p.think, string(p.body), string(p.altered)))
		}
		return all
	}
	if !slices.Equal(plan(1), plan(1)) {
		t.Error("one seed, two plans")
	}
	if slices.Equal(plan(1), plan(2)) {
		t.Error("two seeds, one plan")
	}
}

func TestKeysAreSharedByTenantsAndByNoTwoRuns(t *testing.T) {
	first, second := New(Options{}), New(Options{})
	a, b := first.newPayment(0).result, first.newPayment(1).result
	if a.Key != b.Key || a.Tenant == b.Tenant || a.Reference == b.Reference {
		t.Errorf("%+v and %+v, want two payments of two tenants with one key", a, b)
	}
	if other := second.newPayment(0).result; other.Key == a.Key {
		t.Errorf("two runs with the key %s: a store that outlives the first would answer the second", a.Key)
	}
}

func TestPauseHonoursRetryAfterUpToALimit(t *testing.T) {
	for _, test := range []struct {
		name       string
		retryAfter string
		attempt    int
		least      time.Duration
	}{
		{"a second", "1", 0, time.Second},
		{"an hour", "3600", 0, longestPause},
		{"none, first attempt", "", 0, firstPause},
		{"none, second attempt", "", 1, 2 * firstPause},
		{"none, hundredth attempt", "", 100, longestPause},
		{"nonsense", "soon", 0, firstPause},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := reply{header: http.Header{"Retry-After": {test.retryAfter}}}
			for range 100 {
				if got := r.pause(test.attempt); got < test.least || got > test.least+test.least/4 {
					t.Fatalf("pause %v, want %v and up to a quarter more", got, test.least)
				}
			}
		})
	}
}
