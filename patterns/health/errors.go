package health

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/steadyfx/steady/patterns"
)

// Errors to match. Use errors.Is.
var (
	// ErrUnknownCheck is matched by every [*UnknownCheckError].
	ErrUnknownCheck = errors.New("unknown health check")

	// ErrTimeout is matched by every [*TimeoutError].
	ErrTimeout = errors.New("health check timed out")

	// ErrPanicked is matched by every [*PanicError].
	ErrPanicked = errors.New("health check panicked")
)

// UnknownCheckError says that a [Manager] has no check of that name. It satisfies errors.Is for [ErrUnknownCheck] and
// patterns.ErrResilience.
type UnknownCheckError struct{ Name string }

// Error names the check.
func (e *UnknownCheckError) Error() string {
	return fmt.Sprintf("unknown health check %q: register it first", e.Name)
}

// Is reports whether target is one of the kinds named above.
func (e *UnknownCheckError) Is(target error) bool {
	return target == ErrUnknownCheck || target == patterns.ErrResilience
}

// Code returns patterns.CodeResilience.
func (e *UnknownCheckError) Code() string { return patterns.CodeResilience }

// TimeoutError says that a check did not answer in time. It satisfies errors.Is for [ErrTimeout],
// patterns.ErrResilience and [context.DeadlineExceeded].
type TimeoutError struct {
	Name  string // of the check
	Limit time.Duration
	Err   error // what the check gave as its reason when it was too late; nil if it gave none, or has not ended
}

// Error names the check, its limit and what to do.
func (e *TimeoutError) Error() string {
	message := fmt.Sprintf("health check %q: no answer within %v; see to what it checks, or raise its timeout",
		e.Name, e.Limit)
	if e.Err != nil {
		message += ": " + e.Err.Error()
	}
	return message
}

// Unwrap returns Err.
func (e *TimeoutError) Unwrap() error { return e.Err }

// Is reports whether target is one of the kinds named above.
func (e *TimeoutError) Is(target error) bool {
	return target == ErrTimeout || target == patterns.ErrResilience || target == context.DeadlineExceeded
}

// Timeout reports true, as the error of a network operation does that took too long.
func (e *TimeoutError) Timeout() bool { return true }

// Code returns patterns.CodeResilience.
func (e *TimeoutError) Code() string { return patterns.CodeResilience }

// PanicError says that a check panicked. It satisfies errors.Is for [ErrPanicked], patterns.ErrResilience and, if the
// check panicked with an error, for that.
type PanicError struct {
	Name  string // of the check
	Value any    // what it panicked with; nil if it did not panic but called runtime.Goexit
	Stack []byte // of the panic
}

// Error names the check and the value, without the stack.
func (e *PanicError) Error() string {
	if e.Value == nil {
		return fmt.Sprintf("health check %q: ended by runtime.Goexit; it has to return a report", e.Name)
	}
	return fmt.Sprintf("health check %q: panic: %v", e.Name, e.Value)
}

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Is reports whether target is one of the kinds named above.
func (e *PanicError) Is(target error) bool {
	return target == ErrPanicked || target == patterns.ErrResilience
}

// Code returns patterns.CodeResilience.
func (e *PanicError) Code() string { return patterns.CodeResilience }
