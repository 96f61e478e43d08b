package bulkhead

import (
	"time"

	"github.com/steadyfx/steady/patterns"
)

// Config bounds a [Bulkhead].
type Config struct {
	MaxConcurrent int           `koanf:"max_concurrent"` // calls at once; zero: 10
	QueueSize     int           `koanf:"queue_size"`     // calls that may wait for a slot; zero: none, reject at once
	Timeout       time.Duration `koanf:"timeout"`        // how long a call waits, not how long it runs; zero: 30 s
}

// DefaultConfig returns 10 slots and a queue of 100 calls that wait for at most 30 s.
func DefaultConfig() Config {
	return Config{MaxConcurrent: 10, QueueSize: 100, Timeout: 30 * time.Second}
}

// Upper bounds keep the counters of a bulkhead in one word.
const (
	maxSlots = 1 << 30
	maxQueue = 1 << 30
)

// Validate reports everything that is wrong with c, zero fields included: it judges a complete configuration.
func (c Config) Validate() error {
	var checks patterns.Checks
	checks.That(c.MaxConcurrent >= 1 && c.MaxConcurrent <= maxSlots, "max_concurrent",
		"must be from 1 to %d, got %d", maxSlots, c.MaxConcurrent)
	checks.That(c.QueueSize >= 0 && c.QueueSize <= maxQueue, "queue_size",
		"must be from 0 (no queue) to %d, got %d", maxQueue, c.QueueSize)
	checks.That(c.Timeout > 0, "timeout", "must be positive, got %v (for no waiting at all set queue_size to 0)", c.Timeout)
	return checks.Err("")
}

func (c Config) withDefaults() Config {
	d := DefaultConfig()
	if c.MaxConcurrent == 0 {
		c.MaxConcurrent = d.MaxConcurrent
	}
	if c.Timeout == 0 {
		c.Timeout = d.Timeout
	}
	return c
}
