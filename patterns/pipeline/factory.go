package pipeline

import (
	"fmt"
	"maps"
	"slices"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/bulkhead"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/hedge"
	"github.com/steadyfx/steady/patterns/ratelimit"
	"github.com/steadyfx/steady/patterns/retry"
	"github.com/steadyfx/steady/patterns/throttle"
	"github.com/steadyfx/steady/patterns/timeout"
)

// FactoryConfig is what a [Factory] builds from. Zero Instances mean the DefaultConfig of that pattern for all names.
type FactoryConfig struct {
	CircuitBreakers *circuitbreaker.Registry // nil: a new one with the default configuration
	Throttles       *throttle.Registry       // nil: likewise

	AdaptiveBulkheads patterns.Instances[bulkhead.AdaptiveConfig]
	AdaptiveThrottles patterns.Instances[throttle.AdaptiveConfig]
	Budgets           patterns.Instances[retry.BudgetConfig] // of retries and hedges, which name them
	Bulkheads         patterns.Instances[bulkhead.Config]
	Hedges            patterns.Instances[hedge.Config]
	RateLimits        patterns.Instances[ratelimit.Config]
	Retries           patterns.Instances[retry.Config]
	Timeouts          patterns.Instances[timeout.Config]

	// Given holds what a configuration cannot make: the policies behind steps [Fallback] and [Custom]. One that no
	// pipeline names is of no consequence.
	Given []Member

	Pipelines map[string]Definition
	Bus       *hooks.Bus
}

// Factory hands out the policies of a program by name, each made once and shared by all who ask for it, and the
// pipelines that are composed of them. It is safe for concurrent use.
type Factory struct {
	circuitBreakers   *circuitbreaker.Registry
	throttles         *throttle.Registry
	adaptiveBulkheads *patterns.Shelf[bulkhead.AdaptiveConfig, *bulkhead.Adaptive]
	adaptiveThrottles *patterns.Shelf[throttle.AdaptiveConfig, *throttle.Adaptive]
	budgets           *patterns.Shelf[retry.BudgetConfig, *retry.Budget]
	bulkheads         *patterns.Shelf[bulkhead.Config, *bulkhead.Bulkhead]
	hedges            *patterns.Shelf[hedge.Config, *hedge.Policy]
	rateLimits        *patterns.Shelf[ratelimit.Config, *ratelimit.TokenBucket]
	retries           *patterns.Shelf[retry.Config, *retry.Policy]
	timeouts          *patterns.Shelf[timeout.Config, *timeout.Policy]
	given             map[Reference]patterns.Policy
	pipelines         map[string]*Pipeline
}

