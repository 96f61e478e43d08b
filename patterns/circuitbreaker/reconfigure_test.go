package circuitbreaker_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
)

func reconfigure(t testing.TB, b *circuitbreaker.Breaker, cfg circuitbreaker.Config) {
	t.Helper()
	if err := b.Reconfigure(cfg); err != nil {
		t.Fatal(err)
	}
}

func TestReconfiguredBreakerKeepsItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := circuitbreaker.Config{FailureThreshold: 100, MinimumCalls: 100, SlidingWindow: time.Minute}
		b := newBreaker(t, cfg)
		repeat(t, b, 4, fail)
		time.Sleep(20 * time.Second)
		repeat(t, b, 6, fail)
		time.Sleep(5 * time.Second)
		repeat(t, b, 8, succeed)
		for _, tt := range []struct {
			window          time.Duration
			calls, failures int
		}{
			{time.Minute, 18, 10}, {2 * time.Minute, 18, 10}, {15 * time.Second, 14, 6}, {time.Minute, 14, 6}, {time.Second, 8, 0},
		} {
			cfg.SlidingWindow = tt.window
			reconfigure(t, b, cfg)
			if m := b.Metrics(); m.Calls != tt.calls || m.Failures != tt.failures {
				t.Errorf("a window of %v has %d failures of %d calls, want %d of %d",
					tt.window, m.Failures, m.Calls, tt.failures, tt.calls)
			}
			if m := b.Metrics(); m.TotalFailures != 10 || m.TotalSuccesses != 8 || m.Generation != 0 {
				t.Errorf("got %+v", m)
			}
		}
		time.Sleep(time.Second)
		if m := b.Metrics(); m.Calls != 0 {
			t.Errorf("what was moved does not leave the window: %+v", m)
		}
	})
}

func TestReconfiguredThresholdsJudgeTheNextResult(t *testing.T) {
	b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 100, MinimumCalls: 4, FailureRateThreshold: 0.9})
	repeat(t, b, 4, fail)
	wantState(t, b, circuitbreaker.Open)
	b.Reset()
	repeat(t, b, 2, succeed)
	repeat(t, b, 4, fail)
	wantState(t, b, circuitbreaker.Closed)
	reconfigure(t, b, circuitbreaker.Config{FailureThreshold: 100, MinimumCalls: 4, FailureRateThreshold: 0.5})
	wantState(t, b, circuitbreaker.Closed)
	repeat(t, b, 1, succeed) // 4 of 7 failed
	wantState(t, b, circuitbreaker.Open)
}

func TestReconfiguredOpenCircuitWaitsAsTheNewOneSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 1, RecoveryTimeout: time.Hour})
		trip(t, b)
		time.Sleep(time.Minute)
		reconfigure(t, b, circuitbreaker.Config{FailureThreshold: 1, RecoveryTimeout: 90 * time.Second})
		if left := b.TimeUntilReset(); left != 30*time.Second {
			t.Fatalf("%v left", left)
		}
		var open *circuitbreaker.OpenError
		if err := b.Execute(t.Context(), succeed); !errors.As(err, &open) || open.RetryAfter != 30*time.Second {
			t.Fatalf("got %v", err)
		}
	})
}

func TestReconfiguredHalfOpenCircuitKeepsItsProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpen(t, circuitbreaker.Config{SuccessThreshold: 2, HalfOpenMaxCalls: 1})
		permit, err := b.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		reconfigure(t, b, circuitbreaker.Config{SuccessThreshold: 1, HalfOpenMaxCalls: 1})
		if m := b.Metrics(); m.State != circuitbreaker.HalfOpen || m.ProbesInFlight != 1 {
			t.Fatalf("got %+v", m)
		}
		permit.Done(nil)
		wantState(t, b, circuitbreaker.Closed)
	})
}

// Time alone has ended the half-open phase, which no call has noticed yet: the next configuration must not revive it.
func TestReconfiguringDoesNotReviveAHalfOpenCircuit(t *testing.T) {
	for name, change := range map[string]func(*circuitbreaker.Registry, *circuitbreaker.Breaker, circuitbreaker.Config) error{
		"breaker": func(_ *circuitbreaker.Registry, b *circuitbreaker.Breaker, cfg circuitbreaker.Config) error {
			return b.Reconfigure(cfg)
		},
		"registry": func(r *circuitbreaker.Registry, _ *circuitbreaker.Breaker, cfg circuitbreaker.Config) error {
			return r.Reconfigure(patterns.Instances[circuitbreaker.Config]{Default: cfg})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := circuitbreaker.Config{FailureThreshold: 1, RecoveryTimeout: time.Minute, HalfOpenTimeout: time.Second}
				bus, opened := &hooks.Bus{}, 0
				hooks.On(bus, func(context.Context, hooks.CircuitOpened) { opened++ })
				r, err := circuitbreaker.NewRegistry(
					patterns.Instances[circuitbreaker.Config]{Default: cfg}, circuitbreaker.WithBus(bus))
				if err != nil {
					t.Fatal(err)
				}
				b, err := r.GetOrCreate("payments")
				if err != nil {
					t.Fatal(err)
				}
				trip(t, b)
				time.Sleep(time.Minute)
				repeat(t, b, 1, succeed) // the first of 3 probes
				time.Sleep(time.Second)
				wantState(t, b, circuitbreaker.Open)
				cfg.HalfOpenTimeout = 0
				if err := change(r, b, cfg); err != nil {
					t.Fatal(err)
				}
				wantState(t, b, circuitbreaker.Open)
				if left := b.TimeUntilReset(); left != time.Minute || opened != 2 {
					t.Errorf("%v left, announced as opened %d times", left, opened)
				}
			})
		})
	}
}

