package patterns_test

import (
	"context"
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

func TestEndedHoldsTheErrorAndTheCause(t *testing.T) {
	if err := patterns.Ended(t.Context()); err != nil {
		t.Errorf("a live context: %v", err)
	}
	errGone := errors.New("the client is gone")
	withCause, cancel := context.WithCancelCause(t.Context())
	cancel(errGone)
	plain, cancelPlain := context.WithTimeout(t.Context(), 0)
	defer cancelPlain()
	for _, test := range []struct {
		ctx  context.Context
		want []error
	}{{withCause, []error{context.Canceled, errGone}}, {plain, []error{context.DeadlineExceeded}}} {
		for _, want := range test.want {
			if err := patterns.Ended(test.ctx); !errors.Is(err, want) {
				t.Errorf("%v is not in %v", want, err)
			}
		}
	}
	if err := patterns.Ended(plain); err != context.DeadlineExceeded {
		t.Errorf("without a cause: %v", err)
	}
}

func TestWithoutRejectionKeepsEverythingElse(t *testing.T) {
	rejection := rejectionError{name: "payments"}
	err := patterns.WithoutRejection(rejection)
	if errors.Is(err, patterns.ErrRejected) || !errors.Is(err, patterns.ErrResilience) || err.Error() != rejection.Error() {
		t.Errorf("got %v", err)
	}
	if got := (rejectionError{}); !errors.As(err, &got) || got != rejection {
		t.Errorf("got %+v", got)
	}
}

type rejectionError struct{ name string }

func (e rejectionError) Error() string { return e.name + " is full" }
func (e rejectionError) Is(target error) bool {
	return target == patterns.ErrRejected || target == patterns.ErrResilience
}
