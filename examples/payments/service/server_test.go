package service_test

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/steadyfx/steady/config"
	"github.com/steadyfx/steady/examples/payments/service"
	"github.com/steadyfx/steady/idempotencyfx"
	"github.com/steadyfx/steady/patterns/pipeline"
	"github.com/steadyfx/steady/resiliencefx"
)

func TestServerServesFromStartToStop(t *testing.T) {
	w := newWorld(t, patient, charges)
	url := w.server.URL() + "/payments"
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(order))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set(service.TenantHeader, "a")
	request.Header.Set("Idempotency-Key", "k")
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body.Close(); resp.StatusCode != http.StatusCreated {
		t.Errorf("got %s", resp.Status)
	}
	w.app.RequireStop()
	if conn, err := net.Dial("tcp", strings.TrimPrefix(w.server.URL(), "http://")); err == nil {
		conn.Close()
		t.Error("the port is still open after the stop")
	}
}

func start(t *testing.T, own service.Settings, tree *config.Tree) error {
	t.Helper()
	app := fx.New(fx.NopLogger, fx.Supply(tree, own, zap.NewNop()),
		resiliencefx.Module, idempotencyfx.Module, service.Module)
	err := app.Start(t.Context())
	if err == nil {
		t.Cleanup(func() { _ = app.Stop(t.Context()) })
	}
	return err
}

func TestMissingPipelineFailsTheStart(t *testing.T) {
	err := start(t, service.Settings{Listen: "127.0.0.1:0"}, config.Default())
	if err == nil || !strings.Contains(err.Error(), pipeline.ErrUnknown.Error()) {
		t.Errorf("got %v, want an error about the pipeline", err)
	}
}

func TestTakenPortFailsTheStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	tree, err := config.Load(config.Content("test.yaml", []byte("resilience: {pipelines: {provider: {steps: [retry]}}}")))
	if err != nil {
		t.Fatal(err)
	}
	err = start(t, service.Settings{Listen: taken.Addr().String()}, tree)
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("got %v, want that the address is in use", err)
	}
}

func TestSettingsThatAreWrong(t *testing.T) {
	right := service.Settings{
		Listen: "127.0.0.1:8080", Provider: "http://localhost:8081", Currencies: []string{"EUR"}, MaxAmount: 1,
	}
	if err := right.Validate(); err != nil {
		t.Errorf("right settings: %v", err)
	}
	for field, change := range map[string]func(*service.Settings){
		"listen":     func(s *service.Settings) { s.Listen = "0.0.0.0:80" },
		"provider":   func(s *service.Settings) { s.Provider = "localhost" },
		"currencies": func(s *service.Settings) { s.Currencies = nil },
		"max_amount": func(s *service.Settings) { s.MaxAmount = 0 },
		"answer_key": func(s *service.Settings) { s.AnswerKey = "c2hvcnQ=" },
	} {
		wrong := right
		change(&wrong)
		if err := wrong.Validate(); err == nil || !strings.HasPrefix(err.Error(), field+": ") {
			t.Errorf("%s: %v, want it named", field, err)
		}
	}
}
