package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/steadyfx/steady/patterns"
)

// CodeLimited is the machine code of a [*LimitedError].
const CodeLimited = "LEX_ERR_RES_012"

// ErrLimited is matched by every [*LimitedError]. Use errors.Is.
var ErrLimited = errors.New("refused by a rate limiter")

// LimitedError says that a rate limiter refused a call. Besides [ErrLimited] it satisfies
// errors.Is(err, [patterns.ErrRejected]) and errors.Is(err, [patterns.ErrResilience]).
type LimitedError struct {
	Name       string        // of the limiter
	Limit      int           // calls in each Period that it allows; 0 if it is not of so many
	Period     time.Duration // 0 as well
	RetryAfter time.Duration // until the call could be made, as things stood; 0 when unknown
}

// Error names the limiter and when to come again.
func (e *LimitedError) Error() string {
	if e.RetryAfter <= 0 {
		return fmt.Sprintf("rate limiter %q: too many calls; retry later", e.Name)
	}
	return fmt.Sprintf("rate limiter %q: too many calls; retry in %v, or raise the limit", e.Name, e.RetryAfter)
}

// Is reports whether target is [ErrLimited], [patterns.ErrRejected] or [patterns.ErrResilience].
func (e *LimitedError) Is(target error) bool {
	return target == ErrLimited || target == patterns.ErrRejected || target == patterns.ErrResilience
}

// Code returns [CodeLimited].
func (e *LimitedError) Code() string { return CodeLimited }

// RetryIn returns RetryAfter, if it is known. See [patterns.RetryIn].
func (e *LimitedError) RetryIn() (wait time.Duration, known bool) {
	return e.RetryAfter, e.RetryAfter > 0
}

// RateLimit describes the limit that is used up.
func (e *LimitedError) RateLimit() patterns.RateLimit {
	return patterns.RateLimit{Name: e.Name, Quota: e.Limit, Window: e.Period, Reset: e.RetryAfter}
}

// CanceledError says that the context of a call ended before a rate limiter let the call through. It satisfies
// errors.Is(err, [patterns.ErrRejected]), errors.Is(err, [patterns.ErrResilience]), and errors.Is for the error and the
// cause of the context. It is not [ErrLimited]: the limiter did not refuse.
type CanceledError struct {
	Name   string        // of the limiter
	Waited time.Duration // 0 if the context had already ended
	Err    error         // why the context ended
}

// Error names the limiter and what happened.
func (e *CanceledError) Error() string {
	if e.Waited == 0 {
		return fmt.Sprintf("rate limiter %q: not run, because the context of the call had already ended; call with one "+
			"that is live: %v", e.Name, e.Err)
	}
	return fmt.Sprintf("rate limiter %q: not run, because the context of the call ended after a wait of %v; "+
		"allow it more time, or raise the limit: %v", e.Name, e.Waited.Round(time.Microsecond), e.Err)
}

// Unwrap returns why the context ended.
func (e *CanceledError) Unwrap() error { return e.Err }

// Is reports whether target is [patterns.ErrRejected] or [patterns.ErrResilience].
func (e *CanceledError) Is(target error) bool {
	return target == patterns.ErrRejected || target == patterns.ErrResilience
}

// Code returns [patterns.CodeResilience].
func (e *CanceledError) Code() string { return patterns.CodeResilience }

// canceled counts and returns the error of a call whose context has ended.
func (t *tally) canceled(ctx context.Context, name string, waited time.Duration) error {
	t.denied.Add(1)
	return &CanceledError{Name: name, Waited: waited, Err: patterns.Ended(ctx)}
}
