package retry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
)

// Policy is a patterns.Policy that tries again. Between calls it keeps nothing but counts, so one Policy serves any
// number of them, also at the same time.
type Policy struct {
	name string
	cfg  Config
	options
	counts counts
}

// New returns a Policy. The name appears in its errors and events. The error reports everything that is wrong with the
// name and with cfg, in which a zero field takes its default.
func New(name string, cfg Config, opts ...Option) (*Policy, error) {
	cfg = cfg.withDefaults()
	var checks patterns.Checks
	checks.Name(name)
	checks.Include("", cfg.Validate())
	p := &Policy{name: name, cfg: cfg}
	for _, opt := range opts {
		opt(&p.options)
	}
	checks.That(cfg.Budget == "" || p.budget != nil, "budget", "names %q, which is not there; give it with WithBudget",
		cfg.Budget)
	if err := checks.Err(fmt.Sprintf("retry %q", name)); err != nil {
		return nil, err
	}
	return p, nil
}

// Name returns the name given to [New].
func (p *Policy) Name() string { return p.name }

// Config returns the configuration in use, defaults filled in.
func (p *Policy) Config() Config { return p.cfg }

// Budget returns the budget given by [WithBudget], or nil.
func (p *Policy) Budget() *Budget { return p.budget }

// Execute runs op until it succeeds, fails with an error that is not retried, or has failed as often, or for as long, as
// the Config and the budget allow. It returns nil, that error as it is, or an [*ExhaustedError]. If ctx ends after the
// first attempt, or its deadline is too near, or another policy refuses an attempt that is not the first, it returns an
// [*InterruptedError]; an operation whose ctx has already ended is not run at all. A panic or a runtime.Goexit of op passes through and is
// not retried.
func (p *Policy) Execute(ctx context.Context, op patterns.Operation) error {
	return p.Around(ctx, patterns.Direct{}, op)
}

// Around is Execute with next.Execute(ctx, op) in the place of op(ctx).
func (p *Policy) Around(ctx context.Context, next patterns.Policy, op patterns.Operation) error {
	if ctx.Err() != nil {
		return p.interrupted(0, patterns.Ended(ctx), nil)
	}
	if p.budget != nil {
		p.budget.Deposit()
	}
	failure := next.Execute(ctx, op)
	if failure == nil {
		return nil
	}
	return p.again(ctx, next, op, failure)
}

// Compose returns a policy that runs next again and again.
func (p *Policy) Compose(next patterns.Policy) patterns.Policy { return patterns.Link(p, next) }

// Sequential reports true: attempts never overlap.
func (p *Policy) Sequential() bool { return true }

// again is what follows the failure of the first attempt.
func (p *Policy) again(ctx context.Context, next patterns.Policy, op patterns.Operation, failure error) error {
	c := call{Policy: p, schedule: schedule{cfg: &p.cfg}}
	if p.cfg.MaxElapsed > 0 {
		c.failedAt = time.Now()
	}
	for attempt := 1; ; attempt++ {
		if err := c.failed(ctx, attempt, failure); err != nil {
			return err
		}
		p.counts.retries.Add(1)
		if failure = next.Execute(ctx, op); failure == nil {
			p.counts.recovered.Add(1)
			return nil
		}
	}
}

// call is the state of one call whose first attempt has failed.
type call struct {
	*Policy
	schedule  schedule
	failedAt  time.Time // of the first attempt, if it matters
	last, ran error     // of the last attempt, and of the last one that was not refused
}

// failed follows the failure of an attempt. It returns what the call must return, or nil after the delay before the
// next attempt.
func (c *call) failed(ctx context.Context, attempt int, failure error) error {
	c.counts.failures.Add(1)
	refusal := errors.Is(failure, patterns.ErrRejected)
	if c.last = failure; refusal && c.ran != nil {
		c.last = patterns.WithoutRejection(failure)
	}
	switch {
	case ctx.Err() == nil && c.retryable(failure):
	case refusal && c.ran != nil:
		return c.interrupted(attempt-1, c.last, c.ran)
	case ctx.Err() != nil && c.ran != nil:
		if !errors.Is(failure, ctx.Err()) { // else it says what Cause says
			c.ran = failure
		}
		return c.interrupted(attempt, patterns.Ended(ctx), c.ran)
	case ctx.Err() != nil:
		c.counts.interrupted.Add(1)
		return failure
	default:
		c.counts.notRetried.Add(1)
		return failure
	}
	if !refusal {
		c.ran = failure
	}
	delay, err := c.allow(ctx, attempt, failure)
	if err != nil {
		return err
	}
	hooks.Emit(ctx, c.bus, hooks.RetryAttempted{
		Operation: c.name, Attempt: attempt, Delay: delay, Err: failure, At: time.Now(),
	})
	c.notify(ctx, attempt, delay, failure)
	if sleep(ctx, delay); ctx.Err() != nil {
		return c.interrupted(attempt, patterns.Ended(ctx), c.last)
	}
	return nil
}

// allow returns the delay before the next attempt, or what the call must return if there is none. What costs others
// something, the budget, comes last.
func (c *call) allow(ctx context.Context, attempt int, failure error) (time.Duration, error) {
	if attempt >= c.cfg.MaxAttempts {
		return 0, c.exhausted(ctx, attempt, failure, nil, &c.counts.exhausted)
	}
	delay := c.schedule.next(attempt)
	if asked, known := patterns.RetryIn(failure); known {
		longest := cmp.Or(c.cfg.MaxRetryAfter, c.cfg.MaxDelay)
		if asked > longest {
			return 0, c.exhausted(ctx, attempt, failure, errTooLong, &c.counts.retryAfter)
		}
		delay = max(delay, c.cfg.later(asked, longest))
	}
	if limit := c.cfg.MaxElapsed; limit > 0 && delay > limit-time.Since(c.failedAt) {
		return 0, c.exhausted(ctx, attempt, failure, errElapsed, &c.counts.elapsed)
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= delay {
		return 0, c.interrupted(attempt, errNoTime, c.last)
	}
	if c.budget != nil && !c.budget.TryTake() {
		return 0, c.exhausted(ctx, attempt, failure, ErrBudgetSpent, &c.counts.budgetDenied)
	}
	return delay, nil
}

func (c *call) exhausted(ctx context.Context, attempts int, failure, cause error, count *atomic.Uint64) error {
	count.Add(1)
	hooks.Emit(ctx, c.bus, hooks.RetryExhausted{Operation: c.name, Attempts: attempts, Err: failure, At: time.Now()})
	return &ExhaustedError{Name: c.name, Attempts: attempts, Last: c.last, Cause: cause}
}

func (p *Policy) interrupted(attempts int, cause, last error) error {
	p.counts.interrupted.Add(1)
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
