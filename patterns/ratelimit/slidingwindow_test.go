package ratelimit_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns/ratelimit"
)

// Pitfalls 11 and 39: a fixed window allows twice its limit around the moment when it begins again.
func TestPitfall39NoWindowHoldsMoreThanTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 10
		w := newWindow(t, ratelimit.WindowConfig{Limit: limit, Period: time.Second})
		r := rand.New(rand.NewPCG(1, 2))
		var allowed []time.Time
		for range 5000 {
			time.Sleep(time.Duration(r.IntN(100)) * time.Millisecond)
			for range r.IntN(8) {
				if w.TryAcquire() {
					allowed = append(allowed, time.Now())
				}
			}
		}
		for i := limit; i < len(allowed); i++ {
			if apart := allowed[i].Sub(allowed[i-limit]); apart < time.Second {
				t.Fatalf("%d calls within %v", limit+1, apart)
			}
		}
		if len(allowed) < 1000 {
			t.Errorf("only %d calls were allowed", len(allowed))
		}
	})
}

func TestInWindowCountsCallsUntilTheyAreAPeriodOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(t, ratelimit.WindowConfig{Limit: 3, Period: time.Second})
		want := func(n int) {
			t.Helper()
			if got := w.InWindow(); got != n {
				t.Errorf("%d in the window, want %d", got, n)
			}
		}
		want(0)
		w.TryAcquire()
		time.Sleep(400 * time.Millisecond)
		w.TryAcquire()
		w.TryAcquire()
		w.TryAcquire() // refused
		want(3)
		time.Sleep(600*time.Millisecond - 1)
		want(3)
		time.Sleep(time.Nanosecond)
		want(2)
		time.Sleep(time.Hour)
		want(0)
	})
}

func TestWaitersBeyondOneWindowAreToldHowLongItTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(t, ratelimit.WindowConfig{Limit: 2, Period: time.Second, MaxWait: 2500 * time.Millisecond})
		w.TryAcquire()
		time.Sleep(300 * time.Millisecond)
		w.TryAcquire()
		for range 4 {
			go func() { _ = w.Acquire(t.Context()) }()
			synctest.Wait()
		}
		if e := limited(t, w.Acquire(t.Context())); e.RetryAfter != 2700*time.Millisecond {
			t.Errorf("got %+v", e)
		}
	})
}

func TestRacingCallersNeverExceedTheWindow(t *testing.T) {
	const limit, callers, calls = 100, 8, 2000
	w := newWindow(t, ratelimit.WindowConfig{Limit: limit, Period: time.Hour})
	var got atomic.Int64
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range calls {
				if w.TryAcquire() {
					got.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if got.Load() != limit || w.InWindow() != limit {
		t.Errorf("%d were allowed and %d are in the window, limit %d", got.Load(), w.InWindow(), limit)
	}
}
