package circuitbreaker_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
)

func Example() {
	breaker, err := circuitbreaker.New("ledger", circuitbreaker.Config{
		FailureThreshold: 3,
		RecoveryTimeout:  30 * time.Second,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	balance := patterns.Wrap(breaker, func(_ context.Context, account string) (int, error) {
		return 0, errors.New("connection refused")
	})
	for range 4 {
		_, err = balance(context.Background(), "alice")
	}
	var open *circuitbreaker.OpenError
	if errors.As(err, &open) {
		fmt.Println("rejected by", open.Name, "for", open.RetryAfter)
	}
	fmt.Println(breaker.State())
	// Output:
	// rejected by ledger for 30s
	// open
}

func ExampleBreaker_Acquire() {
	breaker, err := circuitbreaker.New("mail", circuitbreaker.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	permit, err := breaker.Acquire(context.Background())
	if err != nil {
		fmt.Println(err) // open: try again after RetryAfter
		return
	}
	permit.Done(nil) // the result of the call
	fmt.Println(breaker.Metrics().Successes)
	// Output: 1
}
