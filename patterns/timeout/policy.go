package timeout

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
)

// Policy bounds the time of each operation it runs. It is safe for concurrent use.
type Policy struct {
	name      string
	limit     time.Duration
	message   string
	detached  bool
	abandoned *atomic.Int64 // operations; shared by the policies of a Manager
	bus       *hooks.Bus
	start     time.Time // what the clock readings of its contexts count from
}

var (
	_ patterns.Layer      = (*Policy)(nil)
	_ patterns.Composer   = (*Policy)(nil)
	_ patterns.Sequential = (*Policy)(nil)
)

// Option changes how a [Policy] or a [Manager] is built.
type Option func(*Policy)

// WithBus sends [hooks.TimedOut] and [hooks.AbandonedEnded] to bus.
func WithBus(bus *hooks.Bus) Option { return func(p *Policy) { p.bus = bus } }

// New returns a policy. The name appears in errors and events. The error lists everything that is wrong with name and
// cfg; it satisfies errors.Is(err, [patterns.ErrConfiguration]).
func New(name string, cfg Config, opts ...Option) (*Policy, error) {
	return newPolicy(name, cfg.withDefaults(), opts)
}

// newPolicy is New for a configuration that has its defaults.
func newPolicy(name string, cfg Config, opts []Option) (*Policy, error) {
	var checks patterns.Checks
	checks.Name(name)
	checks.Include("", cfg.Validate())
	if err := checks.Err(fmt.Sprintf("timeout %q", name)); err != nil {
		return nil, err
	}
	p := &Policy{
		name: name, limit: cfg.Timeout, message: cfg.Message, detached: cfg.Detached,
		abandoned: new(atomic.Int64), start: time.Now(),
	}
	for _, opt := range opts {
		opt(p)
	}
	return p, nil
}

// Name returns the name given to [New].
func (p *Policy) Name() string { return p.name }

// Config returns the configuration in use, defaults filled in.
func (p *Policy) Config() Config {
	return Config{Timeout: p.limit, Message: p.message, Detached: p.detached}
}

// Execute runs op under a context that ends after the limit, or with ctx if that is earlier, and returns when op does.
// An error that op returns after the limit has passed is wrapped in an [*Error]. It is returned as it is if ctx ended
// first: then the caller's bound was the tighter one. A success after the limit is a success.
//
// If the policy is detached, op runs on another goroutine, and Execute returns at the end of the context, whatever op
// does. The error then wraps an [*AbandonedError] if op still runs. A panic or a runtime.Goexit of op is repeated on the
// goroutine of the caller while that waits; the trace of the panic begins there. If ctx has already ended op is not run,
// and the error is that of ctx.
func (p *Policy) Execute(ctx context.Context, op patterns.Operation) error {
	return p.Around(ctx, patterns.Direct{}, op)
}

// Around is Execute with next.Execute(ctx, op) in the place of op(ctx).
func (p *Policy) Around(ctx context.Context, next patterns.Policy, op patterns.Operation) error {
	expired, err := p.run(ctx, next, op)
	if !expired {
		return err
	}
	hooks.Emit(ctx, p.bus, hooks.TimedOut{Operation: p.name, Limit: p.limit, At: time.Now()})
	return &Error{Operation: p.name, Limit: p.limit, Message: p.message, Err: err}
}

// run reports whether the operation failed because of the limit.
func (p *Policy) run(ctx context.Context, next patterns.Policy, op patterns.Operation) (expired bool, err error) {
	if p.detached {
		return p.runDetached(ctx, next, op)
	}
	c := &deadlineContext{parent: ctx, policy: p, begun: time.Since(p.start)}
	defer c.finish()
	err = next.Execute(c, op)
	return err != nil && c.expired(), err
}

// Compose returns a policy that runs next inside of this one.
func (p *Policy) Compose(next patterns.Policy) patterns.Policy { return patterns.Link(p, next) }

// Sequential reports whether the policy waits for its operations: true, unless it is detached.
func (p *Policy) Sequential() bool { return !p.detached }
