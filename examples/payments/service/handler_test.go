package service_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/steadyfx/steady/examples/payments/service"
	"github.com/steadyfx/steady/patterns/bulkhead"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/patterns/retry"
)

func TestPaymentIsMadeOnceAndItsAnswerReplayed(t *testing.T) {
	w := newWorld(t, patient, charges)
	first := w.post(t, "a", "k1", order)
	var payment service.Payment
	if err := json.Unmarshal(first.Body.Bytes(), &payment); err != nil || first.Code != http.StatusCreated {
		t.Fatalf("%d, %s: %v", first.Code, first.Body, err)
	}
	if payment.Charge != "ch_1" || payment.Reference != "order-1" || payment.Amount != 100 || payment.ID == "" {
		t.Errorf("payment %+v", payment)
	}
	again := w.post(t, "a", "k1", order)
	if again.Code != http.StatusCreated || again.Body.String() != first.Body.String() {
		t.Errorf("the same again: %d, %s, want %s", again.Code, again.Body, first.Body)
	}
	if again.Header().Get("Idempotent-Replayed") != "true" {
		t.Error("the second answer is not a replay")
	}
	if seen := w.asked.seen(); len(seen) != 1 {
		t.Errorf("the provider was asked %d times, want once", len(seen))
	}
	entries := w.ledger.Entries()
	if len(entries) != 1 || entries[0].Payment != payment || entries[0].Accepted != 1 {
		t.Errorf("accepted %+v, want the payment once", entries)
	}
}

func TestKeysOfTwoTenantsAreTwoPayments(t *testing.T) {
	w := newWorld(t, patient, charges)
	w.post(t, "a", "k1", order)
	w.post(t, "b", "k1", order)
	if seen := w.asked.seen(); len(seen) != 2 || seen[0] == seen[1] || w.ledger.Size() != 2 {
		t.Errorf("the provider got the keys %v, the ledger has %d payments, want 2", seen, w.ledger.Size())
	}
}

func TestKeyForTheProviderIsTheSameInEveryAttempt(t *testing.T) {
	fails := true
	w := newWorld(t, patient, func(w http.ResponseWriter, r *http.Request) {
		if fails {
			http.Error(w, "", http.StatusInternalServerError)
			return
		}
		charges(w, r)
	})
	wantProblem(t, w.post(t, "a", "k1", order), http.StatusBadGateway, retry.CodeExhausted)
	fails = false
	if answer := w.post(t, "a", `"k1"`, order); answer.Code != http.StatusCreated { // the same key, spelled otherwise
		t.Fatalf("got %d, %s", answer.Code, answer.Body)
	}
	seen := w.asked.seen()
	if len(seen) != 4 {
		t.Fatalf("the provider was asked %d times, want 3 and 1", len(seen))
	}
	for _, key := range seen {
		if key != seen[0] || strings.Contains(key, "k1") {
			t.Errorf("keys %v, want one and the same, which is not the client's", seen)
		}
	}
}

func TestOrdersThatAreRefused(t *testing.T) {
	w := newWorld(t, patient, charges)
	for _, test := range []struct {
		name, tenant, key, body string
		status                  int
		code, detail            string
	}{
		{"no key", "a", "", order, http.StatusBadRequest, idempotency.CodeKeyMissing, "Idempotency-Key"},
		{"no tenant", "", "k1", order, http.StatusForbidden, idempotency.CodeCallerUnknown, ""},
		{"no JSON", "a", "k2", "amount=1", http.StatusBadRequest, "", "one JSON object"},
		{"wrong type", "a", "k3", `{"amount":"1"}`, http.StatusBadRequest, "", `"amount"`},
		{"unknown field", "a", "k4", `{"amuont":1}`, http.StatusBadRequest, "", ""},
		{"too much after the order", "a", "k5", order + "{}", http.StatusBadRequest, "", ""},
		{"everything missing", "a", "k6", `{}`, http.StatusUnprocessableEntity, "", "reference"},
		{"negative amount", "a", "k7", strings.Replace(order, "100", "-1", 1), http.StatusUnprocessableEntity, "", "1000"},
		{"too much", "a", "k8", strings.Replace(order, "100", "1001", 1), http.StatusUnprocessableEntity, "", "1000"},
		{"unknown currency", "a", "k9", strings.Replace(order, "EUR", "XXX", 1), http.StatusUnprocessableEntity, "", "EUR"},
		{"long account", "a", "k10", strings.Replace(order, "acct-1", strings.Repeat("a", 65), 1),
			http.StatusUnprocessableEntity, "", "account"},
		{"too large", "a", "k11", strings.Repeat(" ", 64<<10) + order, http.StatusRequestEntityTooLarge,
			idempotency.CodeBodyTooLarge, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			detail := wantProblem(t, w.post(t, test.tenant, test.key, test.body), test.status, test.code)
			if !strings.Contains(detail, test.detail) {
				t.Errorf("detail %q, want %q in it", detail, test.detail)
			}
		})
	}
	if seen := w.asked.seen(); len(seen) != 0 {
		t.Errorf("the provider was asked %d times", len(seen))
	}
}

