package retry_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/steadyfx/steady/patterns/retry"
)

func TestDelayGrowsToItsMaximum(t *testing.T) {
	const s = time.Second
	tests := []struct {
		name string
		cfg  retry.Config
		want []time.Duration // of attempts 1, 2, 3 and so on
	}{
		{"default", retry.Config{MaxAttempts: 9, Jitter: retry.NoJitter},
			[]time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, 60 * s, 60 * s}},
		{"constant", retry.Config{BackoffFactor: 1, BaseDelay: s, MaxDelay: 5 * s, Jitter: retry.NoJitter},
			[]time.Duration{s, s, s}},
		{"half as much again", retry.Config{BackoffFactor: 1.5, BaseDelay: s, MaxDelay: 5 * s, Jitter: retry.NoJitter},
			[]time.Duration{s, 3 * s / 2, 9 * s / 4, 27 * s / 8, 5 * s}},
		{"infinite factor", retry.Config{BackoffFactor: math.Inf(1), BaseDelay: s, MaxDelay: 5 * s, Jitter: retry.NoJitter},
			[]time.Duration{s, 5 * s, 5 * s}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for i, want := range tt.want {
				if got := tt.cfg.Delay(i + 1); got != want {
					t.Errorf("after attempt %d: %v, want %v", i+1, got, want)
				}
			}
		})
	}
}

func TestDelayBeforeTheFirstAttemptIsThatAfterIt(t *testing.T) {
	for _, attempt := range []int{1, 0, -1, math.MinInt} {
		if got := exact(3).Delay(attempt); got != 100*time.Millisecond {
			t.Errorf("Delay(%d) = %v", attempt, got)
		}
	}
}

func TestDelaySaturatesInsteadOfOverflowing(t *testing.T) {
	longest := []time.Duration{time.Minute, math.MaxInt64, math.MaxInt64 - 1, 1<<53 + 1}
	for _, limit := range longest {
		for _, attempt := range []int{200, 1023, 1024, 1025, 1 << 20, math.MaxInt} {
			cfg := retry.Config{BaseDelay: time.Second, MaxDelay: limit, BackoffFactor: 2, Jitter: retry.NoJitter}
			if got := cfg.Delay(attempt); got != limit {
				t.Errorf("Delay(%d) with a maximum of %d is %d", attempt, limit, got)
			}
		}
	}
}

// drawConfig draws any valid configuration.
func drawConfig(t *rapid.T) retry.Config {
	base := rapid.Int64Range(1, math.MaxInt64).Draw(t, "base")
	return retry.Config{
		MaxAttempts:   rapid.IntRange(1, 10).Draw(t, "attempts"),
		BaseDelay:     time.Duration(base),
		MaxDelay:      time.Duration(rapid.Int64Range(base, math.MaxInt64).Draw(t, "max")),
		BackoffFactor: rapid.Float64Min(1).Draw(t, "factor"),
		Jitter:        retry.Jitter(rapid.OneOf(rapid.Just(-1.0), rapid.Float64Range(1e-9, 1)).Draw(t, "jitter")),
	}
}

func TestDelayStaysWithinItsJitterAndMaximum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := drawConfig(t)
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		attempt := rapid.OneOf(rapid.IntRange(1, 20), rapid.IntRange(1, math.MaxInt)).Draw(t, "attempt")
		got := cfg.Delay(attempt)

		plain := cfg
		plain.Jitter = retry.NoJitter
		middle, fraction := float64(plain.Delay(attempt)), max(float64(cfg.Jitter), 0)
		low, high := middle*(1-fraction), min(middle*(1+fraction), float64(cfg.MaxDelay))
		slack := 1 + high*1e-9 // of rounding to nanoseconds and of floating point
		if float64(got) < low-slack || float64(got) > high+slack {
			t.Fatalf("%d is not from %.0f to %.0f", got, low, high)
		}
		if got < 0 || got > cfg.MaxDelay {
			t.Fatalf("%d is not from 0 to %d", got, cfg.MaxDelay)
		}
	})
}

func TestDelayOfAnInvalidConfigurationIsStillInBounds(t *testing.T) {
	bad := []retry.Config{
		{BaseDelay: -time.Second},
		{MaxDelay: -time.Second},
		{BaseDelay: time.Minute, MaxDelay: time.Second},
		{BackoffFactor: -2},
		{BackoffFactor: math.NaN()},
		{Jitter: 40},
		{Jitter: retry.Jitter(math.NaN())},
	}
	for _, cfg := range bad {
		limit := cfg.MaxDelay
		if limit == 0 {
			limit = max(retry.DefaultConfig().MaxDelay, cfg.BaseDelay)
		}
		for attempt := 1; attempt <= 100; attempt++ {
			if got := cfg.Delay(attempt); got < 0 || got > max(limit, 0) {
				t.Errorf("Delay(%d) of %+v is %v", attempt, cfg, got)
			}
		}
	}
}

func TestJitterUsesItsWholeRangeAndDoesNotMeetAtTheMaximum(t *testing.T) {
	const draws = 10_000
	tests := []struct {
		name      string
		base      time.Duration
		low, high time.Duration
	}{
		{"below the maximum", 40 * time.Second, 30 * time.Second, 50 * time.Second},
		{"cut by the maximum", 60 * time.Second, 45 * time.Second, 60 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := retry.Config{BaseDelay: tt.base, MaxDelay: time.Minute, Jitter: retry.DefaultJitter}
			var thirds [3]int
			var sum time.Duration
			for range draws {
				d := cfg.Delay(1)
				if d < tt.low || d > tt.high {
					t.Fatalf("%v is not from %v to %v", d, tt.low, tt.high)
				}
				sum += d
				thirds[min(2, int(3*(d-tt.low)/(tt.high-tt.low)))]++
			}
			// A third of uniform draws lies 6 standard deviations (283) off once in 500 million runs.
			for i, n := range thirds {
				if n < draws/3-283 || n > draws/3+283 {
					t.Errorf("third %d of the range got %d of %d draws", i+1, n, draws)
				}
			}
			if mean, want := sum/draws, (tt.low+tt.high)/2; (mean - want).Abs() > (tt.high-tt.low)/50 {
				t.Errorf("the mean is %v, want about %v", mean, want)
			}
		})
	}
}
