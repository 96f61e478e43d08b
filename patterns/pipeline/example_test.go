package pipeline_test

import (
	"context"
	"fmt"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/bulkhead"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/hedge"
	"github.com/steadyfx/steady/patterns/pipeline"
	"github.com/steadyfx/steady/patterns/retry"
	"github.com/steadyfx/steady/patterns/timeout"
)

func Example() {
	provider, err := pipeline.Standard("provider", pipeline.Config{
		TotalTimeout:   &timeout.Config{Timeout: 5 * time.Second},
		Bulkhead:       &bulkhead.Config{MaxConcurrent: 20},
		Retry:          &retry.Config{MaxAttempts: 3, BaseDelay: 100 * time.Millisecond},
		CircuitBreaker: &circuitbreaker.Config{FailureThreshold: 5},
		Timeout:        &timeout.Config{Timeout: 2 * time.Second},
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
	// total_timeout(provider.total) > bulkhead(provider) > retry(provider) > circuit_breaker(provider) > timeout(provider)
}

func ExamplePipeline_Describe() {
	provider, err := pipeline.New("provider", pipeline.Config{
		Retry:   &retry.Config{MaxAttempts: 3, BaseDelay: 100 * time.Millisecond},
		Hedge:   &hedge.Config{Delay: 500 * time.Millisecond},
		Timeout: &timeout.Config{Timeout: 2 * time.Second},
		Order:   []pipeline.Step{pipeline.Retry, pipeline.Hedge, pipeline.Timeout},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(provider.Describe())
	// Output:
	// pipeline "provider", outermost step first
	//   1. retry "provider"
	//      max_attempts 3, base_delay 100ms, max_delay 1m0s, backoff_factor 2, jitter 0.25
	//   2. hedge "provider"
	//      delay 500ms, max_hedges 1
	//   3. timeout "provider"
	//      timeout 2s, timeout_message "Operation timed out"
	// warnings
	//   - attempts multiply: retry "provider" (3) and hedge "provider" (2) make up to 6 of one call
}

// Mistakes in how steps fit together are errors.
func ExampleNew() {
	_, err := pipeline.New("provider", pipeline.Config{
		Retry:   &retry.Config{MaxAttempts: 5, BaseDelay: time.Second},
		Timeout: &timeout.Config{Timeout: 2 * time.Second},
		Order:   []pipeline.Step{pipeline.Timeout, pipeline.Retry},
	})
	fmt.Println(err)
	// Output:
	// pipeline "provider": retry.max_attempts: retry "provider" makes up to 5 attempts with delays of at least 2s in all, but timeout "provider" around it ends after 2s: make fewer attempts or shorter delays, raise the timeout, or end the retries with max_elapsed
}
