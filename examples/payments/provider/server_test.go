package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// always returns a provider that behaves in one way for ever.
func always(b Behaviour) *Server { return NewServer([]Phase{{Name: "only", Behaviour: b}}, 1) }

func request(ctx context.Context, key string, amount int64) *http.Request {
	body := fmt.Sprintf(`{"reference":"order-1","account":"acct-1","amount":%d,"currency":"EUR"}`, amount)
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/charges", bytes.NewBufferString(body))
	r.Header.Set("Idempotency-Key", key)
	return r
}

// ask makes a request and returns the status, or 0 if the connection was cut or there was no answer.
func ask(s *Server, r *http.Request) (status int, charge Charge) {
	defer func() {
		if value := recover(); value != nil && value != http.ErrAbortHandler {
			panic(value)
		}
	}()
	w := httptest.NewRecorder()
	w.Code = 0
	s.ServeHTTP(w, r)
	_ = json.Unmarshal(w.Body.Bytes(), &charge) // the body of a failure is text
	return w.Code, charge
}

func TestOneChargeForAKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := always(Healthy)
		status, first := ask(s, request(t.Context(), "k", 100))
		if status != http.StatusCreated || first.ID == "" || first.Reference != "order-1" || first.Amount != 100 {
			t.Fatalf("got %d, %+v", status, first)
		}
		if status, again := ask(s, request(t.Context(), "k", 100)); status != http.StatusCreated || again != first {
			t.Errorf("the same again: %d, %+v, want %+v", status, again, first)
		}
		if status, _ := ask(s, request(t.Context(), "k", 200)); status != http.StatusUnprocessableEntity {
			t.Errorf("the key for another amount: %d, want 422", status)
		}
		if _, other := ask(s, request(t.Context(), "k2", 100)); other.ID == first.ID {
			t.Error("another key got the same charge")
		}
		charges := s.Charges()
		if len(charges) != 2 || s.Charged() != 2 || charges[0].Key != "k" || charges[1].Key != "k2" {
			t.Errorf("ledger %+v, want a charge for each key", charges)
		}
	})
}

func TestRequestsThatAreNotCharged(t *testing.T) {
	post := func(key, body string) *http.Request {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/charges", bytes.NewBufferString(body))
		r.Header.Set("Idempotency-Key", key)
		return r
	}
	for _, test := range []struct {
		name    string
		request *http.Request
		want    int
	}{
		{"no key", post("", `{"amount":1}`), http.StatusBadRequest},
		{"no amount", post("k", `{}`), http.StatusBadRequest},
		{"no JSON", post("k", `amount`), http.StatusBadRequest},
		{"above the limit", post("k", fmt.Sprintf(`{"amount":%d}`, Limit+1)), http.StatusPaymentRequired},
		{"another path", httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil), http.StatusNotFound},
		{"another method", httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/charges", nil), http.StatusNotFound},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := always(Healthy)
			if status, _ := ask(s, test.request); status != test.want || s.Charged() != 0 {
				t.Errorf("got %d and %d charges, want %d and none", status, s.Charged(), test.want)
			}
		})
	}
}

func TestMisbehaviour(t *testing.T) {
	const requests = 100
	for _, test := range []struct {
		name      string
		behaviour Behaviour
		status    int // of requests that go wrong
		all       bool
	}{
		{"failing", Failing, http.StatusInternalServerError, true},
		{"stalling", Stalling, 0, true},
		{"cutting", Cutting, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := always(test.behaviour)
				wrong, charged := 0, 0
				for i := range requests {
					ctx, cancel := context.WithTimeout(t.Context(), stall/2)
					before := s.Charged()
					status, _ := ask(s, request(ctx, fmt.Sprint(i), 1))
					cancel()
					if status == http.StatusCreated {
						continue
					}
					wrong++
					charged += s.Charged() - before
					if status != test.status {
						t.Fatalf("got %d, want %d", status, test.status)
					}
				}
				if test.all != (wrong == requests) || wrong == 0 {
					t.Errorf("%d of %d requests went wrong", wrong, requests)
				}
				if charged == 0 || charged == wrong {
					t.Errorf("%d of %d requests that went wrong were charged, want some", charged, wrong)
				}
				s.phases[0].Behaviour = Healthy
				for i := range requests {
					if status, _ := ask(s, request(t.Context(), fmt.Sprint(i), 1)); status != http.StatusCreated {
						t.Errorf("after the recovery: %d", status)
					}
				}
				if s.Charged() != requests {
					t.Errorf("%d charges for %d keys", s.Charged(), requests)
				}
			})
		})
	}
}

func TestLateAnswerIsAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := always(Stalling)
		began := time.Now()
		status, _ := ask(s, request(t.Context(), "k", 1))
		if took := time.Since(began); status != http.StatusCreated || took != stall {
			t.Errorf("got %d after %v, want 201 after %v", status, took, stall)
		}
	})
}

func TestCutConnectionIsNoAnswerOverHTTP(t *testing.T) {
	s := always(Cutting)
	server := httptest.NewServer(s)
	defer server.Close()
	client := server.Client()
	cut := 0
	for i := range 50 {
		r := request(t.Context(), fmt.Sprint(i), 1)
		r.RequestURI, r.URL.Scheme, r.URL.Host = "", "http", server.Listener.Addr().String()
		resp, err := client.Do(r)
		if err != nil {
			cut++
			continue
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
	}
	if cut == 0 {
		t.Error("no connection was cut")
	}
}

func TestPhasesFollowOneAnotherFromTheFirstRequestOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewServer([]Phase{{Name: "a", Lasts: time.Second}, {Name: "b", Lasts: time.Second}, {Name: "c"}}, 1)
		at := func(want string) {
			t.Helper()
			if got := s.Phase().Name; got != want {
				t.Errorf("phase %s, want %s", got, want)
			}
		}
		time.Sleep(time.Hour)
		at("a")
		began := time.Now()
		ask(s, request(t.Context(), "k", 1))
		time.Sleep(time.Second - time.Nanosecond - time.Since(began))
		at("a")
		time.Sleep(time.Nanosecond)
		at("b")
		time.Sleep(time.Second)
		at("c")
		time.Sleep(time.Hour)
		at("c")
	})
}

func TestScheduleShowsEveryBehaviourAndEndsHealthy(t *testing.T) {
	phases := Schedule(10 * time.Second)
	seen := map[Behaviour]bool{}
	var total time.Duration
	for _, phase := range phases {
		seen[phase.Behaviour] = true
		total += phase.Lasts
	}
	if len(seen) != 4 || total != 10*time.Second {
		t.Errorf("%d behaviours in %v, want 4 in 10s", len(seen), total)
	}
	if first, last := phases[0], phases[len(phases)-1]; first.Behaviour != Healthy || last.Behaviour != Healthy {
		t.Errorf("begins with %v and ends with %v, want healthy", first, last)
	}
}
