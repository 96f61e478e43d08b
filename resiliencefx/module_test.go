package resiliencefx_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/steadyfx/steady/config"
	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/fallback"
	"github.com/steadyfx/steady/patterns/pipeline"
	"github.com/steadyfx/steady/patterns/retry"
	"github.com/steadyfx/steady/patterns/throttle"
	"github.com/steadyfx/steady/patterns/timeout"
	"github.com/steadyfx/steady/resiliencefx"
	"github.com/steadyfx/steady/stores/memstore"
)

var errDown = errors.New("dependency down")

// policies is everything that the module provides.
type policies struct {
	fx.In

	Bus       *hooks.Bus
	Registry  *circuitbreaker.Registry
	Throttles *throttle.Registry
	Timeouts  *timeout.Manager
	Factory   *pipeline.Factory
}

func start(t *testing.T, opts ...fx.Option) policies {
	t.Helper()
	var got policies
	app := fxtest.New(t, fx.NopLogger, resiliencefx.Module, fx.Options(opts...), fx.Invoke(func(p policies) { got = p }))
	app.RequireStart()
	t.Cleanup(app.RequireStop)
	return got
}

func load(t *testing.T, values map[string]any) *config.Tree {
	t.Helper()
	tree, err := config.Load(config.Values(map[string]any{"resilience": values}))
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestModuleIsCompleteWithoutAnyOption(t *testing.T) {
	p := start(t)
	breaker, err := p.Factory.CircuitBreaker("payments")
	if err != nil || breaker.Config() != circuitbreaker.DefaultConfig() {
		t.Fatalf("got %+v, %v", breaker, err)
	}
	if same, ok := p.Registry.Get("payments"); !ok || same != breaker {
		t.Error("the factory and the registry have breakers of their own")
	}
	throttler, err := p.Factory.Throttle("payments")
	if err != nil || throttler.Config() != throttle.DefaultConfig() {
		t.Fatalf("got %+v, %v", throttler, err)
	}
	if same, ok := p.Throttles.Get("payments"); !ok || same != throttler {
		t.Error("the factory and the registry have throttlers of their own")
	}
	if limit := p.Timeouts.For("anything"); limit != timeout.DefaultConfig().Timeout {
		t.Errorf("the default timeout is %v", limit)
	}
}

func TestTreeConfiguresEverything(t *testing.T) {
	p := start(t, fx.Supply(load(t, map[string]any{
		"retry":           map[string]any{"instances": map[string]any{"mail": map[string]any{"max_attempts": 5}}},
		"circuit_breaker": map[string]any{"failure_threshold": 2},
		"timeout":         map[string]any{"instances": map[string]any{"report": map[string]any{"timeout": 120}}},
		"pipelines":       map[string]any{"mail": map[string]any{"steps": []any{"circuit_breaker", "retry"}}},
	})))
	policy, err := p.Factory.Retry("mail")
	if err != nil || policy.Config().MaxAttempts != 5 {
		t.Errorf("got %+v, %v", policy, err)
	}
	breaker, err := p.Registry.GetOrCreate("mail")
	if err != nil || breaker.Config().FailureThreshold != 2 {
		t.Errorf("got %+v, %v", breaker, err)
	}
	if limit := p.Timeouts.For("report"); limit != 2*time.Minute {
		t.Errorf("the timeout of reports is %v", limit)
	}
	mail, err := p.Factory.Get("mail")
	if err != nil || mail.String() != "circuit_breaker(mail) > retry(mail)" {
		t.Errorf("got %v, %v", mail, err)
	}
}

func newChaos() pipeline.Member {
	return pipeline.Member{Step: pipeline.Custom, Instance: "chaos", Policy: patterns.Direct{}}
}

func newFallback(bus *hooks.Bus) (pipeline.Member, error) {
	chain, err := fallback.New("mail", fallback.WithBus[struct{}](bus))
	if err != nil {
		return pipeline.Member{}, err
	}
	queued := fallback.Alternative(fallback.NoValue(func(context.Context) error { return nil }))
	return pipeline.Member{Step: pipeline.Fallback, Instance: "mail", Policy: fallback.NewPolicy(chain.Add(queued))}, nil
}

// withEverything is a pipeline with steps of every kind.
var withEverything = map[string]any{
	"budget":            map[string]any{"instances": map[string]any{"mail": map[string]any{"percent": 5}}},
	"retry":             map[string]any{"budget": "mail", "max_attempts": 2, "base_delay": "10ms"},
	"hedge":             map[string]any{"instances": map[string]any{"mail": map[string]any{"delay": "100ms"}}},
	"rate_limit":        map[string]any{"limit": 7},
	"throttle":          map[string]any{"strategy": "sliding_window"},
	"adaptive_bulkhead": map[string]any{"max_limit": 11},
	"adaptive_throttle": map[string]any{"k": 3},
	"timeout":           map[string]any{"instances": map[string]any{"mail": map[string]any{"timeout": 1}}},
	"circuit_breaker":   map[string]any{"timeout": 0},
	"pipelines": map[string]any{"mail": map[string]any{"steps": []any{
		"fallback", "total_timeout", "rate_limit", "throttle", "bulkhead", "retry", "hedge", "adaptive_throttle",
		"adaptive_bulkhead", "circuit_breaker", "timeout", map[string]any{"custom": "chaos"},
	}}},
}

func TestTreeDrivesPipelinesOfEveryKindOfStep(t *testing.T) {
	p := start(t, fx.Supply(load(t, withEverything)), fx.Provide(resiliencefx.AsStep(newChaos), resiliencefx.AsStep(newFallback)))
	mail, err := p.Factory.Get("mail")
	if err != nil {
		t.Fatal(err)
	}
	const want = "fallback(mail) > total_timeout(mail.total) > rate_limit(mail) > throttle(mail) > bulkhead(mail) > retry(mail)" +
		" > hedge(mail) > adaptive_throttle(mail) > adaptive_bulkhead(mail) > circuit_breaker(mail) > timeout(mail) > custom(chaos)"
	if mail.String() != want {
		t.Errorf("got %s", mail)
	}
	page := mail.Describe().String()
	for _, want := range []string{
		"limit 7, period 1s, burst 7\n", `strategy "sliding_window"`, "max_limit 11", "k 3, ", "budget: percent 5, ", "delay 100ms",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing in\n%s", want, page)
		}
	}
	var seen []string
	hooks.On(p.Bus, func(_ context.Context, e hooks.Event) { seen = append(seen, e.EventName()) })
	if err := mail.Execute(t.Context(), func(context.Context) error { return errDown }); err != nil {
		t.Errorf("the fallback did not answer: %v", err)
	}
	if got := strings.Join(seen, " "); got != "retry.attempted retry.exhausted fallback.used" {
		t.Errorf("announced: %s", got)
	}
}

