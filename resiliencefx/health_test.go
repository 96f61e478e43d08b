package resiliencefx_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/health"
	"github.com/steadyfx/steady/resiliencefx"
)

const circuits = "circuit_breakers"

func TestOpenCircuitsDegradeTheHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var manager *health.Manager
		var registry *circuitbreaker.Registry
		app := fxtest.New(t, fx.NopLogger, resiliencefx.Module, fx.Populate(&manager, &registry))
		if _, err := manager.Run(t.Context(), circuits); !errors.Is(err, health.ErrUnknownCheck) {
			t.Errorf("before the start: %v", err)
		}
		app.RequireStart()
		look := func(want health.Status, message string) {
			t.Helper()
			time.Sleep(2 * time.Second) // no result is given again
			got, err := manager.Run(t.Context(), circuits)
			if err != nil || got.Status != want || got.Message != message || got.Critical {
				t.Errorf("got %+v, %v", got, err)
			}
		}
		look(health.Healthy, "")
		open := map[string]*circuitbreaker.Breaker{}
		for _, name := range []string{"payments", "ledger", "mail"} {
			b, err := registry.GetOrCreate(name)
			if err != nil {
				t.Fatal(err)
			}
			open[name] = b
		}
		look(health.Healthy, "")
		for range circuitbreaker.DefaultConfig().FailureThreshold {
			_ = open["payments"].Execute(t.Context(), func(context.Context) error { return errDown })
		}
		open["ledger"].ForceOpen()
		look(health.Degraded, "open: ledger, payments")
		w := httptest.NewRecorder()
		manager.ReadyHandler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", http.NoBody))
		if w.Code != http.StatusOK {
			t.Errorf("with open circuits the application is not ready: %d", w.Code)
		}
		open["ledger"].Reset()
		time.Sleep(circuitbreaker.DefaultConfig().RecoveryTimeout) // half-open
		look(health.Healthy, "")
		app.RequireStop()
		if _, err := manager.Run(t.Context(), circuits); !errors.Is(err, health.ErrUnknownCheck) {
			t.Errorf("after the stop: %v", err)
		}
	})
}

func TestHealthWatchesWhatTheApplicationDecorates(t *testing.T) {
	breakers, err := circuitbreaker.NewRegistry(patterns.Instances[circuitbreaker.Config]{})
	if err != nil {
		t.Fatal(err)
	}
	manager, err := health.New(health.Config{})
	if err != nil {
		t.Fatal(err)
	}
	breaker, err := breakers.GetOrCreate("payments")
	if err != nil {
		t.Fatal(err)
	}
	breaker.ForceOpen()
	start(t, fx.Decorate(func() *circuitbreaker.Registry { return breakers }), fx.Replace(manager))
	if got, err := manager.Run(t.Context(), circuits); err != nil || got.Status != health.Degraded {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestHealthIsConfiguredByTheContainer(t *testing.T) {
	for version, opt := range map[string]fx.Option{
		health.DefaultConfig().Version: fx.Options(), "v1.2.3": fx.Supply(&health.Config{Version: "v1.2.3"}),
	} {
		var manager *health.Manager
		fxtest.New(t, fx.NopLogger, resiliencefx.Module, opt, fx.Populate(&manager))
		if got := manager.RunAll(t.Context()).Version; got != version {
			t.Errorf("got %s, want %s", got, version)
		}
	}
	for name, opt := range map[string]fx.Option{
		"wrong":    fx.Supply(&health.Config{MaxAge: -1}),
		"by value": fx.Supply(health.Config{}),
	} {
		if err := fx.New(fx.NopLogger, resiliencefx.Module, opt).Err(); err == nil {
			t.Errorf("%s: the application was built", name)
		}
	}
}

func TestChangesOfHealthAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		var manager *health.Manager
		app := fxtest.New(t, fx.NopLogger, resiliencefx.Module, fx.Supply(zap.New(core)), fx.Populate(&manager))
		app.RequireStart()
		defer app.RequireStop()
		logs.TakeAll()
		var down error
		check := health.Check{Name: "mail", Func: health.Ping(func(context.Context) error { return down })}
		if err := manager.Register(check); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			down error
			want string
		}{
			{nil, ""}, // that it is well from the start is no news
			{errDown, "health check is not healthy"},
			{errDown, ""},
			{nil, "health check is healthy again"},
			{nil, ""},
		} {
			down = step.down
			time.Sleep(2 * time.Second)
			if _, err := manager.Run(t.Context(), "mail"); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			got := logs.TakeAll()
			if step.want == "" && len(got) == 0 {
				continue
			}
			if len(got) != 1 || got[0].Message != step.want || got[0].LoggerName != "resilience" || got[0].ContextMap()["check"] != "mail" {
				t.Errorf("got %+v, want %q", got, step.want)
			}
			if cause := got[0].ContextMap()["error"]; step.down != nil && cause != errDown.Error() {
				t.Errorf("the cause is %v", cause)
			}
		}
	})
}
