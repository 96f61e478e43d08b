package circuitbreaker_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/timeout"
)

var errDown = errors.New("dependency down")

func succeed(context.Context) error { return nil }
func fail(context.Context) error    { return errDown }

func newBreaker(t testing.TB, cfg circuitbreaker.Config, opts ...circuitbreaker.Option) *circuitbreaker.Breaker {
	t.Helper()
	b, err := circuitbreaker.New("payments", cfg, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// trip opens b, which must be closed and open after one failure in a row.
func trip(t testing.TB, b *circuitbreaker.Breaker) {
	t.Helper()
	if err := b.Execute(t.Context(), fail); !errors.Is(err, errDown) {
		t.Fatalf("the failing call returned %v", err)
	}
	wantState(t, b, circuitbreaker.Open)
}

func wantState(t testing.TB, b *circuitbreaker.Breaker, want circuitbreaker.State) {
	t.Helper()
	if got := b.State(); got != want {
		t.Fatalf("state is %v, want %v", got, want)
	}
}

func repeat(t testing.TB, b *circuitbreaker.Breaker, n int, op patterns.Operation) {
	t.Helper()
	for range n {
		_ = b.Execute(t.Context(), op)
	}
}

func TestZeroConfigHasTheDocumentedDefaults(t *testing.T) { // pitfall 35: a zero value that surprises
	b := newBreaker(t, circuitbreaker.Config{})
	want := circuitbreaker.DefaultConfig()
	want.Timeout = 0
	if got := b.Config(); got != want {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	repeat(t, b, 4, fail)
	wantState(t, b, circuitbreaker.Closed)
	repeat(t, b, 1, fail)
	wantState(t, b, circuitbreaker.Open)
}

func TestDefaultsAndPresetsAreThoseOfTheReference(t *testing.T) {
	tests := []struct {
		name              string
		cfg               circuitbreaker.Config
		failures, success int
		rate              float64
		recovery          time.Duration
	}{
		{"default", circuitbreaker.DefaultConfig(), 5, 3, 0.5, time.Minute},
		{"sensitive", circuitbreaker.Sensitive(), 3, 1, 0.3, 30 * time.Second},
		{"tolerant", circuitbreaker.Tolerant(), 10, 5, 0.7, 2 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.cfg
			if c.FailureThreshold != tt.failures || c.SuccessThreshold != tt.success ||
				c.FailureRateThreshold != tt.rate || c.RecoveryTimeout != tt.recovery {
				t.Errorf("got %+v", c)
			}
			if c.Timeout != 30*time.Second || c.HalfOpenMaxCalls != 3 || c.SlidingWindow != time.Minute {
				t.Errorf("got %+v", c)
			}
			if err := c.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestNewReportsEveryMistake(t *testing.T) { // pitfall 20: no validation
	_, err := circuitbreaker.New("", circuitbreaker.Config{
		FailureThreshold: -1, FailureRateThreshold: 1.5, MinimumCalls: -1, SlidingWindow: time.Nanosecond,
		RecoveryTimeout: -time.Second, HalfOpenMaxCalls: -1, SuccessThreshold: -1, Timeout: -1, Backend: "tape",
		SlowCallDuration: -1, SlowCallRateThreshold: math.NaN(), RecoveryBackoffFactor: 0.5, RecoveryJitter: 2,
		MaxRecoveryTimeout: -time.Minute, HalfOpenTimeout: -1,
	})
	if !errors.Is(err, patterns.ErrConfiguration) {
		t.Fatalf("got %v", err)
	}
	for _, field := range []string{
		"name", "failure_threshold", "failure_rate_threshold", "minimum_calls", "sliding_window_seconds",
		"recovery_timeout", "half_open_max_calls", "success_threshold", "timeout", "backend", "slow_call_duration",
		"slow_call_rate_threshold", "recovery_backoff_factor", "recovery_jitter", "max_recovery_timeout", "half_open_timeout",
	} {
		if !strings.Contains(err.Error(), field+": ") {
			t.Errorf("%q is missing in: %v", field, err)
		}
	}
}

func TestFieldsThatContradictEachOtherAreMistakes(t *testing.T) {
	for field, cfg := range map[string]circuitbreaker.Config{
		"sliding_window_calls": {SlidingWindowCalls: -1},
		"minimum_calls":        {SlidingWindowCalls: 10, MinimumCalls: 20},
		"slow_call_duration":   {SlowCallDuration: time.Second, Timeout: time.Second},
		"max_recovery_timeout": {MaxRecoveryTimeout: time.Second},
	} {
		_, err := circuitbreaker.New("payments", cfg)
		if !errors.Is(err, patterns.ErrConfiguration) || !strings.Contains(err.Error(), field+": ") {
			t.Errorf("%s: got %v", field, err)
		}
	}
	if _, err := circuitbreaker.New("payments", circuitbreaker.Config{SlidingWindowCalls: 100_001}); err == nil {
		t.Error("a window of 100,001 calls was accepted")
	}
	if got := newBreaker(t, circuitbreaker.Config{SlidingWindowCalls: 10}).Config().MinimumCalls; got != 10 {
		t.Errorf("the minimum of a window of 10 calls is %d by default", got)
	}
}

func TestSuccessEndsTheRunOfFailures(t *testing.T) {
	b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 3})
	for range 5 {
		repeat(t, b, 2, fail)
		repeat(t, b, 1, succeed)
	}
	wantState(t, b, circuitbreaker.Closed)
	repeat(t, b, 3, fail)
	wantState(t, b, circuitbreaker.Open)
}

func TestFailureRateNeedsTheMinimumOfCalls(t *testing.T) {
	b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 100, FailureRateThreshold: 0.5, MinimumCalls: 10})
	repeat(t, b, 9, fail)
	wantState(t, b, circuitbreaker.Closed)
	repeat(t, b, 1, succeed) // the tenth call: 90 % failed, and a success is what tells
	wantState(t, b, circuitbreaker.Open)
}

func TestRateThatFallsBeforeTheMinimumDoesNotOpen(t *testing.T) {
	b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 100, FailureRateThreshold: 0.5, MinimumCalls: 10})
	repeat(t, b, 4, fail)
	repeat(t, b, 20, succeed)
	wantState(t, b, circuitbreaker.Closed)
}

