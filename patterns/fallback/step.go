package fallback

import (
	"context"

	"github.com/steadyfx/steady/patterns"
)

// Step is one way to answer in the place of an operation that failed. Make one with [Alternative], [Retry], [Degrade]
// or [DegradeFunc].
type Step[T any] struct {
	kind      string
	takesTime bool // and is not begun after the deadline
	repeats   bool // runs the operation again
	overlaps  bool // runs it more than once at a time, or leaves it behind
	run       func(ctx context.Context, operation func(context.Context) (T, error), failure error) (T, error)
}

// Alternative asks fn, for example another provider or a cache.
func Alternative[T any](fn func(ctx context.Context) (T, error)) Step[T] {
	s := Step[T]{kind: "alternative", takesTime: true}
	if fn != nil {
		s.run = func(ctx context.Context, _ func(context.Context) (T, error), _ error) (T, error) { return fn(ctx) }
	}
	return s
}

// Retry runs the operation again, under policy: once more if it is nil. A step before it can win the time that the
// operation needs to recover; without one, a retry around the operation itself does the same. It is left out after an
// error of the operation that matches patterns.ErrPermanent.
func Retry[T any](policy patterns.Policy) Step[T] {
	return Step[T]{
		kind: "retry", takesTime: true, repeats: true, overlaps: policy != nil && !patterns.IsSequential(policy),
		run: func(ctx context.Context, operation func(context.Context) (T, error), _ error) (T, error) {
			return patterns.Do(ctx, policy, operation)
		},
	}
}

// Degrade gives value. No step after it is ever run.
func Degrade[T any](value T) Step[T] {
	return DegradeFunc(func(context.Context, error) (T, error) { return value, nil })
}

// DegradeFunc gives what fn makes without the dependency that failed, from the error of the operation if it likes. It
// is run even when the deadline of the caller has passed, so it must not wait for anything.
func DegradeFunc[T any](fn func(ctx context.Context, err error) (T, error)) Step[T] {
	s := Step[T]{kind: "degrade"}
	if fn != nil {
		s.run = func(ctx context.Context, _ func(context.Context) (T, error), failure error) (T, error) {
			return fn(ctx, failure)
		}
	}
	return s
}
