package patterns

import (
	"context"
	"errors"
)

// Outcome says what a call teaches about the dependency behind it.
type Outcome uint8

const (
	// Success: the dependency did its work.
	Success Outcome = iota
	// Failure: it did not, or not in time.
	Failure
	// Ignored: the call teaches nothing, for example because the caller went away. It counts as neither.
	Ignored
)

// String returns "success", "failure" or "ignored".
func (o Outcome) String() string {
	switch o {
	case Success:
		return "success"
	case Failure:
		return "failure"
	case Ignored:
		return "ignored"
	default:
		return "unknown"
	}
}

// Classify is the default judgement of a call that ran under ctx and returned err. No error is a [Success]. Any error
// after ctx was cancelled, any rejection by another policy ([ErrRejected]), and any that says so itself ([ErrIgnored]), is
// [Ignored]. All else is a [Failure], a passed deadline included: a dependency that is too slow for its callers is
// failing them.
func Classify(ctx context.Context, err error) Outcome {
	switch {
	case err == nil:
		return Success
	case errors.Is(ctx.Err(), context.Canceled), errors.Is(err, ErrRejected), errors.Is(err, ErrIgnored):
		return Ignored
	default:
		return Failure
	}
}