func TestCallThatWasUnderWayCountsAfterReconfiguring(t *testing.T) {
	for name, next := range map[string]circuitbreaker.Config{
		"same kind of window": {FailureThreshold: 2},
		"another kind":        {FailureThreshold: 2, SlidingWindowCalls: 10},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBreaker(t, circuitbreaker.Config{})
			permit, err := b.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			repeat(t, b, 1, fail)
			reconfigure(t, b, next)
			permit.Done(errDown)
			wantState(t, b, circuitbreaker.Open) // 2 in a row
			if m := b.Metrics(); m.TotalFailures != 2 {
				t.Fatalf("got %+v", m)
			}
		})
	}
}

func TestSuccessThatWasUnderWayCountsInTheNewWindow(t *testing.T) {
	for name, next := range map[string]circuitbreaker.Config{
		"same kind of window": {SlidingWindow: 2 * time.Minute},
		"another kind":        {SlidingWindowCalls: 10},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBreaker(t, circuitbreaker.Config{})
			repeat(t, b, 1, func(context.Context) error {
				reconfigure(t, b, next)
				b.RecordSuccess()
				return nil
			})
			if m := b.Metrics(); m.Calls != 2 || m.TotalSuccesses != 2 {
				t.Fatalf("got %+v", m)
			}
		})
	}
}

func TestReconfiguringByMistakeChangesNothing(t *testing.T) {
	b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 7})
	err := b.Reconfigure(circuitbreaker.Config{FailureThreshold: -1, MinimumCalls: -1})
	if !errors.Is(err, patterns.ErrConfiguration) || !strings.Contains(err.Error(), "minimum_calls") {
		t.Fatalf("got %v", err)
	}
	if b.Config().FailureThreshold != 7 {
		t.Fatalf("got %+v", b.Config())
	}
}

func TestReconfiguringLosesNoResult(t *testing.T) {
	b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 1 << 30, FailureRateThreshold: 1})
	const goroutines, calls = 4, 3000
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range calls {
				if g%2 == 0 {
					_ = b.Execute(t.Context(), func(context.Context) error { return nil })
				} else {
					b.RecordFailure(errDown)
				}
				if g == 0 && i%50 == 0 {
					cfg := b.Config()
					cfg.SlidingWindow = time.Duration(i%7+1) * 10 * time.Second
					cfg.SlidingWindowCalls = i % 3 * 50
					cfg.MinimumCalls = 20
					if err := b.Reconfigure(cfg); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	if m := b.Metrics(); m.TotalSuccesses+m.TotalFailures+m.TotalRejected != goroutines*calls {
		t.Fatalf("%d + %d + %d calls counted of %d", m.TotalSuccesses, m.TotalFailures, m.TotalRejected, goroutines*calls)
	}
}

func TestRegistryReconfiguresWhatItMade(t *testing.T) {
	own := circuitbreaker.Config{FailureThreshold: 9}
	r, err := circuitbreaker.NewRegistry(patterns.Instances[circuitbreaker.Config]{
		Named: map[string]circuitbreaker.Config{"orders": {FailureThreshold: 3}},
	})
	if err != nil {
		t.Fatal(err)
	}
	get := func(name string, cfg ...circuitbreaker.Config) *circuitbreaker.Breaker {
		b, err := r.GetOrCreate(name, cfg...)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	orders, payments, mine := get("orders"), get("payments"), get("mine", own)
	err = r.Reconfigure(patterns.Instances[circuitbreaker.Config]{Default: circuitbreaker.Config{FailureThreshold: -1}})
	if !errors.Is(err, patterns.ErrConfiguration) || payments.Config().FailureThreshold != 5 {
		t.Fatalf("got %v, and a threshold of %d", err, payments.Config().FailureThreshold)
	}
	err = r.Reconfigure(patterns.Instances[circuitbreaker.Config]{
		Default: circuitbreaker.Config{FailureThreshold: 6},
		Named:   map[string]circuitbreaker.Config{"payments": {FailureThreshold: 4}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for b, want := range map[*circuitbreaker.Breaker]int{orders: 6, payments: 4, mine: 9, get("new"): 6} {
		if got := b.Config().FailureThreshold; got != want {
			t.Errorf("the threshold of %s is %d, want %d", b.Name(), got, want)
		}
	}
}
