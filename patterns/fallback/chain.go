package fallback

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
)

// Chain is what to do, step by step, when an operation with a value of type T has failed. A Chain does not change:
// [Chain.Add] and [Chain.On] return another one. It is safe for concurrent use.
type Chain[T any] struct {
	name     string
	recovers bool
	bus      *hooks.Bus
	fallback *T // nil: there is no default
	handlers []handler[T]
	steps    []Step[T]
}

// handler answers the errors that match target.
type handler[T any] struct {
	target error
	run    func(ctx context.Context, err error) (T, error)
}

// Option sets what has no useful zero value.
type Option[T any] func(*Chain[T])

// WithDefault makes value the answer when every step has failed. It is the same value each time: what it points to is
// shared by all who get it.
func WithDefault[T any](value T) Option[T] {
	return func(c *Chain[T]) { c.fallback = &value }
}

// WithRecover turns a panic of the operation, of a step or of a handler into a [*PanicError], which is then a failure
// like any other. Without it a panic passes through. A runtime.Goexit passes in either case.
func WithRecover[T any]() Option[T] {
	return func(c *Chain[T]) { c.recovers = true }
}

// WithBus announces on bus when something else answered in the place of an operation.
func WithBus[T any](bus *hooks.Bus) Option[T] {
	return func(c *Chain[T]) { c.bus = bus }
}

// New returns a chain without steps. The name appears in its errors and events. The error says what is wrong with the
// name; it satisfies errors.Is(err, [patterns.ErrConfiguration]).
func New[T any](name string, opts ...Option[T]) (*Chain[T], error) {
	var checks patterns.Checks
	checks.Name(name)
	if err := checks.Err(fmt.Sprintf("fallback %q", name)); err != nil {
		return nil, err
	}
	c := &Chain[T]{name: name}
	for _, opt := range opts {
		opt(c)
	}
	return c, nil
}

// Name returns the name given to [New].
func (c *Chain[T]) Name() string { return c.name }

// Add returns a chain that goes on with steps where c ends. The receiver is not changed. Steps without a function are
// left out, so that an optional one can stay nil.
func (c *Chain[T]) Add(steps ...Step[T]) *Chain[T] {
	added := *c
	added.steps = slices.Clone(c.steps)
	for _, s := range steps {
		if s.run != nil {
			added.steps = append(added.steps, s)
		}
	}
	return &added
}

// On returns a chain in which handle answers the errors of the operation that match target (by errors.Is). Of several
// handlers that match, the first that was added is run. It has the last word: what it returns is the result of the
// call, and no step is run. So a handler that returns the error it was given keeps an error, such as that of a record
// that does not exist, from being hidden by a fallback. The receiver is not changed; a nil handle changes nothing.
func (c *Chain[T]) On(target error, handle func(ctx context.Context, err error) (T, error)) *Chain[T] {
	added := *c
	if handle != nil {
		added.handlers = append(slices.Clone(c.handlers), handler[T]{target, handle})
	}
	return &added
}

// Execute runs operation and returns its value. If it fails, the value is that of the first handler that matches the
// error, else of the first step that succeeds, else the default. Otherwise the value is the zero value and the error
// what the handler returned, or an [*Error].
//
// Nothing more is tried once ctx is cancelled: nobody waits for an answer. When the deadline of ctx has passed, only
// what takes no time is left, which is handlers, [Degrade] and the default.
func (c *Chain[T]) Execute(ctx context.Context, operation func(ctx context.Context) (T, error)) (T, error) {
	value, err := c.attempt(ctx, operation)
	if err == nil {
		return value, nil
	}
	return c.fallBack(ctx, operation, err, nil)
}

// attempt runs fn, which does not escape.
func (c *Chain[T]) attempt(ctx context.Context, fn func(context.Context) (T, error)) (value T, err error) {
	if c.recovers {
		defer func() {
			if panicked := recover(); panicked != nil {
				value, err = *new(T), newPanicError(c.name, panicked)
			}
		}()
	}
	return fn(ctx)
}

// fallBack answers after operation has failed. The steps that come before those of c are the caller's own.
func (c *Chain[T]) fallBack(
	ctx context.Context, operation func(context.Context) (T, error), failure error, before []Step[T],
) (T, error) {
	if cancelled(ctx) {
		return *new(T), c.stopped(ctx, []error{failure})
	}
	for _, h := range c.handlers {
		if errors.Is(failure, h.target) {
			return c.handle(ctx, h, failure)
		}
	}
	causes, outOfTime := []error{failure}, false
	permanent := errors.Is(failure, patterns.ErrPermanent)
	for i, s := range slices.Concat(before, c.steps) {
		if s.repeats && permanent {
			continue
		}
		if s.takesTime && ctx.Err() != nil {
			outOfTime = true
			continue
		}
		value, err := c.attempt(ctx, func(ctx context.Context) (T, error) { return s.run(ctx, operation, failure) })
		if err == nil {
			c.announce(ctx, fmt.Sprintf("%s %d", s.kind, i+1), failure)
			return value, nil
		}
		causes = append(causes, err)
		permanent = permanent || s.repeats && errors.Is(err, patterns.ErrPermanent)
		if cancelled(ctx) {
			return *new(T), c.stopped(ctx, causes)
		}
	}
	if c.fallback != nil {
		c.announce(ctx, "default", failure)
		return *c.fallback, nil
	}
	if outOfTime {
		return *new(T), c.stopped(ctx, causes)
	}
	return *new(T), &Error{Name: c.name, Causes: ran(causes)}
}

func (c *Chain[T]) handle(ctx context.Context, h handler[T], failure error) (T, error) {
	value, err := c.attempt(ctx, func(ctx context.Context) (T, error) { return h.run(ctx, failure) })
	if err != nil {
		return *new(T), err
	}
	c.announce(ctx, "handler", failure)
	return value, nil
}

func (c *Chain[T]) stopped(ctx context.Context, causes []error) error {
	return &Error{Name: c.name, Causes: ran(causes), Stopped: patterns.Ended(ctx)}
}

func (c *Chain[T]) announce(ctx context.Context, step string, failure error) {
	if c.bus.Wanted(hooks.FallbackUsed{}) {
		hooks.Emit(ctx, c.bus, hooks.FallbackUsed{Name: c.name, Step: step, Err: failure, At: time.Now()})
	}
}

// cancelled reports whether the caller has gone away, which a passed deadline does not say.
func cancelled(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }
