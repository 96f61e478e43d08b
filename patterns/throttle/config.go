package throttle

import (
	"cmp"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/ratelimit"
)

// Strategy is a way to count calls.
type Strategy string

// The strategies there are.
const (
	TokenBucket    Strategy = "token_bucket"    // an even rate and short bursts, see [ratelimit.TokenBucket]
	SlidingWindow  Strategy = "sliding_window"  // never more than Calls in any Period, see [ratelimit.SlidingWindow]
	SlidingCounter Strategy = "sliding_counter" // nearly that, in constant memory, see [ratelimit.SlidingCounter]
)

// Config bounds a [Throttler].
type Config struct {
	Calls    int           `koanf:"calls"`    // per Period; zero: 100
	Period   time.Duration `koanf:"period"`   // zero: 1 s
	Burst    int           `koanf:"burst"`    // calls at once after a quiet time, for the token bucket; zero: Calls
	Strategy Strategy      `koanf:"strategy"` // empty: token_bucket

	// MaxWait is how long a call waits at most; zero: as long as its context lives, but not at all if
	// that has no deadline and is one of patterns.WithBoundedWaits, as in resiliencehttp.Handler; negative: not at all.
	MaxWait time.Duration `koanf:"max_wait"`
}

// DefaultConfig returns 100 calls a second from a token bucket, and no limit to the wait but the context's.
func DefaultConfig() Config {
	return Config{Calls: 100, Period: time.Second, Burst: 100, Strategy: TokenBucket}
}

// Validate reports everything that is wrong with c, zero fields included but for Burst, where zero means Calls: it
// judges a complete configuration.
func (c Config) Validate() error {
	var checks patterns.Checks
	checks.That(c.Calls >= 1, "calls", "must be at least 1, got %d", c.Calls)
	checks.That(c.Period > 0, "period", "must be positive, got %v", c.Period)
	switch c.Strategy {
	case TokenBucket:
		checks.That(c.Burst >= 0, "burst", "must be at least 1, or 0 for calls, got %d", c.Burst)
		if checks.Err("") == nil { // else the same would be said twice
			checks.Include("", c.bucket().Validate())
		}
	case SlidingWindow, SlidingCounter:
		checks.That(c.Burst == 0, "burst", "is for the strategy %s, leave it out; got %d", TokenBucket, c.Burst)
		if checks.Err("") == nil {
			checks.Include("", c.window().Validate())
		}
	default:
		checks.That(false, "strategy", "must be %s, %s or %s, got %q", TokenBucket, SlidingWindow, SlidingCounter,
			c.Strategy)
	}
	return checks.Err("")
}

func (c Config) withDefaults() Config {
	d := DefaultConfig()
	c.Calls = cmp.Or(c.Calls, d.Calls)
	c.Period = cmp.Or(c.Period, d.Period)
	c.Strategy = cmp.Or(c.Strategy, d.Strategy)
	if c.Strategy == TokenBucket {
		c.Burst = cmp.Or(c.Burst, c.Calls)
	}
	return c
}

func (c Config) bucket() ratelimit.Config {
	return ratelimit.Config{Limit: c.Calls, Period: c.Period, Burst: c.Burst, MaxWait: c.MaxWait}
}

func (c Config) window() ratelimit.WindowConfig {
	return ratelimit.WindowConfig{Limit: c.Calls, Period: c.Period, MaxWait: c.MaxWait}
}