func TestPitfall13RateIsComparedExactly(t *testing.T) {
	tests := []struct {
		rate            float64
		failures, calls int
		opens           bool
	}{
		{0.07, 7, 100, true}, // 0.07*100 is 7.000000000000001 in floating point
		{0.07, 6, 100, false},
		{0.01, 1, 200, false}, // half of a percent is not one
		{0.01, 2, 200, true},
		{0.3, 3, 10, true},
		{1, 10, 10, true},
		{1, 9, 10, false},
		{2.0 / 3, 2, 3, true},
		{1.0 / 3, 1, 3, true},
		{0.34, 1, 3, false},
	}
	for _, tt := range tests {
		b := newBreaker(t, circuitbreaker.Config{
			FailureThreshold: 1000, FailureRateThreshold: tt.rate, MinimumCalls: tt.calls,
		})
		repeat(t, b, tt.calls-tt.failures, succeed)
		repeat(t, b, tt.failures, fail)
		if b.IsOpen() != tt.opens {
			t.Errorf("%d of %d calls failed, threshold %v: open is %v", tt.failures, tt.calls, tt.rate, b.IsOpen())
		}
	}
}

func TestPitfall14WindowExpiresWithoutTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 100, SlidingWindow: 30 * time.Second})
		repeat(t, b, 5, fail)
		time.Sleep(29 * time.Second)
		if m := b.Metrics(); m.Failures != 5 || m.FailureRate != 1 {
			t.Fatalf("within the window: %+v", m)
		}
		time.Sleep(time.Second)
		if m := b.Metrics(); m.Failures != 0 || m.Calls != 0 || m.FailureRate != 0 || m.TotalFailures != 5 {
			t.Fatalf("after the window: %+v", m)
		}
	})
}

func TestOldFailuresDoNotOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, circuitbreaker.Config{
			FailureThreshold: 100, FailureRateThreshold: 0.5, MinimumCalls: 10, SlidingWindow: 30 * time.Second,
		})
		repeat(t, b, 9, fail)
		time.Sleep(31 * time.Second)
		repeat(t, b, 6, succeed)
		repeat(t, b, 5, fail) // 5 of 11 in the window, 14 of 20 overall
		wantState(t, b, circuitbreaker.Closed)
		repeat(t, b, 1, fail)
		wantState(t, b, circuitbreaker.Open)
	})
}

func TestOpenRejectsWithTheTimeLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 1, RecoveryTimeout: time.Minute})
		trip(t, b)
		time.Sleep(20 * time.Second)
		ran := false
		err := b.Execute(t.Context(), func(context.Context) error { ran = true; return nil })
		var open *circuitbreaker.OpenError
		if !errors.As(err, &open) || ran {
			t.Fatalf("err %v, ran %v", err, ran)
		}
		if open.Name != "payments" || open.State != circuitbreaker.Open || open.RetryAfter != 40*time.Second {
			t.Errorf("got %+v", open)
		}
		for _, kind := range []error{circuitbreaker.ErrOpen, patterns.ErrRejected, patterns.ErrResilience} {
			if !errors.Is(err, kind) {
				t.Errorf("does not match %v", kind)
			}
		}
		if patterns.Code(err) != "LEX_ERR_RES_009" {
			t.Errorf("code is %q", patterns.Code(err))
		}
		if left := b.TimeUntilReset(); left != 40*time.Second {
			t.Errorf("time until reset is %v", left)
		}
		if m := b.Metrics(); m.TotalRejected != 1 {
			t.Errorf("got %+v", m)
		}
	})
}

func TestStateIsHalfOpenByTimeAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 1, RecoveryTimeout: time.Minute})
		trip(t, b)
		time.Sleep(time.Minute)
		wantState(t, b, circuitbreaker.HalfOpen)
		m := b.Metrics()
		if m.TimeUntilReset != 0 || !m.Since.Equal(time.Now()) {
			t.Fatalf("got %+v", m)
		}
	})
}

// halfOpen returns a breaker whose next call is a probe.
func halfOpen(t *testing.T, cfg circuitbreaker.Config, opts ...circuitbreaker.Option) *circuitbreaker.Breaker {
	t.Helper()
	cfg.FailureThreshold, cfg.RecoveryTimeout = 1, time.Minute
	b := newBreaker(t, cfg, opts...)
	trip(t, b)
	time.Sleep(time.Minute)
	return b
}

func TestPitfalls31And32And34HalfOpenAdmitsSoManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpen(t, circuitbreaker.Config{HalfOpenMaxCalls: 2, SuccessThreshold: 3})
		release := make(chan struct{})
		var admitted, rejected atomic.Int32
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				err := b.Execute(t.Context(), func(context.Context) error {
					admitted.Add(1)
					<-release
					return nil
				})
				if errors.Is(err, circuitbreaker.ErrOpen) {
					rejected.Add(1)
				}
			})
		}
		synctest.Wait()
		if admitted.Load() != 2 || rejected.Load() != 98 {
			t.Fatalf("admitted %d, rejected %d", admitted.Load(), rejected.Load())
		}
		close(release)
		wg.Wait()
		wantState(t, b, circuitbreaker.HalfOpen) // 2 of the 3 successes that it needs
		repeat(t, b, 1, succeed)
		wantState(t, b, circuitbreaker.Closed)
	})
}

func TestFailedProbeOpensAgainForTheWholeWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpen(t, circuitbreaker.Config{SuccessThreshold: 2})
		repeat(t, b, 1, succeed)
		repeat(t, b, 1, fail)
		wantState(t, b, circuitbreaker.Open)
		if left := b.TimeUntilReset(); left != time.Minute {
			t.Fatalf("time until reset is %v", left)
		}
	})
}

func TestClosingStartsAnEmptyWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, circuitbreaker.Config{
			FailureThreshold: 100, FailureRateThreshold: 0.5, MinimumCalls: 2, RecoveryTimeout: time.Millisecond,
			SuccessThreshold: 1, SlidingWindow: time.Hour,
		})
		repeat(t, b, 2, fail)
		wantState(t, b, circuitbreaker.Open)
		time.Sleep(time.Millisecond)
		repeat(t, b, 1, succeed)
		if m := b.Metrics(); m.State != circuitbreaker.Closed || m.Calls != 0 || m.ConsecutiveFailures != 0 {
			t.Fatalf("got %+v", m)
		}
		repeat(t, b, 2, succeed)
		repeat(t, b, 1, fail)
		wantState(t, b, circuitbreaker.Closed)
	})
}

func TestPitfall01PanickingProbeGivesItsPlaceBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpen(t, circuitbreaker.Config{HalfOpenMaxCalls: 1, SuccessThreshold: 1})
		func() {
			defer func() {
				if recover() != "boom" {
					t.Error("the panic did not pass through")
				}
			}()
			_ = b.Execute(t.Context(), func(context.Context) error { panic("boom") })
		}()
		wantState(t, b, circuitbreaker.Open) // it counted as a failure
		time.Sleep(time.Minute)
		repeat(t, b, 1, succeed)
		wantState(t, b, circuitbreaker.Closed)
	})
}

