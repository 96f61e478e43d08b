package retry_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/retry"
)

var kinds = []retry.JitterKind{
	"", retry.FractionJitter, retry.FullJitter, retry.EqualJitter, retry.DecorrelatedJitter, retry.SmoothJitter,
}

func TestBackoffsGrowAsTheySay(t *testing.T) {
	tests := []struct {
		backoff retry.Backoff
		want    []time.Duration // in seconds
	}{
		{"", []time.Duration{1, 3, 9, 27, 81, 100, 100}},
		{retry.Exponential, []time.Duration{1, 3, 9, 27, 81, 100, 100}},
		{retry.Constant, []time.Duration{1, 1, 1, 1, 1}},
		{retry.Linear, []time.Duration{1, 2, 3, 4, 5}},
		{retry.Fibonacci, []time.Duration{1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 100, 100}},
	}
	for _, tt := range tests {
		t.Run(string(tt.backoff), func(t *testing.T) {
			cfg := retry.Config{
				MaxAttempts: len(tt.want) + 1, BaseDelay: time.Second, MaxDelay: 100 * time.Second, BackoffFactor: 3,
				Backoff: tt.backoff, Jitter: retry.NoJitter,
			}
			var got []time.Duration
			for i, want := range tt.want {
				if d := cfg.Delay(i + 1); d != want*time.Second {
					t.Errorf("Delay(%d) is %v, want %d s", i+1, d, want)
				}
				got = append(got, want*time.Second)
			}
			if waits := waited(t, cfg); !slices.Equal(waits, got) {
				t.Errorf("a call waited %v, want %v", waits, got)
			}
		})
	}
}

// waited returns the delays of a call of which every attempt fails.
func waited(t *testing.T, cfg retry.Config) []time.Duration {
	var delays []time.Duration
	synctest.Test(t, func(t *testing.T) {
		p := mustNew(t, cfg, retry.WithOnRetry(func(_ context.Context, _ int, d time.Duration, _ error) {
			delays = append(delays, d)
		}))
		if err := p.Execute(t.Context(), func(context.Context) error { return errBoom }); !errors.Is(err, retry.ErrExhausted) {
			t.Error(err)
		}
	})
	return delays
}

func TestValidateJudgesKinds(t *testing.T) {
	for _, backoff := range []retry.Backoff{"", "constant", "linear", "exponential", "fibonacci", "Linear", "cubic"} {
		for _, kind := range append(slices.Clone(kinds), "none", "Full") {
			cfg := retry.DefaultConfig()
			cfg.Backoff, cfg.JitterKind = backoff, kind
			var want []string
			if backoff == "Linear" || backoff == "cubic" {
				want = append(want, "backoff")
			}
			if kind == "none" || kind == "Full" {
				want = append(want, "jitter_kind")
			}
			grows := kind == retry.DecorrelatedJitter || kind == retry.SmoothJitter
			if grows && backoff != "" && backoff != "exponential" && !slices.Contains(want, "backoff") {
				want = append(want, "backoff")
			}
			err := cfg.Validate()
			var field *patterns.FieldError
			if (err == nil) != (len(want) == 0) || err != nil && (!errors.As(err, &field) || field.Field != want[0]) {
				t.Errorf("%q with %q: got %v, want mistakes in %v", backoff, kind, err, want)
			}
		}
	}
	cfg := retry.DefaultConfig()
	cfg.MaxElapsed, cfg.MaxRetryAfter = -1, -1
	for _, field := range []string{"max_elapsed", "max_retry_after"} {
		err := cfg.Validate()
		var got *patterns.FieldError
		if !errors.As(err, &got) || got.Field != field {
			t.Errorf("want a mistake in %s, got %v", field, err)
		}
		cfg.MaxElapsed = 0
	}
}

// smooth is the formula of Polly, in units of the base delay.
func smooth(t float64) float64 { return math.Pow(2, t) * math.Tanh(math.Sqrt(4*t)) / 1.4 }

// check returns what is wrong with the delays of a call, read from the formulas.
func check(cfg retry.Config, delays []time.Duration) (problem string) {
	base, longest := float64(cfg.BaseDelay), float64(cfg.MaxDelay)
	previous, sum := base, 0.0
	fib := []float64{1, 1}
	for i, delay := range delays {
		var v float64
		switch cfg.Backoff {
		case retry.Constant:
			v = base
		case retry.Linear:
			v = base * float64(i+1)
		case retry.Fibonacci:
			v = base * fib[i]
		default:
			v = base * math.Pow(cfg.BackoffFactor, float64(i))
		}
		fib = append(fib, fib[i]+fib[i+1])
		v = min(v, longest)
		low, high := v, v
		switch {
		case cfg.Jitter == retry.NoJitter:
		case cfg.JitterKind == retry.FullJitter:
			low = 0
		case cfg.JitterKind == retry.EqualJitter:
			low = v / 2
		case cfg.JitterKind == retry.DecorrelatedJitter:
			low, high = base, min(3*previous, longest)
		case cfg.JitterKind == retry.SmoothJitter: // as long as the cap has cut nothing
			low, high = base*smooth(float64(i))-sum, base*smooth(float64(i+1))-sum
			if delay == cfg.MaxDelay && high >= longest {
				return "" // from here on, what was cut is missing from the sum
			}
		default:
			low, high = v*(1-float64(cfg.Jitter)), v*(1+float64(cfg.Jitter))
		}
		slack := 2 + float64(i) + high*1e-9 // of rounding to nanoseconds and of floating point
		if d := float64(delay); d < low-slack || d > high+slack || delay < 0 || delay > cfg.MaxDelay {
			return "out of its range"
		}
		previous = float64(delay)
		sum += float64(delay)
	}
	return ""
}

