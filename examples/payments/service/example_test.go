package service_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/steadyfx/steady/config"
	"github.com/steadyfx/steady/examples/payments/service"
	"github.com/steadyfx/steady/idempotencyfx"
	"github.com/steadyfx/steady/resiliencefx"
)

func Example() {
	bank := httptest.NewServer(http.HandlerFunc(charges)) // the payment provider
	defer bank.Close()
	var settings service.Settings
	tree, err := config.Load(
		config.Content("app.yaml", []byte(`
payments: {listen: "127.0.0.1:0", currencies: [EUR], max_amount: 100000}
resilience:
  pipelines: {provider: {steps: [timeout, bulkhead, retry, circuit_breaker]}}
`)),
		config.Values(map[string]any{"payments": map[string]any{"provider": bank.URL}}),
		config.Section("payments", &settings),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	var api *service.Handler
	app := fx.New(fx.NopLogger, fx.Supply(tree, settings, zap.NewNop()),
		resiliencefx.Module, idempotencyfx.Module, service.Module, fx.Populate(&api))
	if err := app.Start(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		r := httptest.NewRequest(http.MethodPost, "/payments",
			strings.NewReader(`{"reference":"order-1","account":"acct-17","amount":1250,"currency":"EUR"}`))
		r.Header.Set(service.TenantHeader, "tenant-1")
		r.Header.Set("Idempotency-Key", "order-1")
		answer := httptest.NewRecorder()
		api.ServeHTTP(answer, r)
		fmt.Println(answer.Code, "replayed:", answer.Header().Get("Idempotent-Replayed") == "true")
	}
	if err := app.Stop(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 201 replayed: false
	// 201 replayed: true
}
