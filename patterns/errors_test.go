package patterns_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/steadyfx/steady/patterns"
)

type coded string

func (c coded) Error() string { return "coded " + string(c) }
func (c coded) Code() string  { return string(c) }

func TestCodeIsThatOfTheOutermostError(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"nil", nil, ""},
		{"without a code", errBoom, ""},
		{"wrapped without a code", fmt.Errorf("a: %w", errBoom), ""},
		{"itself", coded("A"), "A"},
		{"wrapped", fmt.Errorf("a: %w", fmt.Errorf("b: %w", coded("A"))), "A"},
		{"first of several", errors.Join(errBoom, coded("A"), coded("B")), "A"},
		{"outer before inner", wrapping{coded("A"), coded("B")}, "A"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := patterns.Code(tt.err); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

type wrapping struct {
	coded
	inner error
}

func (w wrapping) Unwrap() error { return w.inner }
