package circuitbreaker

import (
	"cmp"
	"time"

	"github.com/steadyfx/steady/patterns"
)

// Config says when a [Breaker] opens and how it closes again. A zero field takes the value of [DefaultConfig], except
// where its comment says what zero means.
type Config struct {
	// FailureThreshold opens the circuit after this many failures in a row.
	FailureThreshold int `koanf:"failure_threshold"`

	// FailureRateThreshold opens it when this fraction of the calls in the window failed, from above 0 to 1. It is
	// judged whenever a call fails, and when a success makes up the minimum of calls.
	FailureRateThreshold float64 `koanf:"failure_rate_threshold"`

	// MinimumCalls must be in the window before the failure rate counts. At the default of 20, a dependency that
	// really fails one call in five trips a threshold of 0.5 by chance in 0.3 % of all windows; at 5 calls in 6 %.
	MinimumCalls int `koanf:"minimum_calls"`

	// SlidingWindow is how far back the rates look, to within a thirtieth of it; at least 1 ms.
	SlidingWindow time.Duration `koanf:"sliding_window_seconds"`

	// SlidingWindowCalls makes the rates look at the last so many calls, however long ago they were, instead of at
	// SlidingWindow; at most 100,000. It suits a dependency that is called seldom. Zero: the window is one of time.
	SlidingWindowCalls int `koanf:"sliding_window_calls"`

	// SlowCallDuration makes a call slow that takes longer, whether it fails or not, and has the durations of calls
	// measured. Zero: no call is slow.
	SlowCallDuration time.Duration `koanf:"slow_call_duration"`

	// SlowCallRateThreshold opens the circuit when this fraction of the calls in the window was slow, from above 0 to
	// 1. It is judged like the failure rate, and once more when the probes have succeeded: if this fraction of them
	// was slow, the circuit opens again.
	SlowCallRateThreshold float64 `koanf:"slow_call_rate_threshold"`

	// RecoveryTimeout is how long an open circuit rejects before it lets probes through.
	RecoveryTimeout time.Duration `koanf:"recovery_timeout"`

	// RecoveryBackoffFactor makes an open circuit wait that much longer each time its probes have failed; at least 1.
	RecoveryBackoffFactor float64 `koanf:"recovery_backoff_factor"`

	// MaxRecoveryTimeout bounds what RecoveryBackoffFactor makes of the wait. Zero: ten times RecoveryTimeout.
	MaxRecoveryTimeout time.Duration `koanf:"max_recovery_timeout"`

	// RecoveryJitter makes each wait longer by a random part of it, up to this fraction, so that the breakers of many
	// processes do not probe at the same moment; from 0 to 1. Zero: none.
	RecoveryJitter float64 `koanf:"recovery_jitter"`

	// HalfOpenMaxCalls is how many probes may be in flight at once.
	HalfOpenMaxCalls int `koanf:"half_open_max_calls"`

	// SuccessThreshold is how many probes must succeed to close the circuit. One that fails opens it again.
	SuccessThreshold int `koanf:"success_threshold"`

	// HalfOpenTimeout opens the circuit again when it has not closed this long after its first probe. Where calls are
	// few, it must be longer than SuccessThreshold of them need to come. Zero: no bound.
	HalfOpenTimeout time.Duration `koanf:"half_open_timeout"`

	// Timeout bounds each call; a call that exceeds it fails with a timeout error and counts as a failure. Zero: no
	// bound. It is also the time that a probe may take before it is taken for lost; without it that is
	// RecoveryTimeout.
	Timeout time.Duration `koanf:"timeout"`

	// DryRun measures and announces everything and rejects nothing, to try a configuration on real calls. Only a
	// circuit that is forced open rejects.
	DryRun bool `koanf:"dry_run"`

	// Backend is where a [Registry] shares the state of the circuit. Empty: through its backend, if it has one.
	// "memory": in this process only, whatever backend the registry has.
	Backend string `koanf:"backend"`
}

// MemoryBackend is the Config.Backend of a circuit that is shared with no other process.
const MemoryBackend = "memory"

