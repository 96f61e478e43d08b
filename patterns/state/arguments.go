package state

import (
	"time"

	"github.com/steadyfx/steady/patterns"
)

const minTTL = time.Millisecond

// Validate returns a [*ConfigurationError] that lists what is out of range of the arguments of CompareAndSwap. It is for
// implementations of [Store].
func Validate(data []byte, ttl time.Duration) error {
	var checks patterns.Checks
	checks.That(len(data) <= MaxData, "data", "must be at most %d bytes, got %d", MaxData, len(data))
	checks.That(ttl == 0 || ttl >= minTTL, "ttl", "must be at least %v, or 0 for no expiry, got %v", minTTL, ttl)
	if err := checks.Err(""); err != nil {
		return &ConfigurationError{Err: err}
	}
	return nil
}