func TestPitfall25GoexitAndHungProbesGiveTheirPlaceBack(t *testing.T) {
	t.Run("goexit", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := halfOpen(t, circuitbreaker.Config{HalfOpenMaxCalls: 1, SuccessThreshold: 1})
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = b.Execute(t.Context(), func(context.Context) error { runtime.Goexit(); return nil })
			}()
			<-done
			wantState(t, b, circuitbreaker.Open)
			time.Sleep(time.Minute)
			repeat(t, b, 1, succeed)
			wantState(t, b, circuitbreaker.Closed)
		})
	})
	t.Run("hang", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := halfOpen(t, circuitbreaker.Config{HalfOpenMaxCalls: 1, SuccessThreshold: 1})
			release, done := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(done)
				_ = b.Execute(t.Context(), func(context.Context) error { <-release; return nil })
			}()
			synctest.Wait()
			wantState(t, b, circuitbreaker.HalfOpen)
			time.Sleep(time.Minute) // the lease, which is the recovery timeout where there is no other
			wantState(t, b, circuitbreaker.Open)
			time.Sleep(time.Minute)
			wantState(t, b, circuitbreaker.HalfOpen)
			close(release)
			<-done // the lost probe comes back as a success, of an older generation
			wantState(t, b, circuitbreaker.HalfOpen)
			if m := b.Metrics(); m.ProbeSuccesses != 0 {
				t.Fatalf("the lost probe counted: %+v", m)
			}
			repeat(t, b, 1, succeed)
			wantState(t, b, circuitbreaker.Closed)
		})
	})
	t.Run("permit that is never returned", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := halfOpen(t, circuitbreaker.Config{HalfOpenMaxCalls: 1, SuccessThreshold: 1})
			if _, err := b.Acquire(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Minute)
			repeat(t, b, 1, succeed)
			wantState(t, b, circuitbreaker.Closed)
		})
	})
}

func TestPitfall04ResultsFromBeforeTheTripDoNotClose(t *testing.T) { // and pitfall 26, done right
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, circuitbreaker.Config{
			FailureThreshold: 1, RecoveryTimeout: time.Minute, SuccessThreshold: 3, HalfOpenMaxCalls: 1,
		})
		release := make(chan struct{})
		var wg sync.WaitGroup
		for range 3 { // slow calls, begun while closed
			wg.Go(func() { _ = b.Execute(t.Context(), func(context.Context) error { <-release; return nil }) })
		}
		synctest.Wait()
		trip(t, b)
		time.Sleep(time.Minute)
		probe, err := b.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		close(release)
		wg.Wait()
		if m := b.Metrics(); m.State != circuitbreaker.HalfOpen || m.ProbeSuccesses != 0 || m.TotalSuccesses != 3 {
			t.Fatalf("got %+v", m)
		}
		probe.Done(errDown)
		wantState(t, b, circuitbreaker.Open)
	})
}

func TestPitfall05LateResultsDoNotAddProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, circuitbreaker.Config{
			FailureThreshold: 1, RecoveryTimeout: time.Minute, SuccessThreshold: 100, HalfOpenMaxCalls: 2,
		})
		var old []*circuitbreaker.Permit
		for range 5 {
			p, err := b.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			old = append(old, p)
		}
		trip(t, b)
		time.Sleep(time.Minute)
		for range 2 {
			if _, err := b.Acquire(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range old {
			p.Done(context.Canceled)
			if _, err := b.Acquire(t.Context()); !errors.Is(err, circuitbreaker.ErrOpen) {
				t.Fatalf("a late result made room for another probe: %v", err)
			}
		}
	})
}

func TestPitfall36DoneCountsOnce(t *testing.T) {
	b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 100})
	p, err := b.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.Done(errDown)
	p.Done(errDown)
	p.Done(nil)
	if m := b.Metrics(); m.Failures != 1 || m.Successes != 0 {
		t.Fatalf("got %+v", m)
	}
}

