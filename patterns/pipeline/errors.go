package pipeline

import (
	"errors"
	"fmt"
	"strings"

	"github.com/steadyfx/steady/patterns"
)

// ErrUnknown is matched by the error of a [Factory] that was asked for a pipeline that it does not have.
var ErrUnknown = errors.New("unknown pipeline")

// UnknownError says that a [Factory] has no pipeline of that name. It satisfies errors.Is for [ErrUnknown] and
// patterns.ErrResilience.
type UnknownError struct {
	Name  string
	Known []string // the pipelines that there are
}

// Error names the pipeline and those that there are.
func (e *UnknownError) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("unknown pipeline %q; there are none: define them under resilience.pipelines", e.Name)
	}
	return fmt.Sprintf("unknown pipeline %q; known: %s", e.Name, strings.Join(e.Known, ", "))
}

// Is reports whether target is one of the kinds named above.
func (e *UnknownError) Is(target error) bool {
	return target == ErrUnknown || target == patterns.ErrResilience
}

// Code returns patterns.CodeResilience.
func (e *UnknownError) Code() string { return patterns.CodeResilience }
