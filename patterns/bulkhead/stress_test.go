package bulkhead_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns/bulkhead"
)

// Callers with wait limits and contexts that end while slots change hands. It is the race detector's food; the checks
// are that the limit holds at every moment and that in the end every slot is free.
func TestSlotsSurviveGrantsThatRaceWithGivingUp(t *testing.T) {
	const limit, callers, calls = 3, 16, 400
	b := newBulkhead(t, bulkhead.Config{MaxConcurrent: limit, QueueSize: 8, Timeout: 200 * time.Microsecond})
	var running, ran, rejected atomic.Int64
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			for range calls {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(r.IntN(400))*time.Microsecond)
				err := b.Execute(ctx, func(context.Context) error {
					if n := running.Add(1); n > limit {
						t.Errorf("%d operations at once, limit %d", n, limit)
					}
					defer running.Add(-1)
					for range r.IntN(20) {
						runtime.Gosched()
					}
					ran.Add(1)
					return nil
				})
				if errors.Is(err, bulkhead.ErrRejected) {
					rejected.Add(1)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	inUse(t, b, 0, 0)
	m := b.Metrics()
	if ran.Load()+rejected.Load() != callers*calls || m.Rejected != uint64(rejected.Load()) {
		t.Errorf("%d ran and %d were rejected, of %d; metrics %+v", ran.Load(), rejected.Load(), callers*calls, m)
	}
	for range limit {
		acquire(t, b)
	}
	if _, ok := b.TryAcquire(); ok {
		t.Error("there is one slot too many")
	}
}

// Callers that never give up must all get their turn: a lost wake-up would hang the test.
func TestNoWakeUpIsLost(t *testing.T) {
	const callers, calls = 8, 2000
	b := newBulkhead(t, bulkhead.Config{MaxConcurrent: 2, QueueSize: callers, Timeout: time.Hour})
	op := func(context.Context) error { runtime.Gosched(); return nil }
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range calls {
				if err := b.Execute(context.Background(), op); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	inUse(t, b, 0, 0)
}
