package timeout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/steadyfx/steady/patterns"
)

// CodeTimeout is the machine code of an [*Error].
const CodeTimeout = "LEX_ERR_RES_011"

// Errors to match. Use errors.Is.
var (
	// ErrTimeout is matched by every [*Error].
	ErrTimeout = errors.New("timeout")

	// ErrAbandoned is matched by every [*AbandonedError]. It is [patterns.ErrAbandoned].
	ErrAbandoned = patterns.ErrAbandoned
)

// Error says that an operation failed after its limit had passed. Besides [ErrTimeout] it satisfies
// errors.Is(err, [patterns.ErrResilience]) and errors.Is(err, [context.DeadlineExceeded]).
type Error struct {
	Operation string        // name of the policy
	Limit     time.Duration // that the operation exceeded
	Message   string        // of the configuration; begins the text of the error
	Err       error         // what the operation returned, or an [*AbandonedError]
}

// Error begins with the configured message and names the operation, its limit and what to do.
func (e *Error) Error() string {
	return fmt.Sprintf("%s: %q exceeded its limit of %v; retry if it is safe to, or raise the limit: %v",
		e.Message, e.Operation, e.Limit, e.Err)
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is [ErrTimeout], [patterns.ErrResilience] or [context.DeadlineExceeded].
func (e *Error) Is(target error) bool {
	return target == ErrTimeout || target == patterns.ErrResilience || target == context.DeadlineExceeded
}

// Timeout reports true, as the error of a network operation does that took too long.
func (e *Error) Timeout() bool { return true }

// Code returns [CodeTimeout].
func (e *Error) Code() string { return CodeTimeout }

// AbandonedError says that a detached policy returned while the operation was still running: whether that succeeds is
// not known. It comes inside of an [*Error] if the limit passed, and alone if the context of the caller ended first.
// Besides [ErrAbandoned] it satisfies errors.Is(err, [patterns.ErrResilience]), and errors.Is for the error and the
// cause of the context.
type AbandonedError struct {
	Operation string // name of the policy
	Err       error  // why its context ended
}

// Error names the operation, why it was abandoned and what to do.
func (e *AbandonedError) Error() string {
	return fmt.Sprintf("%q still runs, nobody waits for it any more; make it honor its context: %v", e.Operation, e.Err)
}

// Unwrap returns why the context ended.
func (e *AbandonedError) Unwrap() error { return e.Err }

// Is reports whether target is [ErrAbandoned] or [patterns.ErrResilience].
func (e *AbandonedError) Is(target error) bool {
	return target == ErrAbandoned || target == patterns.ErrResilience
}

// Code returns [patterns.CodeResilience].
func (e *AbandonedError) Code() string { return patterns.CodeResilience }
