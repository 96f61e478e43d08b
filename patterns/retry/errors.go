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

	// ErrBudgetSpent: the [Budget] does not allow another attempt for now. It is the Cause of an [ExhaustedError].
	ErrBudgetSpent = errors.New("the retry budget is spent")

	// ErrInterrupted: the caller's context, or another policy, did not allow another attempt.
	ErrInterrupted = errors.New("retry interrupted")
)

// ExhaustedError says that the last attempt that the policy allows failed. It satisfies errors.Is for [ErrExhausted],
// patterns.ErrResilience, and whatever Cause and Last satisfy.
type ExhaustedError struct {
	Name     string // of the policy
	Attempts int
	Last     error // of the last attempt
	Cause    error // why there is no other: nil if MaxAttempts were made; [ErrBudgetSpent], or a bound of the Config
}

// Error names the policy, the number of attempts, why there was no other, and the last error.
func (e *ExhaustedError) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("retry %q: gave up after %s: %v; last error: %v", e.Name, counted(e.Attempts), e.Cause, e.Last)
	}
	return fmt.Sprintf("retry %q: gave up after %s: %v", e.Name, counted(e.Attempts), e.Last)
}

// Unwrap returns the error of the last attempt.
func (e *ExhaustedError) Unwrap() error { return e.Last }

// Is reports whether target is [ErrExhausted], patterns.ErrResilience or in Cause.
func (e *ExhaustedError) Is(target error) bool {
	return target == ErrExhausted || target == patterns.ErrResilience || e.Cause != nil && errors.Is(e.Cause, target)
}

// Code returns [CodeExhausted].
func (e *ExhaustedError) Code() string { return CodeExhausted }

// InterruptedError says that more attempts were allowed, but that the caller's context had ended or would have ended
// before the next one, or that another policy refused it. It satisfies errors.Is for [ErrInterrupted],
// patterns.ErrResilience, whatever Cause and Last satisfy, and patterns.ErrRejected only if no attempt ran. A rejection
// that errors.As finds in it speaks of one attempt, not of the call.
type InterruptedError struct {
	Name     string // of the policy
	Attempts int    // that were made, without the one that was refused in the end
	Cause    error  // of the end: the context's error and cause, or the refusal
	Last     error  // of the last attempt that tells more than Cause; nil if there is none
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

var (
	errElapsed = errors.New("max_elapsed leaves no time for the next attempt")
	errTooLong = errors.New("the wait that it asks for is longer than max_retry_after")
)

var errNoTime = fmt.Errorf("the deadline leaves no time for the next attempt: %w", context.DeadlineExceeded)

func counted(attempts int) string {
	if attempts == 1 {
		return "1 attempt"
	}
	return strconv.Itoa(attempts) + " attempts"
}
