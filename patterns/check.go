package patterns

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// FieldError is one mistake in a configuration. It satisfies errors.Is(err, [ErrConfiguration]).
type FieldError struct {
	Field   string // as a configuration file spells it, for example "max_attempts"
	Problem string // what is wrong with it and what would be right
}

// Error returns the field and the problem.
func (e *FieldError) Error() string { return e.Field + ": " + e.Problem }

// Is reports whether target is [ErrConfiguration] or [ErrResilience].
func (e *FieldError) Is(target error) bool {
	return target == ErrConfiguration || target == ErrResilience
}

// Code returns [CodeResilience].
func (e *FieldError) Code() string { return CodeResilience }

// Checks collects the mistakes in a configuration, so that all of them are reported at once. The zero value is ready.
type Checks struct{ errs []error }

// That records a [FieldError] for field unless ok. The problem is formatted as by fmt.Sprintf.
func (c *Checks) That(ok bool, field, problem string, args ...any) {
	if !ok {
		c.errs = append(c.errs, &FieldError{Field: field, Problem: fmt.Sprintf(problem, args...)})
	}
}

// Include records the mistakes in err, which another Validate or constructor returned. With a path, their fields are
// prefixed by it and a dot, and the path takes the place of an owner.
func (c *Checks) Include(path string, err error) {
	switch {
	case err == nil:
	case path == "":
		c.errs = append(c.errs, err)
	default:
		for _, mistake := range mistakes(err) {
			if field, ok := mistake.(*FieldError); ok { //nolint:errorlint // mistakes has unwrapped it
				mistake = &FieldError{Field: path + "." + field.Field, Problem: field.Problem}
			}
			c.errs = append(c.errs, mistake)
		}
	}
}

// mistakes takes what [Checks.Err] put together apart again. Any other error stays whole.
func mistakes(err error) []error {
	if !errors.As(err, new(*FieldError)) {
		return []error{err}
	}
	switch e := err.(type) { //nolint:errorlint // one level at a time
	case interface{ Unwrap() []error }:
		var all []error
		for _, joined := range e.Unwrap() {
			all = append(all, mistakes(joined)...)
		}
		return all
	case interface{ Unwrap() error }:
		return mistakes(e.Unwrap())
	default:
		return []error{err}
	}
}

// maxNameLength bounds what ends up in logs, metrics and health pages.
const maxNameLength = 128

// Name records a mistake in the name of an instance: it must be 1 to 128 bytes without control characters.
func (c *Checks) Name(name string) {
	c.That(name != "", "name", "must not be empty")
	c.That(len(name) <= maxNameLength, "name", "must be at most %d bytes, got %d", maxNameLength, len(name))
	c.That(strings.IndexFunc(name, unicode.IsControl) < 0, "name", "must not hold control characters, got %q", name)
}

// Err returns all mistakes, joined, or nil. With an owner, such as `retry "payments"`, it comes first in the message.
func (c *Checks) Err(owner string) error {
	err := errors.Join(c.errs...)
	if err == nil || owner == "" {
		return err
	}
	return fmt.Errorf("%s: %w", owner, err)
}
