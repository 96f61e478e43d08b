package throttle_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/ratelimit"
	"github.com/steadyfx/steady/patterns/throttle"
)

// After ten calls at once, and half of the period, the strategies differ: the bucket has got five tokens, and the
// window has forgotten nothing.
func TestStrategyDecidesWhenCallsAreAllowedAgain(t *testing.T) {
	for strategy, want := range map[throttle.Strategy]int{
		"": 5, throttle.TokenBucket: 5, throttle.SlidingWindow: 0, throttle.SlidingCounter: 0,
	} {
		synctest.Test(t, func(t *testing.T) {
			th := newThrottler(t, throttle.Config{Calls: 10, Strategy: strategy})
			for i := range 10 {
				if !th.TryAcquire() {
					t.Errorf("%q: call %d was refused", strategy, i)
				}
			}
			time.Sleep(500 * time.Millisecond)
			got := 0
			for th.TryAcquire() {
				got++
			}
			if got != want {
				t.Errorf("%q: %d calls, want %d", strategy, got, want)
			}
		})
	}
}

func TestBurstIsThatOfTheBucket(t *testing.T) {
	th := newThrottler(t, throttle.Config{Calls: 1, Period: time.Hour, Burst: 3})
	for i := range 4 {
		if got := th.TryAcquire(); got != (i < 3) {
			t.Errorf("call %d: %v", i, got)
		}
	}
}

func TestThrottlerIsAPolicy(t *testing.T) {
	for _, strategy := range []throttle.Strategy{
		throttle.TokenBucket, throttle.SlidingWindow, throttle.SlidingCounter,
	} {
		synctest.Test(t, func(t *testing.T) {
			var bus hooks.Bus
			events := 0
			hooks.On(&bus, func(context.Context, hooks.RateLimited) { events++ })
			th := newThrottler(t, throttle.Config{Calls: 3, Strategy: strategy}, throttle.WithBus(&bus))
			p := patterns.Compose(th, th)
			if err := p.Execute(t.Context(), fail); err != errBoom || !patterns.IsSequential(p) {
				t.Error(err)
			}
			if err := th.Execute(t.Context(), fail); err != errBoom {
				t.Error(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			err := p.Execute(ctx, func(context.Context) error { t.Error("it ran"); return nil })
			if !errors.Is(err, ratelimit.ErrLimited) || !strings.Contains(err.Error(), `"api"`) || events != 1 {
				t.Errorf("got %v, %d events", err, events)
			}
			if l := th.RateLimit(); l.Name != "api" || l.Quota != 3 || l.Window != time.Second || l.Remaining != 0 || l.Reset == 0 {
				t.Errorf("got %+v", l)
			}
			before := time.Now()
			if err := th.Acquire(t.Context()); err != nil || time.Since(before) == 0 {
				t.Errorf("%v after %v", err, time.Since(before))
			}
			s := th.Stats()
			want := ratelimit.Stats{
				Name: "api", Limit: 3, Period: time.Second, Total: 5, Allowed: 4, Denied: 1, TotalWait: time.Since(before),
			}
			if s != want {
				t.Errorf("got %+v, want %+v", s, want)
			}
		})
	}
}

func TestMaxWaitIsThatOfEveryStrategy(t *testing.T) {
	for _, strategy := range []throttle.Strategy{
		throttle.TokenBucket, throttle.SlidingWindow, throttle.SlidingCounter,
	} {
		for maxWait, want := range map[time.Duration]bool{0: true, -1: false, time.Millisecond: false, time.Minute: true} {
			synctest.Test(t, func(t *testing.T) {
				th := newThrottler(t, throttle.Config{Calls: 1, Strategy: strategy, MaxWait: maxWait})
				th.TryAcquire()
				before := time.Now()
				err := th.Acquire(t.Context())
				if want && (err != nil || time.Since(before) == 0) {
					t.Errorf("%s, %v: %v after %v", strategy, maxWait, err, time.Since(before))
				}
				if !want && (!errors.Is(err, ratelimit.ErrLimited) || time.Since(before) != 0) {
					t.Errorf("%s, %v: %v after %v", strategy, maxWait, err, time.Since(before))
				}
			})
		}
	}
}

func TestConfigurationIsCheckedAndCompleted(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  throttle.Config
		want string
	}{
		{"zero", throttle.Config{}, ""},
		{"default", throttle.DefaultConfig(), ""},
		{"window", throttle.Config{Strategy: throttle.SlidingWindow}, ""},
		{"calls", throttle.Config{Calls: -1}, "calls"},
		{"calls of a window", throttle.Config{Calls: -1, Strategy: throttle.SlidingWindow}, "calls"},
		{"period", throttle.Config{Period: -1}, "period"},
		{"burst", throttle.Config{Burst: -1}, "burst"},
		{"counter", throttle.Config{Strategy: throttle.SlidingCounter}, ""},
		{"burst of a counter", throttle.Config{Burst: 1, Strategy: throttle.SlidingCounter}, "burst"},
		{"burst of a window", throttle.Config{Burst: 1, Strategy: throttle.SlidingWindow}, "burst"},
		{"too fast", throttle.Config{Calls: 11, Period: 10}, "nanosecond"},
		{"window too large", throttle.Config{Calls: 1 << 21, Strategy: throttle.SlidingWindow}, "must be from 1 to"},
		{"strategy", throttle.Config{Strategy: "leaky"}, "strategy: must be token_bucket, sliding_window or sliding_counter, got \"leaky\""},
	} {
		check(t, tt.name, tt.want, func() error { _, err := throttle.New("api", tt.cfg); return err })
	}
	check(t, "name", "name", func() error { _, err := throttle.New("", throttle.Config{}); return err })
	if err := throttle.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	if err := (throttle.Config{}).Validate(); !errors.Is(err, patterns.ErrConfiguration) {
		t.Errorf("a configuration without anything is complete: %v", err)
	}
	if got := newThrottler(t, throttle.Config{}).Config(); got != throttle.DefaultConfig() {
		t.Errorf("got %+v", got)
	}
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
