package main

import (
	"context"

	retrygo "github.com/avast/retry-go/v5"
	"github.com/failsafe-go/failsafe-go"
	fsbulkhead "github.com/failsafe-go/failsafe-go/bulkhead"
	fscircuit "github.com/failsafe-go/failsafe-go/circuitbreaker"
	fsfallback "github.com/failsafe-go/failsafe-go/fallback"
	fstimeout "github.com/failsafe-go/failsafe-go/timeout"
	"github.com/sony/gobreaker/v2"
	"golang.org/x/sync/semaphore"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/bulkhead"
	"github.com/steadyfx/steady/patterns/fallback"
	"github.com/steadyfx/steady/patterns/pipeline"
	"github.com/steadyfx/steady/patterns/timeout"
)

func pipelines(op operation) []group { return []group{threeSteps(op), fourSteps(op), fiveSteps(op)} }

const pipelineSlots = 1024

func threeSteps(op operation) group {
	ctx := context.Background()
	ours := must(pipeline.New("bench", pipelineConfig()))
	return group{
		name:  "Pipeline of three: bulkhead, breaker, retry",
		about: "The call succeeds at the first attempt, with a free slot and a closed circuit.",
		modes: []mode{serial(), parallel()},
		contenders: []contender{
			withTimeout(ctx, op),
			{"Steady, `Execute`", steady, func(n int) error {
				return times(n, func() error { return ours.Execute(ctx, op) })
			}},
			{"x/sync/semaphore, gobreaker, retry-go", peer, newByHand(ctx, op)},
			{"failsafe-go, executor", peer, failsafeRun(bare(op), failsafePolicies()...)},
		},
	}
}

func fourSteps(op operation) group {
	ctx := context.Background()
	cfg := pipelineConfig()
	cfg.Timeout = &timeout.Config{Timeout: limit}
	ours := must(pipeline.New("bench", cfg))
	policies := append(failsafePolicies(), fstimeout.New[any](limit))
	limited := func(parent context.Context) error {
		ctx, cancel := context.WithTimeout(parent, limit)
		defer cancel()
		return op(ctx)
	}
	return group{
		name:  "Pipeline of four: and timeout",
		about: "The same, each attempt under a timeout.",
		modes: []mode{serial(), parallel()},
		contenders: []contender{
			withTimeout(ctx, op),
			{"Steady, `Execute`", steady, func(n int) error {
				return times(n, func() error { return ours.Execute(ctx, op) })
			}},
			{"x/sync/semaphore, gobreaker, retry-go, `context.WithTimeout`", peer, newByHand(ctx, limited)},
			{"failsafe-go, executor, the call without its context", peer, failsafeRun(bare(op), policies...)},
			{"failsafe-go, executor", peer, failsafeRunWithContext(ctx, op, policies...)},
		},
	}
}

func fiveSteps(op operation) group {
	ctx := context.Background()
	cfg := pipelineConfig()
	cfg.Timeout = &timeout.Config{Timeout: limit}
	giveUp := fallback.DegradeFunc(func(_ context.Context, err error) (struct{}, error) { return struct{}{}, err })
	chain := must(fallback.New[struct{}]("bench")).Add(giveUp)
	ours := patterns.Compose(fallback.NewPolicy(chain), must(pipeline.New("bench", cfg)))
	policies := append([]failsafe.Policy[any]{
		fsfallback.NewWithFunc(func(e failsafe.Execution[any]) (any, error) { return nil, e.LastError() }),
	}, append(failsafePolicies(), fstimeout.New[any](limit))...)
	return group{
		name:  "Pipeline of five: and fallback",
		about: "The same, inside of a fallback that is not needed.",
		modes: []mode{serial(), parallel()},
		contenders: []contender{
			withTimeout(ctx, op),
			{"Steady, `Execute`", steady, func(n int) error {
				return times(n, func() error { return ours.Execute(ctx, op) })
			}},
			{"failsafe-go, executor, the call without its context", peer, failsafeRun(bare(op), policies...)},
			{"failsafe-go, executor", peer, failsafeRunWithContext(ctx, op, policies...)},
		},
	}
}

func pipelineConfig() pipeline.Config {
	breaker, retries := breakerConfig(), retryConfig()
	return pipeline.Config{
		Bulkhead: &bulkhead.Config{MaxConcurrent: pipelineSlots}, CircuitBreaker: &breaker, Retry: &retries,
	}
}

func failsafePolicies() []failsafe.Policy[any] {
	return []failsafe.Policy[any]{
		fsbulkhead.New[any](pipelineSlots),
		fscircuit.NewBuilder[any]().
			WithFailureRateThreshold(failureRate, minimumCalls, window).WithDelay(openFor).Build(),
		failsafeRetry(),
	}
}

// byHand is what one writes who takes a library for each pattern.
type byHand struct {
	slots   *semaphore.Weighted
	breaker *gobreaker.CircuitBreaker[struct{}]
	retrier *retrygo.Retrier
	op      operation
}

func newByHand(ctx context.Context, op operation) func(int) error {
	h := byHand{
		slots: semaphore.NewWeighted(pipelineSlots),
		breaker: gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
			Interval: window, BucketPeriod: window / buckets, Timeout: openFor, ReadyToTrip: tooManyFailures,
		}),
		retrier: retryGo(ctx),
		op:      op,
	}
	return func(n int) error {
		return times(n, func() error { return h.call(ctx) })
	}
}

func (h *byHand) call(ctx context.Context) error {
	if err := h.slots.Acquire(ctx, 1); err != nil {
		return err
	}
	defer h.slots.Release(1)
	_, err := h.breaker.Execute(func() (struct{}, error) {
		return struct{}{}, h.retrier.Do(func() error { return h.op(ctx) })
	})
	return err
}
