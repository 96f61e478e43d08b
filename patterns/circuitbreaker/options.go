package circuitbreaker

import (
	"context"
	"errors"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
)

// Option sets what has no useful zero value.
type Option func(*Breaker)

// WithBus announces transitions and rejections on bus.
func WithBus(bus *hooks.Bus) Option { return func(b *Breaker) { b.bus = bus } }

// WithFallback runs fallback in the place of a call that is rejected. It is given the [*OpenError]; what it returns
// becomes the result. It has no value to give: after a fallback that returns nil, patterns.Do returns the zero value.
func WithFallback(fallback func(ctx context.Context, rejection error) error) Option {
	return func(b *Breaker) { b.fallback = fallback }
}

// WithFailures makes only errors that match one of targets (by errors.Is) count as failures. Any other error is
// neither a failure nor a success.
func WithFailures(targets ...error) Option {
	return func(b *Breaker) { b.judge.failures = append(b.judge.failures, targets...) }
}

// WithIgnored makes errors that match one of targets (by errors.Is) neither a failure nor a success. It has precedence
// over [WithFailures].
func WithIgnored(targets ...error) Option {
	return func(b *Breaker) { b.judge.ignored = append(b.judge.ignored, targets...) }
}

// WithClassifier lets classify judge every call that returned, in the place of patterns.Classify, [WithFailures] and
// [WithIgnored]. It must be quick and safe for concurrent use. A panic of the operation is a failure without asking.
func WithClassifier(classify func(ctx context.Context, err error) patterns.Outcome) Option {
	return func(b *Breaker) { b.judge.classify = classify }
}

// judge says what the outcome of a call was.
type judge struct {
	classify          func(context.Context, error) patterns.Outcome
	failures, ignored []error
}

func (j *judge) outcome(ctx context.Context, err error) patterns.Outcome {
	if j.classify != nil {
		return j.classify(ctx, err)
	}
	outcome := patterns.Classify(ctx, err)
	if outcome != patterns.Failure {
		return outcome
	}
	if matchesAny(err, j.ignored) || len(j.failures) > 0 && !matchesAny(err, j.failures) {
		return patterns.Ignored
	}
	return outcome
}

func matchesAny(err error, targets []error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
