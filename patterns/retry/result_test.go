package retry_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/retry"
)

func pending(status string) bool { return status == "pending" }

// statuses returns a function that returns them one after the other.
func statuses(calls *int, of ...string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		*calls++
		return of[*calls-1], nil
	}
}

func TestUnwantedResultIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		fn := retry.OnResult(statuses(&calls, "pending", "pending", "paid"), pending)
		if got, err := retry.Do(t.Context(), exact(3), fn); got != "paid" || err != nil || calls != 3 {
			t.Errorf("got %q, %v after %d calls", got, err, calls)
		}
	})
}

func TestUnwantedResultIsInTheErrorWhenAttemptsAreUsedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		fn := retry.OnResult(statuses(&calls, "pending", "pending"), pending)
		got, err := patterns.Do(t.Context(), mustNew(t, exact(2)), fn)
		if got != "" || calls != 2 {
			t.Errorf("got %q after %d calls", got, calls)
		}
		for _, target := range []error{retry.ErrUnwanted, retry.ErrExhausted, patterns.ErrResilience} {
			if !errors.Is(err, target) {
				t.Errorf("errors.Is(%v, %v) is false", err, target)
			}
		}
		if errors.Is(err, patterns.ErrRejected) {
			t.Error("the operation was run")
		}
		if value, ok := retry.Unwanted[string](err); value != "pending" || !ok {
			t.Errorf("the value is %q, %v", value, ok)
		}
		if value, ok := retry.Unwanted[int](err); value != 0 || ok {
			t.Errorf("a value of another type is %d, %v", value, ok)
		}
		if want := `retry "payments": gave up after 2 attempts: unwanted result`; err.Error() != want {
			t.Errorf("message %q, want %q", err, want)
		}
		if code := patterns.Code(errors.Unwrap(err)); code != patterns.CodeResilience {
			t.Errorf("code %q", code)
		}
	})
}

func TestUnwantedResultIsRetriedWhateverErrorsAre(t *testing.T) {
	never := func(error) bool { return false }
	for name, opts := range map[string][]retry.Option{
		"other errors named": {retry.WithRetryOn(errBoom)},
		"no error accepted":  {retry.WithRetryIf(never)},
	} {
		synctest.Test(t, func(t *testing.T) {
			calls := 0
			fn := retry.OnResult(statuses(&calls, "pending", "paid"), pending)
			if got, err := retry.Do(t.Context(), exact(3), fn, opts...); got != "paid" || err != nil {
				t.Errorf("%s: got %q, %v", name, got, err)
			}
		})
	}
	calls := 0
	fn := retry.OnResult(statuses(&calls, "pending", "paid"), pending)
	_, err := retry.Do(t.Context(), exact(3), fn, retry.WithAbortOn(retry.ErrUnwanted))
	if calls != 1 || !errors.Is(err, retry.ErrUnwanted) || errors.Is(err, retry.ErrExhausted) {
		t.Errorf("aborted: %v after %d calls", err, calls)
	}
}

func TestOnResultIsNotAskedAboutFailures(t *testing.T) {
	fn := retry.OnResult(func(context.Context) (string, error) { return "pending", errBoom }, func(string) bool {
		t.Error("asked")
		return true
	})
	if got, err := fn(t.Context()); got != "pending" || err != errBoom {
		t.Errorf("got %q, %v", got, err)
	}
}
