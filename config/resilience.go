package config

import (
	"reflect"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/bulkhead"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/hedge"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/patterns/pipeline"
	"github.com/steadyfx/steady/patterns/ratelimit"
	"github.com/steadyfx/steady/patterns/retry"
	"github.com/steadyfx/steady/patterns/throttle"
	"github.com/steadyfx/steady/patterns/timeout"
)

// Resilience configures every instance of every pattern. It is read-only.
type Resilience struct {
	CircuitBreaker   patterns.Instances[circuitbreaker.Config]
	Retry            patterns.Instances[retry.Config]
	Timeout          patterns.Instances[timeout.Config]
	Bulkhead         patterns.Instances[bulkhead.Config]
	AdaptiveBulkhead patterns.Instances[bulkhead.AdaptiveConfig]
	RateLimit        patterns.Instances[ratelimit.Config]
	Throttle         patterns.Instances[throttle.Config]
	AdaptiveThrottle patterns.Instances[throttle.AdaptiveConfig]
	Hedge            patterns.Instances[hedge.Config]
	Budget           patterns.Instances[retry.BudgetConfig] // of retries and hedges, which name them
	Idempotency      idempotency.Config
	Pipelines        map[string]pipeline.Definition
}

func defaultResilience() Resilience {
	r := Resilience{
		CircuitBreaker:   patterns.Instances[circuitbreaker.Config]{Default: circuitbreaker.DefaultConfig()},
		Retry:            patterns.Instances[retry.Config]{Default: retry.DefaultConfig()},
		Timeout:          patterns.Instances[timeout.Config]{Default: timeout.DefaultConfig()},
		Bulkhead:         patterns.Instances[bulkhead.Config]{Default: bulkhead.DefaultConfig()},
		AdaptiveBulkhead: patterns.Instances[bulkhead.AdaptiveConfig]{Default: bulkhead.DefaultAdaptiveConfig()},
		RateLimit:        patterns.Instances[ratelimit.Config]{Default: ratelimit.DefaultConfig()},
		Throttle:         patterns.Instances[throttle.Config]{Default: throttle.DefaultConfig()},
		AdaptiveThrottle: patterns.Instances[throttle.AdaptiveConfig]{Default: throttle.DefaultAdaptiveConfig()},
		Hedge:            patterns.Instances[hedge.Config]{Default: hedge.DefaultConfig()},
		Budget:           patterns.Instances[retry.BudgetConfig]{Default: retry.DefaultBudgetConfig()},
		Idempotency:      idempotency.DefaultConfig(),
	}
	// As many as the limit, whatever that is set to: the number of the default would be a burst of its own.
	r.RateLimit.Default.Burst, r.Throttle.Default.Burst = 0, 0
	return r
}

// budgets is the section of the budgets, and the key by which a retry or a hedge names one of them. They are no step.
const budgets = "budget"

// schema returns the shape of the tree, without the sections of applications.
func schema() *shape {
	return &shape{keys: map[string]*shape{
		"resilience": {keys: map[string]*shape{
			string(pipeline.CircuitBreaker):   instancesShape(shapeFor[circuitbreaker.Config]()),
			string(pipeline.Retry):            instancesShape(shapeFor[retry.Config]()),
			string(pipeline.Timeout):          instancesShape(shapeFor[timeout.Config]()),
			string(pipeline.Bulkhead):         instancesShape(shapeFor[bulkhead.Config]()),
			string(pipeline.AdaptiveBulkhead): instancesShape(shapeFor[bulkhead.AdaptiveConfig]()),
			string(pipeline.RateLimit):        instancesShape(shapeFor[ratelimit.Config]()),
			string(pipeline.Throttle):         instancesShape(shapeFor[throttle.Config]()),
			string(pipeline.AdaptiveThrottle): instancesShape(shapeFor[throttle.AdaptiveConfig]()),
			string(pipeline.Hedge):            instancesShape(shapeFor[hedge.Config]()),
			budgets:                           instancesShape(shapeFor[retry.BudgetConfig]()),
			"idempotency":                     shapeFor[idempotency.Config](),
			"pipelines":                       pipelinesShape(),
		}},
		"redis":    shapeFor[Redis](),
		"postgres": shapeFor[Postgres](),
	}}
}

func shapeFor[T any]() *shape {
	s, _ := shapeOf(reflect.TypeFor[T](), "")
	return s
}

func (d *decoder) resilience(out *Resilience, table map[string]any, at path) {
	known := configured{}
	instances(d, &out.CircuitBreaker, table, pipeline.CircuitBreaker, at, known, idleInCircuitBreakers()...)
	instances(d, &out.Retry, table, pipeline.Retry, at, known, idleInRetries()...)
	instances(d, &out.Timeout, table, pipeline.Timeout, at, known)
	instances(d, &out.Bulkhead, table, pipeline.Bulkhead, at, known, idleInBulkheads()...)
	instances(d, &out.AdaptiveBulkhead, table, pipeline.AdaptiveBulkhead, at, known, idleInAdaptiveBulkheads()...)
	instances(d, &out.RateLimit, table, pipeline.RateLimit, at, known)
	instances(d, &out.Throttle, table, pipeline.Throttle, at, known)
	instances(d, &out.AdaptiveThrottle, table, pipeline.AdaptiveThrottle, at, known)
	instances(d, &out.Hedge, table, pipeline.Hedge, at, known)
	instances(d, &out.Budget, table, budgets, at, known)
	d.checkBudgets(table, pipeline.Retry, at, known)
	d.checkBudgets(table, pipeline.Hedge, at, known)
	ownSection(d, &out.Idempotency, table, "idempotency", at, idleInIdempotency()...)
	out.Pipelines = d.pipelines(table, at, known)
	d.fitting(out, at.child("pipelines"))
}

// configOf returns the configuration of a step, nil if it has none.
func (r *Resilience) configOf(step pipeline.Reference) any {
	switch step.Step {
	case pipeline.CircuitBreaker:
		return r.CircuitBreaker.For(step.Instance)
	case pipeline.Retry:
		return r.Retry.For(step.Instance)
	case pipeline.Timeout, pipeline.TotalTimeout:
		return r.Timeout.For(step.Instance)
	case pipeline.Bulkhead:
		return r.Bulkhead.For(step.Instance)
	case pipeline.AdaptiveBulkhead:
		return r.AdaptiveBulkhead.For(step.Instance)
	case pipeline.AdaptiveThrottle:
		return r.AdaptiveThrottle.For(step.Instance)
	case pipeline.Hedge:
		return r.Hedge.For(step.Instance)
	}
	return nil
}
