package retry

import (
	"time"

	"github.com/steadyfx/steady/patterns"
)

// Config says how often and how patiently a [Policy] tries. A zero field takes the value of [DefaultConfig], or has
// the meaning that is given with it.
type Config struct {
	MaxAttempts int           `koanf:"max_attempts"` // the first one included; at least 1
	BaseDelay   time.Duration `koanf:"base_delay"`   // before the second attempt
	MaxDelay    time.Duration `koanf:"max_delay"`    // no delay is longer, jitter included

	Backoff       Backoff `koanf:"backoff"`        // how delays grow; "" is exponential
	BackoffFactor float64 `koanf:"backoff_factor"` // of exponential backoff; at least 1

	Jitter     Jitter     `koanf:"jitter"`
	JitterKind JitterKind `koanf:"jitter_kind"` // how Jitter varies a delay; "" is by its fraction, up and down

	// MaxElapsed is how long after the failure of the first attempt another one may begin; 0 means any time. The first
	// attempt's own time does not count, so that one which fails late, such as a long poll, is still repeated. That of
	// the following ones does. To bound the whole call, give its context a deadline.
	MaxElapsed time.Duration `koanf:"max_elapsed"`

	// MaxRetryAfter is the longest wait that an error may ask for (see patterns.RetryIn); 0 means MaxDelay. If one asks
	// for more, the call ends: coming earlier than asked is of no use.
	MaxRetryAfter time.Duration `koanf:"max_retry_after"`

	// Budget names the [Budget] that pays for every attempt but a call's first one; "" means none. pipeline.Factory finds
	// it by the name. [New] does not: whoever names one there must give it, with [WithBudget].
	Budget string `koanf:"budget"`
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
	checks.That(c.Backoff.valid(), "backoff",
		"must be constant, linear, exponential or fibonacci, got %q", string(c.Backoff))
	checks.That(c.JitterKind.valid(), "jitter_kind",
		"must be fraction, full, equal, decorrelated or smooth, got %q", string(c.JitterKind))
	checks.That(!c.JitterKind.grows() || c.Backoff == "" || c.Backoff == Exponential, "backoff",
		"must be exponential with jitter_kind %s, which makes delays of its own, got %q", c.JitterKind, string(c.Backoff))
	checks.That(c.MaxElapsed >= 0, "max_elapsed", "must be positive, or 0 for any time, got %v", c.MaxElapsed)
	checks.That(c.MaxRetryAfter >= 0, "max_retry_after", "must be positive, or 0 for max_delay, got %v", c.MaxRetryAfter)
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
