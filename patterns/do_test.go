package patterns_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns"
)

// caller is Do or Wrap: both must treat values alike.
type caller func(ctx context.Context, p patterns.Policy, fn func(context.Context) (*int, error)) (*int, error)

var callers = map[string]caller{
	"Do": patterns.Do[*int],
	"Wrap": func(ctx context.Context, p patterns.Policy, fn func(context.Context) (*int, error)) (*int, error) {
		return patterns.Wrap(p, func(ctx context.Context, _ string) (*int, error) { return fn(ctx) })(ctx, "in")
	},
}

// forEachCaller runs test in a bubble for Do and for Wrap.
func forEachCaller(t *testing.T, test func(t *testing.T, do caller)) {
	for name, do := range callers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test(t, do)
				time.Sleep(time.Minute) // attempts that come late end here
			})
		})
	}
}

// numbered returns a function that sleeps for a second per call made before, returns &values[call], and fails where
// errs says so.
func numbered(values []int, errs ...error) func(context.Context) (*int, error) {
	var mu sync.Mutex
	calls := 0
	return func(context.Context) (*int, error) {
		mu.Lock()
		call := calls
		calls++
		mu.Unlock()
		time.Sleep(time.Duration(call) * time.Second)
		var err error
		if call < len(errs) {
			err = errs[call]
		}
		return &values[call], err
	}
}

func TestValueIsThatOfTheAttemptThatSucceeded(t *testing.T) {
	forEachCaller(t, func(t *testing.T, do caller) {
		values := make([]int, 3)
		got, err := do(t.Context(), attempts(3), numbered(values, errBoom, errBoom))
		if got != &values[2] || err != nil {
			t.Errorf("got %p, %v", got, err)
		}
	})
}

func TestFailedCallHasNoValue(t *testing.T) {
	fails := plain(func(ctx context.Context, op patterns.Operation) error { // although the operation succeeded
		_ = op(ctx)
		return errBoom
	})
	tests := []struct {
		name string
		p    patterns.Policy
		errs []error // of the attempts
	}{
		{"no policy", nil, []error{errBoom}},
		{"direct", patterns.Direct{}, []error{errBoom}},
		{"sequential", attempts(2), []error{errBoom, errBoom}},
		{"not sequential", &layer{}, []error{errBoom}},
		{"sequential, success turned into an error", declared{fails}, nil},
		{"not sequential, success turned into an error", fails, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			forEachCaller(t, func(t *testing.T, do caller) {
				if got, err := do(t.Context(), tt.p, numbered(make([]int, 2), tt.errs...)); got != nil || err != errBoom {
					t.Errorf("got %p, %v", got, err)
				}
			})
		})
	}
}

// twice runs the operation twice at once. It succeeds if one attempt does, and returns after both, or when the first
// has succeeded.
func twice(waits bool) patterns.Policy {
	return plain(func(ctx context.Context, op patterns.Operation) error {
		results := make(chan error, 2)
		for range 2 {
			go func() { results <- op(ctx) }()
		}
		first := <-results
		if first == nil && !waits {
			return nil
		}
		if second := <-results; first != nil {
			return second
		}
		return nil
	})
}

func TestAttemptsThatOverlap(t *testing.T) {
	tests := []struct {
		name  string
		waits bool
		errs  []error // of the attempt that ends at once and of the one that takes a second
		want  int     // index of the value, -1 for none
	}{
		{"both succeed, the first counts", true, nil, 0},
		{"both succeed, the second comes late", false, nil, 0},
		{"the first fails", false, []error{errBoom}, 1},
		{"the second fails", true, []error{nil, errBoom}, 0},
		{"the second fails late", false, []error{nil, errBoom}, 0},
		{"both fail", false, []error{errBoom, errBoom}, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			forEachCaller(t, func(t *testing.T, do caller) {
				values := make([]int, 2)
				got, err := do(t.Context(), twice(tt.waits), numbered(values, tt.errs...))
				if tt.want < 0 {
					if got != nil || err != errBoom {
						t.Errorf("got %p, %v", got, err)
					}
					return
				}
				if got != &values[tt.want] || err != nil {
					t.Errorf("got %p, %v, want value %d, %p", got, err, tt.want, &values[tt.want])
				}
			})
		})
	}
}

// impatient returns result without waiting for the operation.
func impatient(result error) patterns.Policy {
	return plain(func(ctx context.Context, op patterns.Operation) error {
		go func() { _ = op(ctx) }()
		return result
	})
}

