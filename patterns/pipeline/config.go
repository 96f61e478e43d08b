package pipeline

import (
	"fmt"
	"maps"
	"slices"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/bulkhead"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/fallback"
	"github.com/steadyfx/steady/patterns/hedge"
	"github.com/steadyfx/steady/patterns/ratelimit"
	"github.com/steadyfx/steady/patterns/retry"
	"github.com/steadyfx/steady/patterns/throttle"
	"github.com/steadyfx/steady/patterns/timeout"
)

// Config says which steps a [Pipeline] has. A step that is nil is not part of it.
type Config struct {
	Bulkhead       *bulkhead.Config
	CircuitBreaker *circuitbreaker.Config
	Retry          *retry.Config
	Timeout        *timeout.Config

	AdaptiveBulkhead *bulkhead.AdaptiveConfig
	AdaptiveThrottle *throttle.AdaptiveConfig
	Fallback         *fallback.Policy
	Hedge            *hedge.Config
	RateLimit        *ratelimit.Config
	Throttle         *throttle.Config
	TotalTimeout     *timeout.Config

	// Budget pays for the further attempts of Retry, or of Hedge. It is to be shared by all who call the dependency.
	Budget *retry.Budget

	// Named holds steps that the program has made itself, by the name under which Order lists them: a second one of a
	// kind, one that other pipelines share, one with options of its own, or any other policy.
	Named map[Step]patterns.Policy

	// Order of the steps, outermost first. Empty: that of [DefaultOrder]. It must name every step that is configured,
	// once, and no other.
	Order []Step
}

// Option sets what has no useful zero value.
type Option func(*options)

type options struct{ bus *hooks.Bus }

// WithBus has the policies that the pipeline makes announce their events on bus.
func WithBus(bus *hooks.Bus) Option { return func(o *options) { o.bus = bus } }

// New makes the policies of cfg, called name (but the total timeout, see [Step.Of]), and composes them.
// It returns all mistakes at once; those in how the steps fit together once there is no other. Without any step the
// pipeline only calls the operation.
//
// A mistake is: a timeout that is longer than one around it; a circuit breaker whose window is less than twice the time
// that a call may take, or to which calls are slow that have been ended before; a retry whose delays alone take as long
// as the timeout around it; a hedge that would come after the end of the call; a fallback that is not outermost; a total
// timeout inside of a retry; a policy that is in the pipeline twice; one budget for a retry and a hedge inside of one
// another. What may be meant so, [Pipeline.Describe] warns of.
func New(name string, cfg Config, opts ...Option) (*Pipeline, error) {
	b := newBuilder(name, cfg, opts)
	order := cfg.Order
	if len(order) == 0 {
		order = slices.DeleteFunc(DefaultOrder(), func(s Step) bool { return !b.configured(s) })
	}
	return b.pipeline(order)
}

// Standard is [New] in the order of [StandardOrder], with the steps of cfg that are named innermost, in the order of
// their names. The Order of cfg must be empty.
func Standard(name string, cfg Config, opts ...Option) (*Pipeline, error) {
	b := newBuilder(name, cfg, opts)
	b.checks.That(len(cfg.Order) == 0, "order", "must be empty, since this is the standard order; else use New")
	order := slices.DeleteFunc(StandardOrder(), func(s Step) bool { return !b.configured(s) })
	return b.pipeline(append(order, slices.Sorted(maps.Keys(cfg.Named))...))
}

// builder makes one pipeline.
type builder struct {
	name   string
	made   map[Step]Member // also if there was a mistake: the step is configured
	checks patterns.Checks
}

func newBuilder(name string, cfg Config, opts []Option) *builder {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	b := &builder{name: name, made: map[Step]Member{}}
	b.checks.Name(name)
	m := maker{bus: o.bus, budget: func(string) (*retry.Budget, error) { return cfg.Budget, nil }}
	add(b, AdaptiveBulkhead, cfg.AdaptiveBulkhead, m.adaptiveBulkhead)
	add(b, AdaptiveThrottle, cfg.AdaptiveThrottle, m.adaptiveThrottle)
	add(b, Bulkhead, cfg.Bulkhead, m.bulkhead)
	add(b, CircuitBreaker, cfg.CircuitBreaker, m.circuitBreaker)
	add(b, Hedge, cfg.Hedge, m.hedge)
	add(b, RateLimit, cfg.RateLimit, m.rateLimit)
	add(b, Retry, cfg.Retry, m.retry)
	add(b, Throttle, cfg.Throttle, m.throttle)
	add(b, Timeout, cfg.Timeout, m.timeout)
	add(b, TotalTimeout, cfg.TotalTimeout, m.timeout)
	if cfg.Fallback != nil {
		b.made[Fallback] = Member{Fallback, name, cfg.Fallback}
	}
	b.checks.That(cfg.Budget == nil || cfg.Retry != nil || cfg.Hedge != nil, "budget",
		"pays for nothing: there is neither a retry nor a hedge")
	for _, step := range slices.Sorted(maps.Keys(cfg.Named)) {
		b.named(step, cfg.Named[step])
	}
	return b
}

// add makes a policy if it is configured.
func add[C any, P patterns.Policy](b *builder, step Step, cfg *C, build func(string, C) (P, error)) {
	if cfg == nil {
		return
	}
	ref := step.Of(b.name)
	p, err := build(ref.Instance, *cfg)
	b.made[step] = Member{step, ref.Instance, p}
	b.checks.Include(string(step), err)
}

func (b *builder) named(step Step, p patterns.Policy) {
	var checks patterns.Checks
	kind, _ := inspect(p)
	m := Member{kind, string(step), p}
	checks.That(!step.Known(), "name", "is that of a step of its own; choose another")
	m.check(&checks)
	b.checks.Include("named."+string(step), checks.Err(""))
	b.made[step] = m
}

func (b *builder) configured(s Step) bool {
	_, ok := b.made[s]
	return ok
}

func (b *builder) pipeline(order []Step) (*Pipeline, error) {
	b.checkOrder(order)
	owner := fmt.Sprintf("pipeline %q", b.name)
	if err := b.checks.Err(owner); err != nil {
		return nil, err
	}
	p := &Pipeline{name: b.name}
	for _, step := range order {
		p.steps = append(p.steps, b.made[step])
	}
	judge(stagesOf(p.steps)).report(&b.checks, func(f finding) string {
		if f.key == "" {
			return "order"
		}
		return string(order[f.place]) + "." + f.key
	})
	if err := b.checks.Err(owner); err != nil {
		return nil, err
	}
	p.chain = chainOf(p.steps)
	return p, nil
}

func (b *builder) checkOrder(order []Step) {
	seen := map[Step]bool{}
	for _, step := range order {
		switch {
		case b.configured(step):
			b.checks.That(!seen[step], "order", "names %s twice", step)
		case step.Known():
			b.checks.That(false, "order", "names %s, which is not configured", step)
		default:
			b.checks.That(false, "order", "unknown step %q; known: %s, and the names of Named", step, joinSteps(Steps()))
		}
		seen[step] = true
	}
	for _, step := range slices.Sorted(maps.Keys(b.made)) {
		b.checks.That(seen[step], "order", "leaves out %s, which is configured; set Order, or use Standard", step)
	}
}