// DefaultConfig returns: open after 5 failures in a row or when half of at least 20 calls of the last 60 s failed;
// probe after 60 s, 3 at once; close after 3 successes; 30 s for each call.
func DefaultConfig() Config {
	return Config{
		FailureThreshold: 5, FailureRateThreshold: 0.5, MinimumCalls: 20, SlidingWindow: time.Minute,
		SlowCallRateThreshold: 1, RecoveryTimeout: time.Minute, RecoveryBackoffFactor: 1,
		HalfOpenMaxCalls: 3, SuccessThreshold: 3,
		Timeout: 30 * time.Second,
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

const (
	shortestWindow = time.Millisecond // so that a bucket is longer than the clock's resolution
	mostCalls      = 100_000          // in a window by count, 8 bytes each
)

// Validate reports everything that is wrong with c, zero fields included: it judges a complete configuration.
func (c Config) Validate() error {
	var checks patterns.Checks
	atLeastOne := func(field string, n int) { checks.That(n >= 1, field, "must be at least 1, got %d", n) }
	positive := func(field string, d time.Duration) { checks.That(d > 0, field, "must be positive, got %v", d) }
	notNegative := func(field string, d time.Duration) {
		checks.That(d >= 0, field, "must not be negative, got %v (0 for none)", d)
	}
	fraction := func(field string, f float64) {
		checks.That(f > 0 && f <= 1, field, "must be above 0 and at most 1, got %v", f)
	}
	atLeastOne("failure_threshold", c.FailureThreshold)
	atLeastOne("minimum_calls", c.MinimumCalls)
	atLeastOne("half_open_max_calls", c.HalfOpenMaxCalls)
	atLeastOne("success_threshold", c.SuccessThreshold)
	fraction("failure_rate_threshold", c.FailureRateThreshold)
	fraction("slow_call_rate_threshold", c.SlowCallRateThreshold)
	positive("recovery_timeout", c.RecoveryTimeout)
	checks.That(c.RecoveryBackoffFactor >= 1, "recovery_backoff_factor",
		"must be at least 1, got %v", c.RecoveryBackoffFactor)
	checks.That(c.MaxRecoveryTimeout == 0 || c.MaxRecoveryTimeout >= c.RecoveryTimeout, "max_recovery_timeout",
		"must be at least recovery_timeout (%v), got %v (0 for ten times that)", c.RecoveryTimeout, c.MaxRecoveryTimeout)
	checks.That(c.RecoveryJitter >= 0 && c.RecoveryJitter <= 1, "recovery_jitter",
		"must be from 0 to 1, got %v", c.RecoveryJitter)
	notNegative("half_open_timeout", c.HalfOpenTimeout)
	notNegative("timeout", c.Timeout)
	notNegative("slow_call_duration", c.SlowCallDuration)
	checks.That(c.Timeout <= 0 || c.SlowCallDuration < c.Timeout, "slow_call_duration",
		"must be shorter than timeout (%v), got %v: no call takes that long", c.Timeout, c.SlowCallDuration)
	c.checkWindow(&checks)
	checks.That(c.Backend == "" || c.Backend == MemoryBackend, "backend",
		"must be %s, or empty for the one that is wired in, got %q", MemoryBackend, c.Backend)
	return checks.Err("")
}

func (c Config) checkWindow(checks *patterns.Checks) {
	if c.SlidingWindowCalls == 0 {
		checks.That(c.SlidingWindow >= shortestWindow, "sliding_window_seconds",
			"must be at least %v, got %v", shortestWindow, c.SlidingWindow)
		return
	}
	checks.That(c.SlidingWindowCalls > 0 && c.SlidingWindowCalls <= mostCalls, "sliding_window_calls",
		"must be from 1 to %d, got %d (0 for a window of time)", mostCalls, c.SlidingWindowCalls)
	checks.That(c.SlidingWindowCalls < 0 || c.MinimumCalls <= c.SlidingWindowCalls, "minimum_calls",
		"must be at most sliding_window_calls (%d), got %d", c.SlidingWindowCalls, c.MinimumCalls)
}

func (c Config) withDefaults() Config {
	d := DefaultConfig()
	c.FailureThreshold = cmp.Or(c.FailureThreshold, d.FailureThreshold)
	c.FailureRateThreshold = cmp.Or(c.FailureRateThreshold, d.FailureRateThreshold)
	if c.SlidingWindowCalls > 0 {
		d.MinimumCalls = min(d.MinimumCalls, c.SlidingWindowCalls)
	}
	c.MinimumCalls = cmp.Or(c.MinimumCalls, d.MinimumCalls)
	c.SlidingWindow = cmp.Or(c.SlidingWindow, d.SlidingWindow)
	c.SlowCallRateThreshold = cmp.Or(c.SlowCallRateThreshold, d.SlowCallRateThreshold)
	c.RecoveryTimeout = cmp.Or(c.RecoveryTimeout, d.RecoveryTimeout)
	c.RecoveryBackoffFactor = cmp.Or(c.RecoveryBackoffFactor, d.RecoveryBackoffFactor)
	c.HalfOpenMaxCalls = cmp.Or(c.HalfOpenMaxCalls, d.HalfOpenMaxCalls)
	c.SuccessThreshold = cmp.Or(c.SuccessThreshold, d.SuccessThreshold)
	return c
}
