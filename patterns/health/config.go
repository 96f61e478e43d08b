package health

import (
	"cmp"
	"time"

	"github.com/steadyfx/steady/patterns"
)

// Config is about all checks of a [Manager]. A zero field takes the value of [DefaultConfig].
type Config struct {
	Version string        `koanf:"version"` // of the program, for the health page
	MaxAge  time.Duration `koanf:"max_age"` // how long a result is given again before the check is run again
}

// DefaultConfig returns the version "unknown" and results that are given again for 1 s.
func DefaultConfig() Config { return Config{Version: "unknown", MaxAge: time.Second} }

// Validate reports everything that is wrong with c, zero fields included: it judges a complete configuration.
func (c Config) Validate() error {
	var checks patterns.Checks
	checks.That(c.Version != "", "version", "must not be empty")
	checks.That(c.MaxAge > 0, "max_age", "must be positive, got %v", c.MaxAge)
	return checks.Err("")
}

func (c Config) withDefaults() Config {
	d := DefaultConfig()
	return Config{Version: cmp.Or(c.Version, d.Version), MaxAge: cmp.Or(c.MaxAge, d.MaxAge)}
}
