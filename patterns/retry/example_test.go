package retry_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/retry"
)

// A policy is made once and used for every call.
func Example() {
	errNotFound := errors.New("no such order")
	policy, err := retry.New("orders", retry.Config{MaxAttempts: 3, BaseDelay: time.Millisecond},
		retry.WithAbortOn(errNotFound),
		retry.WithOnRetry(func(_ context.Context, attempt int, _ time.Duration, err error) {
			fmt.Printf("attempt %d: %v\n", attempt, err)
		}))
	if err != nil {
		fmt.Println(err)
		return
	}

	tries := 0
	fetch := patterns.Wrap(policy, func(_ context.Context, id string) (string, error) {
		if tries++; tries < 3 {
			return "", errors.New("connection reset")
		}
		return "order " + id, nil
	})
	fmt.Println(fetch(context.Background(), "42"))
	// Output:
	// attempt 1: connection reset
	// attempt 2: connection reset
	// order 42 <nil>
}

func ExampleExhaustedError() {
	policy, err := retry.New("orders", retry.Config{MaxAttempts: 2, BaseDelay: time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = policy.Execute(context.Background(), func(context.Context) error { return errors.New("connection reset") })
	fmt.Println(err)

	var exhausted *retry.ExhaustedError
	if errors.As(err, &exhausted) {
		fmt.Println(exhausted.Attempts, exhausted.Last)
	}
	// Output:
	// retry "orders": gave up after 2 attempts: connection reset
	// 2 connection reset
}

func ExampleDo() {
	value, err := retry.Do(context.Background(), retry.Aggressive(), func(context.Context) (int, error) { return 42, nil })
	fmt.Println(value, err)
	// Output: 42 <nil>
}

// Retries of all policies for one dependency are paid from one budget.
func ExampleBudget() {
	budget, err := retry.NewBudget(retry.BudgetConfig{Percent: 20, MinPerSecond: retry.None})
	if err != nil {
		fmt.Println(err)
		return
	}
	policy, err := retry.New("orders", retry.Config{BaseDelay: time.Millisecond}, retry.WithBudget(budget))
	if err != nil {
		fmt.Println(err)
		return
	}
	err = policy.Execute(context.Background(), func(context.Context) error { return errors.New("connection reset") })
	fmt.Println(err)
	fmt.Println("denied:", budget.Stats().Denied, errors.Is(err, retry.ErrBudgetSpent))
	// Output:
	// retry "orders": gave up after 1 attempt: the retry budget is spent; last error: connection reset
	// denied: 1 true
}

func ExampleOnResult() {
	polls := 0
	status := func(context.Context) (string, error) {
		if polls++; polls < 3 {
			return "pending", nil
		}
		return "paid", nil
	}
	cfg := retry.Config{BaseDelay: time.Millisecond, Backoff: retry.Constant}
	fmt.Println(retry.Do(context.Background(), cfg,
		retry.OnResult(status, func(status string) bool { return status == "pending" })))
	// Output: paid <nil>
}

func ExampleConfig_Delay() {
	cfg := retry.Config{BaseDelay: time.Second, MaxDelay: 5 * time.Second, BackoffFactor: 2, Jitter: retry.NoJitter}
	for attempt := 1; attempt <= 4; attempt++ {
		fmt.Print(cfg.Delay(attempt), " ")
	}
	// Output: 1s 2s 4s 5s
}
