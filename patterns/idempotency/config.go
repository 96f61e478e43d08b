package idempotency

import (
	"time"

	"github.com/steadyfx/steady/patterns"
)

// Config says how long results are kept and how keys are handled. A zero field takes the value of [DefaultConfig],
// except Wait, FailOpen, CacheEntries and AutoCleanup, which mean what they say, and KeyPrefix and Backend, for which
// the store and the wiring have defaults of their own.
type Config struct {
	TTL             time.Duration `koanf:"ttl"`               // how long a result is replayed; positive
	Lease           time.Duration `koanf:"lease"`             // how long a claim outlives a process that died; at least 100 ms
	Wait            time.Duration `koanf:"wait"`              // how long a duplicate waits for a call that is acting; 0: not at all
	FailOpen        bool          `koanf:"fail_open"`         // act without protection while the store is not available
	CacheEntries    int           `koanf:"cache_entries"`     // results that a guard keeps at hand beside the store; 0: none
	CacheTTL        time.Duration `koanf:"cache_ttl"`         // how long it answers from there without asking the store
	MaxEntries      int           `koanf:"max_entries"`       // memory backend: results kept, the oldest go first
	CleanupInterval time.Duration `koanf:"cleanup_interval"`  // between two rounds of the janitor
	AutoCleanup     bool          `koanf:"auto_cleanup"`      // whether the Fx module starts the janitor
	KeyPrefix       string        `koanf:"key_prefix"`        // keeps the keys of services that share a store apart
	MaxKeyLength    int           `koanf:"max_key_length"`    // bytes; a longer key is refused
	MaxResult       int64         `koanf:"max_result"`        // bytes of a result that is kept; of a larger one, that it was
	MaxRequestBody  int64         `koanf:"max_request_body"`  // HTTP: bytes of a request with a key; a larger one is refused
	MaxResponseBody int64         `koanf:"max_response_body"` // HTTP: bytes of a response that is kept; of a larger one, that it was
	Backend         string        `koanf:"backend"`           // which store; empty: the one wired in, else memory
}

// MemoryBackend is the Config.Backend that keeps records in the process.
const MemoryBackend = "memory"

// DefaultConfig returns: results kept for 1 h, claims for 30 s unless extended, duplicates of calls that are acting
// refused at once, nothing run without the store, nothing at hand beside it (else for 1 min), 10,000 results in memory,
// a cleanup every 300 s, the prefix "idempotency:", keys of up to 512 bytes, and results and bodies of up
// to 1 MiB.
func DefaultConfig() Config {
	return Config{
		TTL: time.Hour, Lease: 30 * time.Second, CacheTTL: time.Minute, MaxEntries: 10_000,
		CleanupInterval: 5 * time.Minute, AutoCleanup: true, KeyPrefix: "idempotency:", MaxKeyLength: 512,
		MaxResult: 1 << 20, MaxRequestBody: 1 << 20, MaxResponseBody: 1 << 20,
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
	positive("cache_ttl", c.CacheTTL)
	checks.That(c.Lease >= shortestLease, "lease", "must be at least %v, got %v", shortestLease, c.Lease)
	checks.That(c.Wait >= 0, "wait", "must not be negative, got %v", c.Wait)
	checks.That(c.CacheEntries >= 0, "cache_entries", "must not be negative, got %d", c.CacheEntries)
	checks.That(c.MaxEntries >= 1, "max_entries", "must be at least 1, got %d", c.MaxEntries)
	checks.That(c.MaxKeyLength >= 1, "max_key_length", "must be at least 1, got %d", c.MaxKeyLength)
	checks.That(c.MaxResult >= 1, "max_result", "must be at least 1, got %d", c.MaxResult)
	checks.That(c.MaxRequestBody >= 1, "max_request_body", "must be at least 1, got %d", c.MaxRequestBody)
	checks.That(c.MaxResponseBody >= 1, "max_response_body", "must be at least 1, got %d", c.MaxResponseBody)
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
	or(&c.CacheTTL, d.CacheTTL)
	if c.MaxEntries == 0 {
		c.MaxEntries = d.MaxEntries
	}
	if c.MaxKeyLength == 0 {
		c.MaxKeyLength = d.MaxKeyLength
	}
	if c.MaxResult == 0 {
		c.MaxResult = d.MaxResult
	}
	if c.MaxRequestBody == 0 {
		c.MaxRequestBody = d.MaxRequestBody
	}
	if c.MaxResponseBody == 0 {
		c.MaxResponseBody = d.MaxResponseBody
	}
	return c
}