func TestDelaysOfACallFollowTheFormulas(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cfg := retry.Config{
			MaxAttempts:   rapid.IntRange(2, 20).Draw(rt, "attempts"),
			BaseDelay:     time.Duration(rapid.Int64Range(1, int64(time.Minute)).Draw(rt, "base")),
			BackoffFactor: rapid.Float64Range(1, 4).Draw(rt, "factor"),
			Jitter:        retry.Jitter(rapid.SampledFrom([]float64{-1, 0.1, 0.25, 1}).Draw(rt, "jitter")),
			JitterKind:    rapid.SampledFrom(kinds).Draw(rt, "kind"),
		}
		cfg.MaxDelay = cfg.BaseDelay * time.Duration(rapid.OneOf(rapid.IntRange(1, 5), rapid.IntRange(1, 1e6)).Draw(rt, "max"))
		if cfg.JitterKind != retry.DecorrelatedJitter && cfg.JitterKind != retry.SmoothJitter {
			cfg.Backoff = rapid.SampledFrom([]retry.Backoff{
				"", retry.Constant, retry.Linear, retry.Exponential, retry.Fibonacci,
			}).Draw(rt, "backoff")
		}
		delays := waited(t, cfg)
		if len(delays) != cfg.MaxAttempts-1 {
			rt.Fatalf("%d delays", len(delays))
		}
		if problem := check(cfg, delays); problem != "" {
			rt.Fatalf("%v: %s", delays, problem)
		}
		for attempt := range 30 {
			if d := cfg.Delay(attempt + 1); d < 0 || d > cfg.MaxDelay {
				rt.Fatalf("Delay(%d) is %v", attempt+1, d)
			}
		}
	})
}

func TestPitfall42CallsAtTheSameTimeDoNotShareTheirSchedule(t *testing.T) {
	for _, kind := range []retry.JitterKind{retry.DecorrelatedJitter, retry.SmoothJitter} {
		synctest.Test(t, func(t *testing.T) {
			cfg := retry.Config{MaxAttempts: 12, BaseDelay: time.Second, MaxDelay: time.Hour, JitterKind: kind}
			type caller struct{}
			delays := make([][]time.Duration, 8)
			p := mustNew(t, cfg, retry.WithOnRetry(func(ctx context.Context, _ int, d time.Duration, _ error) {
				i := ctx.Value(caller{}).(int)
				delays[i] = append(delays[i], d)
			}))
			var wg sync.WaitGroup
			for i := range delays {
				wg.Go(func() {
					_ = p.Execute(context.WithValue(t.Context(), caller{}, i), func(context.Context) error { return errBoom })
				})
			}
			wg.Wait()
			for _, d := range delays {
				if problem := check(p.Config(), d); problem != "" || len(d) != 11 {
					t.Errorf("%s: %v: %s", kind, d, problem)
				}
			}
		})
	}
}

func TestDrawsOfEachKindUseTheirWholeRange(t *testing.T) {
	const draws, base = 10_000, float64(10 * time.Second)
	inverse := func(delay float64) float64 { // of smooth, by halving
		low, high := 0.0, 1.0
		for range 50 {
			if middle := (low + high) / 2; base*smooth(middle) < delay {
				low = middle
			} else {
				high = middle
			}
		}
		return low
	}
	tests := []struct {
		kind     retry.JitterKind
		uniform  func(delay float64) float64 // maps a delay to what must be uniform from 0 to 1
		longest  time.Duration
		describe string
	}{
		{retry.FullJitter, func(d float64) float64 { return d / base }, time.Hour, ""},
		{retry.EqualJitter, func(d float64) float64 { return (d - base/2) / (base / 2) }, time.Hour, ""},
		{retry.DecorrelatedJitter, func(d float64) float64 { return (d - base) / (2 * base) }, time.Hour, ""},
		{retry.DecorrelatedJitter, func(d float64) float64 { return (d - base) / base }, 20 * time.Second, " cut by the cap"},
		{retry.SmoothJitter, inverse, time.Hour, ""},
	}
	for _, tt := range tests {
		t.Run(string(tt.kind)+tt.describe, func(t *testing.T) {
			cfg := retry.Config{BaseDelay: time.Duration(base), MaxDelay: tt.longest, JitterKind: tt.kind}
			var thirds [3]int
			for range draws {
				u := tt.uniform(float64(cfg.Delay(1)))
				if u < -1e-6 || u > 1+1e-6 {
					t.Fatalf("%v is not from 0 to 1", u)
				}
				thirds[min(2, int(3*u))]++
			}
			// A third of uniform draws lies 6 standard deviations (283) off once in 500 million runs.
			for i, n := range thirds {
				if n < draws/3-283 || n > draws/3+283 {
					t.Errorf("third %d of the range got %d of %d draws", i+1, n, draws)
				}
			}
		})
	}
}

