package sqlrecord

import (
	"time"

	"github.com/steadyfx/steady/patterns"
)

// Defaults of a store.
const (
	DefaultTable   = "idempotency_keys"
	DefaultTimeout = 3 * time.Second
)

const (
	minTimeout = time.Millisecond
	maxName    = 51 // what the shortest limit of a database leaves beside the name of an index
)

// CheckTimeout records what is wrong with the limit of calls.
func CheckTimeout(checks *patterns.Checks, timeout time.Duration) {
	checks.That(timeout >= minTimeout, "timeout", "must be at least %v, got %v", minTimeout, timeout)
}

// CheckName records what is wrong with the name of a table or the like, which must need no quotes unless it is a
// reserved word.
func CheckName(checks *patterns.Checks, field, name string) {
	checks.That(plain(name), field, "must be letters, digits and underscores and not begin with a digit, got %q", name)
	checks.That(len(name) <= maxName, field, "must be at most %d bytes, got %d", maxName, len(name))
}

func plain(name string) bool {
	for i, r := range name {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if digit := '0' <= r && r <= '9'; !letter && !(digit && i > 0) {
			return false
		}
	}
	return name != ""
}
