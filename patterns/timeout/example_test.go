package timeout_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/timeout"
)

func Example() {
	limit, err := timeout.New("fetch-rate", timeout.Config{Timeout: 10 * time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	fetch := patterns.Wrap(limit, func(ctx context.Context, currency string) (float64, error) {
		<-ctx.Done() // a server that never answers
		return 0, ctx.Err()
	})
	_, err = fetch(context.Background(), "EUR")
	fmt.Println(errors.Is(err, timeout.ErrTimeout))
	fmt.Println(err)
	// Output:
	// true
	// Operation timed out: "fetch-rate" exceeded its limit of 10ms; retry if it is safe to, or raise the limit: context deadline exceeded
}

func ExampleWithDetached() {
	limit, err := timeout.New("resolve", timeout.Config{Timeout: 10 * time.Millisecond}, timeout.WithDetached())
	if err != nil {
		fmt.Println(err)
		return
	}
	answer := make(chan struct{})
	err = limit.Execute(context.Background(), func(context.Context) error {
		<-answer // whatever the context says
		return nil
	})
	fmt.Println(errors.Is(err, timeout.ErrAbandoned), limit.Abandoned())
	close(answer)
	// Output: true 1
}

func ExampleManager() {
	limits, err := timeout.NewManager(timeout.Config{Timeout: 30 * time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := limits.Configure("search", 200*time.Millisecond); err != nil {
		fmt.Println(err)
		return
	}
	err = limits.Run(context.Background(), "search", func(ctx context.Context) error {
		return nil // the search, under a context that ends after 200 ms
	})
	fmt.Println(err, limits.For("search"), limits.For("export"))
	// Output: <nil> 200ms 30s
}
