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
	ReasonWeight   Reason = "weight"   // it wants more slots than there are, or less than 1
)

// RejectedError says that a bulkhead did not run an operation. Besides [ErrRejected] it satisfies
// errors.Is(err, [patterns.ErrRejected]) and errors.Is(err, [patterns.ErrResilience]); if it waited in vain,
// errors.Is(err, [context.DeadlineExceeded]); if its context ended, errors.Is for the error and the cause of that.
type RejectedError struct {
	Name          string // of the bulkhead
	Reason        Reason
	Waited        time.Duration // in the queue
	MaxConcurrent int           // slots there were
	QueueSize     int
	Adaptive      bool  // MaxConcurrent is what an [Adaptive] had found at that time
	Err           error // why the context ended; nil unless Reason is ReasonCanceled
}

// Error names the bulkhead, the reason and what to do.
func (e *RejectedError) Error() string {
	limit, knob, knobs := "max_concurrent", "max_concurrent", "one of them"
	if e.Adaptive {
		limit, knob, knobs = "the limit at present", "max_limit", "max_limit or queue_size"
	}
	waited := e.Waited.Round(time.Microsecond)
	switch {
	case e.Reason == ReasonTimeout:
		return fmt.Sprintf("bulkhead %q: no slot became free within %v (%s is %d); retry later, or raise %s or timeout",
			e.Name, waited, limit, e.MaxConcurrent, knob)
	case e.Reason == ReasonWeight:
		return fmt.Sprintf("bulkhead %q: asked for more slots than there are, or for less than 1 (max_concurrent is %d); "+
			"ask for fewer, or raise max_concurrent", e.Name, e.MaxConcurrent)
	case e.Reason == ReasonCanceled && e.Waited == 0:
		return fmt.Sprintf("bulkhead %q: not run, because the context of the call had already ended; call with one "+
			"that is live: %v", e.Name, e.Err)
	case e.Reason == ReasonCanceled:
		return fmt.Sprintf("bulkhead %q: not run, because the context of the call ended after %v in the queue "+
			"(%s is %d); allow it more time, or raise %s: %v", e.Name, waited, limit, e.MaxConcurrent, knob, e.Err)
	default:
		return fmt.Sprintf("bulkhead %q: full (%s is %d, queue_size %d); retry later, or raise %s",
			e.Name, limit, e.MaxConcurrent, e.QueueSize, knobs)
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
