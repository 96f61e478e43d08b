package bulkhead_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/bulkhead"
)

func TestPitfall37GrowingServesWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBulkhead(t, bulkhead.Config{MaxConcurrent: 1, QueueSize: 5})
		permit := acquire(t, b)
		first, heavy, last := call(t.Context(), b), callN(t.Context(), b, 1), call(t.Context(), b)
		resize(t, b, 3, 5)
		if !first.holds() || !heavy.holds() || !last.waits() {
			t.Fatal("the two slots that were added belong to the first two in the line")
		}
		inUse(t, b, 3, 1)
		for _, p := range []*bulkhead.Permit{permit, first.permit, heavy.permit} {
			p.Release()
		}
		if !last.holds() {
			t.Fatal("the last was forgotten")
		}
		last.permit.Release()
	})
}

func TestShrinkingLetsRunningCallsFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBulkhead(t, bulkhead.Config{MaxConcurrent: 4, QueueSize: 5})
		permits := []*bulkhead.Permit{acquire(t, b), acquire(t, b), acquire(t, b), acquire(t, b)}
		next := call(t.Context(), b)
		resize(t, b, 2, 5)
		if m := b.Metrics(); m.InFlight != 4 || m.MaxConcurrent != 2 {
			t.Fatalf("metrics %+v", m)
		}
		for i, p := range permits[:3] {
			if !next.waits() {
				t.Fatalf("admitted after %d of 4 released, the limit is 2", i)
			}
			p.Release()
		}
		if !next.holds() {
			t.Fatal("not admitted although there is one slot in use")
		}
		inUse(t, b, 2, 0)
		permits[3].Release()
		next.permit.Release()
		inUse(t, b, 0, 0)
	})
}

func TestShrinkingBelowTheWeightOfAWaiterRejectsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBulkhead(t, bulkhead.Config{MaxConcurrent: 5, QueueSize: 5, Timeout: time.Minute})
		permit, _ := b.TryAcquireN(5)
		light, heavy, medium := call(t.Context(), b), callN(t.Context(), b, 4), callN(t.Context(), b, 3)
		time.Sleep(time.Second)
		resize(t, b, 3, 5)
		if e := heavy.rejection(t); e.Reason != bulkhead.ReasonWeight || e.Waited != time.Second || e.MaxConcurrent != 3 {
			t.Errorf("got %#v", e)
		}
		inUse(t, b, 5, 2)
		permit.Release()
		if !light.holds() || !medium.waits() {
			t.Fatal("the line is out of order")
		}
		light.permit.Release()
		if !medium.holds() {
			t.Fatal("a waiter was stranded")
		}
		medium.permit.Release()
		inUse(t, b, 0, 0)
	})
}

func TestShorterQueueKeepsWhoIsInIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBulkhead(t, bulkhead.Config{MaxConcurrent: 1, QueueSize: 3})
		permit := acquire(t, b)
		first, second := call(t.Context(), b), call(t.Context(), b)
		resize(t, b, 1, 1)
		if e := call(t.Context(), b).rejection(t); e.Reason != bulkhead.ReasonFull || e.QueueSize != 1 {
			t.Errorf("got %#v", e)
		}
		permit.Release()
		if !first.holds() || !second.waits() {
			t.Fatal("the line is out of order")
		}
		resize(t, b, 1, 2)
		third := call(t.Context(), b)
		if !third.waits() {
			t.Fatal("the queue is longer now, but was not used")
		}
		resize(t, b, 3, 0)
		for _, c := range []*caller{first, second, third} {
			if !c.holds() {
				t.Fatal("a waiter was stranded")
			}
			c.permit.Release()
		}
		inUse(t, b, 0, 0)
	})
}

