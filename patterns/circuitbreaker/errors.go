package circuitbreaker

import (
	"errors"
	"fmt"
	"time"

	"github.com/steadyfx/steady/patterns"
)

// CodeOpen is the machine code of [OpenError].
const CodeOpen = "LEX_ERR_RES_009"

// ErrOpen is matched by every rejection of a circuit breaker.
var ErrOpen = errors.New("circuit breaker open")

// ErrUnknown is matched by the error of a [Registry] that was asked for a breaker that it does not have.
var ErrUnknown = errors.New("unknown circuit breaker")

// OpenError says that a circuit breaker rejected a call. The operation was not run. It satisfies errors.Is for
// [ErrOpen], patterns.ErrRejected and patterns.ErrResilience.
type OpenError struct {
	Name  string
	State State // Open, HalfOpen (every probe that may be in flight is) or ForcedOpen

	// RetryAfter is the time until the next probe may go through, rounded up to 10 ms. It is 0 when nobody knows: a
	// half-open circuit decides when its probes return, a forced one when somebody resets it.
	RetryAfter time.Duration
}

// Error names the breaker, why it rejects and when to come back.
func (e *OpenError) Error() string {
	switch e.State {
	case HalfOpen:
		return fmt.Sprintf("circuit breaker %q is half-open and its probes are in flight: retry shortly", e.Name)
	case ForcedOpen:
		return fmt.Sprintf("circuit breaker %q was forced open: reset it to let calls through", e.Name)
	default:
		return fmt.Sprintf("circuit breaker %q is open: the dependency is failing; retry in %v", e.Name, e.RetryAfter)
	}
}

// Is reports whether target is one of the kinds named above.
func (e *OpenError) Is(target error) bool {
	return target == ErrOpen || target == patterns.ErrRejected || target == patterns.ErrResilience
}

// Code returns [CodeOpen].
func (e *OpenError) Code() string { return CodeOpen }

// RetryIn returns RetryAfter, if it is known. See patterns.RetryIn.
func (e *OpenError) RetryIn() (wait time.Duration, known bool) { return e.RetryAfter, e.RetryAfter > 0 }

// UnknownError says that a [Registry] has no breaker of that name. It satisfies errors.Is for [ErrUnknown] and
// patterns.ErrResilience.
type UnknownError struct{ Name string }

// Error names the breaker.
func (e *UnknownError) Error() string {
	return fmt.Sprintf("unknown circuit breaker %q: nothing has asked for it yet", e.Name)
}

// Is reports whether target is one of the kinds named above.
func (e *UnknownError) Is(target error) bool {
	return target == ErrUnknown || target == patterns.ErrResilience
}

// Code returns patterns.CodeResilience.
func (e *UnknownError) Code() string { return patterns.CodeResilience }
