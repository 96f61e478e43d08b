package ratelimit_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/ratelimit"
)

func TestLimitIsAllowedAtOnceAndThenRefused(t *testing.T) {
	each(t, 3, 0, func(t *testing.T, l limiter) {
		for i := range 3 {
			if !l.TryAcquire() {
				t.Errorf("call %d was refused", i)
			}
		}
		if l.TryAcquire() {
			t.Error("call 4 was allowed")
		}
		time.Sleep(time.Second + 3) // an interval is rounded up to whole nanoseconds
		for i := range 3 {
			if !l.TryAcquire() {
				t.Errorf("a second later: call %d was refused", i)
			}
		}
	})
}

func TestCallersAreServedInTheOrderInWhichTheyCame(t *testing.T) {
	each(t, 1, 0, func(t *testing.T, l limiter) {
		begun := time.Now()
		var callers []*caller
		for range 4 {
			callers = append(callers, call(func() error { return l.Acquire(t.Context()) }))
		}
		for i, c := range callers {
			<-c.ended
			if want := time.Duration(i) * time.Second; c.err != nil || c.at.Sub(begun) != want {
				t.Errorf("caller %d: %v after %v, want %v", i, c.err, c.at.Sub(begun), want)
			}
		}
		if s := l.Stats(); s.TotalWait != 6*time.Second || s.Allowed != 4 {
			t.Errorf("%+v", s)
		}
	})
}

func TestNobodyOvertakesWhoWaits(t *testing.T) {
	each(t, 1, 0, func(t *testing.T, l limiter) {
		l.TryAcquire()
		c := call(func() error { return l.Acquire(t.Context()) })
		time.Sleep(time.Second)
		if l.TryAcquire() {
			t.Error("a call took what another waited for")
		}
		if c.waits() || c.err != nil {
			t.Errorf("the first still waits, or got %v", c.err)
		}
	})
}

// Pitfall 12: whoever gives up must leave nothing behind.
func TestPitfall12CancelledWaitersTakeNothingWithThem(t *testing.T) {
	each(t, 10, 0, func(t *testing.T, l limiter) {
		for l.TryAcquire() {
		}
		ctx, cancel := context.WithCancel(t.Context())
		var callers []*caller
		for range 50 {
			callers = append(callers, call(func() error { return l.Acquire(ctx) }))
		}
		time.Sleep(time.Millisecond)
		cancel()
		for _, c := range callers {
			if c.waits() || !errors.Is(c.err, context.Canceled) || errors.Is(c.err, ratelimit.ErrLimited) {
				t.Fatalf("got %v", c.err)
			}
		}
		before := time.Now()
		if err := l.Acquire(t.Context()); err != nil || time.Since(before) >= time.Second {
			t.Errorf("the next waits %v: %v", time.Since(before), err)
		}
	})
}

func TestWhoWaitsBehindACancelledCallerMovesUp(t *testing.T) {
	each(t, 1, 0, func(t *testing.T, l limiter) {
		begun := time.Now()
		l.TryAcquire()
		ctx, cancel := context.WithCancel(t.Context())
		first := call(func() error { return l.Acquire(ctx) })
		second := call(func() error { return l.Acquire(t.Context()) })
		time.Sleep(time.Second / 2)
		cancel()
		<-first.ended
		<-second.ended
		if got := second.at.Sub(begun); second.err != nil || got != time.Second {
			t.Errorf("%v after %v", second.err, got)
		}
	})
}

func TestWaitThatCannotSucceedInTimeIsRefusedAtOnce(t *testing.T) {
	each(t, 1, 0, func(t *testing.T, l limiter) {
		l.TryAcquire()
		for _, patience := range []time.Duration{time.Millisecond, time.Second} { // at the deadline is too late
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			before := time.Now()
			err := l.Execute(ctx, func(context.Context) error { t.Error("it ran"); return nil })
			if e := limited(t, err); e.RetryAfter != time.Second || e.Name != "api" || time.Since(before) != 0 {
				t.Errorf("got %+v after %v", e, time.Since(before))
			}
			cancel()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second+1)
		defer cancel()
		if err := l.Execute(ctx, noop); err != nil {
			t.Error(err)
		}
	})
}

