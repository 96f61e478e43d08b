package hedge

import (
	"time"

	"github.com/steadyfx/steady/patterns"
)

// Config says when and how often a [Policy] starts another attempt. A zero field takes the value of [DefaultConfig].
type Config struct {
	// Delay is the time between the beginnings of attempts. With a Quantile it holds until enough is known.
	Delay time.Duration `koanf:"delay"`

	// Quantile is the share of recent calls, from 0 to 1, that ended before the delay. 0 leaves the delay fixed.
	Quantile float64 `koanf:"quantile"`

	// MaxHedges is how many attempts a call may have besides its first one; 1 to 100.
	MaxHedges int `koanf:"max_hedges"`

	// Budget names the retry.Budget that pays for every attempt but a call's first one; "" means none. pipeline.Factory
	// finds it by the name. [New] does not: whoever names one there must give it, with [WithBudget].
	Budget string `koanf:"budget"`
}

// DefaultConfig returns one hedge after 2 s.
func DefaultConfig() Config { return Config{Delay: 2 * time.Second, MaxHedges: 1} }

// Validate reports everything that is wrong with c, zero fields included: it judges a complete configuration.
func (c Config) Validate() error {
	var checks patterns.Checks
	checks.That(c.Delay > 0, "delay", "must be positive, got %v", c.Delay)
	checks.That(c.Quantile >= 0 && c.Quantile < 1, "quantile",
		"must be between 0 and 1, or 0 for a fixed delay, got %v", c.Quantile)
	checks.That(c.MaxHedges >= 1 && c.MaxHedges <= 100, "max_hedges", "must be from 1 to 100, got %d", c.MaxHedges)
	return checks.Err("")
}

func (c Config) withDefaults() Config {
	d := DefaultConfig()
	if c.Delay == 0 {
		c.Delay = d.Delay
	}
	if c.MaxHedges == 0 {
		c.MaxHedges = d.MaxHedges
	}
	return c
}
