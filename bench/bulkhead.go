package main

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	resiliency "github.com/eapache/go-resiliency/semaphore"
	fsbulkhead "github.com/failsafe-go/failsafe-go/bulkhead"
	"golang.org/x/sync/semaphore"

	"github.com/steadyfx/steady/patterns/bulkhead"
)

func bulkheads(op operation) []group { return []group{freeBulkhead(op), contendedBulkhead(op)} }

func freeBulkhead(op operation) group {
	const slots = 1024
	ctx := context.Background()
	ours := must(bulkhead.New("bench", bulkhead.Config{MaxConcurrent: slots}))
	weighted := semaphore.NewWeighted(slots)
	failsafes := fsbulkhead.New[any](slots)
	tickets := resiliency.New(slots, time.Second)
	inUse := atomic.Int64{}
	return group{
		name: "Free bulkhead", about: "The call succeeds in a slot. There is always a free one.",
		modes: []mode{serial(), parallel()},
		contenders: []contender{
			{"two atomic adds, the call", floor, func(n int) error {
				return times(n, func() error {
					inUse.Add(1)
					err := op(ctx)
					inUse.Add(-1)
					return err
				})
			}},
			{"Steady, `Execute`", steady, func(n int) error {
				return times(n, func() error { return ours.Execute(ctx, op) })
			}},
			{"x/sync/semaphore, `TryAcquire`", peer, func(n int) error {
				return times(n, func() error {
					if !weighted.TryAcquire(1) {
						return errRejected
					}
					err := op(ctx)
					weighted.Release(1)
					return err
				})
			}},
			{"x/sync/semaphore, `Acquire`", peer, semaphoreCall(ctx, weighted, op)},
			{"go-resiliency", peer, ticketCall(ctx, tickets, op)},
			{"failsafe-go, permit", peer, func(n int) error {
				return times(n, func() error {
					if !failsafes.TryAcquirePermit() {
						return errRejected
					}
					err := op(ctx)
					failsafes.ReleasePermit()
					return err
				})
			}},
			{"failsafe-go, executor", peer, failsafeRun(bare(op), failsafes)},
		},
	}
}

func contendedBulkhead(op operation) group {
	const (
		slots   = 2
		callers = 4 * slots
		patient = time.Minute
	)
	yielding := func(ctx context.Context) error {
		runtime.Gosched() // so that others find the slot in use
		return op(ctx)
	}
	ctx := context.Background()
	ours := must(bulkhead.New("bench", bulkhead.Config{MaxConcurrent: slots, QueueSize: callers, Timeout: patient}))
	weighted := semaphore.NewWeighted(slots)
	tickets := resiliency.New(slots, patient)
	failsafes := fsbulkhead.NewBuilder[any](slots).WithMaxWaitTime(patient).Build()
	tokens := make(chan struct{}, slots)
	return group{
		name:  "Contended bulkhead",
		about: "Eight callers share two slots and wait for them. The call yields its processor once, then succeeds.",
		modes: []mode{{"contended", callers}},
		contenders: []contender{
			{"a buffered channel, the call", floor, func(n int) error {
				return times(n, func() error {
					tokens <- struct{}{}
					err := yielding(ctx)
					<-tokens
					return err
				})
			}},
			{"Steady, `Execute`", steady, func(n int) error {
				return times(n, func() error { return ours.Execute(ctx, yielding) })
			}},
			{"x/sync/semaphore, `Acquire`", peer, semaphoreCall(ctx, weighted, yielding)},
			{"go-resiliency", peer, ticketCall(ctx, tickets, yielding)},
			{"failsafe-go, permit", peer, func(n int) error {
				return times(n, func() error {
					if err := failsafes.AcquirePermitWithMaxWait(ctx, patient); err != nil {
						return err
					}
					err := yielding(ctx)
					failsafes.ReleasePermit()
					return err
				})
			}},
			{"failsafe-go, executor", peer, failsafeRun(bare(yielding), failsafes)},
		},
	}
}

func semaphoreCall(ctx context.Context, s *semaphore.Weighted, op operation) func(int) error {
	return func(n int) error {
		return times(n, func() error {
			if err := s.Acquire(ctx, 1); err != nil {
				return err
			}
			err := op(ctx)
			s.Release(1)
			return err
		})
	}
}

func ticketCall(ctx context.Context, s *resiliency.Semaphore, op operation) func(int) error {
	return func(n int) error {
		return times(n, func() error {
			if err := s.Acquire(); err != nil {
				return err
			}
			err := op(ctx)
			s.Release()
			return err
		})
	}
}
