package circuitbreaker_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
)

func taking(d time.Duration) patterns.Operation {
	return func(context.Context) error { time.Sleep(d); return nil }
}

func TestSlowCallsOpenTheCircuit(t *testing.T) {
	for name, window := range map[string]circuitbreaker.Config{
		"by time": {}, "by count": {SlidingWindowCalls: 4},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bus := new(hooks.Bus)
				var opened hooks.CircuitOpened
				hooks.On(bus, func(_ context.Context, e hooks.CircuitOpened) { opened = e })
				cfg := window
				cfg.MinimumCalls, cfg.SlowCallDuration, cfg.SlowCallRateThreshold = 4, time.Second, 0.5
				b := newBreaker(t, cfg, circuitbreaker.WithBus(bus))
				repeat(t, b, 2, taking(time.Second)) // as long as allowed, and not longer
				repeat(t, b, 1, taking(time.Second+1))
				m := b.Metrics()
				if m.Slow != 1 || m.SlowRate != 1.0/3 || m.MaxDuration.Round(time.Millisecond) != time.Second {
					t.Fatalf("got %+v", m)
				}
				repeat(t, b, 1, taking(2*time.Second))
				wantState(t, b, circuitbreaker.Open)
				if opened.Slow != 2 || opened.Calls != 4 || opened.Failures != 0 {
					t.Fatalf("announced %+v", opened)
				}
				if m := b.Metrics(); m.TotalSlow != 2 || m.TotalSuccesses != 4 {
					t.Fatalf("got %+v", m)
				}
			})
		})
	}
}

func TestSlowCallThatMakesUpTheMinimumOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, circuitbreaker.Config{MinimumCalls: 3, SlowCallDuration: time.Second, SlowCallRateThreshold: 0.6})
		repeat(t, b, 2, taking(2*time.Second))
		wantState(t, b, circuitbreaker.Closed)
		repeat(t, b, 1, succeed) // quick, and the one that was missing
		wantState(t, b, circuitbreaker.Open)
	})
}

func TestDurationsLeaveTheWindow(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  circuitbreaker.Config
		wait time.Duration
	}{
		"by time":  {circuitbreaker.Config{SlidingWindow: 30 * time.Second}, 30 * time.Second},
		"by count": {circuitbreaker.Config{SlidingWindowCalls: 2}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := tt.cfg
				cfg.SlowCallDuration = time.Minute
				b := newBreaker(t, cfg)
				repeat(t, b, 1, taking(40*time.Second))
				time.Sleep(tt.wait)
				repeat(t, b, 1, taking(2*time.Second))
				repeat(t, b, 1, taking(4*time.Second))
				m := b.Metrics()
				if off := (m.MeanDuration - 3*time.Second).Abs(); off > time.Minute/256 || m.MaxDuration != 4*time.Second {
					t.Fatalf("mean %v, longest %v", m.MeanDuration, m.MaxDuration)
				}
			})
		})
	}
}

func TestDurationsAreNotMeasuredUnlessAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, circuitbreaker.Config{})
		repeat(t, b, 3, taking(time.Minute))
		if m := b.Metrics(); m.Slow != 0 || m.MeanDuration != 0 || m.MaxDuration != 0 {
			t.Fatalf("got %+v", m)
		}
	})
}

func TestEnormousDurationsDoNotHarmTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, circuitbreaker.Config{SlowCallDuration: time.Microsecond, SlidingWindow: time.Hour, MinimumCalls: 100})
		for range 50 {
			permit, err := b.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			permit.Done(nil)
		}
		if m := b.Metrics(); m.Slow != 50 || m.Calls != 50 || m.MaxDuration != time.Minute {
			t.Fatalf("got %+v", m)
		}
	})
}

func TestSlowProbesOpenAgainAtTheSameRate(t *testing.T) {
	for name, tt := range map[string]struct {
		slow int // of 4 probes
		want circuitbreaker.State
	}{
		"below the rate": {1, circuitbreaker.Closed},
		"at the rate":    {2, circuitbreaker.Open},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := halfOpen(t, circuitbreaker.Config{
					SuccessThreshold: 4, SlowCallDuration: time.Second, SlowCallRateThreshold: 0.5,
				})
				repeat(t, b, tt.slow, taking(2*time.Second))
				repeat(t, b, 4-tt.slow, succeed)
				wantState(t, b, tt.want)
			})
		})
	}
}

func TestReconfiguringKeepsWhatWasSlowUnlessThatHasChanged(t *testing.T) {
	for name, tt := range map[string]struct{ before, after circuitbreaker.Config }{
		"by time": {
			circuitbreaker.Config{SlidingWindow: time.Minute}, circuitbreaker.Config{SlidingWindow: 2 * time.Minute},
		},
		"by count": {
			circuitbreaker.Config{SlidingWindowCalls: 10}, circuitbreaker.Config{SlidingWindowCalls: 20},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tt.before.SlowCallDuration, tt.after.SlowCallDuration = 2*time.Second, 2*time.Second
				b := newBreaker(t, tt.before)
				repeat(t, b, 3, taking(3*time.Second))
				repeat(t, b, 3, taking(time.Second))
				want := b.Metrics()
				if want.Slow != 3 || want.MeanDuration.Round(100*time.Millisecond) != 2*time.Second {
					t.Fatalf("got %+v", want)
				}
				reconfigure(t, b, tt.after)
				if got := b.Metrics(); got != want {
					t.Errorf("got %+v, want %+v", got, want)
				}
				tt.after.SlowCallDuration = 5 * time.Second
				reconfigure(t, b, tt.after)
				got := b.Metrics()
				if got.Calls != 6 || got.Slow != 0 || got.MeanDuration != 0 || got.MaxDuration != 0 || got.TotalSlow != 3 {
					t.Errorf("got %+v", got)
				}
			})
		})
	}
}

func TestSlowCallsAloneReachNoFailureRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, circuitbreaker.Config{FailureRateThreshold: 1e-12, MinimumCalls: 2, SlowCallDuration: time.Second})
		repeat(t, b, 2, succeed)
		repeat(t, b, 1, taking(2*time.Second))
		wantState(t, b, circuitbreaker.Closed)
	})
}