func TestPitfall15CallersThatGoAwayDoNotCount(t *testing.T) {
	t.Run("closed", func(t *testing.T) {
		b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 1})
		ctx, cancel := context.WithCancel(t.Context())
		err := b.Execute(ctx, func(ctx context.Context) error { cancel(); return ctx.Err() })
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if m := b.Metrics(); m.State != circuitbreaker.Closed || m.Failures != 0 || m.TotalIgnored != 1 {
			t.Fatalf("got %+v", m)
		}
	})
	t.Run("half-open neither closes nor opens", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := halfOpen(t, circuitbreaker.Config{HalfOpenMaxCalls: 1, SuccessThreshold: 1})
			for range 10 {
				ctx, cancel := context.WithCancel(t.Context())
				_ = b.Execute(ctx, func(ctx context.Context) error { cancel(); return ctx.Err() })
				wantState(t, b, circuitbreaker.HalfOpen)
			}
			repeat(t, b, 1, succeed)
			wantState(t, b, circuitbreaker.Closed)
		})
	})
	t.Run("a deadline that passes during the call is a failure", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 1})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_ = b.Execute(ctx, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
			wantState(t, b, circuitbreaker.Open)
		})
	})
	t.Run("a deadline that had passed before is not", func(t *testing.T) {
		b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 1})
		ctx, cancel := context.WithTimeout(t.Context(), 0)
		defer cancel()
		_ = b.Execute(ctx, func(ctx context.Context) error { return ctx.Err() })
		permit, err := b.Acquire(ctx)
		if err != nil {
			t.Fatal(err)
		}
		permit.Done(ctx.Err())
		if m := b.Metrics(); m.State != circuitbreaker.Closed || m.TotalIgnored != 2 {
			t.Fatalf("got %+v", m)
		}
	})
}

func TestPitfall33RejectionsOfOthersDoNotCount(t *testing.T) {
	inner := newBreaker(t, circuitbreaker.Config{})
	inner.ForceOpen()
	outer := newBreaker(t, circuitbreaker.Config{FailureThreshold: 1})
	err := outer.Execute(t.Context(), func(ctx context.Context) error { return inner.Execute(ctx, succeed) })
	if !errors.Is(err, circuitbreaker.ErrOpen) {
		t.Fatal(err)
	}
	wantState(t, outer, circuitbreaker.Closed)
}

func TestPitfall35PanicsCount(t *testing.T) {
	b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 3})
	for range 3 {
		func() {
			defer func() { _ = recover() }()
			_ = b.Execute(t.Context(), func(context.Context) error { panic("boom") })
		}()
	}
	wantState(t, b, circuitbreaker.Open)
}

func TestPitfall16ForcedOpenStaysUntilReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, circuitbreaker.Config{RecoveryTimeout: time.Minute})
		b.ForceOpen()
		time.Sleep(24 * time.Hour)
		err := b.Execute(t.Context(), succeed)
		var open *circuitbreaker.OpenError
		if !errors.As(err, &open) || open.State != circuitbreaker.ForcedOpen || open.RetryAfter != 0 {
			t.Fatalf("got %v", err)
		}
		wantState(t, b, circuitbreaker.ForcedOpen)
		b.Reset()
		if err := b.Execute(t.Context(), succeed); err != nil {
			t.Fatal(err)
		}
		wantState(t, b, circuitbreaker.Closed)
	})
}

func TestDisabledLetsEverythingThroughUncounted(t *testing.T) {
	b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 1})
	b.Disable()
	repeat(t, b, 10, fail)
	if m := b.Metrics(); m.State != circuitbreaker.Disabled || m.TotalFailures != 0 {
		t.Fatalf("got %+v", m)
	}
	b.Reset()
	repeat(t, b, 1, fail)
	wantState(t, b, circuitbreaker.Open)
}

func TestClassification(t *testing.T) {
	errBusiness, errOther := errors.New("no such account"), errors.New("other")
	tests := []struct {
		name string
		opts []circuitbreaker.Option
		err  error
		want patterns.Outcome
	}{
		{"any error fails", nil, errOther, patterns.Failure},
		{"listed failure", []circuitbreaker.Option{circuitbreaker.WithFailures(errDown)}, errDown, patterns.Failure},
		{"not listed", []circuitbreaker.Option{circuitbreaker.WithFailures(errDown)}, errOther, patterns.Ignored},
		{"ignored", []circuitbreaker.Option{circuitbreaker.WithIgnored(errBusiness)}, errBusiness, patterns.Ignored},
		{"ignored wins", []circuitbreaker.Option{
			circuitbreaker.WithFailures(errBusiness), circuitbreaker.WithIgnored(errBusiness),
		}, errBusiness, patterns.Ignored},
		{"classifier", []circuitbreaker.Option{
			circuitbreaker.WithClassifier(func(context.Context, error) patterns.Outcome { return patterns.Success }),
		}, errDown, patterns.Success},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBreaker(t, circuitbreaker.Config{}, tt.opts...)
			if err := b.Execute(t.Context(), func(context.Context) error { return tt.err }); !errors.Is(err, tt.err) {
				t.Fatalf("the error changed: %v", err)
			}
			m := b.Metrics()
			got := map[patterns.Outcome]uint64{
				patterns.Success: m.TotalSuccesses, patterns.Failure: m.TotalFailures, patterns.Ignored: m.TotalIgnored,
			}
			for outcome, n := range got {
				if want := uint64(0); outcome == tt.want && n != 1 || outcome != tt.want && n != want {
					t.Errorf("counted %v", got)
				}
			}
		})
	}
}

func TestCallTimeoutIsATimeoutAndAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 1, Timeout: time.Second})
		err := b.Execute(t.Context(), func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		if !errors.Is(err, timeout.ErrTimeout) || errors.Is(err, circuitbreaker.ErrOpen) {
			t.Fatalf("got %v", err)
		}
		wantState(t, b, circuitbreaker.Open)
	})
}

func TestFallbackRunsOnlyWhenRejected(t *testing.T) {
	errInstead := errors.New("instead")
	var given error
	b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 1},
		circuitbreaker.WithFallback(func(_ context.Context, rejection error) error { given = rejection; return errInstead }))
	trip(t, b)
	if given != nil {
		t.Fatal("the fallback ran for a failure")
	}
	if err := b.Execute(t.Context(), succeed); !errors.Is(err, errInstead) {
		t.Fatal(err)
	}
	if !errors.Is(given, circuitbreaker.ErrOpen) {
		t.Fatalf("the fallback was given %v", given)
	}
}

func TestRecordedResultsCountLikeCalls(t *testing.T) {
	b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 2}, circuitbreaker.WithIgnored(context.Canceled))
	b.RecordFailure(errDown)
	b.RecordSuccess()
	b.RecordFailure(context.Canceled)
	b.RecordFailure(errDown)
	if m := b.Metrics(); m.Successes != 1 || m.Failures != 2 || m.TotalIgnored != 1 || m.ConsecutiveFailures != 1 {
		t.Fatalf("got %+v", m)
	}
	b.RecordFailure(errDown)
	wantState(t, b, circuitbreaker.Open)
	b.RecordSuccess()
	wantState(t, b, circuitbreaker.Open)
}

func TestTransitionsAreAnnouncedOnceAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := new(hooks.Bus)
		var got []string
		hooks.On(bus, func(_ context.Context, e hooks.Event) { got = append(got, e.EventName()) })
		b := halfOpen(t, circuitbreaker.Config{SuccessThreshold: 1}, circuitbreaker.WithBus(bus))
		repeat(t, b, 1, fail)
		repeat(t, b, 1, succeed) // rejected
		time.Sleep(time.Minute)
		repeat(t, b, 1, succeed)
		b.Reset() // changes nothing
		b.ForceOpen()
		b.ForceOpen() // nor does this
		b.Disable()
		b.Reset()
		want := []string{
			"circuit_breaker.opened", "circuit_breaker.half_opened", "circuit_breaker.opened", "circuit_breaker.rejected",
			"circuit_breaker.half_opened", "circuit_breaker.closed", "circuit_breaker.opened", "circuit_breaker.closed",
			"circuit_breaker.closed",
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Fatalf("got  %v\nwant %v", got, want)
		}
	})
}

func TestOpenedSaysWhy(t *testing.T) {
	bus := new(hooks.Bus)
	var got hooks.CircuitOpened
	hooks.On(bus, func(_ context.Context, e hooks.CircuitOpened) { got = e })
	b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 2, RecoveryTimeout: time.Minute}, circuitbreaker.WithBus(bus))
	repeat(t, b, 3, succeed)
	repeat(t, b, 2, fail)
	if got.Name != "payments" || got.Consecutive != 2 || got.Failures != 2 || got.Calls != 5 || got.Forced || got.RetryAfter > time.Minute {
		t.Fatalf("got %+v", got)
	}
}

func TestPitfall06PanickingListenerHarmsNobody(t *testing.T) {
	bus := new(hooks.Bus)
	hooks.On(bus, func(context.Context, hooks.CircuitOpened) { panic("listener") })
	b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 1}, circuitbreaker.WithBus(bus))
	trip(t, b)
	b.Reset()
	trip(t, b)
	if panics := bus.Stats().Panics; panics != 2 {
		t.Fatalf("%d panics counted", panics)
	}
}

