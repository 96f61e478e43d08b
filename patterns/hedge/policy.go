package hedge

import (
	"context"
	"fmt"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/retry"
)

// Policy is a patterns.Policy that starts further attempts while the first one is slow. It is safe for concurrent use.
type Policy struct {
	name      string
	cfg       Config
	budget    *retry.Budget
	bus       *hooks.Bus
	latencies *latencies // nil if the delay is fixed
	counts    counts
}

var (
	_ patterns.Layer      = (*Policy)(nil)
	_ patterns.Composer   = (*Policy)(nil)
	_ patterns.Sequential = (*Policy)(nil)
)

// Option sets what has no useful zero value.
type Option func(*Policy)

// WithBudget lets every attempt that is not a call's first one be paid from b, which several policies may share. A hedge
// that b does not allow is left out.
func WithBudget(b *retry.Budget) Option { return func(p *Policy) { p.budget = b } }

// WithBus announces every hedge on bus.
func WithBus(bus *hooks.Bus) Option { return func(p *Policy) { p.bus = bus } }

// New returns a Policy. The name appears in its errors and events. The error reports everything that is wrong with the
// name and with cfg, in which a zero field takes its default.
func New(name string, cfg Config, opts ...Option) (*Policy, error) {
	cfg = cfg.withDefaults()
	var checks patterns.Checks
	checks.Name(name)
	checks.Include("", cfg.Validate())
	p := &Policy{name: name, cfg: cfg}
	if cfg.Quantile > 0 {
		p.latencies = &latencies{quantile: cfg.Quantile}
	}
	for _, opt := range opts {
		opt(p)
	}
	checks.That(cfg.Budget == "" || p.budget != nil, "budget", "names %q, which is not there; give it with WithBudget",
		cfg.Budget)
	if err := checks.Err(fmt.Sprintf("hedge %q", name)); err != nil {
		return nil, err
	}
	return p, nil
}

// Name returns the name given to [New].
func (p *Policy) Name() string { return p.name }

// Config returns the configuration in use, defaults filled in.
func (p *Policy) Config() Config { return p.cfg }

// Budget returns the budget given by [WithBudget], or nil.
func (p *Policy) Budget() *retry.Budget { return p.budget }

// Delay returns after which time a call that begins now starts its first hedge. With a quantile it is that of the last
// 256 calls, once there have been 20. A call counts with the time of its first attempt if that succeeded, and with the
// time until a hedge was faster if not: had it gone on, it would have taken longer.
func (p *Policy) Delay() time.Duration {
	if p.latencies != nil {
		if d, ok := p.latencies.delay(); ok {
			return d
		}
	}
	return p.cfg.Delay
}

// Execute runs op and, after each delay without a result, runs it once more, as often as MaxHedges and the budget allow.
// It returns nil when the first attempt succeeds. When all that were started have failed, it returns the error of the
// earliest of them that was not refused by another policy (patterns.ErrRejected) or, if all were, of the first. No
// further attempt is started after an error that matches patterns.ErrPermanent. If ctx ends before a success, it returns
// an [*InterruptedError] without waiting; an operation whose ctx has already ended is not run at all. A panic or a
// runtime.Goexit of an attempt passes through, once; that of an attempt whose call is over is counted and, if it is a
// panic, announced.
func (p *Policy) Execute(ctx context.Context, op patterns.Operation) error {
	return p.Around(ctx, patterns.Direct{}, op)
}

// Around is Execute with next.Execute(ctx, op) in the place of op(ctx).
func (p *Policy) Around(ctx context.Context, next patterns.Policy, op patterns.Operation) error {
	if ctx.Err() != nil {
		p.counts.interrupted.Add(1)
		return &InterruptedError{Name: p.name, Cause: patterns.Ended(ctx)}
	}
	p.counts.calls.Add(1)
	if p.budget != nil {
		p.budget.Deposit()
	}
	attempts, cancel := context.WithCancelCause(ctx)
	c := &call{
		Policy: p, next: next, op: op, ctx: attempts, begun: time.Now(), results: make(chan result, 1+p.cfg.MaxHedges),
	}
	defer func() {
		c.close()
		cancel(ErrOver)
	}()
	err := c.run(ctx)
	c.close()
	for len(c.results) > 0 { // a panic that came with the last result must not get lost
		(<-c.results).rethrow()
	}
	return err
}

// Compose returns a policy that runs next several times at once.
func (p *Policy) Compose(next patterns.Policy) patterns.Policy { return patterns.Link(p, next) }

// Sequential reports false: attempts overlap, and may outlive the call.
func (p *Policy) Sequential() bool { return false }