// NewFactory makes a factory and all its pipelines, so that every mistake in cfg is known now. It reports those in the
// policies at once or, if there are none, those in the pipelines.
func NewFactory(cfg FactoryConfig) (*Factory, error) {
	f := &Factory{
		circuitBreakers: cfg.CircuitBreakers, throttles: cfg.Throttles,
		given: map[Reference]patterns.Policy{}, pipelines: map[string]*Pipeline{},
	}
	if cfg.Bulkheads.Default == (bulkhead.Config{}) {
		cfg.Bulkheads.Default = bulkhead.DefaultConfig() // its zero value has no queue
	}
	if cfg.AdaptiveBulkheads.Default == (bulkhead.AdaptiveConfig{}) {
		cfg.AdaptiveBulkheads.Default = bulkhead.DefaultAdaptiveConfig() // likewise
	}
	var checks patterns.Checks
	f.fill(cfg, &checks)
	f.take(cfg.Given, &checks)
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

// fill sets up what policies are made from.
func (f *Factory) fill(cfg FactoryConfig, checks *patterns.Checks) {
	m := maker{bus: cfg.Bus, budget: f.budgetOf}
	var err error
	if f.circuitBreakers == nil {
		f.circuitBreakers, err = circuitbreaker.NewRegistry(
			patterns.Instances[circuitbreaker.Config]{}, circuitbreaker.WithBus(cfg.Bus))
		checks.Include(string(CircuitBreaker), err)
	}
	if f.throttles == nil {
		f.throttles, err = throttle.NewRegistry(patterns.Instances[throttle.Config]{}, throttle.WithBus(cfg.Bus))
		checks.Include(string(Throttle), err)
	}
	f.budgets = shelf(checks, "budget", cfg.Budgets, newBudget)
	f.adaptiveBulkheads = shelf(checks, AdaptiveBulkhead, cfg.AdaptiveBulkheads, m.adaptiveBulkhead)
	f.adaptiveThrottles = shelf(checks, AdaptiveThrottle, cfg.AdaptiveThrottles, m.adaptiveThrottle)
	f.bulkheads = shelf(checks, Bulkhead, cfg.Bulkheads, m.bulkhead)
	f.hedges = shelf(checks, Hedge, cfg.Hedges, m.hedge)
	f.rateLimits = shelf(checks, RateLimit, cfg.RateLimits, m.rateLimit)
	f.retries = shelf(checks, Retry, cfg.Retries, m.retry)
	f.timeouts = shelf(checks, Timeout, cfg.Timeouts, m.timeout)
}

func newBudget(name string, c retry.BudgetConfig) (*retry.Budget, error) {
	var checks patterns.Checks
	checks.Name(name)
	b, err := retry.NewBudget(c)
	checks.Include("", err)
	return b, checks.Err("")
}

func shelf[C, P any](
	checks *patterns.Checks, section Step, configs patterns.Instances[C], build func(string, C) (P, error),
) *patterns.Shelf[C, P] {
	s, err := patterns.NewShelf(configs, build)
	checks.Include(string(section), err)
	return s
}

// budgetOf returns the budget that a retry or a hedge names, or nil if it names none.
func (f *Factory) budgetOf(name string) (*retry.Budget, error) {
	if name == "" || f.budgets == nil { // the mistakes in the budgets have been reported
		return nil, nil
	}
	b, err := f.Budget(name)
	var checks patterns.Checks
	checks.Include("budget", err)
	return b, checks.Err("")
}

// take keeps what the program has made.
func (f *Factory) take(given []Member, checks *patterns.Checks) {
	for i, m := range given {
		var own patterns.Checks
		ref := Reference{m.Step, m.Instance}
		m.check(&own)
		own.That(!m.Step.Known() || m.Step == Fallback || m.Step == Custom, "step", "%s comes from the configuration; give %s or %s",
			m.Step, Fallback, Custom)
		own.That(f.given[ref] == nil, "step", "%v is given twice", ref)
		checks.Include(fmt.Sprintf("given[%d]", i), own.Err(""))
		f.given[ref] = m.Policy
	}
}

func (f *Factory) compose(name string, def Definition) (*Pipeline, error) {
	var checks patterns.Checks
	checks.Name(name)
	checks.That(len(def.Steps) > 0, "steps", "must not be empty")
	p := &Pipeline{name: name}
	for i, ref := range def.Steps {
		policy, err := f.policy(ref)
		checks.Include(fmt.Sprintf("steps[%d]", i), err)
		p.steps = append(p.steps, Member{Step: ref.Step, Instance: ref.Instance, Policy: policy})
	}
	if err := checks.Err(""); err != nil {
		return nil, err
	}
	judge(stagesOf(p.steps)).report(&checks, atStep)
	if err := checks.Err(""); err != nil {
		return nil, err
	}
	p.chain = chainOf(p.steps)
	return p, nil
}

func (f *Factory) policy(ref Reference) (patterns.Policy, error) {
	switch ref.Step {
	case AdaptiveBulkhead:
		return f.AdaptiveBulkhead(ref.Instance)
	case AdaptiveThrottle:
		return f.AdaptiveThrottle(ref.Instance)
	case Bulkhead:
		return f.Bulkhead(ref.Instance)
	case CircuitBreaker:
		return f.CircuitBreaker(ref.Instance)
	case Hedge:
		return f.Hedge(ref.Instance)
	case RateLimit:
		return f.RateLimit(ref.Instance)
	case Retry:
		return f.Retry(ref.Instance)
	case Throttle:
		return f.Throttle(ref.Instance)
	case Timeout, TotalTimeout:
		return f.Timeout(ref.Instance)
	}
	if p, ok := f.given[ref]; ok {
		return p, nil
	}
	var checks patterns.Checks
	checks.That(ref.Step.Known(), "step", "unknown step %q; known: %s", ref.Step, joinSteps(Steps()))
	checks.That(!ref.Step.Known(), string(ref.Step), "the program gives none of the name %q%s",
		ref.Instance, f.givenNames(ref.Step))
	return nil, checks.Err("")
}

// givenNames ends a message about a name that is not given: with those that are.
func (f *Factory) givenNames(step Step) string {
	var names []string
	for ref := range f.given {
		if ref.Step == step {
			names = append(names, ref.Instance)
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return fmt.Sprintf("; given: %q", names)
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

// AdaptiveBulkhead returns the adaptive bulkhead called name and makes it if need be.
func (f *Factory) AdaptiveBulkhead(name string) (*bulkhead.Adaptive, error) {
	return f.adaptiveBulkheads.GetOrCreate(name)
}

// AdaptiveThrottle returns the adaptive throttle called name and makes it if need be.
func (f *Factory) AdaptiveThrottle(name string) (*throttle.Adaptive, error) {
	return f.adaptiveThrottles.GetOrCreate(name)
}

// Budget returns the budget called name and makes it if need be.
func (f *Factory) Budget(name string) (*retry.Budget, error) { return f.budgets.GetOrCreate(name) }

// Bulkhead returns the bulkhead called name and makes it if need be.
func (f *Factory) Bulkhead(name string) (*bulkhead.Bulkhead, error) {
	return f.bulkheads.GetOrCreate(name)
}

// CircuitBreaker returns the circuit breaker called name and makes it if need be.
func (f *Factory) CircuitBreaker(name string) (*circuitbreaker.Breaker, error) {
	return f.circuitBreakers.GetOrCreate(name)
}

// Hedge returns the hedge called name and makes it if need be.
func (f *Factory) Hedge(name string) (*hedge.Policy, error) { return f.hedges.GetOrCreate(name) }

// RateLimit returns the token bucket called name and makes it if need be.
func (f *Factory) RateLimit(name string) (*ratelimit.TokenBucket, error) {
	return f.rateLimits.GetOrCreate(name)
}

// Retry returns the retry policy called name and makes it if need be.
func (f *Factory) Retry(name string) (*retry.Policy, error) { return f.retries.GetOrCreate(name) }

// Throttle returns the throttler called name and makes it if need be.
func (f *Factory) Throttle(name string) (*throttle.Throttler, error) {
	return f.throttles.GetOrCreate(name)
}

// Timeout returns the timeout policy called name and makes it if need be.
func (f *Factory) Timeout(name string) (*timeout.Policy, error) { return f.timeouts.GetOrCreate(name) }
