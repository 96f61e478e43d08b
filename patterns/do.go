package patterns

import (
	"context"
	"sync"
)

// Do runs fn under p and returns its value. A nil p means [Direct].
//
// The value is that of the attempt that succeeded; with an error it is the zero value, so that nothing of an earlier
// attempt is taken for a result. Under a policy that is not [Sequential], an attempt that ends after Execute has
// returned writes nowhere. If the policy keeps its attempts apart, as those of this library do (see [Fork]), the value
// is that of the attempt which the policy returned; otherwise, of several that succeed the first one counts.
func Do[T any](ctx context.Context, p Policy, fn func(context.Context) (T, error)) (T, error) {
	if p == nil {
		p = Direct{}
	}
	if !IsSequential(p) {
		return doGuarded(ctx, p, fn)
	}
	var out T
	err := p.Execute(ctx, func(ctx context.Context) error {
		value, err := fn(ctx)
		if err == nil {
			out = value
		}
		return err
	})
	if err != nil {
		out = *new(T)
	}
	return out, err
}

// doGuarded is Do for a policy whose attempts may overlap or outlive Execute.
func doGuarded[T any](ctx context.Context, p Policy, fn func(context.Context) (T, error)) (T, error) {
	ctx, root := newRoot(ctx)
	err := p.Execute(ctx, func(ctx context.Context) error {
		value, err := fn(ctx)
		if err == nil {
			root.of(ctx).put(0, value)
		}
		return err
	})
	if err != nil {
		return *new(T), err
	}
	value, _ := root.result()
	out, _ := value.(T) // the zero value if there is none, or if it is a nil interface
	return out, nil
}

// Wrap is the decorator: it returns fn protected by p. A nil p means [Direct]. What [Do] says of values holds here
// too. Under a [Sequential] policy a call of the returned function allocates nothing of its own.
func Wrap[In, Out any](p Policy, fn func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	if p == nil {
		p = Direct{}
	}
	if !IsSequential(p) {
		return func(ctx context.Context, in In) (Out, error) {
			return doGuarded(ctx, p, func(ctx context.Context) (Out, error) { return fn(ctx, in) })
		}
	}
	pool := sync.Pool{New: func() any {
		c := &wrapped[In, Out]{fn: fn}
		c.op = c.run
		return c
	}}
	return func(ctx context.Context, in In) (Out, error) {
		c := pool.Get().(*wrapped[In, Out])
		c.in = in
		err := p.Execute(ctx, c.op) // after a panic c is not put back: the garbage collector takes it
		out := c.out
		c.in, c.out = *new(In), *new(Out)
		pool.Put(c)
		if err != nil {
			out = *new(Out)
		}
		return out, err
	}
}

// wrapped carries one call through a policy. Its operation is bound once, which is what saves the closure.
type wrapped[In, Out any] struct {
	fn  func(context.Context, In) (Out, error)
	op  Operation
	in  In
	out Out
}

func (c *wrapped[In, Out]) run(ctx context.Context) error {
	value, err := c.fn(ctx, c.in)
	if err == nil {
		c.out = value
	}
	return err
}
