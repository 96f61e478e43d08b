package pipeline

import (
	"fmt"
	"maps"
	"slices"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/bulkhead"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/retry"
	"github.com/steadyfx/steady/patterns/timeout"
)

// FactoryConfig is what a [Factory] builds from. Zero Instances mean the DefaultConfig of that pattern for all names.
type FactoryConfig struct {
	CircuitBreakers *circuitbreaker.Registry // nil: a new one with the default configuration
	Bulkheads       patterns.Instances[bulkhead.Config]
	Retries         patterns.Instances[retry.Config]
	Timeouts        patterns.Instances[timeout.Config]
	Pipelines       map[string]Definition
	Bus             *hooks.Bus
}

// Factory hands out the policies of a program by name, each made once and shared by all who ask for it, and the
// pipelines that are composed of them. It is safe for concurrent use.
type Factory struct {
	circuitBreakers *circuitbreaker.Registry
	bulkheads       *patterns.Shelf[bulkhead.Config, *bulkhead.Bulkhead]
	retries         *patterns.Shelf[retry.Config, *retry.Policy]
	timeouts        *patterns.Shelf[timeout.Config, *timeout.Policy]
	pipelines       map[string]*Pipeline
}

// NewFactory makes a factory and all its pipelines, so that every mistake in cfg is known now, and reported at once.
func NewFactory(cfg FactoryConfig) (*Factory, error) {
	f := &Factory{circuitBreakers: cfg.CircuitBreakers, pipelines: map[string]*Pipeline{}}
	if f.circuitBreakers == nil {
		registry, err := circuitbreaker.NewRegistry(
			patterns.Instances[circuitbreaker.Config]{}, circuitbreaker.WithBus(cfg.Bus))
		if err != nil {
			return nil, err
		}
		f.circuitBreakers = registry
	}
	if cfg.Bulkheads.Default == (bulkhead.Config{}) {
		cfg.Bulkheads.Default = bulkhead.DefaultConfig() // its zero value has no queue
	}
	var checks patterns.Checks
	var err error
	f.bulkheads, err = patterns.NewShelf(cfg.Bulkheads, func(name string, c bulkhead.Config) (*bulkhead.Bulkhead, error) {
		return bulkhead.New(name, c, bulkhead.WithBus(cfg.Bus))
	})
	checks.Include("bulkhead", err)
	f.retries, err = patterns.NewShelf(cfg.Retries, func(name string, c retry.Config) (*retry.Policy, error) {
		return retry.New(name, c, retry.WithBus(cfg.Bus))
	})
	checks.Include("retry", err)
	f.timeouts, err = patterns.NewShelf(cfg.Timeouts, func(name string, c timeout.Config) (*timeout.Policy, error) {
		return timeout.New(name, c, timeout.WithBus(cfg.Bus))
	})
	checks.Include("timeout", err)
	if err := checks.Err(""); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Pipelines)) {
		p, err := f.compose(name, cfg.Pipelines[name])
		checks.Include("pipelines."+name, err)
		f.pipelines[name] = p
	}
	if err := checks.Err(""); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *Factory) compose(name string, def Definition) (*Pipeline, error) {
	var checks patterns.Checks
	checks.Name(name)
	checks.That(len(def.Steps) > 0, "steps", "must not be empty")
	p := &Pipeline{name: name}
	seen := map[Reference]bool{}
	for i, ref := range def.Steps {
		checks.That(!seen[ref], "steps", "names %s %q twice", ref.Step, ref.Instance)
		seen[ref] = true
		policy, err := f.policy(ref)
		checks.Include(fmt.Sprintf("steps[%d]", i), err)
		p.steps = append(p.steps, Member{Step: ref.Step, Instance: ref.Instance, Policy: policy})
	}
	if err := checks.Err(""); err != nil {
		return nil, err
	}
	p.chain = chainOf(p.steps)
	return p, nil
}

func (f *Factory) policy(ref Reference) (patterns.Policy, error) {
	switch ref.Step {
	case Bulkhead:
		return f.Bulkhead(ref.Instance)
	case CircuitBreaker:
		return f.CircuitBreaker(ref.Instance)
	case Retry:
		return f.Retry(ref.Instance)
	case Timeout:
		return f.Timeout(ref.Instance)
	default:
		var checks patterns.Checks
		checks.That(false, "step", "unknown step %q; known: %s", ref.Step, joinSteps(Steps()))
		return nil, checks.Err("")
	}
}

// Get returns the pipeline called name. The error is an [*UnknownError].
func (f *Factory) Get(name string) (*Pipeline, error) {
	if p, ok := f.pipelines[name]; ok {
		return p, nil
	}
	return nil, &UnknownError{Name: name, Known: f.Names()}
}

// Names returns the names of the pipelines, sorted.
func (f *Factory) Names() []string { return slices.Sorted(maps.Keys(f.pipelines)) }

// CircuitBreaker returns the circuit breaker called name and makes it if need be.
func (f *Factory) CircuitBreaker(name string) (*circuitbreaker.Breaker, error) {
	return f.circuitBreakers.GetOrCreate(name)
}

// Bulkhead returns the bulkhead called name and makes it if need be.
func (f *Factory) Bulkhead(name string) (*bulkhead.Bulkhead, error) {
	return f.bulkheads.GetOrCreate(name)
}

// Retry returns the retry policy called name and makes it if need be.
func (f *Factory) Retry(name string) (*retry.Policy, error) { return f.retries.GetOrCreate(name) }

// Timeout returns the timeout policy called name and makes it if need be.
func (f *Factory) Timeout(name string) (*timeout.Policy, error) { return f.timeouts.GetOrCreate(name) }
