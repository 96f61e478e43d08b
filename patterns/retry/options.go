package retry

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
)

// Option sets what has no useful zero value.
type Option func(*options)

type options struct {
	retryOn, abortOn []error
	retryIf          func(error) bool
	onRetry          func(ctx context.Context, attempt int, delay time.Duration, err error)
	bus              *hooks.Bus
	budget           *Budget
}

// WithRetryOn retries errors that match one of targets (by errors.Is), and no others unless [WithRetryIf] accepts
// them. A rejection by another policy is retried if it is named here, for example circuitbreaker.ErrOpen. Without a
// target it changes nothing.
func WithRetryOn(targets ...error) Option {
	return func(o *options) { o.retryOn = append(o.retryOn, targets...) }
}

// WithRetryIf retries errors that accept accepts, and no others unless [WithRetryOn] names them. It is not asked about
// rejections by other policies. It runs on the caller's path and must be safe for concurrent use; a panic of it
// passes through Execute.
func WithRetryIf(accept func(err error) bool) Option {
	return func(o *options) { o.retryIf = accept }
}

// WithAbortOn never retries errors that match one of targets (by errors.Is). It has precedence over [WithRetryOn] and
// [WithRetryIf]. Errors that match patterns.ErrPermanent need not be named.
func WithAbortOn(targets ...error) Option {
	return func(o *options) { o.abortOn = append(o.abortOn, targets...) }
}

// WithOnRetry calls fn before each delay, on the caller's path, with the attempt (1-based) that failed with err. A panic
// of fn does not harm the call: it is contained and announced on the bus of [WithBus] as hooks.ListenerPanicked.
func WithOnRetry(fn func(ctx context.Context, attempt int, delay time.Duration, err error)) Option {
	return func(o *options) { o.onRetry = fn }
}

// WithBus announces every retry and every exhausted call on bus.
func WithBus(bus *hooks.Bus) Option {
	return func(o *options) { o.bus = bus }
}

// WithBudget lets every attempt that is not a call's first one be paid from b, which several policies may share. If b is
// spent, the call ends at once, before a delay, with an [*ExhaustedError] around the last error.
func WithBudget(b *Budget) Option {
	return func(o *options) { o.budget = b }
}

func (o *options) retryable(err error) bool {
	switch {
	case matchesAny(err, o.abortOn), errors.Is(err, patterns.ErrPermanent):
		return false
	case matchesAny(err, o.retryOn), errors.Is(err, ErrUnwanted):
		return true
	case errors.Is(err, patterns.ErrRejected):
		return false
	case o.retryIf != nil:
		return o.retryIf(err)
	default:
		return len(o.retryOn) == 0
	}
}

func matchesAny(err error, targets []error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

func (o *options) notify(ctx context.Context, attempt int, delay time.Duration, failure error) {
	if o.onRetry == nil {
		return
	}
	defer func() {
		if value := recover(); value != nil {
			hooks.Emit(ctx, o.bus, hooks.ListenerPanicked{
				Event: hooks.RetryAttempted{}.EventName(), Value: value, Stack: debug.Stack(), At: time.Now(),
			})
		}
	}()
	o.onRetry(ctx, attempt, delay, failure)
}
