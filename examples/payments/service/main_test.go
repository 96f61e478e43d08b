package service_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/steadyfx/steady/config"
	"github.com/steadyfx/steady/examples/payments/service"
	"github.com/steadyfx/steady/idempotencyfx"
	"github.com/steadyfx/steady/resiliencefx"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// settings of a service for tests. A test may put a section "resilience" of its own below.
const settings = `
payments: {listen: "127.0.0.1:0", currencies: [EUR], max_amount: 1000}
`

// patient is a pipeline that tries three times and never gives up on the provider.
const patient = `
resilience:
  retry: {instances: {provider: {max_attempts: 3, base_delay: 1ms}}}
  circuit_breaker: {instances: {provider: {failure_threshold: 1000, minimum_calls: 1000}}}
  timeout: {instances: {provider: {timeout: 30s}}}
  pipelines: {provider: {steps: [retry, circuit_breaker, timeout]}}
`

// world is the service and what is around it.
type world struct {
	api    *service.Handler
	server *service.Server
	ledger *service.Ledger
	app    *fxtest.App
	asked  *bank
}

// bank is a payment provider that does what the test says, and remembers what it was asked.
type bank struct {
	serve http.HandlerFunc

	mu   sync.Mutex
	keys []string
}

func (b *bank) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	b.keys = append(b.keys, r.Header.Get("Idempotency-Key"))
	b.mu.Unlock()
	b.serve(w, r)
}

func (b *bank) seen() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.keys
}

func charges(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusCreated)
	fmt.Fprint(w, `{"id":"ch_1","charged_at":"2026-01-02T03:04:05Z"}`)
}

func answers(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "internal: 10.0.0.7", status) }
}

func newWorld(t *testing.T, resilience string, serve http.HandlerFunc) *world {
	t.Helper()
	return newWorldWith(t, resilience, serve, nil)
}

// newWorldWith returns a world whose service has settings of its own, and an application with more in it.
func newWorldWith(
	t *testing.T, resilience string, serve http.HandlerFunc, more map[string]any, options ...fx.Option,
) *world {
	t.Helper()
	w := &world{asked: &bank{serve: serve}}
	server := httptest.NewServer(w.asked)
	t.Cleanup(server.Close)
	var own service.Settings
	tree, err := config.Load(
		config.Content("test.yaml", []byte(settings+resilience)),
		config.Values(map[string]any{"payments": map[string]any{"provider": server.URL}}),
		config.Values(map[string]any{"payments": more}),
		config.Section("payments", &own))
	if err != nil {
		t.Fatal(err)
	}
	w.app = fxtest.New(t, fx.NopLogger, fx.Supply(tree, own, zap.NewNop()),
		resiliencefx.Module, idempotencyfx.Module, service.Module, fx.Populate(&w.api, &w.server, &w.ledger),
		fx.Options(options...))
	w.app.RequireStart()
	t.Cleanup(w.app.RequireStop)
	return w
}

const order = `{"reference":"order-1","account":"acct-1","amount":100,"currency":"EUR"}`

// post asks for a payment.
func (w *world) post(t *testing.T, tenant, key, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/payments", strings.NewReader(body))
	for name, value := range map[string]string{service.TenantHeader: tenant, "Idempotency-Key": key} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	answer := httptest.NewRecorder()
	w.api.ServeHTTP(answer, r)
	return answer
}

// wantProblem checks an answer that is not a payment, and returns its detail.
func wantProblem(t *testing.T, answer *httptest.ResponseRecorder, status int, code string) string {
	t.Helper()
	var problem struct {
		Type, Title, Detail, Code string
		Status                    int
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &problem); err != nil {
		t.Fatalf("%d, %q: %v", answer.Code, answer.Body, err)
	}
	if answer.Code != status || problem.Status != status || problem.Code != code {
		t.Errorf("got %d: %s, want %d with code %q", answer.Code, answer.Body, status, code)
	}
	if problem.Type == "" || problem.Title == "" || answer.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("not a complete problem: %v %s", answer.Header(), answer.Body)
	}
	for _, secret := range []string{"127.0.0.1", "10.0.0.7", "dial", "EOF"} {
		if strings.Contains(answer.Body.String(), secret) {
			t.Errorf("the answer tells of the inside: %s", answer.Body)
		}
	}
	return problem.Detail
}
