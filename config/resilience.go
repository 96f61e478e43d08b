package config

import (
	"reflect"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/bulkhead"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/patterns/pipeline"
	"github.com/steadyfx/steady/patterns/retry"
	"github.com/steadyfx/steady/patterns/timeout"
)

// Resilience configures every instance of every pattern. It is read-only.
type Resilience struct {
	CircuitBreaker patterns.Instances[circuitbreaker.Config]
	Retry          patterns.Instances[retry.Config]
	Timeout        patterns.Instances[timeout.Config]
	Bulkhead       patterns.Instances[bulkhead.Config]
	Idempotency    idempotency.Config
	Pipelines      map[string]pipeline.Definition
}

func defaultResilience() Resilience {
	return Resilience{
		CircuitBreaker: patterns.Instances[circuitbreaker.Config]{Default: circuitbreaker.DefaultConfig()},
		Retry:          patterns.Instances[retry.Config]{Default: retry.DefaultConfig()},
		Timeout:        patterns.Instances[timeout.Config]{Default: timeout.DefaultConfig()},
		Bulkhead:       patterns.Instances[bulkhead.Config]{Default: bulkhead.DefaultConfig()},
		Idempotency:    idempotency.DefaultConfig(),
	}
}

// schema returns the shape of the tree, without the sections of applications.
func schema() *shape {
	return &shape{keys: map[string]*shape{
		"resilience": {keys: map[string]*shape{
			string(pipeline.CircuitBreaker): instancesShape(shapeFor[circuitbreaker.Config]()),
			string(pipeline.Retry):          instancesShape(shapeFor[retry.Config]()),
			string(pipeline.Timeout):        instancesShape(shapeFor[timeout.Config]()),
			string(pipeline.Bulkhead):       instancesShape(shapeFor[bulkhead.Config]()),
			"idempotency":                   shapeFor[idempotency.Config](),
			"pipelines":                     pipelinesShape(),
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
	instances(d, &out.CircuitBreaker, table, pipeline.CircuitBreaker, at, known)
	instances(d, &out.Retry, table, pipeline.Retry, at, known)
	instances(d, &out.Timeout, table, pipeline.Timeout, at, known)
	instances(d, &out.Bulkhead, table, pipeline.Bulkhead, at, known)
	d.section(reflect.ValueOf(&out.Idempotency), table, "idempotency", at)
	out.Pipelines = d.pipelines(table, at, known)
}
