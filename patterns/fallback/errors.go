package fallback

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/steadyfx/steady/patterns"
)

// CodeAllFailed is the machine code of an [*Error].
const CodeAllFailed = "LEX_ERR_RES_005"

// Errors that stand for a whole kind. Use errors.Is.
var (
	// ErrAllFailed: the operation and everything that could have answered in its place failed.
	ErrAllFailed = errors.New("all fallbacks failed")

	// ErrPanicked is matched by every [*PanicError].
	ErrPanicked = errors.New("panicked")
)

// Error says that nothing gave a value. It satisfies errors.Is for patterns.ErrResilience, for whatever one of Causes
// or Stopped satisfies, and for [ErrAllFailed] if everything was tried. It satisfies patterns.ErrRejected only if that
// is true of all Causes: otherwise something did run.
type Error struct {
	Name    string  // of the chain
	Causes  []error // of the operation first, then of the steps that were run, in order
	Stopped error   // why the caller's context ended before everything was tried; nil if everything was
}

// Error names the chain and every cause.
func (e *Error) Error() string {
	causes := make([]string, len(e.Causes))
	for i, cause := range e.Causes {
		causes[i] = cause.Error()
	}
	if e.Stopped != nil {
		return fmt.Sprintf("fallback %q: stopped: %v; failed before: %s", e.Name, e.Stopped, strings.Join(causes, "; "))
	}
	return fmt.Sprintf("all fallbacks failed for %q: %s", e.Name, strings.Join(causes, "; "))
}

// Unwrap returns Causes and, if there is one, Stopped.
func (e *Error) Unwrap() []error {
	if e.Stopped == nil {
		return e.Causes
	}
	return append(e.Causes[:len(e.Causes):len(e.Causes)], e.Stopped)
}

// Is reports whether target is [ErrAllFailed], if everything was tried, or patterns.ErrResilience.
func (e *Error) Is(target error) bool {
	return target == ErrAllFailed && e.Stopped == nil || target == patterns.ErrResilience
}

// Code returns [CodeAllFailed].
func (e *Error) Code() string { return CodeAllFailed }

// PanicError is a panic that [WithRecover] turned into an error. It satisfies errors.Is for [ErrPanicked],
// patterns.ErrResilience and, if the value of the panic is an error, for what that satisfies.
type PanicError struct {
	Name  string // of the chain
	Value any    // what was given to panic
	Stack []byte // of the goroutine, from the panic on
}

func newPanicError(name string, value any) *PanicError {
	return &PanicError{Name: name, Value: value, Stack: debug.Stack()}
}

// Error names the chain and the value. The stack is not part of it.
func (e *PanicError) Error() string { return fmt.Sprintf("fallback %q: panic: %v", e.Name, e.Value) }

// Unwrap returns Value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Is reports whether target is [ErrPanicked] or patterns.ErrResilience.
func (e *PanicError) Is(target error) bool {
	return target == ErrPanicked || target == patterns.ErrResilience
}

// Code returns [patterns.CodeResilience].
func (e *PanicError) Code() string { return patterns.CodeResilience }

// ran returns causes in a form that does not say "the operation was not run" of a call in which something was.
func ran(causes []error) []error {
	rejections := 0
	for _, cause := range causes {
		if errors.Is(cause, patterns.ErrRejected) {
			rejections++
		}
	}
	if rejections == len(causes) {
		return causes
	}
	for i, cause := range causes {
		if errors.Is(cause, patterns.ErrRejected) {
			causes[i] = patterns.WithoutRejection(cause)
		}
	}
	return causes
}
