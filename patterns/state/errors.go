package state

import (
	"errors"
	"fmt"

	"github.com/steadyfx/steady/patterns"
)

// ErrState is matched by every error of this package and of the stores, which all match patterns.ErrResilience too.
var ErrState = errors.New("state")

// BackendError says that the backend of a store could not be asked or did not answer in time. Whether a write reached
// it is unknown.
type BackendError struct {
	Backend string // "memory", "redis" …
	Op      string // "get", "swap", "delete", "watch"
	Err     error
}

// Error names the backend and the operation.
func (e *BackendError) Error() string {
	return fmt.Sprintf("state: %s is not available for %s: %v", e.Backend, e.Op, e.Err)
}

// Unwrap returns the cause.
func (e *BackendError) Unwrap() error { return e.Err }

// Is reports whether target is [ErrState] or patterns.ErrResilience.
func (e *BackendError) Is(target error) bool {
	return target == ErrState || target == patterns.ErrResilience
}

// Code returns patterns.CodeResilience.
func (e *BackendError) Code() string { return patterns.CodeResilience }

// StoreError says that what a store holds under a key, or what it has answered, cannot be right.
type StoreError struct {
	Backend string
	Op      string
	Err     error
}

// Error names the backend and the operation.
func (e *StoreError) Error() string { return fmt.Sprintf("state: %s: %s: %v", e.Backend, e.Op, e.Err) }

// Unwrap returns the cause.
func (e *StoreError) Unwrap() error { return e.Err }

// Is reports whether target is [ErrState] or patterns.ErrResilience.
func (e *StoreError) Is(target error) bool {
	return target == ErrState || target == patterns.ErrResilience
}

// Code returns patterns.CodeResilience.
func (e *StoreError) Code() string { return patterns.CodeResilience }

// ConfigurationError says that a configuration or an argument is out of range. Its tree holds a patterns.FieldError
// for each mistake.
type ConfigurationError struct{ Err error }

// Error lists the mistakes.
func (e *ConfigurationError) Error() string { return "state: " + e.Err.Error() }

// Unwrap returns the mistakes.
func (e *ConfigurationError) Unwrap() error { return e.Err }

// Is reports whether target is [ErrState] or patterns.ErrResilience.
func (e *ConfigurationError) Is(target error) bool {
	return target == ErrState || target == patterns.ErrResilience
}

// Code returns patterns.CodeResilience.
func (e *ConfigurationError) Code() string { return patterns.CodeResilience }
