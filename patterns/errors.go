package patterns

import "errors"

// CodeResilience is the machine code of an error of this library that has no more specific one.
const CodeResilience = "LEX_ERR_RES_001"

// Errors that stand for a whole kind. Use errors.Is.
var (
	// ErrResilience is matched by every error that a policy of this library makes.
	ErrResilience = errors.New("resilience")

	// ErrRejected is matched by every error that means: the policy did not run the operation. A circuit breaker that
	// is open and a bulkhead that is full reject; nothing was attempted, so nothing needs to be undone.
	ErrRejected = errors.New("rejected: the operation was not run")

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
