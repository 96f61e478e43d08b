package ratelimit

import (
	"cmp"
	"math"
	"time"

	"github.com/steadyfx/steady/patterns"
)

// Config bounds a [TokenBucket].
type Config struct {
	// Limit is how many tokens flow in per Period, one for a call; zero: 100. The time between two is rounded up to
	// whole nanoseconds.
	Limit  int           `koanf:"limit"`
	Period time.Duration `koanf:"period"` // zero: 1 s
	Burst  int           `koanf:"burst"`  // tokens in a full bucket; zero: Limit

	// MaxWait is how long a call waits at most; zero: as long as its context lives, but not at all if
	// that has no deadline and is one of patterns.WithBoundedWaits, as in resiliencehttp.Handler; negative: not at all.
	MaxWait time.Duration `koanf:"max_wait"`
}

// DefaultConfig returns 100 calls a second, in bursts of up to 100, and no limit to the wait but the context's.
func DefaultConfig() Config { return Config{Limit: 100, Period: time.Second, Burst: 100} }

const (
	maxLimit  = 1 << 30
	maxPeriod = 366 * 24 * time.Hour
)

// Validate reports everything that is wrong with c, zero fields included but for Burst, where zero means Limit: it
// judges a complete configuration.
func (c Config) Validate() error {
	var checks patterns.Checks
	checkRate(&checks, c.Limit, maxLimit, c.Period)
	checks.That(c.Burst >= 0 && c.Burst <= maxLimit, "burst", "must be from 1 to %d, or 0 for limit, got %d",
		maxLimit, c.Burst)
	if checks.Err("") == nil {
		c.Burst = cmp.Or(c.Burst, c.Limit)
		most := int64(maxPeriod / c.interval())
		checks.That(int64(c.Burst) <= most, "burst", "must be refilled in %v, which at this rate are %d; got %d",
			maxPeriod, most, c.Burst)
	}
	return checks.Err("")
}

func (c Config) withDefaults() Config {
	d := DefaultConfig()
	if c.Limit == 0 {
		c.Limit = d.Limit
	}
	if c.Period == 0 {
		c.Period = d.Period
	}
	if c.Burst == 0 {
		c.Burst = c.Limit
	}
	return c
}

// interval returns the time between two tokens.
func (c Config) interval() time.Duration {
	limit := time.Duration(c.Limit)
	return (c.Period + limit - 1) / limit
}

// WindowConfig bounds a [SlidingWindow] or a [SlidingCounter].
type WindowConfig struct {
	Limit  int           `koanf:"limit"`  // calls in a window, at most 1,048,576; zero: 100
	Period time.Duration `koanf:"period"` // length of the window; zero: 1 s

	// MaxWait is how long a call waits at most; zero: as long as its context lives, but not at all if
	// that has no deadline and is one of patterns.WithBoundedWaits, as in resiliencehttp.Handler; negative: not at all.
	MaxWait time.Duration `koanf:"max_wait"`
}

// DefaultWindowConfig returns 100 calls in any second and no limit to the wait but the context's.
func DefaultWindowConfig() WindowConfig { return WindowConfig{Limit: 100, Period: time.Second} }

const maxWindowLimit = 1 << 20

// Validate reports everything that is wrong with c, zero fields included: it judges a complete configuration.
func (c WindowConfig) Validate() error {
	var checks patterns.Checks
	checkRate(&checks, c.Limit, maxWindowLimit, c.Period)
	return checks.Err("")
}

func (c WindowConfig) withDefaults() WindowConfig {
	d := DefaultWindowConfig()
	if c.Limit == 0 {
		c.Limit = d.Limit
	}
	if c.Period == 0 {
		c.Period = d.Period
	}
	return c
}

func checkRate(checks *patterns.Checks, limit, most int, period time.Duration) {
	checks.That(limit >= 1 && limit <= most, "limit", "must be from 1 to %d, got %d", most, limit)
	checks.That(period > 0 && period <= maxPeriod, "period", "must be positive and at most %v, got %v", maxPeriod, period)
	checks.That(period <= 0 || int64(limit) <= int64(period), "limit",
		"must be at most one a nanosecond, got %d in %v", limit, period)
}

// longest is the wait that is taken for one without end: more would overflow the clock.
const longest = time.Duration(math.MaxInt64 / 4)

// patience returns how long a call may wait by its configuration.
func patience(maxWait time.Duration) time.Duration {
	if maxWait == 0 {
		return longest
	}
	return min(max(maxWait, 0), longest)
}
