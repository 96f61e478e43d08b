package idempotency

import (
	"time"

	"github.com/steadyfx/steady/patterns"
)

// Config says how long results are kept and how keys are handled. A zero field takes the value of [DefaultConfig],
// except AutoCleanup, which means what it says, and KeyPrefix and Backend, for which the store and the wiring have
// defaults of their own.
type Config struct {
	TTL             time.Duration `koanf:"ttl"`              // how long a result is replayed; positive
	Lease           time.Duration `koanf:"lease"`            // how long a claim outlives a process that died; at least 100 ms
	MaxEntries      int           `koanf:"max_entries"`      // memory backend: results kept, the oldest go first
	CleanupInterval time.Duration `koanf:"cleanup_interval"` // between two rounds of the janitor
	AutoCleanup     bool          `koanf:"auto_cleanup"`     // whether the Fx module starts the janitor
	KeyPrefix       string        `koanf:"key_prefix"`       // of the keys in shared backends
	MaxKeyLength    int           `koanf:"max_key_length"`   // bytes; a longer key is refused
	Backend         string        `koanf:"backend"`          // which store; empty: the one wired in, else memory
}

// MemoryBackend is the Config.Backend that keeps records in the process.
const MemoryBackend = "memory"

// DefaultConfig returns: results kept for 1 h, claims for 30 s unless extended, 10,000 results in memory, a cleanup
// every 300 s, the prefix "idempotency:" and keys of up to 512 bytes.
func DefaultConfig() Config {
	return Config{
		TTL: time.Hour, Lease: 30 * time.Second, MaxEntries: 10_000, CleanupInterval: 5 * time.Minute, AutoCleanup: true,
		KeyPrefix: "idempotency:", MaxKeyLength: 512,
	}
}

// shortestLease leaves a heartbeat time to extend the claim.
const shortestLease = 100 * time.Millisecond

// Validate reports everything that is wrong with c, zero fields included: it judges a complete configuration. Whether
// there is a backend of that name only the caller knows.
func (c Config) Validate() error {
	var checks patterns.Checks
	positive := func(field string, d time.Duration) { checks.That(d > 0, field, "must be positive, got %v", d) }
	positive("ttl", c.TTL)
	positive("cleanup_interval", c.CleanupInterval)
	checks.That(c.Lease >= shortestLease, "lease", "must be at least %v, got %v", shortestLease, c.Lease)
	checks.That(c.MaxEntries >= 1, "max_entries", "must be at least 1, got %d", c.MaxEntries)
	checks.That(c.MaxKeyLength >= 1, "max_key_length", "must be at least 1, got %d", c.MaxKeyLength)
	return checks.Err("")
}

func (c Config) withDefaults() Config {
	d := DefaultConfig()
	or := func(v *time.Duration, def time.Duration) {
		if *v == 0 {
			*v = def
		}
	}
	or(&c.TTL, d.TTL)
	or(&c.Lease, d.Lease)
	or(&c.CleanupInterval, d.CleanupInterval)
	if c.MaxEntries == 0 {
		c.MaxEntries = d.MaxEntries
	}
	if c.MaxKeyLength == 0 {
		c.MaxKeyLength = d.MaxKeyLength
	}
	return c
}
