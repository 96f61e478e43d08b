package bulkhead_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/bulkhead"
)

// violently runs an operation through b that ends by a panic or a Goexit, and waits for it.
func violently(ctx context.Context, p patterns.Policy, end func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = recover() }()
		_ = p.Execute(ctx, func(context.Context) error { end(); return nil })
	}()
	<-done
}

func TestPitfall02PanicAndGoexitReleaseTheSlot(t *testing.T) {
	ends := map[string]func(){"panic": func() { panic("boom") }, "goexit": runtime.Goexit}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			b := newBulkhead(t, bulkhead.Config{MaxConcurrent: 2})
			for range 3 {
				violently(t.Context(), b, end)
				violently(t.Context(), b.Compose(patterns.Direct{}), end)
			}
			inUse(t, b, 0, 0)
			acquire(t, b).Release()
		})
	}
}

func TestPanicGivesTheSlotToTheNextInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBulkhead(t, bulkhead.Config{MaxConcurrent: 1, QueueSize: 1})
		begun := time.Now()
		go violently(t.Context(), b, func() { time.Sleep(time.Second); panic("boom") })
		synctest.Wait()
		next := call(t.Context(), b)
		time.Sleep(2 * time.Second)
		if !next.holds() || next.at.Sub(begun) != time.Second {
			t.Fatalf("holds %v after %v", next.holds(), next.at.Sub(begun))
		}
		next.permit.Release()
	})
}

func TestPanicReachesTheCaller(t *testing.T) {
	defer func() {
		if value := recover(); value != "boom" {
			t.Errorf("recovered %v", value)
		}
	}()
	_ = newBulkhead(t, bulkhead.Config{}).Execute(t.Context(), func(context.Context) error { panic("boom") })
}

func TestPitfall36ReleasingTwiceFreesOneSlot(t *testing.T) {
	b := newBulkhead(t, bulkhead.Config{MaxConcurrent: 2})
	first, second := acquire(t, b), acquire(t, b)
	first.Release()
	first.Release()
	inUse(t, b, 1, 0)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(second.Release)
	}
	wg.Wait()
	inUse(t, b, 0, 0)
	new(bulkhead.Permit).Release() // nobody's
}

func TestTryAcquireTakesWhatIsFree(t *testing.T) {
	b := newBulkhead(t, bulkhead.Config{MaxConcurrent: 1, QueueSize: 5})
	permit, ok := b.TryAcquire()
	if !ok {
		t.Fatal("refused although a slot is free")
	}
	if _, again := b.TryAcquire(); again {
		t.Fatal("got a second slot of one")
	}
	if m := b.Metrics(); m.Rejected != 0 || m.Queued != 0 {
		t.Errorf("a try was counted: %+v", m)
	}
	permit.Release()
	inUse(t, b, 0, 0)
}

// A slot that is handed over in the very moment in which its new owner gives up must be neither lost nor leaked,
// whichever of the two comes first.
func TestPitfall12GrantInTheMomentOfGivingUp(t *testing.T) {
	const wait = time.Second
	for name, giveUp := range map[string]func(cancel, release func()){
		"granted, then canceled": func(cancel, release func()) { release(); cancel() },
		"canceled, then granted": func(cancel, release func()) { cancel(); release() },
		"timeout":                func(_, release func()) { time.Sleep(wait); release() },
		"both":                   func(cancel, release func()) { time.Sleep(wait); cancel(); release() },
	} {
		t.Run(name, func(t *testing.T) {
			for range 100 {
				synctest.Test(t, func(t *testing.T) {
					b := newBulkhead(t, bulkhead.Config{MaxConcurrent: 1, QueueSize: 1, Timeout: wait})
					permit := acquire(t, b)
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					c := call(ctx, b)
					giveUp(cancel, permit.Release)
					if c.holds() {
						inUse(t, b, 1, 0)
						c.permit.Release()
					} else {
						_ = c.rejection(t)
					}
					inUse(t, b, 0, 0)
				})
			}
		})
	}
}

func TestCancellationBeatsAGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBulkhead(t, bulkhead.Config{MaxConcurrent: 1, QueueSize: 2})
		permit := acquire(t, b)
		ctx, cancel := context.WithCancel(t.Context())
		canceled, next := call(ctx, b), call(t.Context(), b)
		cancel()
		permit.Release()
		if e := canceled.rejection(t); e.Reason != bulkhead.ReasonCanceled {
			t.Errorf("got %v", e)
		}
		if !next.holds() {
			t.Fatal("the slot was not passed on")
		}
		next.permit.Release()
	})
}
