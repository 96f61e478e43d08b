package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/ratelimiter"
	"golang.org/x/time/rate"

	"github.com/steadyfx/steady/patterns/ratelimit"
)

// plenty is a rate in a second that no loop can exhaust: a token each nanosecond.
const plenty = 1_000_000_000

func rateLimits(op operation) []group {
	return []group{tokenAvailable(), tokenDenied(), limitedCall(op)}
}

func tokenAvailable() group {
	ours := must(ratelimit.NewTokenBucket("bench", ratelimit.Config{Limit: plenty, Period: time.Second, Burst: plenty}))
	limiter := rate.NewLimiter(plenty, plenty)
	smooth := ratelimiter.NewSmooth[any](plenty, time.Second)
	bursty := ratelimiter.NewBursty[any](plenty, time.Second)
	start, counter := time.Now(), atomic.Int64{}
	return group{
		name: "Token available", about: "The limiter is asked for one token and has it.",
		modes: []mode{serial(), parallel()},
		contenders: []contender{
			{"one `time.Since`, one atomic add", floor, func(n int) error {
				return times(n, func() error { counter.Add(int64(time.Since(start))); return nil })
			}},
			{"Steady, `TokenBucket.TryAcquire`", steady, func(n int) error {
				return times(n, func() error { return granted(ours.TryAcquire()) })
			}},
			{"x/time/rate, `Allow`", peer, func(n int) error {
				return times(n, func() error { return granted(limiter.Allow()) })
			}},
			{"failsafe-go, smooth", peer, func(n int) error {
				return times(n, func() error { return granted(smooth.TryAcquirePermit()) })
			}},
			{"failsafe-go, bursty", peer, func(n int) error {
				return times(n, func() error { return granted(bursty.TryAcquirePermit()) })
			}},
		},
	}
}

func tokenDenied() group {
	const never = 1000 * time.Hour
	ours := must(ratelimit.NewTokenBucket("bench", ratelimit.Config{Limit: 1, Period: never, Burst: 1}))
	limiter := rate.NewLimiter(rate.Every(never), 1)
	smooth := ratelimiter.NewSmooth[any](1, never)
	bursty := ratelimiter.NewBursty[any](1, never)
	for _, got := range []bool{ours.TryAcquire(), limiter.Allow(), smooth.TryAcquirePermit(), bursty.TryAcquirePermit()} {
		must(struct{}{}, granted(got))
	}
	start := time.Now()
	return group{
		name: "Token denied", about: "The limiter is asked for one token and has none.",
		modes: []mode{serial(), parallel()},
		contenders: []contender{
			{"one `time.Since`", floor, func(n int) error {
				return times(n, func() error { return granted(time.Since(start) >= 0) })
			}},
			{"Steady, `TokenBucket.TryAcquire`", steady, func(n int) error {
				return times(n, func() error { return denied(ours.TryAcquire()) })
			}},
			{"x/time/rate, `Allow`", peer, func(n int) error {
				return times(n, func() error { return denied(limiter.Allow()) })
			}},
			{"failsafe-go, smooth", peer, func(n int) error {
				return times(n, func() error { return denied(smooth.TryAcquirePermit()) })
			}},
			{"failsafe-go, bursty", peer, func(n int) error {
				return times(n, func() error { return denied(bursty.TryAcquirePermit()) })
			}},
		},
	}
}

func limitedCall(op operation) group {
	ctx := context.Background()
	ours := must(ratelimit.NewTokenBucket("bench", ratelimit.Config{Limit: plenty, Period: time.Second, Burst: plenty}))
	limiter := rate.NewLimiter(plenty, plenty)
	return group{
		name: "Rate limit around a call", about: "The call would wait for a token, which is there, and succeeds.",
		modes: []mode{serial(), parallel()},
		contenders: []contender{
			clockAndAdd(op),
			{"Steady, `TokenBucket.Execute`", steady, func(n int) error {
				return times(n, func() error { return ours.Execute(ctx, op) })
			}},
			{"x/time/rate, `Wait`", peer, func(n int) error {
				return times(n, func() error {
					if err := limiter.Wait(ctx); err != nil {
						return err
					}
					return op(ctx)
				})
			}},
			{"failsafe-go, smooth, executor", peer,
				failsafeRun(bare(op), ratelimiter.NewSmoothBuilder[any](plenty, time.Second).WithMaxWaitTime(limit).Build())},
			{"failsafe-go, bursty, executor", peer,
				failsafeRun(bare(op), ratelimiter.NewBurstyBuilder[any](plenty, time.Second).WithMaxWaitTime(limit).Build())},
		},
	}
}

func granted(ok bool) error {
	if !ok {
		return errRejected
	}
	return nil
}

func denied(ok bool) error {
	if ok {
		return errAdmitted
	}
	return nil
}
