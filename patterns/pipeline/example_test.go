package pipeline_test

import (
	"context"
	"fmt"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/bulkhead"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/pipeline"
	"github.com/steadyfx/steady/patterns/retry"
	"github.com/steadyfx/steady/patterns/timeout"
)

func Example() {
	provider, err := pipeline.New("provider", pipeline.Config{
		Bulkhead:       &bulkhead.Config{MaxConcurrent: 20},
		Retry:          &retry.Config{MaxAttempts: 3, BaseDelay: 100 * time.Millisecond},
		CircuitBreaker: &circuitbreaker.Config{FailureThreshold: 5},
		Timeout:        &timeout.Config{Timeout: 2 * time.Second},
		Order:          []pipeline.Step{pipeline.Bulkhead, pipeline.Retry, pipeline.CircuitBreaker, pipeline.Timeout},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	charge := patterns.Wrap(provider, func(_ context.Context, cents int) (string, error) {
		return fmt.Sprintf("charged %d", cents), nil
	})
	fmt.Println(charge(context.Background(), 1250))
	fmt.Println(provider)
	// Output:
	// charged 1250 <nil>
	// bulkhead(provider) > retry(provider) > circuit_breaker(provider) > timeout(provider)
}
