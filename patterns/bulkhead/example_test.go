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
