package retry

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/steadyfx/steady/patterns"
)

// CodeExhausted is the machine code of [ExhaustedError] and [InterruptedError].
const CodeExhausted = "LEX_ERR_RES_008"

// Errors that stand for a whole kind. Use errors.Is.
var (
	// ErrExhausted: the operation failed as often as it may be tried.
	ErrExhausted = errors.New("retry attempts exhausted")

	// ErrInterrupted: the caller's context, or another policy, did not allow another attempt.
	ErrInterrupted = errors.New("retry interrupted")
)

// ExhaustedError says that the last allowed attempt failed. It satisfies errors.Is for [ErrExhausted],
// patterns.ErrResilience, and whatever Last satisfies.
type ExhaustedError struct {
	Name     string // of the policy
	Attempts int
	Last     error // of the last attempt
}

// Error names the policy, the number of attempts and the last error.
func (e *ExhaustedError) Error() string {
	return fmt.Sprintf("retry %q: gave up after %s: %v", e.Name, counted(e.Attempts), e.Last)
}

// Unwrap returns the error of the last attempt.
func (e *ExhaustedError) Unwrap() error { return e.Last }

// Is reports whether target is [ErrExhausted] or patterns.ErrResilience.
func (e *ExhaustedError) Is(target error) bool {
	return target == ErrExhausted || target == patterns.ErrResilience
}

// Code returns [CodeExhausted].
func (e *ExhaustedError) Code() string { return CodeExhausted }

// InterruptedError says that more attempts were allowed, but that the caller's context had ended or would have ended
// before the next one, or that another policy refused it. It satisfies errors.Is for [ErrInterrupted],
// patterns.ErrResilience, whatever Cause and Last satisfy, and patterns.ErrRejected only if no attempt was made.
type InterruptedError struct {
	Name     string // of the policy
	Attempts int    // that were made
	Cause    error  // of the end: the context's error and cause, or the refusal
	Last     error  // of the last attempt; nil if none was made
}

// Error names the policy, the number of attempts, why there was no other, and the last error.
func (e *InterruptedError) Error() string {
	if e.Last == nil {
		return fmt.Sprintf("retry %q: the operation was not run: %v", e.Name, e.Cause)
	}
	return fmt.Sprintf("retry %q: stopped after %s: %v; last error: %v", e.Name, counted(e.Attempts), e.Cause, e.Last)
}

// Unwrap returns Cause and, if there is one, Last.
func (e *InterruptedError) Unwrap() []error {
	if e.Last == nil {
		return []error{e.Cause}
	}
	return []error{e.Cause, e.Last}
}

// Is reports whether target is one of the kinds named above.
func (e *InterruptedError) Is(target error) bool {
	return target == ErrInterrupted || target == patterns.ErrResilience ||
		target == patterns.ErrRejected && e.Attempts == 0
}

// Code returns [CodeExhausted].
func (e *InterruptedError) Code() string { return CodeExhausted }

// Timeout reports whether it was a deadline that left no time.
func (e *InterruptedError) Timeout() bool { return errors.Is(e.Cause, context.DeadlineExceeded) }

// refused is a rejection of an attempt that is not the first to run. All that is true of the rejection is true of it,
// but not patterns.ErrRejected: that would say of the whole call that nothing was done.
type refused struct{ error }

func (r refused) Is(target error) bool {
	return target != patterns.ErrRejected && errors.Is(r.error, target)
}
func (r refused) As(target any) bool { return errors.As(r.error, target) }

var errNoTime = fmt.Errorf("the deadline leaves no time for the next attempt: %w", context.DeadlineExceeded)

// causeOf says why ctx ended.
func causeOf(ctx context.Context) error {
	err := ctx.Err()
	if cause := context.Cause(ctx); !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}

func counted(attempts int) string {
	if attempts == 1 {
		return "1 attempt"
	}
	return strconv.Itoa(attempts) + " attempts"
}
