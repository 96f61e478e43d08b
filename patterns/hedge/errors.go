package hedge

import (
	"context"
	"errors"
	"fmt"

	"github.com/steadyfx/steady/patterns"
)

// Errors that stand for a whole kind. Use errors.Is.
var (
	// ErrInterrupted: the caller's context ended before an attempt succeeded.
	ErrInterrupted = errors.New("hedged call interrupted")

	// ErrOver is the cause with which the context of an attempt is canceled when its call has ended.
	ErrOver = errors.New("the hedged call is over")
)

// InterruptedError says that the caller's context ended while attempts were running, or before there was one. It
// satisfies errors.Is for [ErrInterrupted], patterns.ErrResilience, whatever Cause and Last satisfy, and
// patterns.ErrRejected only if no attempt was made.
type InterruptedError struct {
	Name     string // of the policy
	Attempts int    // that were made
	Cause    error  // the context's error and cause
	Last     error  // of an attempt that failed before; nil if there is none
}

// Error names the policy, the number of attempts, why it did not wait for them, and Last.
func (e *InterruptedError) Error() string {
	switch {
	case e.Attempts == 0:
		return fmt.Sprintf("hedge %q: the operation was not run: %v", e.Name, e.Cause)
	case e.Last != nil:
		return fmt.Sprintf("hedge %q: interrupted (attempts: %d): %v; one had failed: %v",
			e.Name, e.Attempts, e.Cause, e.Last)
	default:
		return fmt.Sprintf("hedge %q: interrupted (attempts: %d): %v", e.Name, e.Attempts, e.Cause)
	}
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

// Code returns patterns.CodeResilience.
func (e *InterruptedError) Code() string { return patterns.CodeResilience }

// Timeout reports whether it was a deadline that passed.
func (e *InterruptedError) Timeout() bool { return errors.Is(e.Cause, context.DeadlineExceeded) }
