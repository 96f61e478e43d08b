package retry_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/retry"
)

// Only a call of which no attempt ran may say that the operation was not run: callers undo nothing then.
func TestRefusalAfterAnAttemptThatRan(t *testing.T) {
	tests := []struct {
		name     string
		opts     []retry.Option
		failures []error // of the attempts, in turn
		attempts int     // that the error reports; 0: it is the failure itself
		is, not  []error
	}{
		{"refused at once", nil, []error{openCircuit{}}, 0,
			[]error{errOpen, patterns.ErrRejected}, []error{retry.ErrInterrupted}},
		{"refused after a failure", nil, []error{errBoom, openCircuit{}}, 1,
			[]error{retry.ErrInterrupted, patterns.ErrResilience, errOpen, errBoom}, []error{patterns.ErrRejected}},
		{"always refused", []retry.Option{retry.WithRetryOn(errOpen)},
			[]error{openCircuit{}, openCircuit{}, openCircuit{}}, 3,
			[]error{retry.ErrExhausted, errOpen, patterns.ErrRejected}, nil},
		{"refused in the end", []retry.Option{retry.WithRetryOn(errOpen, errBoom)},
			[]error{errBoom, openCircuit{}, openCircuit{}}, 3,
			[]error{retry.ErrExhausted, errOpen}, []error{patterns.ErrRejected}},
		{"refused in between", []retry.Option{retry.WithRetryOn(errOpen, errBoom)},
			[]error{openCircuit{}, errBoom, openCircuit{}}, 3,
			[]error{retry.ErrExhausted, errOpen}, []error{patterns.ErrRejected}},
		{"given up while refused", []retry.Option{retry.WithRetryOn(errOpen)},
			[]error{openCircuit{}, errBoom}, 0, []error{errBoom}, []error{patterns.ErrRejected}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, err := retry.New("payments", retry.Config{}, tt.opts...)
				if err != nil {
					t.Fatal(err)
				}
				n := 0
				err = p.Execute(t.Context(), func(context.Context) error { n++; return tt.failures[n-1] })
				var exhausted *retry.ExhaustedError
				var interrupted *retry.InterruptedError
				switch {
				case errors.As(err, &exhausted) && exhausted.Attempts != tt.attempts,
					errors.As(err, &interrupted) && interrupted.Attempts != tt.attempts,
					exhausted == nil && interrupted == nil && tt.attempts != 0:
					t.Errorf("want %d attempts, got %v", tt.attempts, err)
				}
				for _, want := range tt.is {
					if !errors.Is(err, want) {
						t.Errorf("%v does not match %v", err, want)
					}
				}
				for _, not := range tt.not {
					if errors.Is(err, not) {
						t.Errorf("%v matches %v", err, not)
					}
				}
				if open := new(openCircuit); errors.Is(err, errOpen) && !errors.As(err, open) {
					t.Errorf("the refusal cannot be read from %v", err)
				}
			})
		})
	}
}

func TestRefusalBeforeTheContextEndsIsHiddenToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := retry.New("payments", retry.Config{}, retry.WithRetryOn(errOpen, errBoom))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		failures := []error{errBoom, openCircuit{}}
		n := 0
		err = p.Execute(ctx, func(context.Context) error {
			if n++; n == 2 {
				time.AfterFunc(time.Millisecond, cancel)
			}
			return failures[n-1]
		})
		if !errors.Is(err, retry.ErrInterrupted) || errors.Is(err, patterns.ErrRejected) || !errors.Is(err, errOpen) {
			t.Fatalf("got %v", err)
		}
	})
}
