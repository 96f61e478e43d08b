package bulkhead

import "time"

// sample is what one call teaches.
type sample struct {
	at       time.Duration // when it ended, since some start; not always later than the sample before
	latency  time.Duration // positive
	inFlight int           // calls that were running when it began, itself included
	failed   bool
}

// algorithm finds a limit. It is not safe for concurrent use.
type algorithm interface {
	// update returns the limit after one more sample.
	update(s sample) int
}

func newAlgorithm(c AdaptiveConfig) algorithm {
	r := bounds{c.MinLimit, c.MaxLimit}
	switch c.Algorithm {
	case Gradient2:
		return &gradient2{bounds: r, limit: float64(c.InitialLimit)}
	case Vegas:
		return newVegas(r, c.InitialLimit)
	default:
		return &aimd{
			bounds: r, limit: c.InitialLimit, amount: c.IncreaseAmount, factor: c.DecreaseFactor,
			fast: c.IncreaseThreshold, slow: c.DecreaseThreshold,
		}
	}
}

// bounds are those of a limit.
type bounds struct{ min, max int }

func (b bounds) clamp(limit float64) float64 { return min(max(limit, float64(b.min)), float64(b.max)) }

// idle reports whether so few calls were in flight that their latency says nothing about a higher limit.
func idle(inFlight int, limit float64) bool { return float64(inFlight) < limit/2 }
