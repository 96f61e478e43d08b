package bulkhead

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/steadyfx/steady/patterns"
)

// CodeRejected is the machine code of a [*RejectedError].
const CodeRejected = "LEX_ERR_RES_010"

// ErrRejected is matched by every [*RejectedError]. Use errors.Is.
var ErrRejected = errors.New("rejected by a bulkhead")

// Reason says why a bulkhead refused a call.
type Reason string

// The reasons there are.
const (
	ReasonFull     Reason = "full"     // all slots and all places in the queue were taken
	ReasonTimeout  Reason = "timeout"  // no slot became free in time
	ReasonCanceled Reason = "canceled" // the context of the call ended before it got a slot
)

// RejectedError says that a bulkhead did not run an operation. Besides [ErrRejected] it satisfies
// errors.Is(err, [patterns.ErrRejected]) and errors.Is(err, [patterns.ErrResilience]); if it waited in vain,
// errors.Is(err, [context.DeadlineExceeded]); if its context ended, errors.Is for the error and the cause of that.
type RejectedError struct {
	Name          string // of the bulkhead
	Reason        Reason
	Waited        time.Duration // in the queue
	MaxConcurrent int
	QueueSize     int
	Err           error // why the context ended; nil unless Reason is ReasonCanceled
}

// Error names the bulkhead, the reason and what to do.
func (e *RejectedError) Error() string {
	switch {
	case e.Reason == ReasonTimeout:
		return fmt.Sprintf("bulkhead %q: no slot became free within %v (max_concurrent is %d); retry later, or raise "+
			"max_concurrent or timeout", e.Name, e.Waited.Round(time.Microsecond), e.MaxConcurrent)
	case e.Reason == ReasonCanceled && e.Waited == 0:
		return fmt.Sprintf("bulkhead %q: not run, because the context of the call had already ended; call with one "+
			"that is live: %v", e.Name, e.Err)
	case e.Reason == ReasonCanceled:
		return fmt.Sprintf("bulkhead %q: not run, because the context of the call ended after %v in the queue "+
			"(max_concurrent is %d); allow it more time, or raise max_concurrent: %v",
			e.Name, e.Waited.Round(time.Microsecond), e.MaxConcurrent, e.Err)
	default:
		return fmt.Sprintf("bulkhead %q: full (max_concurrent is %d, queue_size %d); retry later, or raise one of them",
			e.Name, e.MaxConcurrent, e.QueueSize)
	}
}

// Unwrap returns why the context of the call ended, or nil.
func (e *RejectedError) Unwrap() error { return e.Err }

// Is reports whether target is [ErrRejected], [patterns.ErrRejected] or [patterns.ErrResilience], or
// [context.DeadlineExceeded] after a wait in vain.
func (e *RejectedError) Is(target error) bool {
	switch target {
	case ErrRejected, patterns.ErrRejected, patterns.ErrResilience:
		return true
	case context.DeadlineExceeded:
		return e.Reason == ReasonTimeout
	default:
		return false
	}
}

// Timeout reports whether the call was refused for lack of time: the bulkhead's or its own.
func (e *RejectedError) Timeout() bool { return errors.Is(e, context.DeadlineExceeded) }

// Code returns [CodeRejected].
func (e *RejectedError) Code() string { return CodeRejected }

// ended returns why ctx has ended: an error in whose tree both the error and the cause of ctx are found.
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}
