package bulkhead

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// drawSamples returns calls that end one after the other, of all kinds. Some take exactly as long as one of edges.
func drawSamples(t *rapid.T, limit int, edges ...time.Duration) []sample {
	n := rapid.IntRange(0, 400).Draw(t, "samples")
	base := rapid.Int64Range(1, int64(3*time.Second)).Draw(t, "base")
	pause := rapid.Int64Range(0, int64(time.Second)).Draw(t, "pause")
	var samples []sample
	var at time.Duration
	for range n {
		at += time.Duration(rapid.Int64Range(0, pause).Draw(t, "later"))
		latency := time.Duration(rapid.Int64Range(max(base/4, 1), 4*base).Draw(t, "latency"))
		if edge := rapid.IntRange(0, 9).Draw(t, "edge"); edge < len(edges) {
			latency = edges[edge]
		}
		samples = append(samples, sample{
			at:       at,
			latency:  latency,
			inFlight: rapid.IntRange(1, 2*limit).Draw(t, "in flight"),
			failed:   rapid.IntRange(0, 9).Draw(t, "luck") == 0,
		})
	}
	return samples
}

func drawAdaptiveConfig(t *rapid.T, a Algorithm) AdaptiveConfig {
	c := AdaptiveConfig{Algorithm: a, MinLimit: rapid.IntRange(1, 30).Draw(t, "min")}
	c.MaxLimit = rapid.IntRange(c.MinLimit, 3000).Draw(t, "max")
	c.InitialLimit = rapid.IntRange(c.MinLimit, c.MaxLimit).Draw(t, "initial")
	c.IncreaseAmount = rapid.IntRange(1, 10).Draw(t, "amount")
	c.DecreaseFactor = rapid.Float64Range(0.01, 0.99).Draw(t, "factor")
	c.IncreaseThreshold = time.Duration(rapid.Int64Range(1, int64(time.Second)).Draw(t, "fast"))
	c.DecreaseThreshold = c.IncreaseThreshold + time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "between"))
	if err := c.withDefaults().Validate(); err != nil {
		t.Fatal(err)
	}
	return c.withDefaults()
}

func within(c AdaptiveConfig, limit float64) float64 {
	return math.Max(float64(c.MinLimit), math.Min(float64(c.MaxLimit), limit))
}

// The formulas below are written as they are published, and from the whole history where ours keep a state.

func TestAIMDAgreesWithItsFormula(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawAdaptiveConfig(t, AIMD)
		a := newAlgorithm(c)
		limit, last := c.InitialLimit, time.Duration(0)
		for i, s := range drawSamples(t, c.MaxLimit, c.IncreaseThreshold, c.DecreaseThreshold) {
			next := limit
			if !s.failed && s.latency < c.IncreaseThreshold {
				if 2*s.inFlight >= limit {
					next = limit + c.IncreaseAmount
				}
			} else if s.failed || s.latency > c.DecreaseThreshold {
				next = int(math.Floor(float64(limit) * c.DecreaseFactor))
			}
			next = int(within(c, float64(next)))
			if next != limit && s.at-last >= time.Second {
				limit, last = next, s.at
			}
			if got := a.update(s); got != limit {
				t.Fatalf("sample %d %+v: limit %d, the formula says %d", i, s, got, limit)
			}
		}
	})
}

