package bulkhead

import (
	"time"

	"github.com/steadyfx/steady/patterns"
)

// Algorithm names the rule by which an [Adaptive] finds its limit.
type Algorithm string

const (
	// AIMD (additive increase, multiplicative decrease) raises the limit by IncreaseAmount after a call that took less
	// than IncreaseThreshold, and multiplies it by DecreaseFactor after one that failed or took longer than
	// DecreaseThreshold. It changes the limit once a second at most. It needs to be told what is slow.
	AIMD Algorithm = "aimd"

	// Gradient2 compares the mean latency of the last second with a long-term average and lowers the limit as far as it
	// is above 1.5 times that; else the limit grows by about one slot a second. It does not fall below 8, however slow
	// calls are. A failure counts by the time it took, and not at all if that was shorter than the average. It is the
	// algorithm of that name in Netflix's concurrency-limits.
	Gradient2 Algorithm = "gradient2"

	// Vegas compares each latency with the lowest one, and from that tells how many calls wait in the dependency. It
	// raises the limit while there are few of them and lowers it when there are many, or after a failure. From time to
	// time it measures the lowest latency anew; under a load that never eases it then takes some waiting for the normal
	// thing, and the limit creeps up. It is the algorithm of that name in Netflix's concurrency-limits, after TCP Vegas.
	Vegas Algorithm = "vegas"
)

// AdaptiveConfig bounds an [Adaptive]. A zero field takes the value of [DefaultAdaptiveConfig], except QueueSize, where
// zero means none. The last four are of [AIMD] alone.
type AdaptiveConfig struct {
	Algorithm    Algorithm     `koanf:"algorithm"`
	InitialLimit int           `koanf:"initial_limit"` // calls at once in the beginning
	MinLimit     int           `koanf:"min_limit"`     // the limit is never lower
	MaxLimit     int           `koanf:"max_limit"`     // nor higher
	QueueSize    int           `koanf:"queue_size"`    // calls that may wait for a slot; zero: none, reject at once
	Timeout      time.Duration `koanf:"timeout"`       // how long a call waits, not how long it runs

	IncreaseAmount    int           `koanf:"increase_amount"`    // slots that are added at a time
	DecreaseFactor    float64       `koanf:"decrease_factor"`    // above 0 and below 1
	IncreaseThreshold time.Duration `koanf:"increase_threshold"` // a call that took less time was fast
	DecreaseThreshold time.Duration `koanf:"decrease_threshold"` // a call that took more time was slow
}

// DefaultAdaptiveConfig returns: AIMD from 10 slots, between 1 and 100, one more when calls take less than 100 ms and
// half as many when they fail or take more than 1 s, and a queue of 50 calls that wait for at most 30 s.
func DefaultAdaptiveConfig() AdaptiveConfig {
	return AdaptiveConfig{
		Algorithm: AIMD, InitialLimit: 10, MinLimit: 1, MaxLimit: 100, QueueSize: 50, Timeout: 30 * time.Second,
		IncreaseAmount: 1, DecreaseFactor: 0.5,
		IncreaseThreshold: 100 * time.Millisecond, DecreaseThreshold: time.Second,
	}
}

// Validate reports everything that is wrong with c, zero fields included: it judges a complete configuration.
func (c AdaptiveConfig) Validate() error {
	var checks patterns.Checks
	checks.That(c.Algorithm == AIMD || c.Algorithm == Gradient2 || c.Algorithm == Vegas, "algorithm",
		"unknown algorithm %q; known: %s, %s, %s", c.Algorithm, AIMD, Gradient2, Vegas)
	checks.That(c.MinLimit >= 1 && c.MinLimit <= maxSlots, "min_limit", "must be from 1 to %d, got %d", maxSlots, c.MinLimit)
	checks.That(c.MaxLimit >= c.MinLimit && c.MaxLimit <= maxSlots, "max_limit",
		"must be from min_limit (%d) to %d, got %d", c.MinLimit, maxSlots, c.MaxLimit)
	checks.That(c.InitialLimit >= c.MinLimit && c.InitialLimit <= c.MaxLimit, "initial_limit",
		"must be from min_limit (%d) to max_limit (%d), got %d", c.MinLimit, c.MaxLimit, c.InitialLimit)
	checkQueue(&checks, c.QueueSize)
	checkTimeout(&checks, c.Timeout)
	checks.That(c.IncreaseAmount >= 1 && c.IncreaseAmount <= maxSlots, "increase_amount",
		"must be from 1 to %d, got %d", maxSlots, c.IncreaseAmount)
	checks.That(c.DecreaseFactor > 0 && c.DecreaseFactor < 1, "decrease_factor",
		"must be above 0 and below 1, got %v", c.DecreaseFactor)
	checks.That(c.IncreaseThreshold > 0, "increase_threshold", "must be positive, got %v", c.IncreaseThreshold)
	checks.That(c.DecreaseThreshold >= c.IncreaseThreshold, "decrease_threshold",
		"must be at least increase_threshold (%v), got %v", c.IncreaseThreshold, c.DecreaseThreshold)
	return checks.Err("")
}

func (c AdaptiveConfig) withDefaults() AdaptiveConfig {
	d := DefaultAdaptiveConfig()
	or := func(n *int, def int) {
		if *n == 0 {
			*n = def
		}
	}
	if c.Algorithm == "" {
		c.Algorithm = d.Algorithm
	}
	or(&c.MinLimit, d.MinLimit)
	or(&c.MaxLimit, max(d.MaxLimit, c.MinLimit, c.InitialLimit))
	or(&c.InitialLimit, min(max(d.InitialLimit, c.MinLimit), c.MaxLimit))
	if c.Timeout == 0 {
		c.Timeout = d.Timeout
	}
	or(&c.IncreaseAmount, d.IncreaseAmount)
	if c.DecreaseFactor == 0 {
		c.DecreaseFactor = d.DecreaseFactor
	}
	if c.IncreaseThreshold == 0 {
		c.IncreaseThreshold = d.IncreaseThreshold
		if c.DecreaseThreshold > 0 {
			c.IncreaseThreshold = min(c.IncreaseThreshold, c.DecreaseThreshold)
		}
	}
	if c.DecreaseThreshold == 0 {
		c.DecreaseThreshold = max(d.DecreaseThreshold, c.IncreaseThreshold)
	}
	return c
}
