package retry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
)

// Policy is a patterns.Policy that tries again. It keeps nothing between calls, so one Policy serves any number of
// them, also at the same time.
type Policy struct {
	name string
	cfg  Config
	options
}

// New returns a Policy. The name appears in its errors and events. The error reports everything that is wrong with the
// name and with cfg, in which a zero field takes its default.
func New(name string, cfg Config, opts ...Option) (*Policy, error) {
	cfg = cfg.withDefaults()
	var checks patterns.Checks
	checks.Name(name)
	checks.Include("", cfg.Validate())
	if err := checks.Err(fmt.Sprintf("retry %q", name)); err != nil {
		return nil, err
	}
	p := &Policy{name: name, cfg: cfg}
	for _, opt := range opts {
		opt(&p.options)
	}
	return p, nil
}

// Name returns the name given to [New].
func (p *Policy) Name() string { return p.name }

// Config returns the configuration in use, defaults filled in.
func (p *Policy) Config() Config { return p.cfg }

// Execute runs op until it succeeds, fails with an error that is not retried, or has failed as often as allowed. It
// returns nil, that error as it is, or an [*ExhaustedError]. If ctx ends, or its deadline is too near, or another policy
// refuses an attempt that is not the first, it returns an [*InterruptedError]; an operation whose ctx has already ended
// is not run at all. A panic or a runtime.Goexit of op passes through and is not retried.
func (p *Policy) Execute(ctx context.Context, op patterns.Operation) error {
	return p.Around(ctx, patterns.Direct{}, op)
}

// Around is Execute with next.Execute(ctx, op) in the place of op(ctx).
func (p *Policy) Around(ctx context.Context, next patterns.Policy, op patterns.Operation) error {
	var last, ran error // ran: of the last attempt that was not refused
	for attempt := 1; ; attempt++ {
		if ctx.Err() != nil {
			return p.interrupted(attempt-1, causeOf(ctx), last)
		}
		failure := next.Execute(ctx, op)
		if failure == nil {
			return nil
		}
		refusal := errors.Is(failure, patterns.ErrRejected)
		if last = failure; refusal && ran != nil {
			last = refused{failure}
		}
		switch again := ctx.Err() == nil && p.retryable(failure); {
		case !again && refusal && ran != nil:
			return p.interrupted(attempt-1, last, ran)
		case !again:
			return failure
		}
		if !refusal {
			ran = failure
		}
		if err := p.wait(ctx, attempt, failure, last); err != nil {
			return err
		}
	}
}

// Compose returns a policy that runs next again and again.
func (p *Policy) Compose(next patterns.Policy) patterns.Policy { return patterns.Link(p, next) }

// Sequential reports true: attempts never overlap.
func (p *Policy) Sequential() bool { return true }

// wait follows an attempt that failed and may be repeated. It returns nil after the delay, or when ctx ends meanwhile,
// and what the call must return if there is no other attempt, made of last.
func (p *Policy) wait(ctx context.Context, attempt int, failure, last error) error {
	if attempt >= p.cfg.MaxAttempts {
		hooks.Emit(ctx, p.bus, hooks.RetryExhausted{
			Operation: p.name, Attempts: attempt, Err: failure, At: time.Now(),
		})
		return &ExhaustedError{Name: p.name, Attempts: attempt, Last: last}
	}
	delay := p.cfg.Delay(attempt)
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= delay {
		return p.interrupted(attempt, errNoTime, last)
	}
	hooks.Emit(ctx, p.bus, hooks.RetryAttempted{
		Operation: p.name, Attempt: attempt, Delay: delay, Err: failure, At: time.Now(),
	})
	p.notify(ctx, attempt, delay, failure)
	sleep(ctx, delay)
	return nil
}

func (p *Policy) interrupted(attempts int, cause, last error) error {
	return &InterruptedError{Name: p.name, Attempts: attempts, Cause: cause, Last: last}
}

// sleep returns after d, or earlier if ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
