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

func TestDoReturnsTheValueOfTheAttemptThatSucceeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, calls := time.Now(), 0
		got, err := retry.Do(t.Context(), exact(3), func(context.Context) (string, error) {
			if calls++; calls < 3 {
				return "partial", errBoom
			}
			return "whole", nil
		})
		if got != "whole" || err != nil || calls != 3 || time.Since(start) != 300*time.Millisecond {
			t.Errorf("got %q, %v after %d calls in %v", got, err, calls, time.Since(start))
		}
	})
}

func TestDoReturnsNoValueWithAnError(t *testing.T) {
	fail := func(context.Context) (string, error) { return "partial", errBoom }
	got, err := retry.Do(t.Context(), exact(1), fail)
	var exhausted *retry.ExhaustedError
	if got != "" || !errors.As(err, &exhausted) || exhausted.Name != "retry.Do" || exhausted.Last != errBoom {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err = retry.Do(t.Context(), exact(3), fail, retry.WithAbortOn(errBoom)); got != "" || err != errBoom {
		t.Errorf("with an option: got %q, %v", got, err)
	}
}

func TestDoDoesNotRunUnderAnInvalidConfiguration(t *testing.T) {
	ran := false
	_, err := retry.Do(t.Context(), retry.Config{MaxAttempts: -1}, func(context.Context) (int, error) {
		ran = true
		return 0, nil
	})
	if ran || !errors.Is(err, patterns.ErrConfiguration) {
		t.Errorf("ran: %v, error: %v", ran, err)
	}
}

func TestWrapRetriesWithTheSameArgument(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var args []int
		double := patterns.Wrap(mustNew(t, exact(3)), func(_ context.Context, in int) (int, error) {
			if args = append(args, in); len(args) < 3 {
				return -1, errBoom
			}
			return 2 * in, nil
		})
		got, err := double(t.Context(), 21)
		if got != 42 || err != nil || len(args) != 3 || args[0] != 21 || args[2] != 21 {
			t.Errorf("got %d, %v with arguments %v", got, err, args)
		}
	})
}
