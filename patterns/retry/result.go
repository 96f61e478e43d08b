package retry

import (
	"context"
	"errors"

	"github.com/steadyfx/steady/patterns"
)

// ErrUnwanted is matched by every [UnwantedError].
var ErrUnwanted = errors.New("unwanted result")

// OnResult returns fn with the values that unwanted accepts turned into an [*UnwantedError], so that a [Policy] tries
// again; only WithAbortOn([ErrUnwanted]) prevents that. Policies between the retry and the operation see the error too:
// to a circuit breaker, such a value is a failure. If no attempt yields anything better, the call fails with an
// [*ExhaustedError] around the last [*UnwantedError], and [Unwanted] returns the value. Use it with [Do], patterns.Do
// and, around the call of the function, patterns.Wrap. It runs on the path of the attempt, and a panic of it is one of
// the operation.
func OnResult[T any](
	fn func(ctx context.Context) (T, error), unwanted func(value T) bool,
) func(ctx context.Context) (T, error) {
	return func(ctx context.Context) (T, error) {
		value, err := fn(ctx)
		if err == nil && unwanted(value) {
			return *new(T), &UnwantedError[T]{Value: value}
		}
		return value, err
	}
}

// Unwanted returns the value of the [*UnwantedError] in the tree of err, if there is one of type T.
func Unwanted[T any](err error) (value T, ok bool) {
	var unwanted *UnwantedError[T]
	if !errors.As(err, &unwanted) {
		return value, false
	}
	return unwanted.Value, true
}

// UnwantedError says that an operation succeeded with a value that will not do. It satisfies errors.Is for [ErrUnwanted]
// and patterns.ErrResilience.
type UnwantedError[T any] struct {
	Value T
}

// Error says no more than that, since values may be secret.
func (e *UnwantedError[T]) Error() string { return ErrUnwanted.Error() }

// Is reports whether target is [ErrUnwanted] or patterns.ErrResilience.
func (e *UnwantedError[T]) Is(target error) bool {
	return target == ErrUnwanted || target == patterns.ErrResilience
}

// Code returns patterns.CodeResilience.
func (e *UnwantedError[T]) Code() string { return patterns.CodeResilience }
