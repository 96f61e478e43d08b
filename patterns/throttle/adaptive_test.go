package throttle_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/ratelimit"
	"github.com/steadyfx/steady/patterns/throttle"
)

// The model keeps every call with its time; which of them are rejected it learns from the real one.
func TestAdaptiveBehavesLikeItsModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Of a *testing.T rapid would ask the Deadline, which is not allowed in a bubble.
		rapid.Check(struct{ rapid.TB }{t}, compareAdaptive)
	})
}

func compareAdaptive(t *rapid.T) {
	type ended struct {
		slot     int
		accepted bool
	}
	cfg := throttle.AdaptiveConfig{
		K:      rapid.SampledFrom([]float64{1, 1.5, 2}).Draw(t, "k"),
		Window: 10 * time.Second, MaxRejection: 0.75, MinRequests: rapid.IntRange(1, 8).Draw(t, "min"),
	}
	begun := time.Now()
	a := newAdaptive(t, cfg)
	var calls []ended
	var rejected uint64
	slot := func() int { return int(time.Since(begun) / time.Second) }
	expect := func() (requests, accepts int, p float64) {
		for _, c := range calls {
			if c.slot > slot()-10 {
				requests++
				if c.accepted {
					accepts++
				}
			}
		}
		if requests >= cfg.MinRequests {
			p = min(0.75, max(0, (float64(requests)-cfg.K*float64(accepts))/float64(requests+1)))
		}
		return requests, accepts, p
	}
	call := func(err error) {
		_, _, p := expect()
		ran := false
		got := a.Execute(context.Background(), func(context.Context) error { ran = true; return err })
		switch {
		case !ran && p == 0:
			t.Fatal("rejected with probability 0")
		case !ran:
			if !errors.Is(got, ratelimit.ErrLimited) {
				t.Fatalf("rejected with %v", got)
			}
			rejected++
			calls = append(calls, ended{slot(), false})
		case got != err:
			t.Fatalf("got %v, want %v", got, err)
		case !errors.Is(err, patterns.ErrRejected):
			calls = append(calls, ended{slot(), err == nil})
		}
	}
	t.Repeat(map[string]func(*rapid.T){
		"succeed": func(*rapid.T) { call(nil) },
		"fail": func(t *rapid.T) {
			for range rapid.IntRange(1, 10).Draw(t, "n") {
				call(errBoom)
			}
		},
		"ignored": func(*rapid.T) { call(patterns.ErrRejected) },
		"time": func(t *rapid.T) {
			time.Sleep(time.Duration(rapid.IntRange(1, 15_000).Draw(t, "milliseconds")) * time.Millisecond)
		},
		"": func(t *rapid.T) {
			requests, accepts, p := expect()
			s := a.Stats()
			if s.Requests != requests || s.Accepts != accepts || s.Rejected != rejected || math.Abs(s.Probability-p) > 1e-9 {
				t.Fatalf("got %+v; the model says %d, %d, %v, %d", s, requests, accepts, p, rejected)
			}
		},
	})
}

// overload wants so many calls a second of a dependency that can take capacity of them, for some windows of 10 s, and
// returns how many a second reach it.
func overload(ctx context.Context, a *throttle.Adaptive, wanted, capacity int) (sent float64) {
	const warm, measured = 40, 60
	n := 0
	for second := range warm + measured {
		served := 0
		for range wanted {
			_ = a.Execute(ctx, func(context.Context) error {
				if second >= warm {
					n++
				}
				if served++; served > capacity {
					return errBoom
				}
				return nil
			})
			time.Sleep(time.Second / time.Duration(wanted))
		}
	}
	return float64(n) / measured
}

// Were rejected calls not counted as requests, the dependency would get sqrt(2 * 100 * 1000) = 447 calls a second.
func TestDependencyGetsKTimesWhatItTakes(t *testing.T) {
	for k, want := range map[float64]float64{1.5: 150, 2: 200, 3: 300} {
		synctest.Test(t, func(t *testing.T) {
			a := newAdaptive(t, throttle.AdaptiveConfig{K: k, Window: 10 * time.Second})
			if got := overload(t.Context(), a, 1000, 100); got < 0.9*want || got > 1.1*want {
				t.Errorf("K %v: %v calls a second, want about %v", k, got, want)
			}
		})
	}
}

func TestHealthyDependencyIsNeverThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdaptive(t, throttle.AdaptiveConfig{})
		overload(t.Context(), a, 100, 60) // K is 2, so even 40 % failures are let pass
		if s := a.Stats(); s.Rejected != 0 || s.Probability != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestSomeCallsGetThroughHoweverLongItFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdaptive(t, throttle.AdaptiveConfig{MaxRejection: 0.8})
		sent := 0
		for range 10_000 {
			_ = a.Execute(t.Context(), func(context.Context) error { sent++; return errBoom })
		}
		if a.Stats().Probability != 0.8 || sent < 1500 || sent > 2500 {
			t.Errorf("%d of 10000 were sent, %+v", sent, a.Stats())
		}
	})
}

func TestRecoveryIsSeenWithinTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdaptive(t, throttle.AdaptiveConfig{Window: 10 * time.Second})
		for range 2000 {
			_ = a.Execute(t.Context(), fail)
			time.Sleep(10 * time.Millisecond)
		}
		for range 4500 {
			_ = a.Execute(t.Context(), noop)
			time.Sleep(10 * time.Millisecond)
		}
		if s := a.Stats(); s.Probability != 0 {
			t.Errorf("45 s after the recovery: %+v", s)
		}
	})
}

func TestCallIsForgottenAWindowAfterItEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdaptive(t, throttle.AdaptiveConfig{Window: 10 * time.Second})
		_ = a.Execute(t.Context(), noop)
		time.Sleep(5 * time.Second)
		_ = a.Execute(t.Context(), fail)
		time.Sleep(5 * time.Second)
		if s := a.Stats(); s.Requests != 1 || s.Accepts != 0 {
			t.Errorf("after 10 s: %+v", s)
		}
		time.Sleep(5 * time.Second)
		if s := a.Stats(); s.Requests != 0 {
			t.Errorf("after 15 s: %+v", s)
		}
	})
}

func TestFewFailuresAreNotEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdaptive(t, throttle.AdaptiveConfig{MinRequests: 5})
		for range 4 {
			if err := a.Execute(t.Context(), fail); err != errBoom || a.Stats().Probability != 0 {
				t.Errorf("%v, %+v", err, a.Stats())
			}
		}
		_ = a.Execute(t.Context(), fail)
		if got := a.Stats().Probability; got != 5.0/6 {
			t.Errorf("after the fifth failure: %v", got)
		}
		time.Sleep(30 * time.Second)
		for range 4 {
			if err := a.Execute(t.Context(), fail); err != errBoom {
				t.Errorf("a window later: %v", err)
			}
		}
	})
}

func TestCallsThatTeachNothingAreNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errMine := errors.New("mine")
		a := newAdaptive(t, throttle.AdaptiveConfig{}, throttle.WithClassifier(
			func(_ context.Context, err error) patterns.Outcome {
				if errors.Is(err, errMine) {
					return patterns.Ignored
				}
				return patterns.Success
			}))
		_ = a.Execute(t.Context(), func(context.Context) error { return errMine })
		_ = a.Execute(t.Context(), fail)
		if s := a.Stats(); s.Requests != 1 || s.Accepts != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestPanicAndGoexitAreFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdaptive(t, throttle.AdaptiveConfig{})
		for _, end := range []func(){func() { panic("boom") }, runtime.Goexit} {
			var wg sync.WaitGroup
			wg.Add(1)
			go func() {
				defer wg.Done()
				defer func() { _ = recover() }()
				_ = a.Execute(t.Context(), func(context.Context) error { end(); return nil })
			}()
			wg.Wait()
		}
		if s := a.Stats(); s.Requests != 2 || s.Accepts != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestRejectionIsAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus hooks.Bus
		var events []hooks.RateLimited
		hooks.On(&bus, func(_ context.Context, e hooks.RateLimited) { events = append(events, e) })
		a := newAdaptive(t, throttle.AdaptiveConfig{}, throttle.WithBus(&bus))
		var err error
		p := patterns.Compose(patterns.Direct{}, a, patterns.Direct{})
		for range 200 {
			if err = p.Execute(t.Context(), fail); errors.Is(err, ratelimit.ErrLimited) {
				break
			}
		}
		if patterns.Code(err) != "LEX_ERR_RES_012" || !errors.Is(err, patterns.ErrRejected) || !patterns.IsSequential(p) {
			t.Errorf("got %v", err)
		}
		if len(events) != 1 || events[0] != (hooks.RateLimited{Name: "api", At: time.Now()}) || a.Name() != "api" {
			t.Errorf("got %+v", events)
		}
	})
}

func TestAdaptiveConfigurationIsChecked(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  throttle.AdaptiveConfig
		want string
	}{
		{"zero", throttle.AdaptiveConfig{}, ""},
		{"default", throttle.DefaultAdaptiveConfig(), ""},
		{"least", throttle.AdaptiveConfig{K: 1, Window: time.Millisecond, MaxRejection: 0.01, MinRequests: 1}, ""},
		{"k", throttle.AdaptiveConfig{K: 0.9}, "k"},
		{"k is no number", throttle.AdaptiveConfig{K: math.NaN()}, "k"},
		{"window", throttle.AdaptiveConfig{Window: time.Microsecond}, "window"},
		{"max rejection", throttle.AdaptiveConfig{MaxRejection: 1}, "max_rejection"},
		{"negative max rejection", throttle.AdaptiveConfig{MaxRejection: -0.1}, "max_rejection"},
		{"min requests", throttle.AdaptiveConfig{MinRequests: -1}, "min_requests"},
	} {
		check(t, tt.name, tt.want, func() error { _, err := throttle.NewAdaptive("api", tt.cfg); return err })
	}
	check(t, "name", "name", func() error { _, err := throttle.NewAdaptive("", throttle.AdaptiveConfig{}); return err })
	if err := (throttle.AdaptiveConfig{}).Validate(); err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("not everything is reported at once: %v", err)
	}
}

// The race detector's food.
func TestCallsAreCountedFromManyGoroutines(t *testing.T) {
	a := newAdaptive(t, throttle.AdaptiveConfig{Window: time.Hour})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for k := range 500 {
				op := noop
				if (i+k)%4 != 0 {
					op = fail
				}
				_ = a.Execute(context.Background(), op)
				a.Stats()
			}
		})
	}
	wg.Wait()
	if s := a.Stats(); s.Requests != 4000 {
		t.Errorf("%+v", s)
	}
}
