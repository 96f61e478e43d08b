package timeout

import (
	"time"

	"github.com/steadyfx/steady/patterns"
)

// Config bounds the time of an operation. A zero field takes the value of [DefaultConfig].
type Config struct {
	Timeout time.Duration `koanf:"timeout"`
	Message string        `koanf:"timeout_message"` // begins the message of the error

	// Detached makes calls return at the limit even if the operation ignores its context and runs on. It costs a
	// goroutine a call, and what the operation does after that happens unseen.
	Detached bool `koanf:"detached"`
}

// DefaultConfig returns 30 s and "Operation timed out", not detached.
func DefaultConfig() Config {
	return Config{Timeout: 30 * time.Second, Message: "Operation timed out"}
}

// Validate reports everything that is wrong with c, zero fields included: it judges a complete configuration.
func (c Config) Validate() error {
	var checks patterns.Checks
	checks.That(c.Timeout > 0, "timeout", "must be positive, got %v", c.Timeout)
	checks.That(c.Message != "", "timeout_message", "must not be empty")
	return checks.Err("")
}

func (c Config) withDefaults() Config {
	d := DefaultConfig()
	if c.Timeout == 0 {
		c.Timeout = d.Timeout
	}
	if c.Message == "" {
		c.Message = d.Message
	}
	return c
}
