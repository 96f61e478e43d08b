package ratelimit_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/ratelimit"
)

// Twice the limit need more than a period, whoever asks for what and when.
func TestPitfall39NoWindowHoldsTwiceTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ rapid.TB }{t}, func(t *rapid.T) {
			limit := rapid.IntRange(1, 8).Draw(t, "limit")
			const period = 1000 // nanoseconds, so that calls meet the ends of periods
			c := newCounter(t, ratelimit.WindowConfig{Limit: limit, Period: period})
			start := time.Now()
			var allowed []time.Duration
			for range rapid.IntRange(1, 100).Draw(t, "steps") {
				time.Sleep(rapid.SampledFrom([]time.Duration{0, 1, 10, 499, 500, 999, 1000, 1001, 1990}).Draw(t, "pause"))
				for n := rapid.IntRange(1, limit).Draw(t, "n"); c.TryAcquireN(n); {
					for range n {
						allowed = append(allowed, time.Since(start))
					}
				}
			}
			for i := 2*limit - 1; i < len(allowed); i++ {
				if apart := allowed[i] - allowed[i-2*limit+1]; apart <= period {
					t.Fatalf("%d calls within %v, limit %d", 2*limit, apart, limit)
				}
			}
		})
	})
}

// This is why the bound is no lower: the documented worst case happens.
func TestWorstCaseIsOneLessThanTwiceTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 100
		c := newCounter(t, ratelimit.WindowConfig{Limit: limit, Period: time.Second})
		time.Sleep(time.Second - 1)
		begun, got := time.Now(), 0
		for time.Since(begun) < time.Second {
			for c.TryAcquire() {
				got++
			}
			time.Sleep(time.Millisecond)
		}
		if got != 2*limit-1 {
			t.Errorf("%d calls in one window, want %d", got, 2*limit-1)
		}
	})
}

func TestSteadyCallsBelowTheLimitAreAllAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounter(t, ratelimit.WindowConfig{Limit: 101, Period: time.Second}) // for 100
		for i := range 1000 {
			if !c.TryAcquire() {
				t.Fatalf("call %d was refused", i)
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
}

func TestPitfall41NumberOfCallsMustBePossible(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounter(t, ratelimit.WindowConfig{Limit: 5})
		for _, n := range []int{-1 << 40, -1, 0, 6, 1 << 40} {
			if c.TryAcquireN(n) {
				t.Errorf("%d calls were allowed", n)
			}
			if err := c.AcquireN(t.Context(), n); !errors.Is(err, patterns.ErrConfiguration) {
				t.Errorf("%d: got %v", n, err)
			}
		}
		if c.Available() != 5 || c.Stats().Total != 0 || !c.TryAcquireN(5) || c.TryAcquire() {
			t.Errorf("%d are left, %+v", c.Available(), c.Stats())
		}
	})
}

func TestCallCountsUntilThePeriodAfterItsOwnIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounter(t, ratelimit.WindowConfig{Limit: 1, Period: time.Second})
		c.TryAcquire()
		time.Sleep(2*time.Second - 1)
		if c.Available() != 0 || c.TryAcquire() {
			t.Error("forgotten early")
		}
		time.Sleep(time.Nanosecond)
		if c.Available() != 1 || !c.TryAcquire() {
			t.Error("forgotten late")
		}
	})
}

func TestLargestCounterIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit, period = 1 << 20, 366 * 24 * time.Hour
		c := newCounter(t, ratelimit.WindowConfig{Limit: limit, Period: period})
		if !c.TryAcquireN(limit) || c.TryAcquire() {
			t.Error("not the whole limit at once")
		}
		e := limited(t, within(t, period, func(ctx context.Context) error { return c.Acquire(ctx) }))
		time.Sleep(e.RetryAfter - 1)
		if c.TryAcquire() {
			t.Error("a call came early")
		}
		time.Sleep(time.Nanosecond)
		if !c.TryAcquire() || c.TryAcquire() {
			t.Errorf("not the one call that there is room for after %v", e.RetryAfter)
		}
	})
}

// within calls with a context that ends after d.
func within(t *testing.T, d time.Duration, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	return call(ctx)
}

// A clock reading that is older than what another call has seen must not mint calls, and callers that disturb one
// another must not make a call fail.
func TestPitfall37RacingCallersOfACounterGetTheLimitAndNoMore(t *testing.T) {
	const limit, callers, calls = 1000, 8, 5000
	c := newCounter(t, ratelimit.WindowConfig{Limit: limit, Period: time.Hour})
	var got atomic.Int64
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for i := range calls {
				if c.TryAcquire() {
					got.Add(1)
				}
				if i%100 == 0 {
					c.Available()
				}
			}
		})
	}
	wg.Wait()
	if s := c.Stats(); got.Load() != limit || s.Allowed != limit || s.Total != callers*calls {
		t.Errorf("%d calls were allowed, %+v", got.Load(), s)
	}
}

// The race detector's food: all that takes, waits and gives up at once, while periods begin.
func TestCounterHoldsWhileCallersComeWaitAndGiveUp(t *testing.T) {
	const limit, period, callers, calls = 50, 100 * time.Microsecond, 8, 300
	c := newCounter(t, ratelimit.WindowConfig{Limit: limit, Period: period})
	begun := time.Now()
	var used atomic.Int64
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for k := range calls {
				n := 1 + (i+k)%5
				switch (i + k) % 3 {
				case 0:
					if c.TryAcquireN(n) {
						used.Add(int64(n))
					}
				case 1:
					ctx, cancel := context.WithTimeout(t.Context(), 50*time.Microsecond)
					if c.AcquireN(ctx, n) == nil {
						used.Add(int64(n))
					}
					cancel()
				case 2:
					if err := c.AcquireN(t.Context(), n); err != nil {
						t.Error(err)
					}
					used.Add(int64(n))
				}
			}
		})
	}
	wg.Wait()
	if most := int64(time.Since(begun)/period+1) * limit; used.Load() > most {
		t.Errorf("%d calls were made, and only %d can have been allowed", used.Load(), most)
	}
	if s := c.Stats(); s.Total != callers*calls {
		t.Errorf("%+v", s)
	}
}