func TestResizeToNonsenseIsAnErrorAndChangesNothing(t *testing.T) {
	b := newBulkhead(t, bulkhead.Config{MaxConcurrent: 2, QueueSize: 1})
	for _, tc := range []struct {
		limit, queue int
		fields       []string
	}{
		{0, 1, []string{"max_concurrent"}},
		{-1, -1, []string{"max_concurrent", "queue_size"}},
		{1<<30 + 1, 1<<30 + 1, []string{"max_concurrent", "queue_size"}},
	} {
		err := b.Resize(tc.limit, tc.queue)
		if !errors.Is(err, patterns.ErrConfiguration) || !strings.Contains(err.Error(), `"db"`) {
			t.Errorf("%+v: got %v", tc, err)
			continue
		}
		for _, field := range tc.fields {
			if !strings.Contains(err.Error(), field+": ") {
				t.Errorf("%+v: %v does not name %s", tc, err, field)
			}
		}
	}
	if m := b.Metrics(); m != (bulkhead.Metrics{MaxConcurrent: 2, QueueSize: 1}) {
		t.Errorf("metrics %+v", m)
	}
}

func resize(tb testing.TB, b *bulkhead.Bulkhead, maxConcurrent, queueSize int) {
	tb.Helper()
	if err := b.Resize(maxConcurrent, queueSize); err != nil {
		tb.Fatal(err)
	}
	synctest.Wait()
}

// Resizes race with callers of all weights, some of whom give up. Who does not give up and is never too heavy must get
// slots: a lost wake-up would hang the test.
func TestNobodyIsStrandedByResizes(t *testing.T) {
	const callers, calls, smallest, largest = 8, 500, 2, 9
	b := newBulkhead(t, bulkhead.Config{MaxConcurrent: smallest, QueueSize: callers, Timeout: time.Hour})
	stop := make(chan struct{})
	var resizer, wg sync.WaitGroup
	resizer.Go(func() {
		r := rand.New(rand.NewPCG(1, 2))
		for {
			select {
			case <-stop:
				return
			default:
				if err := b.Resize(smallest+r.IntN(largest-smallest+1), callers+r.IntN(2)); err != nil {
					t.Error(err)
				}
				if m := b.Metrics(); m.InFlight < 0 || m.InFlight > largest || m.Queued > callers {
					t.Errorf("metrics %+v", m)
				}
				runtime.Gosched()
			}
		}
	})
	for i := range callers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 3))
			for range calls {
				n, ctx, cancel := 1+r.IntN(smallest), context.Background(), func() {}
				patient := r.IntN(3) > 0
				if !patient {
					ctx, cancel = context.WithTimeout(ctx, time.Duration(r.IntN(200))*time.Microsecond)
				}
				permit, err := b.AcquireN(ctx, n)
				if err == nil {
					runtime.Gosched()
					permit.Release()
				} else if patient {
					t.Errorf("%d slots: %v", n, err)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	close(stop)
	resizer.Wait()
	inUse(t, b, 0, 0)
	if err := b.Resize(largest, 0); err != nil {
		t.Fatal(err)
	}
	if _, ok := b.TryAcquireN(largest); !ok {
		t.Error("not all slots are free in the end")
	}
}

func TestConfigIsThatInUse(t *testing.T) {
	b, err := bulkhead.New("payments", bulkhead.Config{QueueSize: 3})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := b.Config(), (bulkhead.Config{MaxConcurrent: 10, QueueSize: 3, Timeout: 30 * time.Second}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if err := b.Resize(5, 6); err != nil {
		t.Fatal(err)
	}
	if got, want := b.Config(), (bulkhead.Config{MaxConcurrent: 5, QueueSize: 6, Timeout: 30 * time.Second}); got != want {
		t.Errorf("after a resize: got %+v, want %+v", got, want)
	}
	a, err := bulkhead.NewAdaptive("payments", bulkhead.AdaptiveConfig{QueueSize: 50})
	if err != nil || a.Config() != bulkhead.DefaultAdaptiveConfig() {
		t.Errorf("got %+v, %v", a.Config(), err)
	}
}
