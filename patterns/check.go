package patterns

import (
	"errors"
	"fmt"
	"strings"
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

// maxNameLength bounds what ends up in logs, metrics and health pages.
const maxNameLength = 128

// Name records a mistake in the name of an instance: it must be 1 to 128 bytes without control characters.
func (c *Checks) Name(name string) {
	c.That(name != "", "name", "must not be empty")
	c.That(len(name) <= maxNameLength, "name", "must be at most %d bytes, got %d", maxNameLength, len(name))
	c.That(strings.IndexFunc(name, isControl) < 0, "name", "must not hold control characters, got %q", name)
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// Err returns all mistakes, joined, or nil. With an owner, such as `retry "payments"`, it comes first in the message.
func (c *Checks) Err(owner string) error {
	err := errors.Join(c.errs...)
	if err == nil || owner == "" {
		return err
	}
	return fmt.Errorf("%s: %w", owner, err)
}
