package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/bulkhead"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/retry"
	"github.com/steadyfx/steady/patterns/timeout"
)

// Pipeline is a composition of policies. It is immutable and safe for concurrent use.
type Pipeline struct {
	name  string
	steps []Member
	chain patterns.Policy
}

// Member is one policy of a [Pipeline], and what it is.
type Member struct {
	Step     Step
	Instance string // name of the policy
	Policy   patterns.Policy
}

// Config says which steps a [Pipeline] has. A step whose Config is nil is not part of it.
type Config struct {
	Bulkhead       *bulkhead.Config
	CircuitBreaker *circuitbreaker.Config
	Retry          *retry.Config
	Timeout        *timeout.Config

	// Order of the steps, outermost first. Empty: those of [DefaultOrder] that are configured. Otherwise it must name
	// every step that is configured, once, and no other.
	Order []Step
}

// Option sets what has no useful zero value.
type Option func(*options)

type options struct{ bus *hooks.Bus }

// WithBus has all policies of the pipeline announce their events on bus.
func WithBus(bus *hooks.Bus) Option { return func(o *options) { o.bus = bus } }

// New makes the policies of cfg, all called name, and composes them. It returns all mistakes at once. Without any step
// the pipeline only calls the operation.
func New(name string, cfg Config, opts ...Option) (*Pipeline, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	made := map[Step]patterns.Policy{}
	var checks patterns.Checks
	checks.Name(name)
	if cfg.Bulkhead != nil {
		p, err := bulkhead.New(name, *cfg.Bulkhead, bulkhead.WithBus(o.bus))
		keep(made, &checks, Bulkhead, p, err)
	}
	if cfg.CircuitBreaker != nil {
		p, err := circuitbreaker.New(name, *cfg.CircuitBreaker, circuitbreaker.WithBus(o.bus))
		keep(made, &checks, CircuitBreaker, p, err)
	}
	if cfg.Retry != nil {
		p, err := retry.New(name, *cfg.Retry, retry.WithBus(o.bus))
		keep(made, &checks, Retry, p, err)
	}
	if cfg.Timeout != nil {
		p, err := timeout.New(name, *cfg.Timeout, timeout.WithBus(o.bus))
		keep(made, &checks, Timeout, p, err)
	}
	order := cfg.Order
	if len(order) == 0 {
		order = slices.DeleteFunc(DefaultOrder(), func(s Step) bool { return made[s] == nil })
	}
	checkOrder(&checks, order, made)
	if err := checks.Err(fmt.Sprintf("pipeline %q", name)); err != nil {
		return nil, err
	}
	p := &Pipeline{name: name}
	for _, step := range order {
		p.steps = append(p.steps, Member{Step: step, Instance: name, Policy: made[step]})
	}
	p.chain = chainOf(p.steps)
	return p, nil
}

// keep records a policy, or why it could not be made. The entry is made in either case: it is configured.
func keep(made map[Step]patterns.Policy, checks *patterns.Checks, step Step, p patterns.Policy, err error) {
	made[step] = p
	checks.Include(string(step), err)
}

func checkOrder(checks *patterns.Checks, order []Step, made map[Step]patterns.Policy) {
	seen := map[Step]bool{}
	for _, step := range order {
		_, configured := made[step]
		checks.That(step.Known(), "order", "unknown step %q; known: %s", step, joinSteps(Steps()))
		checks.That(configured || !step.Known(), "order", "names %s, which is not configured", step)
		checks.That(!seen[step], "order", "names %s twice", step)
		seen[step] = true
	}
	for _, step := range Steps() {
		_, configured := made[step]
		checks.That(!configured || seen[step], "order", "leaves out %s, which is configured", step)
	}
}

func joinSteps(steps []Step) string {
	names := make([]string, len(steps))
	for i, s := range steps {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

func chainOf(steps []Member) patterns.Policy {
	policies := make([]patterns.Policy, len(steps))
	for i, s := range steps {
		policies[i] = s.Policy
	}
	return patterns.Compose(policies...)
}

// Name returns the name given to [New] or in the configuration.
func (p *Pipeline) Name() string { return p.name }

// Execute runs op through all steps.
func (p *Pipeline) Execute(ctx context.Context, op patterns.Operation) error {
	return p.chain.Execute(ctx, op)
}

// Compose returns a policy that runs next inside of the pipeline.
func (p *Pipeline) Compose(next patterns.Policy) patterns.Policy {
	return patterns.Compose(p.chain, next)
}

// Sequential reports whether every step promises what patterns.Sequential describes.
func (p *Pipeline) Sequential() bool { return patterns.IsSequential(p.chain) }

// Add returns a pipeline with policy as the innermost step. The receiver is not changed.
func (p *Pipeline) Add(step Step, instance string, policy patterns.Policy) *Pipeline {
	added := &Pipeline{name: p.name, steps: append(slices.Clone(p.steps), Member{step, instance, policy})}
	added.chain = chainOf(added.steps)
	return added
}

// Members returns the steps, outermost first.
func (p *Pipeline) Members() []Member { return slices.Clone(p.steps) }

// String returns the steps, outermost first, as in "bulkhead(a) > retry(a)".
func (p *Pipeline) String() string {
	parts := make([]string, len(p.steps))
	for i, s := range p.steps {
		parts[i] = fmt.Sprintf("%s(%s)", s.Step, s.Instance)
	}
	return strings.Join(parts, " > ")
}
