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
	b.slots.take(1)
	b.slots.mu.Lock()
	defer b.slots.mu.Unlock()
	if err := b.Execute(t.Context(), func(context.Context) error { return nil }); err == nil {
		t.Error("admitted to a full bulkhead")
	}
}

func TestNoLockIsHeldWhileACallerWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSlots(t, Config{MaxConcurrent: 1, QueueSize: 1, Timeout: time.Second})
		b.slots.take(1)
		go func() { _ = b.Execute(t.Context(), func(context.Context) error { return nil }) }()
		synctest.Wait()
		if !b.slots.mu.TryLock() {
			t.Fatal("the mutex is held by a caller that waits")
		}
		b.slots.mu.Unlock()
		time.Sleep(time.Second)
		b.slots.release(1)
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
		b.slots.take(1)
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		noop := func(context.Context) error { return nil }
		go func() { _ = b.Execute(t.Context(), noop) }()
		synctest.Wait()
		_ = b.Execute(t.Context(), noop)
		_ = b.Execute(canceled, noop)
		time.Sleep(time.Second)
		synctest.Wait()
		b.slots.release(1)
		if n := announced.Load(); n != 3 {
			t.Errorf("%d announced, want one for each reason", n)
		}
	})
}

// Between the two looks at the word, before and under the mutex, a slot may become free, the line may fill up and the
// limit may fall.
func TestJoinLooksAgainUnderTheMutex(t *testing.T) {
	s := &slots{}
	s.open(2, 1)
	if w, answer := s.join(2); w != nil || answer != granted {
		t.Fatalf("got %v, %v although the slots are free", w, answer)
	}
	w, answer := s.join(1)
	if w == nil || answer != waiting {
		t.Fatalf("got %v, %v although there is a place", w, answer)
	}
	if again, answer := s.join(1); again != nil || answer != gone {
		t.Fatalf("got %v, %v although the line is full", again, answer)
	}
	if heavy, answer := s.join(3); heavy != nil || answer != tooHeavy {
		t.Fatalf("got %v, %v although there are not so many slots", heavy, answer)
	}
	s.leave(w)
	s.leave(w)
	if w.state != gone {
		t.Errorf("left and is %v", w.state)
	}
	s.release(2)
	if _, inUse, _, waiters := s.load(); inUse != 0 || waiters != 0 {
		t.Errorf("%d in use and %d waiting at the end", inUse, waiters)
	}
}

func TestLimitsAtTheEdgesOfTheWord(t *testing.T) {
	s := &slots{}
	s.open(maxSlots, 0)
	if !s.take(maxSlots) || s.take(1) {
		t.Fatal("cannot take all slots, or more than all")
	}
	s.resize(1, maxQueue)
	if limit, inUse, places, waiters := s.load(); limit != 1 || inUse != maxSlots || places != maxQueue || waiters != 0 {
		t.Fatalf("limit %d, %d in use, %d places, %d waiting", limit, inUse, places, waiters)
	}
	s.release(maxSlots - 1)
	if s.take(1) {
		t.Fatal("the limit is 1 and one is in use")
	}
	s.release(1)
	if !s.take(1) || s.inUse() != 1 {
		t.Fatalf("%d in use", s.inUse())
	}
	s.resize(maxSlots, 0)
	if !s.take(maxSlots-1) || s.take(1) || s.take(1<<63-1) {
		t.Fatal("the limit is not what it was raised to")
	}
}
