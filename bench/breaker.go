package main

import (
	"context"
	"errors"
	"time"

	"github.com/cep21/circuit/v4"
	"github.com/cep21/circuit/v4/closers/hystrix"
	resiliency "github.com/eapache/go-resiliency/breaker"
	"github.com/failsafe-go/failsafe-go"
	fscircuit "github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/sony/gobreaker/v2"

	"github.com/steadyfx/steady/patterns/circuitbreaker"
)

// Where a breaker can be told so, it opens when half of at least 20 calls have failed, for an hour.
const (
	failureRate  = 0.5
	minimumCalls = 20
	window       = time.Minute
	buckets      = 10
	openFor      = time.Hour
)

func breakers(op operation) []group {
	return []group{closedTimeWindow(op), closedCount(op), open(op)}
}

func closedTimeWindow(op operation) group {
	ctx, call := context.Background(), bare(op)
	ours := must(circuitbreaker.New("bench", breakerConfig()))
	sony, sonyCall := gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Interval: window, BucketPeriod: window / buckets, Timeout: openFor, ReadyToTrip: tooManyFailures,
	}), result(op)
	cep := cepCircuit()
	failsafes := fscircuit.NewBuilder[any]().
		WithFailureRateThreshold(failureRate, minimumCalls, window).WithDelay(openFor).Build()
	return group{
		name: "Closed breaker, time window", about: "The call succeeds and is counted in a window of a minute.",
		modes: []mode{serial(), parallel()},
		contenders: []contender{
			clockAndAdd(op),
			{"Steady, `Execute`", steady, func(n int) error {
				return times(n, func() error { return ours.Execute(ctx, op) })
			}},
			{"Steady, `Acquire` and `Done`", steady, func(n int) error {
				return times(n, func() error {
					permit, err := ours.Acquire(ctx)
					if err != nil {
						return err
					}
					err = op(ctx)
					permit.Done(err)
					return err
				})
			}},
			{"gobreaker", peer, func(n int) error {
				return times(n, func() error { _, err := sony.Execute(sonyCall); return err })
			}},
			{"cep21/circuit", peer, func(n int) error {
				return times(n, func() error { return cep.Run(ctx, op) })
			}},
			failsafePermit(failsafes, op),
			{"failsafe-go, executor", peer, failsafeRun(call, failsafes)},
		},
	}
}

func closedCount(op operation) group {
	ctx, call := context.Background(), bare(op)
	byCount := breakerConfig()
	byCount.SlidingWindowCalls = 100
	ours := must(circuitbreaker.New("bench", byCount))
	sony, sonyCall := gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{Timeout: openFor}), result(op)
	failsafes := fscircuit.NewBuilder[any]().WithFailureThresholdRatio(50, 100).WithDelay(openFor).Build()
	failures := resiliency.New(5, 1, openFor)
	return group{
		name:  "Closed breaker, no time window",
		about: "The call succeeds. Steady and failsafe-go count the last 100 calls, the others failures in a row.",
		modes: []mode{serial(), parallel()},
		contenders: []contender{
			bareCall(op),
			{"Steady, `Execute`", steady, func(n int) error {
				return times(n, func() error { return ours.Execute(ctx, op) })
			}},
			{"gobreaker", peer, func(n int) error {
				return times(n, func() error { _, err := sony.Execute(sonyCall); return err })
			}},
			{"go-resiliency", peer, func(n int) error {
				return times(n, func() error { return failures.Run(call) })
			}},
			failsafePermit(failsafes, op),
			{"failsafe-go, executor", peer, failsafeRun(call, failsafes)},
		},
	}
}

func open(op operation) group {
	ctx, call := context.Background(), bare(op)
	failing := errors.New("failing")
	fail := func(context.Context) error { return failing }

	ours := must(circuitbreaker.New("bench", circuitbreaker.Config{FailureThreshold: 1, RecoveryTimeout: openFor}))
	_ = ours.Execute(ctx, fail)
	sony, sonyCall := gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Timeout: openFor, ReadyToTrip: func(gobreaker.Counts) bool { return true },
	}), result(op)
	_, _ = sony.Execute(func() (struct{}, error) { return struct{}{}, failing })
	cep := cepCircuit()
	cep.OpenCircuit(ctx)
	failsafes := fscircuit.NewBuilder[any]().WithDelay(openFor).Build()
	failsafes.Open()
	executor := failsafe.With[any](failsafes)
	failures := resiliency.New(1, 1, openFor)
	_ = failures.Run(func() error { return failing })

	return group{
		name: "Open breaker", about: "The call is rejected and does not run.",
		modes: []mode{serial(), parallel()},
		contenders: []contender{
			{"Steady, `Execute`", steady, func(n int) error {
				return times(n, func() error { return rejected(ours.Execute(ctx, op)) })
			}},
			{"gobreaker", peer, func(n int) error {
				return times(n, func() error { _, err := sony.Execute(sonyCall); return rejected(err) })
			}},
			{"cep21/circuit", peer, func(n int) error {
				return times(n, func() error { return rejected(cep.Run(ctx, op)) })
			}},
			{"go-resiliency", peer, func(n int) error {
				return times(n, func() error { return rejected(failures.Run(call)) })
			}},
			{"failsafe-go, permit", peer, func(n int) error {
				return times(n, func() error {
					if failsafes.TryAcquirePermit() {
						return errAdmitted
					}
					return nil
				})
			}},
			{"failsafe-go, executor", peer, func(n int) error {
				return times(n, func() error { return rejected(executor.Run(call)) })
			}},
		},
	}
}

// rejected turns the error of a call that should not run into nil, and none into one.
func rejected(err error) error {
	if err == nil {
		return errAdmitted
	}
	return nil
}

func breakerConfig() circuitbreaker.Config {
	return circuitbreaker.Config{
		FailureRateThreshold: failureRate, MinimumCalls: minimumCalls, SlidingWindow: window, RecoveryTimeout: openFor,
	}
}

func tooManyFailures(c gobreaker.Counts) bool {
	return c.Requests >= minimumCalls && float64(c.TotalFailures) >= failureRate*float64(c.Requests)
}

// cepCircuit has neither the timeout nor the concurrency limit that a circuit has by default.
func cepCircuit() *circuit.Circuit {
	return circuit.NewCircuitFromConfig("bench", circuit.Config{
		Execution: circuit.ExecutionConfig{Timeout: -1, MaxConcurrentRequests: -1},
		General: circuit.GeneralConfig{
			ClosedToOpenFactory: hystrix.OpenerFactory(hystrix.ConfigureOpener{
				ErrorThresholdPercentage: 100 * failureRate, RequestVolumeThreshold: minimumCalls,
				RollingDuration: window, NumBuckets: buckets,
			}),
			OpenToClosedFactory: hystrix.CloserFactory(hystrix.ConfigureCloser{SleepWindow: openFor}),
		},
	})
}

// failsafePermit uses a breaker of failsafe-go without its executor. It is not told of a call that panics.
func failsafePermit(breaker fscircuit.CircuitBreaker[any], op operation) contender {
	ctx := context.Background()
	return contender{"failsafe-go, permit", peer, func(n int) error {
		return times(n, func() error {
			if !breaker.TryAcquirePermit() {
				return errRejected
			}
			if err := op(ctx); err != nil {
				breaker.RecordError(err)
				return err
			}
			breaker.RecordSuccess()
			return nil
		})
	}}
}
