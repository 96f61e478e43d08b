package retry

import (
	"math"
	"math/rand/v2"
	"time"
)

// Delay returns how long to wait after the given failed attempt (1-based): BaseDelay * BackoffFactor^(attempt-1),
// varied by Jitter, from 0 to MaxDelay. Where the cap cuts the range of the jitter, the delay is drawn from what is
// left of the range, so that callers do not meet again at the cap.
func (c Config) Delay(attempt int) time.Duration {
	c = c.withDefaults()
	longest := float64(c.MaxDelay)
	middle := min(float64(c.BaseDelay)*math.Pow(c.BackoffFactor, float64(max(attempt, 1)-1)), longest)
	spread := middle * max(float64(c.Jitter), 0) // NoJitter is negative
	low, high := middle-spread, min(middle+spread, longest)
	switch delay := low + rand.Float64()*(high-low); {
	case delay >= longest: // before the conversion: MaxDelay may be more than a float64 holds exactly
		return max(c.MaxDelay, 0)
	case delay > 0:
		return time.Duration(delay)
	default: // a full jitter's lowest, or not a number, which an invalid c can lead to
		return 0
	}
}