func TestAttemptThatEndsLateWritesNowhere(t *testing.T) {
	for _, result := range []error{nil, errBoom} {
		synctest.Test(t, func(t *testing.T) {
			values := []int{1, 2}
			fn := numbered(values)
			_, _ = fn(t.Context()) // so that the next calls take a second and more
			late := patterns.Wrap(impatient(result), func(ctx context.Context, _ int) (*int, error) { return fn(ctx) })
			got, err := late(t.Context(), 0)
			if got != nil || err != result {
				t.Errorf("the first call got %p, %v", got, err)
			}
			time.Sleep(time.Minute) // it has ended

			never := patterns.Wrap(plain(func(context.Context, patterns.Operation) error { return nil }),
				func(ctx context.Context, _ int) (*int, error) { return fn(ctx) })
			if got, err := never(t.Context(), 0); got != nil || err != nil {
				t.Errorf("a call that ran nothing got %p, %v", got, err)
			}
			if got, err := patterns.Do(t.Context(), impatient(result), func(context.Context) (int, error) {
				time.Sleep(time.Second)
				return 1, nil
			}); got != 0 || err != result {
				t.Errorf("Do got %d, %v", got, err)
			}
			time.Sleep(time.Minute)
		})
	}
}

func TestSuccessOfThePolicyAloneHasTheZeroValue(t *testing.T) {
	skips := plain(func(context.Context, patterns.Operation) error { return nil })
	forgives := plain(func(ctx context.Context, op patterns.Operation) error {
		_ = op(ctx)
		return nil
	})
	for _, p := range []patterns.Policy{skips, declared{skips}, forgives, declared{forgives}} {
		forEachCaller(t, func(t *testing.T, do caller) {
			if got, err := do(t.Context(), p, numbered(make([]int, 1), errBoom)); got != nil || err != nil {
				t.Errorf("got %p, %v", got, err)
			}
		})
	}
}

func TestWrapKeepsNoValueForTheNextCall(t *testing.T) {
	calls := 0
	policy := plain(func(ctx context.Context, op patterns.Operation) error {
		if calls++; calls%2 == 1 {
			return op(ctx)
		}
		return nil // without an attempt, so that the value is what was there before
	})
	for _, p := range []patterns.Policy{policy, declared{policy}} {
		fn := patterns.Wrap(p, func(_ context.Context, in int) (int, error) { return in, nil })
		for range 100 {
			if got, err := fn(t.Context(), 42); got != 42 || err != nil {
				t.Fatalf("got %d, %v", got, err)
			}
			if got, err := fn(t.Context(), 7); got != 0 || err != nil {
				t.Fatalf("the next call got %d, %v", got, err)
			}
		}
	}
}

func TestWrapGivesEachCallItsOwnValue(t *testing.T) {
	for name, p := range map[string]patterns.Policy{
		"sequential": attempts(1), "composed": patterns.Compose(&layer{sequential: true}, attempts(1)),
		"silent": &layer{}, "twice at once": twice(true), "none": nil,
	} {
		t.Run(name, func(t *testing.T) {
			square := patterns.Wrap(p, func(_ context.Context, in int) (int, error) {
				if in%3 == 0 {
					return -1, errBoom
				}
				return in * in, nil
			})
			var wg sync.WaitGroup
			for start := range 8 {
				wg.Go(func() {
					for in := start; in < 800; in += 8 {
						got, err := square(t.Context(), in)
						if in%3 == 0 && (got != 0 || err != errBoom) || in%3 != 0 && (got != in*in || err != nil) {
							t.Errorf("%d: got %d, %v", in, got, err)
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

func TestWrapMayCallItself(t *testing.T) {
	var factorial func(ctx context.Context, n int) (int, error)
	factorial = patterns.Wrap(attempts(1), func(ctx context.Context, n int) (int, error) {
		if n == 0 {
			return 1, nil
		}
		rest, err := factorial(ctx, n-1)
		return n * rest, err
	})
	if got, err := factorial(t.Context(), 10); got != 3628800 || err != nil {
		t.Errorf("got %d, %v", got, err)
	}
}

func TestWrapKeepsNothingOfACallThatDidNotReturn(t *testing.T) {
	endings := map[string]func(){"panic": func() { panic("bang") }, "Goexit": runtime.Goexit}
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			calls := 0
			policy := plain(func(ctx context.Context, op patterns.Operation) error {
				if calls++; calls%2 == 1 {
					_ = op(ctx)
					end()
				}
				return nil // without an attempt, so that the value is what was there before
			})
			fn := patterns.Wrap(declared{policy}, func(_ context.Context, in int) (int, error) { return in, nil })
			for range 100 {
				done := make(chan struct{})
				go func() {
					defer close(done)
					defer func() {
						if value := recover(); name == "panic" && value != "bang" {
							t.Errorf("recovered %v", value)
						}
					}()
					_, err := fn(t.Context(), 42)
					t.Errorf("the call returned %v", err)
				}()
				<-done
				if got, err := fn(t.Context(), 7); got != 0 || err != nil {
					t.Fatalf("the next call got %d, %v", got, err)
				}
			}
		})
	}
}

func TestErrorsPassThroughUnchanged(t *testing.T) {
	custom := errors.New("custom")
	for _, p := range []patterns.Policy{nil, attempts(1), &layer{}, patterns.Compose(&layer{}, attempts(2))} {
		forEachCaller(t, func(t *testing.T, do caller) {
			if _, err := do(t.Context(), p, numbered(make([]int, 2), custom, custom)); err != custom {
				t.Errorf("%T: got %v", p, err)
			}
		})
	}
}