func TestStepsThatTheProgramDoesNotGiveFailTheBuild(t *testing.T) {
	err := fx.New(fx.NopLogger, resiliencefx.Module, fx.Supply(load(t, withEverything)), fx.Provide(resiliencefx.AsStep(newChaos)),
		fx.Invoke(func(*pipeline.Factory) {})).Err()
	if err == nil || !strings.Contains(err.Error(), `pipelines.mail.steps[0].fallback: the program gives none of the name "mail"`) {
		t.Fatalf("got %v", err)
	}
}

func TestStepsThatNobodyNamesAreInert(t *testing.T) {
	start(t, fx.Provide(resiliencefx.AsStep(newChaos), resiliencefx.AsStep(newFallback)))
}

func TestDecoratorsReplaceWhatTheFactoryUses(t *testing.T) {
	breakers, err := circuitbreaker.NewRegistry(patterns.Instances[circuitbreaker.Config]{Default: circuitbreaker.Sensitive()})
	if err != nil {
		t.Fatal(err)
	}
	throttles, err := throttle.NewRegistry(patterns.Instances[throttle.Config]{Default: throttle.Config{Calls: 3}})
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, fx.Decorate(func(*circuitbreaker.Registry) *circuitbreaker.Registry { return breakers }),
		fx.Decorate(func(*throttle.Registry) *throttle.Registry { return throttles }))
	if b, err := p.Factory.CircuitBreaker("a"); err != nil || b.Config() != circuitbreaker.Sensitive() {
		t.Errorf("got %+v, %v", b, err)
	}
	if th, err := p.Factory.Throttle("a"); err != nil || th.Config().Calls != 3 {
		t.Errorf("got %+v, %v", th, err)
	}
}

func TestCircuitsAreSharedWhileTheApplicationRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.NewState()
		replica := func() (*circuitbreaker.Breaker, *fxtest.App) {
			var b *circuitbreaker.Breaker
			app := fxtest.New(t, fx.NopLogger, resiliencefx.Module,
				fx.Provide(func() (circuitbreaker.Backend, error) {
					return circuitbreaker.NewDistributedBackend(store, circuitbreaker.DistributedConfig{})
				}),
				fx.Invoke(func(r *circuitbreaker.Registry) (err error) {
					b, err = r.GetOrCreate("payments")
					return err
				}),
			)
			return b, app
		}
		one, first := replica()
		two, second := replica()
		one.ForceOpen()
		synctest.Wait()
		if two.State() != circuitbreaker.Closed {
			t.Fatal("circuits are shared before the start")
		}
		first.RequireStart()
		second.RequireStart()
		synctest.Wait()
		if two.State() != circuitbreaker.ForcedOpen {
			t.Fatalf("circuits are not shared: %v", two.State())
		}
		first.RequireStop() // and nothing runs any more, or the bubble would not end
		second.RequireStop()
	})
}

