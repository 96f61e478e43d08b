package circuitbreaker

import (
	"time"

	"github.com/steadyfx/steady/patterns"
)

// Config says when a [Breaker] opens and how it closes again. A zero field takes the value of [DefaultConfig], except
// Timeout, where zero means none.
type Config struct {
	// FailureThreshold opens the circuit after this many failures in a row.
	FailureThreshold int `koanf:"failure_threshold"`

	// FailureRateThreshold opens it when this fraction of the calls in the window failed, from above 0 to 1. It is
	// judged whenever a call fails, and when a success makes up the minimum of calls.
	FailureRateThreshold float64 `koanf:"failure_rate_threshold"`

	// MinimumCalls must be in the window before the failure rate counts. At the default of 20, a dependency that
	// really fails one call in five trips a threshold of 0.5 by chance in 0.3 % of all windows; at 5 calls in 6 %.
	MinimumCalls int `koanf:"minimum_calls"`

	// SlidingWindow is how far back the failure rate looks, to within a thirtieth of it; at least 1 ms.
	SlidingWindow time.Duration `koanf:"sliding_window_seconds"`

	// RecoveryTimeout is how long an open circuit rejects before it lets probes through.
	RecoveryTimeout time.Duration `koanf:"recovery_timeout"`

	// HalfOpenMaxCalls is how many probes may be in flight at once.
	HalfOpenMaxCalls int `koanf:"half_open_max_calls"`

	// SuccessThreshold is how many probes must succeed to close the circuit. One that fails opens it again.
	SuccessThreshold int `koanf:"success_threshold"`

	// Timeout bounds each call; a call that exceeds it fails with a timeout error and counts as a failure. Zero: no
	// bound. It is also the time that a probe may take before it is taken for lost; without it that is
	// RecoveryTimeout.
	Timeout time.Duration `koanf:"timeout"`

	// Backend names where the state of the circuit is shared. "memory", the default: in this process only.
	Backend string `koanf:"backend"`
}

// MemoryBackend is the Config.Backend that keeps the state in the process.
const MemoryBackend = "memory"

// DefaultConfig returns: open after 5 failures in a row or when half of at least 20 calls of the last 60 s failed;
// probe after 60 s, 3 at once; close after 3 successes; 30 s for each call.
func DefaultConfig() Config {
	return Config{
		FailureThreshold: 5, FailureRateThreshold: 0.5, MinimumCalls: 20, SlidingWindow: time.Minute,
		RecoveryTimeout: time.Minute, HalfOpenMaxCalls: 3, SuccessThreshold: 3,
		Timeout: 30 * time.Second, Backend: MemoryBackend,
	}
}

// Sensitive returns a Config that trips quickly, for a dependency whose failure should be surfaced at once: 3 failures
// in a row or 30 %, probe after 30 s, close after 1 success.
func Sensitive() Config {
	c := DefaultConfig()
	c.FailureThreshold, c.FailureRateThreshold, c.RecoveryTimeout, c.SuccessThreshold = 3, 0.3, 30*time.Second, 1
	return c
}

// Tolerant returns a Config that trips slowly, for a dependency that may fail a while before callers should notice: 10
// failures in a row or 70 %, probe after 120 s, close after 5 successes.
func Tolerant() Config {
	c := DefaultConfig()
	c.FailureThreshold, c.FailureRateThreshold, c.RecoveryTimeout, c.SuccessThreshold = 10, 0.7, 2*time.Minute, 5
	return c
}

// shortestWindow keeps a bucket of the window longer than the clock's resolution.
const shortestWindow = time.Millisecond

// Validate reports everything that is wrong with c, zero fields included: it judges a complete configuration.
func (c Config) Validate() error {
	var checks patterns.Checks
	atLeastOne := func(field string, n int) { checks.That(n >= 1, field, "must be at least 1, got %d", n) }
	positive := func(field string, d time.Duration) { checks.That(d > 0, field, "must be positive, got %v", d) }
	atLeastOne("failure_threshold", c.FailureThreshold)
	atLeastOne("minimum_calls", c.MinimumCalls)
	atLeastOne("half_open_max_calls", c.HalfOpenMaxCalls)
	atLeastOne("success_threshold", c.SuccessThreshold)
	positive("recovery_timeout", c.RecoveryTimeout)
	checks.That(c.FailureRateThreshold > 0 && c.FailureRateThreshold <= 1, "failure_rate_threshold",
		"must be above 0 and at most 1, got %v", c.FailureRateThreshold)
	checks.That(c.SlidingWindow >= shortestWindow, "sliding_window_seconds",
		"must be at least %v, got %v", shortestWindow, c.SlidingWindow)
	checks.That(c.Timeout >= 0, "timeout", "must not be negative, got %v (0 for none)", c.Timeout)
	checks.That(c.Backend == MemoryBackend, "backend", "unknown backend %q; known: %s", c.Backend, MemoryBackend)
	return checks.Err("")
}

func (c Config) withDefaults() Config {
	d := DefaultConfig()
	or := func(n *int, def int) {
		if *n == 0 {
			*n = def
		}
	}
	or(&c.FailureThreshold, d.FailureThreshold)
	or(&c.MinimumCalls, d.MinimumCalls)
	or(&c.HalfOpenMaxCalls, d.HalfOpenMaxCalls)
	or(&c.SuccessThreshold, d.SuccessThreshold)
	if c.FailureRateThreshold == 0 {
		c.FailureRateThreshold = d.FailureRateThreshold
	}
	if c.SlidingWindow == 0 {
		c.SlidingWindow = d.SlidingWindow
	}
	if c.RecoveryTimeout == 0 {
		c.RecoveryTimeout = d.RecoveryTimeout
	}
	if c.Backend == "" {
		c.Backend = d.Backend
	}
	return c
}
