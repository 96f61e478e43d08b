package bulkhead

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/hooks"
)

func newSlots(tb testing.TB, cfg Config) *Bulkhead {
	tb.Helper()
	b, err := New("db", cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// The test would hang if the free path wanted the mutex.
func TestFreePathTakesNoLock(t *testing.T) {
	b := newSlots(t, Config{MaxConcurrent: 1})
	b.slots.mu.Lock()
	defer b.slots.mu.Unlock()
	ran := false
	if err := b.Execute(t.Context(), func(context.Context) error { ran = true; return nil }); err != nil || !ran {
		t.Errorf("ran %v, %v", ran, err)
	}
}

func TestRejectionOfAFullBulkheadTakesNoLock(t *testing.T) {
	b := newSlots(t, Config{MaxConcurrent: 1})
	b.slots.take()
	b.slots.mu.Lock()
	defer b.slots.mu.Unlock()
	if err := b.Execute(t.Context(), func(context.Context) error { return nil }); err == nil {
		t.Error("admitted to a full bulkhead")
	}
}

func TestNoLockIsHeldWhileACallerWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSlots(t, Config{MaxConcurrent: 1, QueueSize: 1, Timeout: time.Second})
		b.slots.take()
		go func() { _ = b.Execute(t.Context(), func(context.Context) error { return nil }) }()
		synctest.Wait()
		if !b.slots.mu.TryLock() {
			t.Fatal("the mutex is held by a caller that waits")
		}
		b.slots.mu.Unlock()
		time.Sleep(time.Second)
		b.slots.release()
	})
}

func TestNoLockIsHeldWhileARejectionIsAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &hooks.Bus{}
		b, err := New("db", Config{MaxConcurrent: 1, QueueSize: 1, Timeout: time.Second}, WithBus(bus))
		if err != nil {
			t.Fatal(err)
		}
		var announced atomic.Int32
		hooks.On(bus, func(_ context.Context, e hooks.BulkheadRejected) {
			announced.Add(1)
			if !b.slots.mu.TryLock() {
				t.Errorf("the mutex is held while %q is announced", e.Reason)
				return
			}
			b.slots.mu.Unlock()
		})
		b.slots.take()
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		noop := func(context.Context) error { return nil }
		go func() { _ = b.Execute(t.Context(), noop) }()
		synctest.Wait()
		_ = b.Execute(t.Context(), noop)
		_ = b.Execute(canceled, noop)
		time.Sleep(time.Second)
		synctest.Wait()
		b.slots.release()
		if n := announced.Load(); n != 3 {
			t.Errorf("%d announced, want one for each reason", n)
		}
	})
}

// Between the two looks at the word, before and under the mutex, a slot may become free and the line may fill up.
func TestJoinLooksAgainUnderTheMutex(t *testing.T) {
	s := &slots{limit: 1, places: 1}
	if w, taken := s.join(); w != nil || !taken {
		t.Fatalf("got %v, %v although a slot is free", w, taken)
	}
	w, taken := s.join()
	if w == nil || taken {
		t.Fatalf("got %v, %v although there is a place", w, taken)
	}
	if again, taken := s.join(); again != nil || taken {
		t.Fatalf("got %v, %v although the line is full", again, taken)
	}
	if !s.leave(w) || s.leave(w) {
		t.Error("a waiter can leave exactly once")
	}
	s.release()
	if inUse, waiters := s.load(); inUse != 0 || waiters != 0 {
		t.Errorf("%d in use and %d waiting at the end", inUse, waiters)
	}
}