func TestCircuitsWithTheMemoryBackendAreNotShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.NewState()
		tree := load(t, map[string]any{"circuit_breaker": map[string]any{
			"backend": "memory",
			"base":    map[string]any{"shared": map[string]any{"backend": ""}},
			"instances": map[string]any{
				"ledger": map[string]any{"extends": "shared", "failure_threshold": 2}, "mail": map[string]any{"failure_threshold": 2},
			},
		}})
		replica := func() *circuitbreaker.Registry {
			return start(t, fx.Supply(tree), fx.Provide(func() (circuitbreaker.Backend, error) {
				return circuitbreaker.NewDistributedBackend(store, circuitbreaker.DistributedConfig{})
			})).Registry
		}
		one, two := replica(), replica()
		for name, want := range map[string]circuitbreaker.State{
			"ledger": circuitbreaker.ForcedOpen, "mail": circuitbreaker.Closed, "other": circuitbreaker.Closed,
		} {
			for _, r := range []*circuitbreaker.Registry{one, two} {
				if _, err := r.GetOrCreate(name); err != nil {
					t.Fatal(err)
				}
			}
			if err := one.ForceOpen(name); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if m, err := two.Metrics(name); err != nil || m.State != want {
				t.Errorf("%s is %v, want %v: %v", name, m.State, want, err)
			}
		}
	})
}

func TestTimeoutsAreDetachedWhereTheTreeSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		timeouts := start(t, fx.Supply(load(t, map[string]any{"timeout": map[string]any{
			"timeout": "50ms",
			"base":    map[string]any{"deaf": map[string]any{"detached": true}},
			"instances": map[string]any{
				"report": map[string]any{"detached": true}, "mail": map[string]any{"extends": "deaf"},
				"ledger": map[string]any{"extends": "deaf", "detached": false},
			},
		}}))).Timeouts
		const limit, takes = 50 * time.Millisecond, 500 * time.Millisecond
		for operation, want := range map[string]time.Duration{"report": limit, "mail": limit, "ledger": takes, "other": takes} {
			begun := time.Now()
			err := timeouts.Run(t.Context(), operation, func(context.Context) error { time.Sleep(takes); return nil })
			if after := time.Since(begun); after != want || errors.Is(err, timeout.ErrAbandoned) != (want == limit) {
				t.Errorf("%s: %v after %v", operation, err, after)
			}
		}
		time.Sleep(takes)
	})
}

func TestConfigureBeatsTheTree(t *testing.T) {
	p := start(t, fx.Supply(load(t, map[string]any{"retry": map[string]any{"max_attempts": 7}})),
		resiliencefx.Configure(config.Resilience{
			Retry: patterns.Instances[retry.Config]{Default: retry.Config{MaxAttempts: 4}},
		}))
	if policy, err := p.Factory.Retry("any"); err != nil || policy.Config().MaxAttempts != 4 {
		t.Fatalf("got %+v, %v", policy, err)
	}
}

func TestMistakesInCodeFailTheBuild(t *testing.T) {
	err := fx.New(fx.NopLogger, resiliencefx.Module, fx.Invoke(func(*pipeline.Factory) {}),
		resiliencefx.Configure(config.Resilience{
			CircuitBreaker: patterns.Instances[circuitbreaker.Config]{Default: circuitbreaker.Config{MinimumCalls: -1}},
		})).Err()
	if err == nil || !strings.Contains(err.Error(), "default.minimum_calls: must be at least 1") {
		t.Fatalf("got %v", err)
	}
}

