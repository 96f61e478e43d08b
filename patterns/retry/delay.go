package retry

import (
	"math"
	"time"
)

// Delay returns how long to wait after the given failed attempt (1-based), from 0 to MaxDelay: what Backoff says, varied
// as Jitter and JitterKind say. Where the delays of a call depend on one another, those before are drawn, too.
func (c Config) Delay(attempt int) time.Duration {
	c = c.withDefaults()
	s := schedule{cfg: &c}
	attempt = max(attempt, 1)
	switch {
	case c.Jitter == NoJitter:
	case c.JitterKind == DecorrelatedJitter:
		for range min(attempt, stationary) - 1 {
			s.next(0) // the number of the attempt does not matter
		}
	case c.JitterKind == SmoothJitter && attempt > 1:
		s.next(attempt - 1)
	}
	return s.next(attempt)
}

// stationary is after how many draws one more makes no difference to the distribution of a decorrelated delay. Such
// delays grow by 10 % on average, from 1 ns to the longest time.Duration in 440 steps.
const stationary = 1000

// schedule draws the delays of one call.
type schedule struct {
	cfg      *Config
	previous float64 // decorrelated: the last delay; smooth: the sum of the delays, in units of BaseDelay
}

// next returns the delay after an attempt (1-based). Attempts must come in order.
func (s *schedule) next(attempt int) time.Duration {
	c := s.cfg
	longest := float64(c.MaxDelay)
	switch {
	case c.Jitter != NoJitter && c.JitterKind == DecorrelatedJitter:
		base := float64(c.BaseDelay)
		s.previous = between(base, min(3*max(s.previous, base), longest))
		return c.rounded(s.previous)
	case c.Jitter != NoJitter && c.JitterKind == SmoothJitter:
		before := s.previous
		s.previous = smooth(between(float64(attempt-1), float64(attempt)))
		if math.IsInf(s.previous, 1) {
			return c.MaxDelay
		}
		return c.rounded((s.previous - before) * float64(c.BaseDelay))
	default:
		return c.rounded(c.vary(min(c.middle(attempt), longest), longest))
	}
}

// rounded returns a delay in nanoseconds as a duration from 0 to MaxDelay.
func (c Config) rounded(delay float64) time.Duration {
	switch {
	case delay >= float64(c.MaxDelay): // before the conversion: MaxDelay may be more than a float64 holds exactly
		return max(c.MaxDelay, 0)
	case delay > 0:
		return time.Duration(delay)
	default: // the lowest of a full jitter, or not a number, which an invalid c can lead to
		return 0
	}
}
