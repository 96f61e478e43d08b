package main

import (
	"context"
	"time"

	retrygo "github.com/avast/retry-go/v5"
	"github.com/cenkalti/backoff/v7"
	resiliency "github.com/eapache/go-resiliency/retrier"
	"github.com/failsafe-go/failsafe-go/retrypolicy"

	"github.com/steadyfx/steady/patterns/retry"
)

// Three attempts, the second after 100 ms.
const (
	attempts  = 3
	baseDelay = 100 * time.Millisecond
	maxDelay  = time.Second
)

func retries(op operation) []group {
	ctx, call, valued := context.Background(), bare(op), result(op)
	ours := must(retry.New("bench", retryConfig()))
	reused := retryGo(ctx)
	retrier := resiliency.New(resiliency.ExponentialBackoff(attempts-1, baseDelay), nil)
	return []group{{
		name: "Retry around a success", about: "Three attempts would be made; the first one succeeds.",
		modes: []mode{serial(), parallel()},
		contenders: []contender{
			bareCall(op),
			{"Steady, `Execute`", steady, func(n int) error {
				return times(n, func() error { return ours.Execute(ctx, op) })
			}},
			{"retry-go, one retrier for all calls", peer, func(n int) error {
				return times(n, func() error { return reused.Do(call) })
			}},
			{"retry-go, one for each call", peer, func(n int) error {
				return times(n, func() error { return retryGo(ctx).Do(call) })
			}},
			{"backoff", peer, func(n int) error {
				return times(n, func() error {
					_, err := backoff.Retry(ctx, valued, backoff.WithMaxTries(attempts))
					return err
				})
			}},
			{"go-resiliency", peer, func(n int) error {
				return times(n, func() error { return retrier.RunCtx(ctx, op) })
			}},
			{"failsafe-go, executor", peer, failsafeRun(call, failsafeRetry())},
		},
	}}
}

func retryConfig() retry.Config {
	return retry.Config{MaxAttempts: attempts, BaseDelay: baseDelay, MaxDelay: maxDelay}
}

// retryGo makes a retrier for one context, which it keeps.
func retryGo(ctx context.Context) *retrygo.Retrier {
	return retrygo.New(
		retrygo.Context(ctx), retrygo.Attempts(attempts), retrygo.Delay(baseDelay), retrygo.MaxDelay(maxDelay),
	)
}

func failsafeRetry() retrypolicy.RetryPolicy[any] {
	return retrypolicy.NewBuilder[any]().WithMaxAttempts(attempts).WithBackoff(baseDelay, maxDelay).Build()
}
