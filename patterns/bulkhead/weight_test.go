package bulkhead_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns/bulkhead"
)

func TestPitfall36WeightedCallHoldsItsSlotsUntilReleasedOnce(t *testing.T) {
	b := newBulkhead(t, bulkhead.Config{MaxConcurrent: 5})
	permit, err := b.AcquireN(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	inUse(t, b, 3, 0)
	if _, ok := b.TryAcquireN(3); ok {
		t.Error("got 3 slots where 2 are free")
	}
	rest, ok := b.TryAcquireN(2)
	if !ok {
		t.Fatal("refused although so many are free")
	}
	inUse(t, b, 5, 0)
	permit.Release()
	permit.Release()
	inUse(t, b, 2, 0)
	rest.Release()
	inUse(t, b, 0, 0)
}

// Pitfall 41, and golang.org/x/time/rate with n above the burst: what can never be granted must not wait.
func TestPitfall41MoreSlotsThanThereAreIsAnErrorAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBulkhead(t, bulkhead.Config{MaxConcurrent: 3, QueueSize: 5})
		for _, n := range []int{math.MinInt, -1, 0, 4, math.MaxInt} {
			begun := time.Now()
			permit, err := b.AcquireN(t.Context(), n)
			want := bulkhead.RejectedError{
				Name: "db", Reason: bulkhead.ReasonWeight, MaxConcurrent: 3, QueueSize: 5,
			}
			var got *bulkhead.RejectedError
			if permit != nil || !errors.As(err, &got) || *got != want || time.Since(begun) != 0 {
				t.Errorf("%d: got %#v after %v", n, err, time.Since(begun))
			}
			if _, ok := b.TryAcquireN(n); ok {
				t.Errorf("%d: granted", n)
			}
		}
		if m := b.Metrics(); m != (bulkhead.Metrics{MaxConcurrent: 3, QueueSize: 5, Rejected: 5}) {
			t.Errorf("metrics %+v", m)
		}
	})
}

// A stream of light calls must not starve a heavy one.
func TestHeavyCallerIsNotOvertakenByLightOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBulkhead(t, bulkhead.Config{MaxConcurrent: 3, QueueSize: 5})
		first, second := acquire(t, b), acquire(t, b)
		heavy, light := callN(t.Context(), b, 3), call(t.Context(), b)
		if _, ok := b.TryAcquire(); ok || !light.waits() {
			t.Fatal("a light caller took the free slot that the heavy one waits for")
		}
		inUse(t, b, 2, 2)
		first.Release()
		if !heavy.waits() || !light.waits() {
			t.Fatal("somebody got slots before there were enough for the first in line")
		}
		inUse(t, b, 1, 2)
		second.Release()
		if !heavy.holds() || !light.waits() {
			t.Fatal("the heavy caller was passed over")
		}
		heavy.permit.Release()
		if !light.holds() {
			t.Fatal("the light caller was forgotten")
		}
		light.permit.Release()
		inUse(t, b, 0, 0)
	})
}

func TestSlotsOfOneServeSeveral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBulkhead(t, bulkhead.Config{MaxConcurrent: 4, QueueSize: 5})
		permit, _ := b.TryAcquireN(4)
		one, two, three := call(t.Context(), b), callN(t.Context(), b, 2), callN(t.Context(), b, 3)
		permit.Release()
		if !one.holds() || !two.holds() || !three.waits() {
			t.Fatal("the first two of the line fit, the third does not")
		}
		inUse(t, b, 3, 1)
		two.permit.Release()
		if !three.holds() {
			t.Fatal("the third was forgotten")
		}
		one.permit.Release()
		three.permit.Release()
		inUse(t, b, 0, 0)
	})
}

func TestPitfall12ThoseBehindAHeavyCallerWhoGivesUpAreServed(t *testing.T) {
	for name, giveUp := range map[string]func(cancel func()){
		"canceled": func(cancel func()) { cancel() },
		"timeout":  func(func()) { time.Sleep(time.Second - time.Millisecond) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBulkhead(t, bulkhead.Config{MaxConcurrent: 3, QueueSize: 5, Timeout: time.Second})
				defer acquire(t, b).Release()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				heavy := callN(ctx, b, 3)
				time.Sleep(time.Millisecond)
				one, two, three := call(t.Context(), b), call(t.Context(), b), call(t.Context(), b)
				giveUp(cancel)
				_ = heavy.rejection(t)
				if !one.holds() || !two.holds() || !three.waits() {
					t.Fatal("two slots are free for those behind")
				}
				one.permit.Release()
				two.permit.Release()
				if !three.holds() {
					t.Fatal("the last was forgotten")
				}
				three.permit.Release()
			})
		})
	}
}

func TestHeavyCallerTakesOnePlaceInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBulkhead(t, bulkhead.Config{MaxConcurrent: 3, QueueSize: 2, Timeout: time.Second})
		permit, _ := b.TryAcquireN(3)
		defer permit.Release()
		callN(t.Context(), b, 3)
		callN(t.Context(), b, 3)
		inUse(t, b, 3, 2)
		if e := callN(t.Context(), b, 1).rejection(t); e.Reason != bulkhead.ReasonFull {
			t.Errorf("got %v", e)
		}
		time.Sleep(time.Second)
	})
}
