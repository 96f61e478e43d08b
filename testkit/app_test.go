package testkit_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/fx"

	"github.com/steadyfx/steady/config"
	"github.com/steadyfx/steady/idempotencyfx"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/patterns/pipeline"
	"github.com/steadyfx/steady/patterns/retry"
	"github.com/steadyfx/steady/resiliencefx"
	"github.com/steadyfx/steady/stores/memstore"
	"github.com/steadyfx/steady/testkit"
)

// production is an application that does not start without Redis and tries everything nine times.
func production(t *testing.T) fx.Option {
	t.Helper()
	tree, err := config.Load(config.Values(map[string]any{
		"redis": map[string]any{"addrs": []any{"127.0.0.1:1"}},
		"resilience": map[string]any{
			"retry":     map[string]any{"max_attempts": 9, "instances": map[string]any{"mail": map[string]any{"max_attempts": 8}}},
			"pipelines": map[string]any{"mail": map[string]any{"steps": []any{map[string]any{"retry": "mail"}}}},
		},
	}))
	if err != nil {
		t.Fatal(err)
	}
	return fx.Options(fx.Supply(tree), resiliencefx.Module, idempotencyfx.Durable)
}

func TestStubReplacesTheDurableStore(t *testing.T) {
	_, store := testkit.New[idempotency.Store](t, production(t), testkit.Idempotency())
	if _, ok := store.(*memstore.Idempotency); !ok {
		t.Fatalf("the store is a %T", store)
	}
}

type decorated struct{ idempotency.Store }

func TestDecoratorOfTheApplicationSurvivesTheStub(t *testing.T) {
	app := fx.Options(production(t), fx.Decorate(func(s idempotency.Store) idempotency.Store { return decorated{s} }))
	_, store := testkit.New[idempotency.Store](t, app, testkit.Idempotency())
	outer, ok := store.(decorated)
	if !ok {
		t.Fatalf("the store is a %T", store)
	}
	if _, ok := outer.Store.(*memstore.Idempotency); !ok {
		t.Fatalf("below the decorator is a %T", outer.Store)
	}
}

func TestResilienceHasTheDefaultsAndThePipelines(t *testing.T) {
	_, factory := testkit.New[*pipeline.Factory](t, production(t), testkit.Idempotency(), testkit.Resilience())
	policy, err := factory.Retry("mail")
	if err != nil || policy.Config() != retry.DefaultConfig() {
		t.Fatalf("got %+v, %v", policy, err)
	}
	if mail, err := factory.Get("mail"); err != nil || mail.String() != "retry(mail)" {
		t.Fatalf("got %v, %v", mail, err)
	}
	_, factory = testkit.New[*pipeline.Factory](t, resiliencefx.Module, testkit.Resilience())
	if policy, err := factory.Retry("any"); err != nil || policy.Config() != retry.DefaultConfig() {
		t.Fatalf("without a configuration: %+v, %v", policy, err)
	}
}

func TestNewStopsTheApplicationWithTheTest(t *testing.T) {
	started, stopped := false, false
	t.Run("test", func(t *testing.T) {
		testkit.New[fx.Lifecycle](t, fx.Invoke(func(lc fx.Lifecycle) {
			lc.Append(fx.StartStopHook(func() { started = true }, func() { stopped = true }))
		}), fx.StartTimeout(time.Second))
		if !started || stopped {
			t.Errorf("started %v, stopped %v", started, stopped)
		}
	})
	if !stopped {
		t.Error("the application still runs")
	}
}

// A day in the life of an application, in no time and without a server.
func TestWholeApplicationInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, got := testkit.New[struct {
			fx.In
			Guard   *idempotency.Guard
			Factory *pipeline.Factory
		}](t, production(t), testkit.Idempotency(), testkit.Resilience())
		runs := 0
		for range 48 { // twice within each hour that a result is kept
			call := idempotency.Call{Operation: "report", Key: "daily"}
			if _, err := idempotency.Do(t.Context(), got.Guard, call, func(context.Context) (int, error) { runs++; return runs, nil }); err != nil {
				t.Fatal(err)
			}
			time.Sleep(30*time.Minute + time.Second)
		}
		if runs != 24 {
			t.Fatalf("%d runs in a day", runs)
		}
	})
}