func TestMaxWaitBoundsTheWait(t *testing.T) {
	each(t, 1, 1500*time.Millisecond, func(t *testing.T, l limiter) {
		l.TryAcquire()
		first := call(func() error { return l.Acquire(t.Context()) })
		if e := limited(t, l.Acquire(t.Context())); e.RetryAfter != 2*time.Second {
			t.Errorf("got %+v", e)
		}
		<-first.ended
		if first.err != nil {
			t.Error(first.err)
		}
	})
	each(t, 1, -1, func(t *testing.T, l limiter) {
		if err := l.Acquire(t.Context()); err != nil {
			t.Error(err)
		}
		before := time.Now()
		if e := limited(t, l.Acquire(t.Context())); e.RetryAfter != time.Second || time.Since(before) != 0 {
			t.Errorf("got %+v after %v", e, time.Since(before))
		}
	})
}

func TestWaitWithoutABoundIsRefusedIfTheContextSaysSo(t *testing.T) {
	each(t, 1, 0, func(t *testing.T, l limiter) {
		refusesWithoutABound(t, l)
	})
	each(t, 1, 1500*time.Millisecond, func(t *testing.T, l limiter) {
		l.TryAcquire()
		before := time.Now()
		err := l.Acquire(patterns.WithBoundedWaits(t.Context(), true))
		if err != nil || time.Since(before) != time.Second {
			t.Errorf("with a MaxWait: %v after %v", err, time.Since(before))
		}
	})
}

// refusesWithoutABound wants a limiter of one call a second that has no MaxWait.
func refusesWithoutABound(t *testing.T, l ratelimit.Limiter) {
	t.Helper()
	l.TryAcquire()
	bounded := patterns.WithBoundedWaits(t.Context(), true)
	before := time.Now()
	if e := limited(t, l.Acquire(bounded)); e.RetryAfter != time.Second || time.Since(before) != 0 {
		t.Errorf("without a deadline: %+v after %v", e, time.Since(before))
	}
	ctx, cancel := context.WithTimeout(bounded, time.Minute)
	defer cancel()
	if err := l.Acquire(ctx); err != nil || time.Since(before) != time.Second {
		t.Errorf("with a deadline: %v after %v", err, time.Since(before))
	}
	if err := l.Acquire(patterns.WithBoundedWaits(bounded, false)); err != nil || time.Since(before) != 2*time.Second {
		t.Errorf("without a bound after all: %v after %v", err, time.Since(before))
	}
	time.Sleep(time.Second)
	if err := l.Acquire(bounded); err != nil {
		t.Errorf("without a wait: %v", err)
	}
}

func TestCallWithAnEndedContextIsNotRun(t *testing.T) {
	each(t, 1, 0, func(t *testing.T, l limiter) {
		errWhy := errors.New("why")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errWhy)
		err := l.Execute(ctx, func(context.Context) error { t.Error("it ran"); return nil })
		for _, target := range []error{context.Canceled, errWhy, patterns.ErrRejected, patterns.ErrResilience} {
			if !errors.Is(err, target) {
				t.Errorf("%v is not %v", err, target)
			}
		}
		if patterns.Code(err) != "LEX_ERR_RES_001" || !strings.Contains(err.Error(), `rate limiter "api"`) {
			t.Errorf("%q: %v", patterns.Code(err), err)
		}
		if !l.TryAcquire() {
			t.Error("it took a token")
		}
	})
}

func TestErrorOfARefusedCallSaysWhoAndWhen(t *testing.T) {
	each(t, 1, -1, func(t *testing.T, l limiter) {
		l.TryAcquire()
		err := l.Acquire(t.Context())
		for _, target := range []error{ratelimit.ErrLimited, patterns.ErrRejected, patterns.ErrResilience} {
			if !errors.Is(err, target) {
				t.Errorf("%v is not %v", err, target)
			}
		}
		if errors.Is(err, context.DeadlineExceeded) || patterns.Code(err) != "LEX_ERR_RES_012" {
			t.Errorf("%q: %v", patterns.Code(err), err)
		}
		if want := `rate limiter "api": too many calls; retry in 1s, or raise the limit`; err.Error() != want {
			t.Errorf("got %q", err)
		}
	})
	if got := (&ratelimit.LimitedError{Name: "x"}).Error(); got != `rate limiter "x": too many calls; retry later` {
		t.Errorf("got %q", got)
	}
}

