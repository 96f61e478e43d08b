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
	checkSize(&checks, c.MaxConcurrent, c.QueueSize)
	checkTimeout(&checks, c.Timeout)
	return checks.Err("")
}

func checkSize(checks *patterns.Checks, maxConcurrent, queueSize int) {
	checks.That(maxConcurrent >= 1 && maxConcurrent <= maxSlots, "max_concurrent",
		"must be from 1 to %d, got %d", maxSlots, maxConcurrent)
	checkQueue(checks, queueSize)
}

func checkQueue(checks *patterns.Checks, size int) {
	checks.That(size >= 0 && size <= maxQueue, "queue_size",
		"must be from 0 (no queue) to %d, got %d", maxQueue, size)
}

func checkTimeout(checks *patterns.Checks, d time.Duration) {
	checks.That(d > 0, "timeout", "must be positive, got %v (for no waiting at all set queue_size to 0)", d)
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
