package retry

import (
	"fmt"
	"strconv"
	"time"

	"github.com/steadyfx/steady/patterns"
)

// Config says how often and how patiently a [Policy] tries. A zero field takes the value of [DefaultConfig].
type Config struct {
	MaxAttempts   int           `koanf:"max_attempts"`   // the first one included; at least 1
	BaseDelay     time.Duration `koanf:"base_delay"`     // before the second attempt
	MaxDelay      time.Duration `koanf:"max_delay"`      // no delay is longer, jitter included
	BackoffFactor float64       `koanf:"backoff_factor"` // each delay is this many times the one before; at least 1
	Jitter        Jitter        `koanf:"jitter"`
}

// DefaultConfig returns 3 attempts, 1 s before the second, twice that before the third, at most 60 s, each +-25 %.
func DefaultConfig() Config {
	return Config{
		MaxAttempts: 3, BaseDelay: time.Second, MaxDelay: time.Minute, BackoffFactor: 2, Jitter: DefaultJitter,
	}
}

// Aggressive returns a Config for quick operations that may be repeated at no cost: 5 attempts, 100 ms growing by half
// to at most 2 s.
func Aggressive() Config {
	return Config{
		MaxAttempts: 5, BaseDelay: 100 * time.Millisecond, MaxDelay: 2 * time.Second, BackoffFactor: 1.5,
		Jitter: DefaultJitter,
	}
}

// Conservative returns a Config for operations that are costly to repeat: 3 attempts, 2 s doubling to at most 30 s.
func Conservative() Config {
	return Config{
		MaxAttempts: 3, BaseDelay: 2 * time.Second, MaxDelay: 30 * time.Second, BackoffFactor: 2, Jitter: DefaultJitter,
	}
}

// Validate reports everything that is wrong with c, zero fields included: it judges a complete configuration.
func (c Config) Validate() error {
	var checks patterns.Checks
	checks.That(c.MaxAttempts >= 1, "max_attempts", "must be at least 1 (the first try counts), got %d", c.MaxAttempts)
	checks.That(c.BaseDelay > 0, "base_delay", "must be positive, got %v", c.BaseDelay)
	checks.That(c.MaxDelay >= c.BaseDelay, "max_delay", "must be at least base_delay (%v), got %v", c.BaseDelay, c.MaxDelay)
	checks.That(c.BackoffFactor >= 1, "backoff_factor", "must be at least 1, got %v", c.BackoffFactor)
	checks.That(c.Jitter == NoJitter || c.Jitter > 0 && c.Jitter <= 1, "jitter",
		"must be true, false or a fraction from 0 to 1, got %v", float64(c.Jitter))
	return checks.Err("")
}

func (c Config) withDefaults() Config {
	d := DefaultConfig()
	if c.MaxAttempts == 0 {
		c.MaxAttempts = d.MaxAttempts
	}
	if c.BaseDelay == 0 {
		c.BaseDelay = d.BaseDelay
	}
	if c.MaxDelay == 0 {
		c.MaxDelay = max(d.MaxDelay, c.BaseDelay)
	}
	if c.BackoffFactor == 0 {
		c.BackoffFactor = d.BackoffFactor
	}
	if c.Jitter == 0 {
		c.Jitter = d.Jitter
	}
	return c
}

// Jitter is the fraction of a delay by which it is varied at random, up and down, so that callers that failed
// together do not come back together. In a configuration it is true (25 %), false, or a fraction from 0 to 1.
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
