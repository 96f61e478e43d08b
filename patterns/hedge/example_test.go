package hedge_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/hedge"
	"github.com/steadyfx/steady/patterns/retry"
)

// The first replica hangs; the hedge asks another one.
func Example() {
	budget, err := retry.NewBudget(retry.BudgetConfig{Percent: 10})
	if err != nil {
		fmt.Println(err)
		return
	}
	policy, err := hedge.New("search", hedge.Config{Delay: 5 * time.Millisecond, Quantile: 0.95}, hedge.WithBudget(budget))
	if err != nil {
		fmt.Println(err)
		return
	}
	var asked atomic.Int32
	search := patterns.Wrap(policy, func(ctx context.Context, query string) (string, error) {
		replica := asked.Add(1)
		if replica == 1 {
			<-ctx.Done()
			return "", ctx.Err()
		}
		return fmt.Sprintf("%s: found by replica %d", query, replica), nil
	})
	fmt.Println(search(context.Background(), "boots"))
	fmt.Println("hedges:", policy.Stats().Hedges)
	// Output:
	// boots: found by replica 2 <nil>
	// hedges: 1
}
