package resiliencefx

import (
	"fmt"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/steadyfx/steady/config"
	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/internal/wiring"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/pipeline"
	"github.com/steadyfx/steady/patterns/throttle"
	"github.com/steadyfx/steady/patterns/timeout"
)

// Module provides *hooks.Bus, *circuitbreaker.Registry, *throttle.Registry, *timeout.Manager and *pipeline.Factory, which
// hands out all other policies and the pipelines by name, and a *health.Manager with the check "circuit_breakers". It
// takes a *zap.Logger, a configuration, a *health.Config, and the steps of [AsStep] if the container has them.
var Module = fx.Module("resilience",
	fx.Provide(func() IncludeResilienceModuleOnce { return IncludeResilienceModuleOnce{} }),
	fx.Provide(NewBus, NewCircuitBreakers, NewThrottles, NewTimeouts, NewFactory, NewHealth),
	fx.Invoke(watchCircuits),
	wiring.ScopedLogger("resilience"),
)

// IncludeResilienceModuleOnce exists for its name: Fx refuses to provide a type twice and prints the type, so this is
// the error of an application that includes [Module] twice, perhaps through a library.
type IncludeResilienceModuleOnce struct{}

// Configure configures [Module] from code. It beats a *config.Tree in the container.
func Configure(cfg config.Resilience) fx.Option { return fx.Supply(&cfg) }

// steps is the value group of what [AsStep] contributes.
const steps = `group:"resilience.steps"`

// AsStep is for fx.Provide: it makes of a constructor whose first result is a pipeline.Member one that gives this step to
// the pipelines of the configuration that name it, as in "fallback: prices" or "custom: chaos".
func AsStep(constructor any) any { return fx.Annotate(constructor, fx.ResultTags(steps)) }

// ConfigParams is where the constructors take their configuration from: Config, else the Resilience section of Tree,
// else the defaults.
type ConfigParams struct {
	fx.In

	Config *config.Resilience `optional:"true"`
	Tree   *config.Tree       `optional:"true"`
	Graph  fx.DotGraph        `optional:"true"`
}

func (p ConfigParams) resolve() (cfg config.Resilience, source string, err error) {
	switch {
	case p.Config != nil:
		return *p.Config, "code", nil
	case p.Tree != nil:
		return p.Tree.Resilience, "tree", nil
	}
	if err := wiring.CheckAbsent(p.Graph, "*config.Tree", "*config.Resilience"); err != nil {
		return config.Resilience{}, "", fmt.Errorf("resiliencefx: %w", err)
	}
	return config.Default().Resilience, "default", nil
}

// BusParams are the parameters of [NewBus].
type BusParams struct {
	fx.In

	Lifecycle fx.Lifecycle `optional:"true"`
	Logger    *zap.Logger  `optional:"true"`
}

// BusResult is the result of [NewBus].
type BusResult struct {
	fx.Out

	Bus *hooks.Bus
}

// NewBus makes the bus. Its events are logged; when the application stops it is drained, after everything that uses it
// has stopped.
func NewBus(p BusParams) BusResult { return BusResult{Bus: wiring.NewBus(p.Lifecycle, p.Logger)} }

// CircuitBreakersParams are the parameters of [NewCircuitBreakers].
type CircuitBreakersParams struct {
	fx.In

	Config    ConfigParams
	Lifecycle fx.Lifecycle           `optional:"true"`
	Backend   circuitbreaker.Backend `optional:"true"`
	Bus       *hooks.Bus             `optional:"true"`
}

// CircuitBreakersResult is the result of [NewCircuitBreakers].
type CircuitBreakersResult struct {
	fx.Out

	Registry *circuitbreaker.Registry
}

// NewCircuitBreakers makes the registry of circuit breakers. They share their state through Backend, if there is one,
// while the application runs, except those whose configuration says "backend: memory".
func NewCircuitBreakers(p CircuitBreakersParams) (CircuitBreakersResult, error) {
	cfg, _, err := p.Config.resolve()
	if err != nil {
		return CircuitBreakersResult{}, err
	}
	registry, err := circuitbreaker.NewRegistry(cfg.CircuitBreaker, circuitbreaker.WithBus(p.Bus))
	if err != nil {
		return CircuitBreakersResult{}, err
	}
	if p.Backend != nil {
		share(registry, p.Backend, p.Lifecycle)
	}
	return CircuitBreakersResult{Registry: registry}, nil
}