func TestRefusalsAreAnnounced(t *testing.T) {
	var bus hooks.Bus
	var events []hooks.RateLimited
	hooks.On(&bus, func(_ context.Context, e hooks.RateLimited) { events = append(events, e) })
	each(t, 1, -1, func(t *testing.T, l limiter) {
		events = nil
		l.TryAcquire()
		l.TryAcquire()
		_ = l.Acquire(t.Context())
		want := hooks.RateLimited{Name: "api", RetryAfter: time.Second, At: time.Now()}
		if len(events) != 2 || events[0] != want || events[1] != want {
			t.Errorf("got %+v", events)
		}
	}, ratelimit.WithBus(&bus))
}

func TestStatsCountEveryAnswer(t *testing.T) {
	each(t, 2, 700*time.Millisecond, func(t *testing.T, l limiter) {
		l.TryAcquire()
		l.TryAcquire()
		l.TryAcquire() // denied
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_ = l.Acquire(ended) // denied
		time.Sleep(400 * time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
		defer cancel()
		if err := l.Acquire(ctx); err != nil {
			t.Error(err)
		}
		s := l.Stats()
		want := ratelimit.Stats{Name: "api", Limit: 2, Period: time.Second, Total: 5, Allowed: 3, Denied: 2}
		switch l.(type) {
		case *ratelimit.TokenBucket:
			want.TotalWait = 100 * time.Millisecond
		case *ratelimit.SlidingWindow:
			want.TotalWait = 600 * time.Millisecond
		case *ratelimit.SlidingCounter:
			want.TotalWait, want.Period = 350*time.Millisecond, time.Second/2
		}
		if s != want {
			t.Errorf("got %+v, want %+v", s, want)
		}
	})
}

func TestPolicyRunsTheOperationOnceAndPassesItsError(t *testing.T) {
	each(t, 100, 0, func(t *testing.T, l limiter) {
		errBoom := errors.New("boom")
		var runs atomic.Int64
		op := func(context.Context) error { runs.Add(1); return errBoom }
		if err := l.Execute(t.Context(), op); err != errBoom {
			t.Error(err)
		}
		composed := patterns.Compose(l, l)
		if err := composed.Execute(t.Context(), op); err != errBoom {
			t.Error(err)
		}
		if runs.Load() != 2 || l.Stats().Allowed != 3 || !patterns.IsSequential(composed) || l.Name() != "api" {
			t.Errorf("%d runs, %+v", runs.Load(), l.Stats())
		}
	})
	each(t, 1, -1, func(t *testing.T, l limiter) {
		l.TryAcquire()
		err := l.Around(t.Context(), patterns.Direct{}, func(context.Context) error { t.Error("it ran"); return nil })
		if e := limited(t, err); e.RetryAfter != time.Second {
			t.Errorf("got %+v", e)
		}
	})
}

func TestLimitersTellWhatIsLeft(t *testing.T) {
	each(t, 3, 0, func(t *testing.T, l limiter) {
		for left := 3; left >= 0; left-- {
			got := l.RateLimit()
			if want := l.Stats(); got.Name != "api" || got.Quota != 3 || got.Window != want.Period || got.Remaining != left ||
				(got.Reset > 0) != (left == 0) {
				t.Errorf("with %d left: %+v", left, got)
			}
			l.TryAcquire()
		}
		time.Sleep(l.RateLimit().Reset - 1)
		if got := l.RateLimit(); got.Remaining != 0 || got.Reset != 1 || l.TryAcquire() {
			t.Errorf("a moment before there is more: %+v", got)
		}
		time.Sleep(time.Nanosecond)
		if got := l.RateLimit(); got.Remaining == 0 || got.Reset != 0 || !l.TryAcquire() {
			t.Errorf("when there is more: %+v", got)
		}
	})
	each(t, 1, 0, func(t *testing.T, l limiter) {
		l.TryAcquire()
		c := call(func() error { return l.Acquire(t.Context()) })
		if got := l.RateLimit(); got.Remaining != 0 || got.Reset != 2*time.Second {
			t.Errorf("behind one that waits: %+v", got)
		}
		<-c.ended
	})
}

func TestRefusalDescribesTheLimit(t *testing.T) {
	each(t, 1, -1, func(t *testing.T, l limiter) {
		l.TryAcquire()
		e := limited(t, l.Acquire(t.Context()))
		want := patterns.RateLimit{Name: "api", Quota: 1, Window: l.Stats().Period, Reset: time.Second}
		if got := e.RateLimit(); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if wait, known := patterns.RetryIn(e); wait != time.Second || !known {
			t.Errorf("to be retried in %v, %v", wait, known)
		}
	})
	if _, known := patterns.RetryIn(&ratelimit.LimitedError{Name: "x"}); known {
		t.Error("who does not know when to come again says so")
	}
}

// Pitfalls 20 and 38: zero and nonsense must not become a division by zero when a call comes.
func TestPitfall20ConfigurationIsCheckedAndCompleted(t *testing.T) {
	year := 366 * 24 * time.Hour
	for _, tt := range []struct {
		name string
		cfg  ratelimit.Config
		want string
	}{
		{"zero", ratelimit.Config{}, ""},
		{"fast", ratelimit.Config{Limit: 1e9, Period: time.Second, Burst: 1 << 30}, ""},
		{"slow", ratelimit.Config{Limit: 1, Period: year}, ""},
		{"limit", ratelimit.Config{Limit: -1}, "limit"},
		{"limit too high", ratelimit.Config{Limit: 1<<30 + 1}, "limit"},
		{"period", ratelimit.Config{Period: -1}, "period"},
		{"period too long", ratelimit.Config{Limit: 1, Period: year + 1}, "period"},
		{"too fast", ratelimit.Config{Limit: 11, Period: 10}, "one a nanosecond"},
		{"burst", ratelimit.Config{Burst: -1}, "burst"},
		{"burst too large", ratelimit.Config{Burst: 1<<30 + 1}, "burst"},
		{"burst takes too long", ratelimit.Config{Limit: 1, Period: year, Burst: 2}, "burst"},
	} {
		check(t, tt.name, tt.want, func() error { _, err := ratelimit.NewTokenBucket("api", tt.cfg); return err })
	}
	for _, tt := range []struct {
		name string
		cfg  ratelimit.WindowConfig
		want string
	}{
		{"zero", ratelimit.WindowConfig{}, ""},
		{"large", ratelimit.WindowConfig{Limit: 1 << 20}, ""},
		{"limit", ratelimit.WindowConfig{Limit: -1}, "limit"},
		{"limit too high", ratelimit.WindowConfig{Limit: 1<<20 + 1}, "limit"},
		{"period", ratelimit.WindowConfig{Period: -1}, "period"},
	} {
		check(t, tt.name, tt.want, func() error { _, err := ratelimit.NewSlidingWindow("api", tt.cfg); return err })
	}
	check(t, "counter", "limit", func() error {
		_, err := ratelimit.NewSlidingCounter("api", ratelimit.WindowConfig{Limit: -1})
		return err
	})
	check(t, "name", "name", func() error {
		_, err := ratelimit.NewSlidingCounter("", ratelimit.WindowConfig{})
		return err
	})
	check(t, "name", "name", func() error { _, err := ratelimit.NewTokenBucket("", ratelimit.Config{}); return err })
	check(t, "name", "name", func() error {
		_, err := ratelimit.NewSlidingWindow("", ratelimit.WindowConfig{})
		return err
	})
	for _, err := range []error{
		ratelimit.DefaultConfig().Validate(), ratelimit.DefaultWindowConfig().Validate(),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if err := (ratelimit.Config{}).Validate(); !errors.Is(err, patterns.ErrConfiguration) {
		t.Errorf("a configuration without anything is complete: %v", err)
	}
	synctest.Test(t, func(t *testing.T) {
		if b := newBucket(t, ratelimit.Config{}); b.Available() != 100 || b.Stats().Period != time.Second {
			t.Errorf("%d tokens, %+v", b.Available(), b.Stats())
		}
		if b := newBucket(t, ratelimit.Config{Limit: 7}); b.Available() != 7 {
			t.Errorf("%d tokens", b.Available())
		}
	})
}

func check(t *testing.T, name, want string, build func() error) {
	t.Helper()
	switch err := build(); {
	case want == "" && err != nil:
		t.Errorf("%s: %v", name, err)
	case want != "" && (!errors.Is(err, patterns.ErrConfiguration) || !strings.Contains(err.Error(), want)):
		t.Errorf("%s: got %v, want a word about %s", name, err, want)
	}
}
