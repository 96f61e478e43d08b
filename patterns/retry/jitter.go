package retry

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"time"
)

// Jitter is the fraction of a delay by which it is varied at random, up and down, so that callers that failed
// together do not come back together. In a configuration it is true (25 %), false, or a fraction from 0 to 1. False
// turns every [JitterKind] off; to kinds other than [FractionJitter], any fraction means on.
type Jitter float64

const (
	DefaultJitter Jitter = 0.25 // what true and the zero value mean
	NoJitter      Jitter = -1   // what false and 0 in a configuration file mean
)

// UnmarshalText reads true, false or a fraction.
func (j *Jitter) UnmarshalText(text []byte) error {
	if on, err := strconv.ParseBool(string(text)); err == nil && len(text) > 1 { // "0" and "1" are fractions
		*j = NoJitter
		if on {
			*j = DefaultJitter
		}
		return nil
	}
	fraction, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(fraction >= 0 && fraction <= 1) {
		return fmt.Errorf("want true, false or a fraction from 0 to 1, got %q", text)
	}
	*j = Jitter(fraction)
	if fraction == 0 {
		*j = NoJitter
	}
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (j Jitter) MarshalText() ([]byte, error) {
	switch j {
	case NoJitter:
		return []byte("false"), nil
	case 0:
		return []byte("true"), nil
	}
	return strconv.AppendFloat(nil, float64(j), 'g', -1, 64), nil
}

// JitterKind is a way to vary delays at random. The zero value is [FractionJitter].
//
// Where MaxDelay cuts the range of a draw, the delay is drawn from what is left of the range, so that callers do not
// meet again at the cap. Only [SmoothJitter], which would no longer be smooth, stays at the cap.
type JitterKind string

const (
	// FractionJitter takes [Jitter] of the delay away or adds it: 25 % of 1 s gives 0.75 to 1.25 s.
	FractionJitter JitterKind = "fraction"

	// FullJitter draws from 0 to the delay.
	FullJitter JitterKind = "full"

	// EqualJitter draws from half the delay to the delay.
	EqualJitter JitterKind = "equal"

	// DecorrelatedJitter draws from BaseDelay to three times the delay before it, which is BaseDelay for the first. It
	// takes the place of the backoff. Source: "Exponential Backoff And Jitter", AWS Architecture Blog.
	DecorrelatedJitter JitterKind = "decorrelated"

	// SmoothJitter spreads the attempts of many callers evenly along an exponential curve, without the clusters that
	// other kinds have at the first attempts: with t = attempt - 1 + random and F(t) = 2^t * tanh(sqrt(4t)), the sum of
	// a call's delays so far is F(t) * BaseDelay / 1.4. It takes the place of the backoff. Source: the decorrelated
	// jitter V2 of Polly.
	SmoothJitter JitterKind = "smooth"
)

func (k JitterKind) valid() bool {
	switch k {
	case "", FractionJitter, FullJitter, EqualJitter:
		return true
	default:
		return k.grows()
	}
}

// grows reports whether delays of this kind follow from those before, without a [Backoff].
func (k JitterKind) grows() bool { return k == DecorrelatedJitter || k == SmoothJitter }

// vary returns a delay around middle, which is at most longest.
func (c Config) vary(middle, longest float64) float64 {
	switch {
	case c.Jitter == NoJitter:
		return middle
	case c.JitterKind == FullJitter:
		return between(0, middle)
	case c.JitterKind == EqualJitter:
		return between(middle/2, middle)
	default:
		spread := middle * float64(c.Jitter)
		return between(middle-spread, min(middle+spread, longest))
	}
}

// smooth returns the sum, in units of BaseDelay, of the delays up to and including that at t.
func smooth(t float64) float64 { return math.Exp2(t) * math.Tanh(math.Sqrt(4*t)) / 1.4 }

// later returns wait, which is at most longest, or up to the fraction of Jitter more.
func (c Config) later(wait, longest time.Duration) time.Duration {
	if c.Jitter == NoJitter {
		return wait
	}
	spread := min(float64(wait)*float64(c.Jitter), float64(longest-wait))
	return wait + min(time.Duration(between(0, spread)), longest-wait)
}

func between(low, high float64) float64 { return low + rand.Float64()*(high-low) }
