package ratelimit_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/ratelimit"
)

// A call for more than there can ever be must not wait for ever, and one for less than nothing must not add tokens.
func TestPitfall41NumberOfTokensMustBePossible(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket(t, ratelimit.Config{Limit: 10, Burst: 5})
		for _, n := range []int{-1 << 40, -1, 0, 6, 1 << 40} {
			if b.TryAcquireN(n) {
				t.Errorf("%d tokens were taken", n)
			}
			if err := b.AcquireN(t.Context(), n); !errors.Is(err, patterns.ErrConfiguration) {
				t.Errorf("%d: got %v", n, err)
			}
			if r, err := b.Reserve(n); r != nil || !errors.Is(err, patterns.ErrConfiguration) {
				t.Errorf("%d: got %v, %v", n, r, err)
			}
		}
		if got := b.Available(); got != 5 {
			t.Errorf("%d available, want 5", got)
		}
		if s := b.Stats(); s.Total != 0 {
			t.Errorf("mistakes were counted: %+v", s)
		}
		if !b.TryAcquireN(5) || b.TryAcquire() {
			t.Error("the whole bucket at once is not what can be had")
		}
	})
}

// Pitfall 11: tokens come one by one, not in a heap when a grid is crossed.
func TestPitfall11TokensComeEvenly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket(t, ratelimit.Config{Limit: 10, Burst: 1})
		time.Sleep(96 * time.Millisecond)
		if !b.TryAcquire() {
			t.Error("the bucket was not full")
		}
		time.Sleep(100*time.Millisecond - 1)
		if b.TryAcquire() {
			t.Error("a token came early")
		}
		time.Sleep(time.Nanosecond)
		if !b.TryAcquire() {
			t.Error("a token came late")
		}
	})
}

func TestQuietTimeGivesNoMoreThanTheBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket(t, ratelimit.Config{Limit: 100, Burst: 7})
		time.Sleep(24 * 365 * time.Hour)
		n := 0
		for b.TryAcquire() {
			n++
		}
		if n != 7 {
			t.Errorf("%d at once, want 7", n)
		}
	})
}

// Pitfall 37: with x/time/rate, five of these ten tokens are lost.
func TestPitfall37CancelledReservationsGiveAllTokensBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket(t, ratelimit.Config{Limit: 10, Burst: 10})
		b.TryAcquireN(10)
		first, second := reserve(t, b, 5), reserve(t, b, 5)
		if first.Delay() != 500*time.Millisecond || second.Delay() != time.Second {
			t.Errorf("delays %v and %v", first.Delay(), second.Delay())
		}
		first.Cancel()
		if second.Delay() != 500*time.Millisecond {
			t.Errorf("the second does not move up: %v", second.Delay())
		}
		first.Cancel()
		second.Cancel()
		if first.Delay() != 0 || second.Delay() != 0 {
			t.Error("a cancelled reservation has a delay")
		}
		time.Sleep(time.Second)
		if got := b.Available(); got != 10 {
			t.Errorf("%d available, want 10", got)
		}
		if s := b.Stats(); s.Allowed != 1 || s.Denied != 2 {
			t.Errorf("%+v", s)
		}
	})
}

func TestTokensThatWereThereAtOnceCanBeGivenBackUntilOthersTakeSome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket(t, ratelimit.Config{Limit: 1, Burst: 10})
		r := reserve(t, b, 6)
		if r.Delay() != 0 || b.Available() != 4 {
			t.Errorf("delay %v, %d available", r.Delay(), b.Available())
		}
		r.Cancel()
		if b.Available() != 10 {
			t.Errorf("%d available after the reservation was cancelled, want 10", b.Available())
		}
		late := reserve(t, b, 6)
		b.TryAcquire()
		late.Cancel()
		if b.Available() != 3 || b.Stats().Denied != 1 {
			t.Errorf("%d available after it was cancelled too late, want 3; %+v", b.Available(), b.Stats())
		}
	})
}

func TestTokensCountAsUsedOnceAReservationAfterThemIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket(t, ratelimit.Config{Limit: 1, Burst: 2})
		first, second := reserve(t, b, 2), reserve(t, b, 1)
		time.Sleep(second.Delay())
		first.Cancel()
		if s := b.Stats(); s.Denied != 0 || b.Available() != 0 {
			t.Errorf("%+v, %d available", s, b.Available())
		}
	})
}

func TestTokensGivenBackGoToWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket(t, ratelimit.Config{Limit: 1, Burst: 2})
		time.Sleep(time.Minute)
		r := reserve(t, b, 2)
		c := call(func() error { return b.AcquireN(t.Context(), 2) })
		r.Cancel()
		if c.waits() || c.err != nil {
			t.Errorf("it still waits, or got %v", c.err)
		}
		if b.Available() != 0 {
			t.Errorf("%d available", b.Available())
		}
	})
}

func TestReservationThatIsDueIsSpent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket(t, ratelimit.Config{Limit: 1, Burst: 1})
		b.TryAcquire()
		r := reserve(t, b, 1)
		time.Sleep(r.Delay())
		r.Cancel()
		if b.Available() != 0 || b.Stats().Denied != 0 {
			t.Errorf("%d available, %+v", b.Available(), b.Stats())
		}
		time.Sleep(time.Second)
		if b.Available() != 1 {
			t.Errorf("%d available a second later", b.Available())
		}
	})
}

func TestReservationNobodyLivesToSeeIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket(t, ratelimit.Config{Limit: 1, Period: 366 * 24 * time.Hour})
		reserved := 0
		for ; reserved < 1000; reserved++ {
			if _, err := b.Reserve(1); err != nil {
				if e := limited(t, err); e.RetryAfter < 70*366*24*time.Hour {
					t.Errorf("got %+v", e)
				}
				break
			}
		}
		if reserved < 70 || reserved > 80 {
			t.Errorf("%d years were reserved", reserved)
		}
	})
}

func TestSmallWishWaitsBehindALargeOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket(t, ratelimit.Config{Limit: 10, Burst: 10})
		b.TryAcquireN(8)
		ctx, cancel := context.WithCancel(t.Context())
		large := call(func() error { return b.AcquireN(ctx, 10) })
		small := call(func() error { return b.AcquireN(t.Context(), 2) })
		if !small.waits() || b.TryAcquire() || b.Available() != 0 {
			t.Error("the large wish was overtaken")
		}
		cancel()
		if large.waits() || small.waits() || small.err != nil {
			t.Errorf("with the large wish gone: %v, %v", large.err, small.err)
		}
	})
}

// Pitfall 37: a clock reading that is older than what another call has seen must not mint tokens. Pitfall 40: callers
// that disturb one another must not make a call fail.
func TestPitfall37RacingCallersGetWhatHasFlownInAndNoMore(t *testing.T) {
	const burst, callers, calls = 1000, 8, 5000
	b := newBucket(t, ratelimit.Config{Limit: 1, Period: time.Hour, Burst: burst})
	var got atomic.Int64
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range calls {
				if b.TryAcquire() {
					got.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if got.Load() != burst {
		t.Errorf("%d tokens were taken, of %d", got.Load(), burst)
	}
	if s := b.Stats(); s.Allowed != burst || s.Total != callers*calls {
		t.Errorf("%+v", s)
	}
}

// The race detector's food: all that takes, waits and gives up at once.
func TestRateHoldsWhileCallersComeWaitAndGiveUp(t *testing.T) {
	const burst, callers, calls = 5, 8, 300
	interval := 2 * time.Microsecond
	b := newBucket(t, ratelimit.Config{Limit: 1, Period: interval, Burst: burst})
	begun := time.Now()
	var used atomic.Int64
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for k := range calls {
				n := 1 + (i+k)%burst
				switch (i + k) % 4 {
				case 0:
					if b.TryAcquireN(n) {
						used.Add(int64(n))
					}
				case 1:
					ctx, cancel := context.WithTimeout(t.Context(), 50*time.Microsecond)
					if b.AcquireN(ctx, n) == nil {
						used.Add(int64(n))
					}
					cancel()
				case 2:
					if err := b.AcquireN(t.Context(), n); err != nil {
						t.Error(err)
					}
					used.Add(int64(n))
				case 3:
					reserve(t, b, n).Cancel()
				}
			}
		})
	}
	wg.Wait()
	if most := int64(time.Since(begun)/interval) + burst; used.Load() > most {
		t.Errorf("%d tokens were used, and only %d can have been there", used.Load(), most)
	}
	if s := b.Stats(); s.Total != callers*calls {
		t.Errorf("%+v", s)
	}
}

func reserve(tb fataler, b *ratelimit.TokenBucket, n int) *ratelimit.Reservation {
	tb.Helper()
	r, err := b.Reserve(n)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}
