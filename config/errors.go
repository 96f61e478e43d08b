package config

import (
	"fmt"
	"strconv"

	"github.com/steadyfx/steady/patterns"
)

// Error is one mistake in a configuration. It satisfies errors.Is(err, [patterns.ErrConfiguration]).
type Error struct {
	Path    string // such as "resilience.retry.max_attempts"; empty if it is the source itself that is wrong
	Source  string // what [Tree.Source] returns for the path
	Line    int    // in the source, from 1; 0 where it is not known, as in TOML
	Problem string // what is wrong and what would be right

	cause error
}

// Error returns the path, the problem and the source.
func (e *Error) Error() string {
	source := e.Source
	if e.Line > 0 {
		source += ":" + strconv.Itoa(e.Line)
	}
	if e.Path == "" {
		return source + ": " + e.Problem
	}
	return fmt.Sprintf("%s: %s (%s)", e.Path, e.Problem, source)
}

// Unwrap returns the error of the operating system or of a Validate method behind this one, or nil.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is [patterns.ErrConfiguration] or [patterns.ErrResilience].
func (e *Error) Is(target error) bool {
	return target == patterns.ErrConfiguration || target == patterns.ErrResilience
}

// Code returns [patterns.CodeResilience].
func (e *Error) Code() string { return patterns.CodeResilience }

// report collects mistakes.
type report struct {
	origins map[path]origin // of what has a key

	// partial says that a source could not be read. Its content is unknown, so nothing is said about what may have
	// been in it.
	partial bool

	failed map[path]bool // where there is no value to judge
	errs   []error
}

// origin is where a value came from.
type origin struct {
	source string
	layer  int          // the position of the source among those of [Load]
	lines  map[path]int // of the source, if they are known
	table  bool         // whether it is a table
}

const defaultSource = "default"

// fail records that what stands at a path cannot be used.
func (r *report) fail(at path, problem string, args ...any) {
	r.failed[at] = true
	r.add(at, fmt.Sprintf(problem, args...), nil)
}

// missing records that something is not there: a mistake that another source could have put right.
func (r *report) missing(at path, problem string, args ...any) {
	if !r.partial {
		r.fail(at, problem, args...)
	}
}

func (r *report) add(at path, problem string, cause error) {
	from, ok := r.origins[at.key()]
	if !ok {
		from.source = defaultSource
	}
	line, ok := from.lines[at]
	if !ok {
		line = from.lines[at.key()]
	}
	r.errs = append(r.errs, &Error{Path: at.String(), Source: from.source, Line: line, Problem: problem, cause: cause})
}