func TestLateDelaysAreThoseOfALongCall(t *testing.T) {
	const draws = 2000
	for _, kind := range []retry.JitterKind{retry.DecorrelatedJitter, retry.SmoothJitter} {
		cfg := retry.Config{MaxAttempts: 9, BaseDelay: time.Second, MaxDelay: 1 << 62, JitterKind: kind}
		var alone, inCalls float64
		for range draws {
			alone += math.Log(float64(cfg.Delay(8)) + 1)
			delays := make([]time.Duration, 0, 8)
			delays = append(delays, waited(t, cfg)...)
			inCalls += math.Log(float64(delays[7]) + 1)
		}
		if diff := math.Abs(alone-inCalls) / draws; diff > 0.2 {
			t.Errorf("%s: the logarithms of the eighth delays differ by %.3f on average", kind, diff)
		}
	}
}

func TestPitfall43DelaysOfEveryKindSaturate(t *testing.T) {
	for _, backoff := range []retry.Backoff{retry.Linear, retry.Exponential, retry.Fibonacci} {
		for _, limit := range []time.Duration{time.Minute, math.MaxInt64 - 1, math.MaxInt64} {
			cfg := retry.Config{BaseDelay: time.Second, MaxDelay: limit, Backoff: backoff, Jitter: retry.NoJitter}
			for _, attempt := range []int{math.MaxInt64 / 2, math.MaxInt} {
				if got := cfg.Delay(attempt); got != limit {
					t.Errorf("%s: Delay(%d) with a maximum of %d is %d", backoff, attempt, limit, got)
				}
			}
		}
	}
	for _, attempt := range []int{1022, 1023, 1024, 1025, 1026, math.MaxInt} {
		cfg := retry.Config{BaseDelay: 1, MaxDelay: math.MaxInt64, JitterKind: retry.SmoothJitter}
		if got := cfg.Delay(attempt); got != math.MaxInt64 {
			t.Errorf("smooth: Delay(%d) is %d", attempt, got)
		}
		cfg.JitterKind = retry.DecorrelatedJitter
		if got := cfg.Delay(attempt); got <= 0 {
			t.Errorf("decorrelated: Delay(%d) is %d", attempt, got)
		}
	}
}

func TestNoJitterTurnsEveryKindOff(t *testing.T) {
	for _, kind := range kinds {
		cfg := exact(3)
		cfg.JitterKind = kind
		if got := waited(t, cfg); !slices.Equal(got, []time.Duration{100 * time.Millisecond, 200 * time.Millisecond}) {
			t.Errorf("%q: %v", kind, got)
		}
	}
}

func TestMaxElapsedCountsFromTheFirstFailure(t *testing.T) {
	const ms = time.Millisecond
	tests := []struct {
		name    string
		limit   time.Duration
		takes   []time.Duration // the attempts; delays are 100, 200, 400 ms
		calls   int
		elapsed time.Duration
	}{
		{"none", 0, []time.Duration{0, 0, 0, 0}, 4, 700 * ms},
		{"delays", 300 * ms, []time.Duration{0, 0, 0}, 3, 300 * ms},
		{"delay a moment too long", 300*ms - 1, []time.Duration{0, 0}, 2, 100 * ms},
		{"no delay at all", 100*ms - 1, []time.Duration{0}, 1, 0},
		{"the first attempt does not count", 300 * ms, []time.Duration{5000 * ms, 0, 0}, 3, 5300 * ms},
		{"the second one does", 300 * ms, []time.Duration{0, 1, 0}, 2, 100*ms + 1},
		{"the second one outlasts it", 300 * ms, []time.Duration{0, time.Hour}, 2, time.Hour + 100*ms},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := exact(4)
				cfg.MaxElapsed = tt.limit
				start, calls := time.Now(), 0
				err := mustNew(t, cfg).Execute(t.Context(), func(context.Context) error {
					time.Sleep(tt.takes[calls])
					calls++
					return errBoom
				})
				if elapsed := time.Since(start); calls != tt.calls || elapsed != tt.elapsed {
					t.Errorf("%d attempts in %v, want %d in %v", calls, elapsed, tt.calls, tt.elapsed)
				}
				var exhausted *retry.ExhaustedError
				if !errors.As(err, &exhausted) || exhausted.Attempts != tt.calls || exhausted.Last != errBoom {
					t.Fatalf("got %v", err)
				}
				if bounded := exhausted.Cause != nil; bounded != (tt.calls < 4) {
					t.Errorf("the cause is %v", exhausted.Cause)
				}
			})
		})
	}
}
