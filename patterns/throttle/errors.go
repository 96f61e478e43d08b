package throttle

import (
	"errors"
	"fmt"

	"github.com/steadyfx/steady/patterns"
)

// ErrUnknown is matched by every [*UnknownError]. Use errors.Is.
var ErrUnknown = errors.New("unknown throttle")

// UnknownError says that a [Registry] has no throttler of this name.
type UnknownError struct{ Name string }

// Error names the throttler.
func (e *UnknownError) Error() string {
	return fmt.Sprintf("throttle %q: unknown; get it from the registry first, which makes it", e.Name)
}

// Is reports whether target is [ErrUnknown] or [patterns.ErrResilience].
func (e *UnknownError) Is(target error) bool {
	return target == ErrUnknown || target == patterns.ErrResilience
}

// Code returns [patterns.CodeResilience].
func (e *UnknownError) Code() string { return patterns.CodeResilience }