func TestBrokenConfigurationIsNotReplacedByTheDefaults(t *testing.T) {
	type missing struct{}
	for name, opt := range map[string]fx.Option{
		"tree that cannot be built": fx.Provide(func(missing) *config.Tree { return nil }),
		"tree by value":             fx.Supply(config.Tree{}),
		"section by value":          fx.Supply(config.Resilience{}),
	} {
		err := fx.New(fx.NopLogger, resiliencefx.Module, opt, fx.Invoke(func(*pipeline.Factory) {})).Err()
		if err == nil || !strings.Contains(err.Error(), "the application provides a ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestLogSaysWhereTheConfigurationComesFrom(t *testing.T) {
	tree, err := config.Load(config.Env([]string{"STEADY_RESILIENCE_RETRY_MAX_ATTEMPTS=3"}))
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.InfoLevel)
	start(t, fx.Supply(tree, zap.New(core)))
	if n := logs.FilterMessage("resilience configured").FilterField(zap.String("source", "tree")).Len(); n != 1 {
		t.Errorf("got %+v", logs.All())
	}
	ignored := logs.FilterMessageSnippet("environment variables ignored").All()
	if len(ignored) != 1 || !strings.Contains(fmt.Sprint(ignored[0].ContextMap()["names"]), "STEADY_RESILIENCE_RETRY_MAX_ATTEMPTS") {
		t.Errorf("got %+v", ignored)
	}
}

func TestModuleTwiceExplainsItself(t *testing.T) {
	err := fx.New(fx.NopLogger, resiliencefx.Module, fx.Module("library", resiliencefx.Module)).Err()
	if err == nil || !strings.Contains(err.Error(), "IncludeResilienceModuleOnce") {
		t.Fatalf("got %v", err)
	}
}

func TestEventsAreLoggedUnderTheNameOfTheModule(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	var factory *pipeline.Factory
	var own *zap.Logger
	app := fxtest.New(t, fx.NopLogger, resiliencefx.Module, fx.Supply(zap.New(core).Named("app")),
		fx.Populate(&factory, &own))
	app.RequireStart()
	breaker, err := factory.CircuitBreaker("payments")
	if err != nil {
		t.Fatal(err)
	}
	breaker.ForceOpen()
	app.RequireStop() // drains the bus
	entries := logs.All()
	if len(entries) != 1 || entries[0].LoggerName != "app.resilience" || entries[0].ContextMap()["name"] != "payments" {
		t.Fatalf("got %+v", entries)
	}
	if own.Name() != "app" {
		t.Errorf("the application's logger became %q", own.Name())
	}
}

func TestBusOutlivesThoseWhoUseIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var handled int
		app := fxtest.New(t, fx.NopLogger, resiliencefx.Module,
			fx.Invoke(func(lc fx.Lifecycle, bus *hooks.Bus, registry *circuitbreaker.Registry) error {
				hooks.Subscribe(bus, 0, func(hooks.CircuitOpened) { time.Sleep(time.Second); handled++ })
				breaker, err := registry.GetOrCreate("payments")
				lc.Append(fx.StopHook(func() { breaker.ForceOpen() })) // the last words of a shutdown
				return err
			}))
		app.RequireStart().RequireStop()
		if handled != 1 {
			t.Fatal("the stop did not wait for the event")
		}
	})
}

// An application in a bubble: its users can test theirs the same way.
func TestApplicationRunsInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var factory *pipeline.Factory
		app := fxtest.New(t, fx.NopLogger, resiliencefx.Module, fx.Populate(&factory))
		app.RequireStart()
		defer app.RequireStop()
		policy, err := factory.Retry("payments")
		if err != nil {
			t.Fatal(err)
		}
		begin, attempts := time.Now(), 0
		err = policy.Execute(context.Background(), func(context.Context) error { attempts++; return errDown })
		if !errors.Is(err, errDown) || attempts != 3 || time.Since(begin) < 2*time.Second {
			t.Fatalf("%d attempts in %v: %v", attempts, time.Since(begin), err)
		}
	})
}

func TestConstructorsWorkWithoutFx(t *testing.T) {
	registry, err := resiliencefx.NewCircuitBreakers(resiliencefx.CircuitBreakersParams{})
	if err != nil {
		t.Fatal(err)
	}
	throttles, err := resiliencefx.NewThrottles(resiliencefx.ThrottlesParams{})
	if err != nil {
		t.Fatal(err)
	}
	factory, err := resiliencefx.NewFactory(resiliencefx.FactoryParams{
		Registry: registry.Registry, Throttles: throttles.Registry, Steps: []pipeline.Member{newChaos()},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := factory.Factory.Bulkhead("any"); err != nil {
		t.Fatal(err)
	}
	if _, err := resiliencefx.NewTimeouts(resiliencefx.TimeoutsParams{}); err != nil {
		t.Fatal(err)
	}
	if checks, err := resiliencefx.NewHealth(resiliencefx.HealthParams{}); err != nil || checks.Manager == nil {
		t.Fatal("no health manager:", err)
	}
	if bus := resiliencefx.NewBus(resiliencefx.BusParams{}); bus.Bus == nil {
		t.Fatal("no bus")
	}
}
