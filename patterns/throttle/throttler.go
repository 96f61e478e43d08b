package throttle

import (
	"context"
	"fmt"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/ratelimit"
)

// Throttler allows so many calls per period by the strategy of its configuration. It is safe for concurrent use.
type Throttler struct {
	name    string
	cfg     Config
	limiter limiter
}

// limiter is what all strategies have.
type limiter interface {
	ratelimit.Limiter
	patterns.Layer
	RateLimit() patterns.RateLimit
}

var (
	_ ratelimit.Limiter   = (*Throttler)(nil)
	_ patterns.Layer      = (*Throttler)(nil)
	_ patterns.Composer   = (*Throttler)(nil)
	_ patterns.Sequential = (*Throttler)(nil)
)

// Option changes how a [Throttler] or an [Adaptive] is built.
type Option func(*options)

type options struct {
	bus      *hooks.Bus
	classify func(context.Context, error) patterns.Outcome
}

// WithBus sends [hooks.RateLimited] to bus for every call that is refused.
func WithBus(bus *hooks.Bus) Option { return func(o *options) { o.bus = bus } }

func apply(opts []Option) options {
	o := options{classify: patterns.Classify}
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// New returns a throttler that has allowed nothing yet. The name appears in errors and events. The error lists
// everything that is wrong with name and cfg, in which a zero field takes its default; it satisfies
// errors.Is(err, [patterns.ErrConfiguration]).
func New(name string, cfg Config, opts ...Option) (*Throttler, error) {
	cfg = cfg.withDefaults()
	var checks patterns.Checks
	checks.Name(name)
	checks.Include("", cfg.Validate())
	if err := checks.Err(fmt.Sprintf("throttle %q", name)); err != nil {
		return nil, err
	}
	t := &Throttler{name: name, cfg: cfg}
	bus := ratelimit.WithBus(apply(opts).bus)
	var err error
	switch cfg.Strategy {
	case SlidingWindow:
		t.limiter, err = ratelimit.NewSlidingWindow(name, cfg.window(), bus)
	case SlidingCounter:
		t.limiter, err = ratelimit.NewSlidingCounter(name, cfg.window(), bus)
	default:
		t.limiter, err = ratelimit.NewTokenBucket(name, cfg.bucket(), bus)
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// Name returns the name given to [New].
func (t *Throttler) Name() string { return t.name }

// Config returns the configuration in use, defaults filled in.
func (t *Throttler) Config() Config { return t.cfg }

// TryAcquire reports whether a call may be made at once, and if so counts it.
func (t *Throttler) TryAcquire() bool { return t.limiter.TryAcquire() }

// Acquire returns nil when the call may be made, after a wait if need be. If that would take longer than MaxWait or until
// the deadline of ctx, it returns a [*ratelimit.LimitedError] at once; if ctx ends, a [*ratelimit.CanceledError].
func (t *Throttler) Acquire(ctx context.Context) error { return t.limiter.Acquire(ctx) }

// Execute runs op when it is allowed. If it is not, op is not run and the error is that of [Throttler.Acquire].
func (t *Throttler) Execute(ctx context.Context, op patterns.Operation) error {
	return t.limiter.Execute(ctx, op)
}

// Around is Execute with next.Execute(ctx, op) in the place of op(ctx).
func (t *Throttler) Around(ctx context.Context, next patterns.Policy, op patterns.Operation) error {
	return t.limiter.Around(ctx, next, op)
}

// Compose returns a policy that runs next inside of this throttler.
func (t *Throttler) Compose(next patterns.Policy) patterns.Policy { return patterns.Link(t, next) }

// Sequential reports true.
func (t *Throttler) Sequential() bool { return true }

// Stats returns what the throttler has done.
func (t *Throttler) Stats() ratelimit.Stats { return t.limiter.Stats() }

// RateLimit describes the throttler as it is now.
func (t *Throttler) RateLimit() patterns.RateLimit { return t.limiter.RateLimit() }