func TestGradient2AgreesWithItsFormula(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawAdaptiveConfig(t, Gradient2)
		a := newAlgorithm(c)
		limit, long := float64(c.InitialLimit), 0.0
		var shorts []float64 // of the windows so far, until the warm-up is over
		var window []sample
		begun := time.Duration(0)
		for i, s := range drawSamples(t, c.MaxLimit) {
			if !s.failed || float64(s.latency) > long {
				window = append(window, s)
			}
			if len(window) >= 10 && s.at-begun >= time.Second {
				short, inFlight := 0.0, 0
				for _, s := range window {
					short += float64(s.latency) / float64(len(window))
					inFlight = max(inFlight, s.inFlight)
				}
				begun, window = s.at, nil
				if len(shorts) < 10 {
					shorts = append(shorts, short)
					n := float64(len(shorts))
					long = long*(n-1)/n + short/n
				} else {
					long = long*(1-2.0/601) + short*2.0/601
				}
				old := long
				if old/short > 2 {
					long *= 0.95
				}
				if float64(inFlight) >= limit/2 {
					gradient := math.Max(0.5, math.Min(1, 1.5*old/short))
					limit = within(c, limit*(1-0.2)+0.2*(limit*gradient+4))
				}
			}
			g := a.(*gradient2)
			if got := a.update(s); math.Abs(g.limit-limit) > 1e-6*limit || got != int(g.limit) {
				t.Fatalf("sample %d %+v: limit %d (%v), the formula says %v", i, s, got, g.limit, limit)
			}
		}
	})
}

func TestVegasAgreesWithItsFormula(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawAdaptiveConfig(t, Vegas)
		a := newAlgorithm(c)
		limit := float64(c.InitialLimit)
		var since []sample // the successes since the lowest latency was measured, that one included
		count, changed := 0, time.Duration(0)
		for i, s := range drawSamples(t, c.MaxLimit) {
			log := math.Max(1, float64(len(digits(int(limit)))-1))
			jitter := a.(*vegas).jitter
			if jitter < 0.5 || jitter >= 1 {
				t.Fatalf("jitter %v", jitter)
			}
			lowest := time.Duration(math.MaxInt64)
			for _, s := range since {
				lowest = min(lowest, s.latency)
			}
			if !s.failed {
				count++
			}
			before := limit
			switch probe := float64(count) >= jitter*30*limit; {
			case s.failed:
				limit = within(c, limit-log)
			case probe:
				since, count = []sample{s}, 0
			case len(since) == 0 || s.latency < lowest:
				since = append(since, s)
			case float64(s.inFlight) < limit/2:
			default:
				queue := math.Ceil(limit * (1 - float64(lowest)/float64(s.latency)))
				switch {
				case queue <= log:
					limit = within(c, limit+6*log)
				case queue < 3*log:
					limit = within(c, limit+log)
				case queue > 6*log:
					limit = within(c, limit-log)
				}
			}
			if s.at-s.latency < changed { // it began under another limit
				limit = before
			}
			if limit != before {
				changed = s.at
			}
			if got := a.update(s); got != int(limit) {
				t.Fatalf("sample %d %+v: limit %d, the formula says %v", i, s, got, limit)
			}
		}
	})
}

func digits(n int) (ds []int) {
	for ; n > 0; n /= 10 {
		ds = append(ds, n%10)
	}
	return ds
}

func TestVegasMeasuresTheLowestLatencyAnew(t *testing.T) {
	v := newVegas(bounds{1, 100}, 10)
	v.update(sample{latency: time.Millisecond, inFlight: 1})
	for range 301 { // at most 30 for each slot
		v.update(sample{latency: time.Second, inFlight: 1})
	}
	if v.lowest != time.Second {
		t.Errorf("still takes %v for the lowest latency", v.lowest)
	}
}

// Vegas and Gradient2 work with logarithms, quotients and averages.
func TestLimitsStayInBoundsWhateverTheSamples(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawAdaptiveConfig(t, rapid.SampledFrom([]Algorithm{AIMD, Gradient2, Vegas}).Draw(t, "algorithm"))
		a := newAlgorithm(c)
		for range rapid.IntRange(1, 100).Draw(t, "samples") {
			s := sample{
				at:       time.Duration(rapid.Int64Min(0).Draw(t, "at")),
				latency:  time.Duration(rapid.Int64Min(1).Draw(t, "latency")),
				inFlight: rapid.Int().Draw(t, "in flight"),
				failed:   rapid.Bool().Draw(t, "failed"),
			}
			if got := a.update(s); got < c.MinLimit || got > c.MaxLimit {
				t.Fatalf("%+v: limit %d", s, got)
			}
		}
	})
}
