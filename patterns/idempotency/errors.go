package idempotency

import (
	"errors"
	"fmt"
	"time"
)

// Machine codes of the errors of this package.
const (
	CodeIdempotency   = "LEX_ERR_IDEM_001"
	CodeDuplicate     = "LEX_ERR_IDEM_002"
	CodeStore         = "LEX_ERR_IDEM_003"
	CodeConflict      = "LEX_ERR_IDEM_004"
	CodeBackend       = "LEX_ERR_IDEM_005"
	CodeConfiguration = "LEX_ERR_IDEM_006"
)

// ErrIdempotency is matched by every error of this package and of the stores, but for a [*RecordedError], which is one
// of the function that was guarded.
var ErrIdempotency = errors.New("idempotency")

// ErrClaimLost is returned to an owner whose claim has lapsed and was taken over, completed, released or deleted by
// somebody else. It satisfies errors.Is(err, [ErrIdempotency]).
var ErrClaimLost error = claimLost{}

type claimLost struct{}

func (claimLost) Error() string {
	return "idempotency: claim lost: the lease ran out and the key is no longer this caller's; the result was not stored"
}
func (claimLost) Is(target error) bool { return target == ErrIdempotency }
func (claimLost) Code() string         { return CodeConflict }

// ConflictError says that another call holds the key and is still running.
type ConflictError struct {
	Operation  string
	RetryAfter time.Duration // what was left of the other call's lease when it was last seen
	Err        error         // why waiting for it ended before its time, or why the store did not answer at the end; or nil
}

// Error names the operation and when to come back.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("idempotency: %s: another call with this key is in progress; retry in %v",
		e.Operation, e.RetryAfter.Round(time.Millisecond))
}

// Unwrap returns Err.
func (e *ConflictError) Unwrap() error { return e.Err }

// Is reports whether target is [ErrIdempotency].
func (e *ConflictError) Is(target error) bool { return target == ErrIdempotency }

// Code returns [CodeConflict].
func (e *ConflictError) Code() string { return CodeConflict }

// RetryIn returns RetryAfter, if it is known. See patterns.RetryIn.
func (e *ConflictError) RetryIn() (wait time.Duration, known bool) {
	return e.RetryAfter, e.RetryAfter > 0
}

// DuplicateRequestError says that the key was already used with another payload.
type DuplicateRequestError struct {
	Operation string
}

// Error names the operation and what to do.
func (e *DuplicateRequestError) Error() string {
	return fmt.Sprintf("idempotency: %s: this key was already used with a different payload; use a new key", e.Operation)
}

// Is reports whether target is [ErrIdempotency].
func (e *DuplicateRequestError) Is(target error) bool { return target == ErrIdempotency }

// Code returns [CodeDuplicate].
func (e *DuplicateRequestError) Code() string { return CodeDuplicate }

// StoreError says that a store answered something that cannot be right, or that a stored result cannot be read.
type StoreError struct {
	Backend string // "memory", "redis" …
	Op      string // "claim", "complete", "decode" …
	Err     error
}

// Error names the backend and the operation.
func (e *StoreError) Error() string {
	return fmt.Sprintf("idempotency: %s: %s: %v", e.Backend, e.Op, e.Err)
}

// Unwrap returns the cause.
func (e *StoreError) Unwrap() error { return e.Err }

// Is reports whether target is [ErrIdempotency].
func (e *StoreError) Is(target error) bool { return target == ErrIdempotency }

// Code returns [CodeStore].
func (e *StoreError) Code() string { return CodeStore }

// BackendError says that a store cannot keep records now: its backend could not be asked, did not answer in time, has no
// usable table, or is full of claims. Whether a write reached it is unknown.
type BackendError struct {
	Backend string
	Op      string
	Err     error
}

// Error names the backend and the operation.
func (e *BackendError) Error() string {
	return fmt.Sprintf("idempotency: %s is not available for %s: %v", e.Backend, e.Op, e.Err)
}

// Unwrap returns the cause.
func (e *BackendError) Unwrap() error { return e.Err }

// Is reports whether target is [ErrIdempotency].
func (e *BackendError) Is(target error) bool { return target == ErrIdempotency }

// Code returns [CodeBackend].
func (e *BackendError) Code() string { return CodeBackend }

// ConfigurationError says that a configuration or an argument is out of range. Its tree holds a patterns.FieldError
// for each mistake.
type ConfigurationError struct{ Err error }

// Error lists the mistakes.
func (e *ConfigurationError) Error() string { return "idempotency: " + e.Err.Error() }

// Unwrap returns the mistakes.
func (e *ConfigurationError) Unwrap() error { return e.Err }

// Is reports whether target is [ErrIdempotency].
func (e *ConfigurationError) Is(target error) bool { return target == ErrIdempotency }

// Code returns [CodeConfiguration].
func (e *ConfigurationError) Code() string { return CodeConfiguration }
