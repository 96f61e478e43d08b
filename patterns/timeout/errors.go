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

// ErrTimeout is matched by every [*Error]. Use errors.Is.
var ErrTimeout = errors.New("timeout")

// Error says that an operation failed after its limit had passed. Besides [ErrTimeout] it satisfies
// errors.Is(err, [patterns.ErrResilience]) and errors.Is(err, [context.DeadlineExceeded]).
type Error struct {
	Operation string        // name of the policy
	Limit     time.Duration // that the operation exceeded
	Message   string        // of the configuration; begins the text of the error
	Err       error         // what the operation returned
}

// Error begins with the configured message and names the operation, its limit and what to do.
func (e *Error) Error() string {
	return fmt.Sprintf("%s: %q exceeded its limit of %v; retry if it is safe to, or raise the limit: %v",
		e.Message, e.Operation, e.Limit, e.Err)
}

// Unwrap returns the error of the operation.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is [ErrTimeout], [patterns.ErrResilience] or [context.DeadlineExceeded].
func (e *Error) Is(target error) bool {
	return target == ErrTimeout || target == patterns.ErrResilience || target == context.DeadlineExceeded
}

// Timeout reports true, as the error of a network operation does that took too long.
func (e *Error) Timeout() bool { return true }

// Code returns [CodeTimeout].
func (e *Error) Code() string { return CodeTimeout }
