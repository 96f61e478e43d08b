package timeout

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// deadlineContext is the context of one call. It costs one allocation and one reading of the clock. Where more than
// that is asked of it, it makes a context of the standard library and passes every question on to that one.
type deadlineContext struct {
	parent context.Context
	policy *Policy
	begun  time.Duration // since policy.start

	std atomic.Pointer[standard] // nil: nobody asked; or returned; or what answers from then on
}

// standard is a context of the standard library.
type standard struct {
	context.Context
	cancel context.CancelFunc
}

// returned stands in deadlineContext.std for: the operation has returned, and nobody had asked.
var returned = &standard{cancel: func() {}}

// Deadline returns the parent's deadline or the end of the limit, whichever is earlier.
func (c *deadlineContext) Deadline() (deadline time.Time, ok bool) {
	own := c.ownDeadline()
	if earlier, ok := c.parent.Deadline(); ok && earlier.Before(own) {
		return earlier, true
	}
	return own, true
}

// Done returns the channel that is closed when the context ends.
func (c *deadlineContext) Done() <-chan struct{} { return c.delegate().Done() }

// Err returns why the context has ended, or nil.
func (c *deadlineContext) Err() error {
	if c.std.Load() == nil && c.parent.Err() == nil && !c.passed() {
		return nil
	}
	return c.delegate().Err()
}

// Value returns the parent's value for key. Only the standard library's own question, by which it finds the context
// that it can attach derived ones to, has another answer; the key of that is a *int.
func (c *deadlineContext) Value(key any) any {
	if _, ok := key.(*int); ok {
		return c.delegate().Value(key)
	}
	return c.parent.Value(key)
}

// String keeps package fmt from reading the fields.
func (c *deadlineContext) String() string {
	return fmt.Sprintf("timeout.Context(%q, %v)", c.policy.name, c.policy.limit)
}

// finish ends the context.
func (c *deadlineContext) finish() {
	if !c.std.CompareAndSwap(nil, returned) {
		c.std.Load().cancel()
	}
}

// expired reports whether the limit has passed before the parent ended. The clock decides, as the operation may have
// kept the deadline by itself and returned before the timer of the context got to run.
func (c *deadlineContext) expired() bool {
	if !c.passed() {
		return false
	}
	if earlier, ok := c.parent.Deadline(); ok && earlier.Before(c.ownDeadline()) {
		return false
	}
	err := c.Err()
	return err == nil || errors.Is(err, context.DeadlineExceeded)
}

// passed reports whether the limit has passed.
func (c *deadlineContext) passed() bool { return time.Since(c.policy.start)-c.begun >= c.policy.limit }

// ownDeadline returns the end of the limit as a point in time.
func (c *deadlineContext) ownDeadline() time.Time {
	now := time.Now()
	return now.Add(c.policy.limit - (now.Sub(c.policy.start) - c.begun))
}

// timerDeadline is ownDeadline for a timer. Where there is no other deadline to compare it with, only its monotonic
// time counts, and that needs no reading of the clock. The wall time is off if the clock was set since policy.start.
func (c *deadlineContext) timerDeadline() time.Time {
	if _, ok := c.parent.Deadline(); ok {
		return c.ownDeadline()
	}
	return c.policy.start.Add(c.begun).Add(c.policy.limit)
}

// delegate returns the context that answers for c, and makes it if there is none.
func (c *deadlineContext) delegate() *standard {
	for {
		current := c.std.Load()
		if current != nil && current != returned {
			return current
		}
		made := new(standard)
		if current == nil {
			made.Context, made.cancel = context.WithDeadline(c.parent, c.timerDeadline())
		} else {
			// Whoever asks now has outlived the operation. What happens to the parent from here on no longer matters.
			made.Context, made.cancel = context.WithCancel(context.WithoutCancel(c.parent))
			made.cancel()
		}
		if c.std.CompareAndSwap(current, made) {
			return made
		}
		made.cancel()
	}
}
