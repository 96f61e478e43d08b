package idempotency

import (
	"context"
	"sync/atomic"
	"time"
)

// lazyContext ends with its parent; one with a deadline ends then, and not with its parent. Where more is asked of it
// than values, the deadline and whether it has ended, it makes a context of the standard library, which answers from
// then on.
type lazyContext struct {
	parent   context.Context
	deadline time.Time // zero: none of its own

	made atomic.Pointer[cancelable] // nil: nobody asked; or ended; or what answers
}

// cancelable is a context of the standard library.
type cancelable struct {
	context.Context
	cancel context.CancelCauseFunc
}

// ended stands in lazyContext.made for: it was cancelled, and nobody had asked.
var ended = new(cancelable)

// Deadline returns its own or else the parent's.
func (c *lazyContext) Deadline() (deadline time.Time, ok bool) {
	if c.deadline.IsZero() {
		return c.parent.Deadline()
	}
	return c.deadline, true
}

// Done returns the channel that is closed when the context ends.
func (c *lazyContext) Done() <-chan struct{} { return c.delegate().Done() }

// Err returns why the context has ended, or nil.
func (c *lazyContext) Err() error {
	if c.made.Load() == nil && !c.due() {
		return nil
	}
	return c.delegate().Err()
}

// Value returns the parent's value for key. Only the standard library's own question, by which it finds the context
// that it can attach derived ones to, has another answer; the key of that is a *int.
func (c *lazyContext) Value(key any) any {
	if _, ok := key.(*int); ok {
		return c.delegate().Value(key)
	}
	return c.parent.Value(key)
}

// String keeps package fmt from reading the fields, and from showing the key.
func (c *lazyContext) String() string { return "idempotency.Context" }

// cancel ends the context.
func (c *lazyContext) cancel(cause error) {
	if cause != nil || !c.made.CompareAndSwap(nil, ended) {
		c.delegate().cancel(cause)
	}
}

// due reports whether the context has ended by itself.
func (c *lazyContext) due() bool {
	if c.deadline.IsZero() {
		return c.parent.Err() != nil
	}
	return time.Until(c.deadline) <= 0
}

// delegate returns the context that answers, and makes it if there is none.
func (c *lazyContext) delegate() *cancelable {
	for {
		current := c.made.Load()
		if current != nil && current != ended {
			return current
		}
		made := c.standard(current == ended)
		if c.made.CompareAndSwap(current, made) {
			return made
		}
		made.cancel(nil)
	}
}

// standard makes a context of the standard library. What happens to the parent of one that has ended no longer matters.
func (c *lazyContext) standard(over bool) *cancelable {
	made := new(cancelable)
	switch {
	case over:
		made.Context, made.cancel = context.WithCancelCause(context.WithoutCancel(c.parent))
		made.cancel(nil)
	case c.deadline.IsZero():
		made.Context, made.cancel = context.WithCancelCause(c.parent)
	default:
		ctx, cancel := context.WithDeadline(context.WithoutCancel(c.parent), c.deadline)
		made.Context, made.cancel = ctx, func(error) { cancel() }
	}
	return made
}