func TestEveryMistakeInAnOrderIsNamed(t *testing.T) {
	w := newWorld(t, patient, charges)
	detail := wantProblem(t, w.post(t, "a", "k", `{}`), http.StatusUnprocessableEntity, "")
	for _, field := range []string{"reference", "account", "amount", "currency"} {
		if !strings.Contains(detail, field) {
			t.Errorf("detail %q, want %q in it", detail, field)
		}
	}
}

func TestKeyForAnotherOrderIsRefused(t *testing.T) {
	w := newWorld(t, patient, charges)
	w.post(t, "a", "k1", order)
	other := strings.Replace(order, "100", "200", 1)
	wantProblem(t, w.post(t, "a", "k1", other), http.StatusUnprocessableEntity, idempotency.CodeDuplicate)
}

func TestWhatTheProviderRefusesIsNotTriedAgain(t *testing.T) {
	for provider, want := range map[int]int{
		http.StatusPaymentRequired:     http.StatusPaymentRequired,
		http.StatusUnprocessableEntity: http.StatusUnprocessableEntity,
		http.StatusBadRequest:          http.StatusBadGateway,
	} {
		t.Run(http.StatusText(provider), func(t *testing.T) {
			w := newWorld(t, patient, answers(provider))
			wantProblem(t, w.post(t, "a", "k1", order), want, "")
			if seen := w.asked.seen(); len(seen) != 1 || w.ledger.Size() != 0 {
				t.Errorf("the provider was asked %d times, %d payments were accepted", len(seen), w.ledger.Size())
			}
		})
	}
}

func TestProviderThatFailsIsTriedAgain(t *testing.T) {
	for name, serve := range map[string]http.HandlerFunc{
		"500":                       answers(http.StatusInternalServerError),
		"429":                       answers(http.StatusTooManyRequests),
		"an answer that is no JSON": answers(http.StatusCreated),
		"a cut connection":          func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			ready := true
			w := newWorld(t, patient, func(w http.ResponseWriter, r *http.Request) {
				if ready { // leaves a connection that net/http would repeat a request on by itself
					charges(w, r)
					return
				}
				serve(w, r)
			})
			w.post(t, "a", "k1", order)
			ready = false
			wantProblem(t, w.post(t, "a", "k2", order), http.StatusBadGateway, retry.CodeExhausted)
			if seen := w.asked.seen(); len(seen) != 1+3 {
				t.Errorf("the provider was asked %d times after the first, want 3", len(seen)-1)
			}
		})
	}
}

func TestProviderThatStallsIsATimeout(t *testing.T) {
	w := newWorld(t, `
resilience:
  retry: {instances: {provider: {max_attempts: 2, base_delay: 1ms}}}
  timeout: {instances: {provider: {timeout: 20ms}}}
  pipelines: {provider: {steps: [retry, timeout]}}
`, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else net/http does not notice that the client has gone
		<-r.Context().Done()
	})
	wantProblem(t, w.post(t, "a", "k1", order), http.StatusGatewayTimeout, retry.CodeExhausted)
	if seen := w.asked.seen(); len(seen) != 2 {
		t.Errorf("the provider was asked %d times, want 2", len(seen))
	}
}

func wantRetryAfter(t *testing.T, answer *httptest.ResponseRecorder, want string) {
	t.Helper()
	if got := answer.Header().Get("Retry-After"); got != want {
		t.Errorf("Retry-After %q, want %q", got, want)
	}
}

func TestOpenCircuitIsRetryLater(t *testing.T) {
	w := newWorld(t, `
resilience:
  circuit_breaker: {instances: {provider: {failure_threshold: 1, recovery_timeout: 90.5}}}
  pipelines: {provider: {steps: [circuit_breaker]}}
`, answers(http.StatusInternalServerError))
	wantProblem(t, w.post(t, "a", "k1", order), http.StatusBadGateway, "")
	answer := w.post(t, "a", "k1", order)
	wantProblem(t, answer, http.StatusServiceUnavailable, circuitbreaker.CodeOpen)
	wantRetryAfter(t, answer, "91")
	if seen := w.asked.seen(); len(seen) != 1 {
		t.Errorf("the provider was asked %d times, want once", len(seen))
	}
}

func TestFullBulkheadIsRetryLater(t *testing.T) {
	busy, free := make(chan struct{}), make(chan struct{})
	w := newWorld(t, `
resilience:
  bulkhead: {instances: {provider: {max_concurrent: 1, queue_size: 0}}}
  pipelines: {provider: {steps: [bulkhead]}}
`, func(w http.ResponseWriter, r *http.Request) {
		close(busy)
		<-free
		charges(w, r)
	})
	first := make(chan *httptest.ResponseRecorder)
	go func() { first <- w.post(t, "a", "k1", order) }()
	<-busy
	answer := w.post(t, "a", "k2", order)
	wantProblem(t, answer, http.StatusServiceUnavailable, bulkhead.CodeRejected)
	wantRetryAfter(t, answer, "1")
	conflict := w.post(t, "a", "k1", order)
	wantProblem(t, conflict, http.StatusConflict, idempotency.CodeConflict)
	close(free)
	if answer := <-first; answer.Code != http.StatusCreated {
		t.Errorf("the first: %d, %s", answer.Code, answer.Body)
	}
}