func TestPitfall24ListenersMayAskTheBreaker(t *testing.T) {
	bus := new(hooks.Bus)
	var b *circuitbreaker.Breaker
	var seen circuitbreaker.State
	hooks.On(bus, func(context.Context, hooks.CircuitOpened) {
		seen = b.State()
		_ = b.Metrics()
		b.Reset()
	})
	b = newBreaker(t, circuitbreaker.Config{FailureThreshold: 1}, circuitbreaker.WithBus(bus))
	_ = b.Execute(t.Context(), fail)
	if seen != circuitbreaker.Open {
		t.Fatalf("the listener saw %v", seen)
	}
	wantState(t, b, circuitbreaker.Closed)
}

func TestListenerThatExitsDoesNotSilenceLaterEvents(t *testing.T) {
	bus := new(hooks.Bus)
	var opened, closed int
	hooks.On(bus, func(context.Context, hooks.CircuitOpened) { opened++; runtime.Goexit() })
	hooks.On(bus, func(context.Context, hooks.CircuitClosed) { closed++ })
	b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 1}, circuitbreaker.WithBus(bus))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = b.Execute(context.Background(), fail)
	}()
	<-done
	b.Reset()
	if opened != 1 || closed != 1 {
		t.Fatalf("opened %d, closed %d", opened, closed)
	}
}

func TestEventsKeepTheOrderOfTheTransitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus, release := new(hooks.Bus), make(chan struct{})
		var got []string
		hooks.On(bus, func(context.Context, hooks.CircuitOpened) { <-release; got = append(got, "opened") })
		hooks.On(bus, func(context.Context, hooks.CircuitClosed) { got = append(got, "closed") })
		b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 1}, circuitbreaker.WithBus(bus))
		go func() { _ = b.Execute(t.Context(), fail) }()
		synctest.Wait() // its listener is at work
		b.Reset()       // leaves its event to the goroutine that delivers
		close(release)
		synctest.Wait()
		if strings.Join(got, " ") != "opened closed" {
			t.Fatalf("got %v", got)
		}
	})
}

func TestCommandsAreAnnouncedWhateverTheStateWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := new(hooks.Bus)
		var last hooks.Event
		hooks.On(bus, func(_ context.Context, e hooks.Event) { last = e })
		b := halfOpen(t, circuitbreaker.Config{HalfOpenMaxCalls: 1}, circuitbreaker.WithBus(bus))
		if _, err := b.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.ForceOpen()
		if e, ok := last.(hooks.CircuitOpened); !ok || !e.Forced {
			t.Errorf("forced open while half-open: %#v", last)
		}
		b.Disable()
		if e, ok := last.(hooks.CircuitClosed); !ok || !e.Disabled || e.Reset {
			t.Errorf("disabled: %#v", last)
		}
		b.Reset()
		if e, ok := last.(hooks.CircuitClosed); !ok || e.Disabled || !e.Reset {
			t.Errorf("reset: %#v", last)
		}
	})
}

func TestLookingAtABreakerAnnouncesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus, events := new(hooks.Bus), 0
		b := halfOpen(t, circuitbreaker.Config{HalfOpenMaxCalls: 1}, circuitbreaker.WithBus(bus))
		if _, err := b.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		hooks.On(bus, func(context.Context, hooks.Event) { events++ })
		time.Sleep(time.Minute) // the lease of the probe
		wantState(t, b, circuitbreaker.Open)
		if m := b.Metrics(); m.ProbesInFlight != 0 || m.TimeUntilReset != time.Minute || events != 0 {
			t.Fatalf("%d events, %+v", events, m)
		}
		_ = b.Execute(t.Context(), succeed)
		if events != 2 { // it had opened, and rejects
			t.Fatalf("%d events", events)
		}
	})
}

func TestOpeningThatIsNoticedLateHasNoTimeLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := new(hooks.Bus)
		b := halfOpen(t, circuitbreaker.Config{HalfOpenMaxCalls: 1}, circuitbreaker.WithBus(bus))
		if _, err := b.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		left := time.Duration(-1)
		hooks.On(bus, func(_ context.Context, e hooks.CircuitOpened) { left = e.RetryAfter })
		time.Sleep(time.Hour)
		if err := b.Execute(t.Context(), succeed); err != nil || left != 0 {
			t.Fatalf("%v left, %v", left, err)
		}
	})
}

func TestPanickingClassifierGivesTheProbeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 1, HalfOpenMaxCalls: 1, RecoveryTimeout: time.Minute},
			circuitbreaker.WithClassifier(func(context.Context, error) patterns.Outcome { panic("classifier") }))
		call := func() (value any) {
			defer func() { value = recover() }()
			_ = b.Execute(t.Context(), succeed)
			return nil
		}
		if call() != "classifier" {
			t.Fatal("the panic did not pass through")
		}
		wantState(t, b, circuitbreaker.Open) // a panic is a failure
		time.Sleep(time.Minute)
		call()
		if m := b.Metrics(); m.State != circuitbreaker.Open || m.ProbesInFlight != 0 {
			t.Fatalf("got %+v", m)
		}
	})
}

func TestPanickingClassifierGivesThePermitBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpen(t, circuitbreaker.Config{HalfOpenMaxCalls: 1},
			circuitbreaker.WithClassifier(func(_ context.Context, err error) patterns.Outcome {
				if err == nil {
					panic("classifier")
				}
				return patterns.Failure
			}))
		permit, err := b.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() { _ = recover() }()
			permit.Done(nil)
		}()
		wantState(t, b, circuitbreaker.Open)
	})
}

func TestListenerThatExitsLosesNoProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := new(hooks.Bus)
		b := halfOpen(t, circuitbreaker.Config{HalfOpenMaxCalls: 1, SuccessThreshold: 1}, circuitbreaker.WithBus(bus))
		remove := hooks.On(bus, func(context.Context, hooks.CircuitHalfOpened) { runtime.Goexit() })
		go func() { _ = b.Execute(t.Context(), succeed) }()
		synctest.Wait()
		remove()
		if m := b.Metrics(); m.State != circuitbreaker.HalfOpen || m.ProbesInFlight != 0 {
			t.Fatalf("got %+v", m)
		}
		repeat(t, b, 1, succeed)
		wantState(t, b, circuitbreaker.Closed)
	})
}

func TestListenerThatExitsStrandsNoEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus, release := new(hooks.Bus), make(chan struct{})
		closed := 0
		hooks.On(bus, func(context.Context, hooks.CircuitOpened) { <-release; runtime.Goexit() })
		hooks.On(bus, func(context.Context, hooks.CircuitClosed) { closed++ })
		b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 1}, circuitbreaker.WithBus(bus))
		go func() { _ = b.Execute(t.Context(), fail) }()
		synctest.Wait()
		b.Reset() // left to the goroutine whose listener will end it
		close(release)
		synctest.Wait()
		if closed != 1 {
			t.Fatalf("delivered %d times", closed)
		}
	})
}

func TestFailureWithoutAnErrorCounts(t *testing.T) {
	b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 1})
	b.RecordFailure(nil)
	wantState(t, b, circuitbreaker.Open)
}

func TestTotalsNeverGoDown(t *testing.T) {
	b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 1 << 30, SlidingWindow: time.Millisecond})
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for range 2 {
		writers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					b.RecordSuccess()
				}
			}
		})
	}
	var last uint64
	for range 20_000 {
		m := b.Metrics()
		if m.TotalSuccesses < last {
			t.Errorf("from %d to %d", last, m.TotalSuccesses)
			break
		}
		last = m.TotalSuccesses
	}
	close(stop)
	writers.Wait()
}

func TestFailuresAtTheSameTimeOpenOnce(t *testing.T) {
	var opened atomic.Int32
	bus := new(hooks.Bus)
	hooks.On(bus, func(context.Context, hooks.CircuitOpened) { opened.Add(1) })
	for range 500 {
		opened.Store(0)
		b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 1}, circuitbreaker.WithBus(bus))
		start := make(chan struct{})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { <-start; b.RecordFailure(errDown) })
		}
		close(start)
		wg.Wait()
		if m := b.Metrics(); opened.Load() != 1 || m.Generation != 1 {
			t.Fatalf("announced %d times, generation %d", opened.Load(), m.Generation)
		}
	}
}

func TestConcurrentCallsLoseNoResult(t *testing.T) {
	b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 1 << 30, FailureRateThreshold: 1, SlidingWindow: time.Millisecond})
	const goroutines, calls = 8, 5000
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for range calls {
				if g%2 == 0 {
					b.RecordSuccess()
				} else {
					_ = b.Execute(t.Context(), fail)
				}
				_ = b.Metrics()
			}
		})
	}
	wg.Wait()
	m := b.Metrics()
	if m.TotalSuccesses+m.TotalFailures+m.TotalRejected != goroutines*calls {
		t.Fatalf("%d + %d + %d calls counted of %d", m.TotalSuccesses, m.TotalFailures, m.TotalRejected, goroutines*calls)
	}
}