// share waits for the start, because sharing runs in the background.
func share(registry *circuitbreaker.Registry, backend circuitbreaker.Backend, lifecycle fx.Lifecycle) {
	if lifecycle == nil {
		registry.SetBackend(backend)
		return
	}
	lifecycle.Append(fx.StartStopHook(func() { registry.SetBackend(backend) }, registry.Close))
}

// ThrottlesParams are the parameters of [NewThrottles].
type ThrottlesParams struct {
	fx.In

	Config ConfigParams
	Bus    *hooks.Bus `optional:"true"`
}

// ThrottlesResult is the result of [NewThrottles].
type ThrottlesResult struct {
	fx.Out

	Registry *throttle.Registry
}

// NewThrottles makes the registry of throttles.
func NewThrottles(p ThrottlesParams) (ThrottlesResult, error) {
	cfg, _, err := p.Config.resolve()
	if err != nil {
		return ThrottlesResult{}, err
	}
	registry, err := throttle.NewRegistry(cfg.Throttle, throttle.WithBus(p.Bus))
	return ThrottlesResult{Registry: registry}, err
}

// TimeoutsParams are the parameters of [NewTimeouts].
type TimeoutsParams struct {
	fx.In

	Config ConfigParams
	Bus    *hooks.Bus `optional:"true"`
}

// TimeoutsResult is the result of [NewTimeouts].
type TimeoutsResult struct {
	fx.Out

	Manager *timeout.Manager
}

// NewTimeouts makes the manager of timeouts of named operations, with the configured instances in it.
func NewTimeouts(p TimeoutsParams) (TimeoutsResult, error) {
	cfg, _, err := p.Config.resolve()
	if err != nil {
		return TimeoutsResult{}, err
	}
	timeouts := cfg.Timeout
	manager, err := timeout.NewManager(timeouts.Default, timeout.WithBus(p.Bus))
	if err != nil {
		return TimeoutsResult{}, err
	}
	for operation, cfg := range timeouts.Named {
		if err := manager.ConfigureFrom(operation, cfg); err != nil {
			return TimeoutsResult{}, err
		}
	}
	return TimeoutsResult{Manager: manager}, nil
}

// FactoryParams are the parameters of [NewFactory].
type FactoryParams struct {
	fx.In

	Config    ConfigParams
	Logger    *zap.Logger              `optional:"true"`
	Registry  *circuitbreaker.Registry `optional:"true"`
	Throttles *throttle.Registry       `optional:"true"`
	Steps     []pipeline.Member        `group:"resilience.steps"`
	Bus       *hooks.Bus               `optional:"true"`
}

// FactoryResult is the result of [NewFactory].
type FactoryResult struct {
	fx.Out

	Factory *pipeline.Factory
}

// NewFactory makes the factory and all configured pipelines. It logs where the configuration comes from, and which
// environment variables look like a part of it and are not.
func NewFactory(p FactoryParams) (FactoryResult, error) {
	cfg, source, err := p.Config.resolve()
	if err != nil {
		return FactoryResult{}, err
	}
	log := wiring.LoggerOrNop(p.Logger)
	log.Info("resilience configured", zap.String("source", source), zap.Int("pipelines", len(cfg.Pipelines)))
	if p.Config.Tree != nil {
		if ignored := p.Config.Tree.Ignored(); len(ignored) > 0 {
			log.Warn("environment variables ignored: keys are joined by two underscores", zap.Strings("names", ignored))
		}
	}
	factory, err := pipeline.NewFactory(pipeline.FactoryConfig{
		CircuitBreakers:   p.Registry,
		Throttles:         p.Throttles,
		AdaptiveBulkheads: cfg.AdaptiveBulkhead,
		AdaptiveThrottles: cfg.AdaptiveThrottle,
		Budgets:           cfg.Budget,
		Bulkheads:         cfg.Bulkhead,
		Hedges:            cfg.Hedge,
		RateLimits:        cfg.RateLimit,
		Retries:           cfg.Retry,
		Timeouts:          cfg.Timeout,
		Given:             p.Steps,
		Pipelines:         cfg.Pipelines,
		Bus:               p.Bus,
	})
	return FactoryResult{Factory: factory}, err
}
