package patterns

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// CodeResilience is the machine code of an error of this library that has no more specific one.
const CodeResilience = "LEX_ERR_RES_001"

// Errors that stand for a whole kind. Use errors.Is.
var (
	// ErrResilience is matched by every error that a policy of this library makes.
	ErrResilience = errors.New("resilience")

	// ErrRejected is matched by every error that means: the policy did not run the operation. A circuit breaker that
	// is open and a bulkhead that is full reject; nothing was attempted, so nothing needs to be undone.
	ErrRejected = errors.New("rejected: the operation was not run")

	// ErrPermanent is matched by an error after which the operation must not be run again, however a policy is
	// configured: a request that is not idempotent may have been carried out although it failed.
	ErrPermanent = errors.New("permanent: the operation must not be run again")

	// ErrIgnored is matched by an error that teaches nothing about the dependency behind the call: [Classify] takes it
	// for [Ignored]. A server that is still carrying out what an attempt before asked for neither fails nor succeeds.
	ErrIgnored = errors.New("ignored: the call teaches nothing about the dependency")

	// ErrAbandoned is matched by an error that means: the operation still runs, and nobody waits for it any more. What it
	// holds must not be given to another yet.
	ErrAbandoned = errors.New("abandoned: the operation still runs")

	// ErrConfiguration is matched by every error about a configuration value.
	ErrConfiguration = errors.New("configuration")
)

// Code returns the machine code of the outermost error in err's tree that has one, or "" if none has. Codes are
// stable across releases; messages are not.
func Code(err error) string {
	var coded interface{ Code() string }
	if errors.As(err, &coded) {
		return coded.Code()
	}
	return ""
}

// Ended says why ctx has ended: an error in whose tree both the error and the cause of ctx are found. It is nil while
// ctx lives.
func Ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// WithoutRejection returns an error of which all is true that is true of err, but not [ErrRejected]. It is for a policy
// that passes a rejection on after something did run: nobody may read from it that nothing was done.
func WithoutRejection(err error) error { return unrejected{err} }

type unrejected struct{ error }

func (u unrejected) Is(target error) bool { return target != ErrRejected && errors.Is(u.error, target) }
func (u unrejected) As(target any) bool   { return errors.As(u.error, target) }

func (u unrejected) RetryIn() (time.Duration, bool) { return RetryIn(u.error) }
