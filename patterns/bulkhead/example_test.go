package bulkhead_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/bulkhead"
)

func Example() {
	reports, err := bulkhead.New("reports", bulkhead.Config{MaxConcurrent: 1, QueueSize: 0, Timeout: time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	render := patterns.Wrap(reports, func(ctx context.Context, title string) (string, error) {
		// The only slot is taken by now, so a second report is refused.
		err := reports.Execute(ctx, func(context.Context) error { return nil })
		if errors.Is(err, bulkhead.ErrRejected) {
			fmt.Println(err)
		}
		return "report: " + title, nil
	})
	fmt.Println(render(context.Background(), "sales"))
	// Output:
	// bulkhead "reports": full (max_concurrent is 1, queue_size 0); retry later, or raise one of them
	// report: sales <nil>
}

// A permit is for work that does not fit in one function call.
func ExampleBulkhead_Acquire() {
	uploads, err := bulkhead.New("uploads", bulkhead.DefaultConfig())
	if err != nil {
		fmt.Println(err)
		return
	}
	permit, err := uploads.Acquire(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer permit.Release()
	fmt.Println(uploads.Metrics().InFlight, "of", uploads.Metrics().MaxConcurrent)
	// Output: 1 of 10
}

// A call that needs three connections at once weighs three slots.
func ExampleBulkhead_AcquireN() {
	connections, err := bulkhead.New("connections", bulkhead.Config{MaxConcurrent: 4})
	if err != nil {
		fmt.Println(err)
		return
	}
	permit, err := connections.AcquireN(context.Background(), 3)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer permit.Release()
	_, ok := connections.TryAcquireN(2)
	fmt.Println(connections.Metrics().InFlight, "in use, two more:", ok)
	if err := connections.Resize(8, 0); err != nil {
		fmt.Println(err)
		return
	}
	_, ok = connections.TryAcquireN(2)
	fmt.Println(connections.Metrics().InFlight, "in use, two more:", ok)
	// Output:
	// 3 in use, two more: false
	// 5 in use, two more: true
}

func ExampleAdaptive() {
	search, err := bulkhead.NewAdaptive("search", bulkhead.AdaptiveConfig{
		Algorithm: bulkhead.Gradient2, InitialLimit: 20, MinLimit: 10, MaxLimit: 200, QueueSize: 50,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = search.Execute(context.Background(), func(context.Context) error { return nil })
	fmt.Println(err, search.Metrics().MaxConcurrent)
	// Output: <nil> 20
}
