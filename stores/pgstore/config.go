package pgstore

import (
	"strings"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/idempotency"
)

// Config says where in the database an [Idempotency] keeps its records. A zero field takes its default.
type Config struct {
	// Schema holds the table. It must exist. Empty: what the search_path of the connections says.
	Schema string `koanf:"schema"`

	// Table is the name of the table, of at most 51 bytes. Services that share a schema need tables of their own.
	// Empty: "idempotency_keys".
	Table string `koanf:"table"`

	// Timeout bounds each call, the wait for a connection included; a shorter deadline of its context comes first. It
	// is at least a millisecond. Zero: 3 s. It is not for calls with a transaction of the caller.
	Timeout time.Duration `koanf:"timeout"`
}

const (
	defaultTable   = "idempotency_keys"
	defaultTimeout = 3 * time.Second
	minTimeout     = time.Millisecond

	// PostgreSQL cuts longer names, and the index is named after the table.
	maxIdentifier = 63
	indexSuffix   = "_purge_after"
)

func (c Config) withDefaults() Config {
	if c.Table == "" {
		c.Table = defaultTable
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	return c
}

// check records the mistakes of a config that has its defaults.
func (c Config) check(checks *patterns.Checks) {
	identifier := func(field, name string, longest int) {
		checks.That(len(name) <= longest, field, "must be at most %d bytes, got %d", longest, len(name))
		checks.That(plain(name), field, "must be letters, digits and underscores and not begin with a digit, got %q", name)
	}
	if c.Schema != "" {
		identifier("schema", c.Schema, maxIdentifier)
	}
	identifier("table", c.Table, maxIdentifier-len(indexSuffix))
	checks.That(c.Timeout >= minTimeout, "timeout", "must be at least %v, got %v", minTimeout, c.Timeout)
}

// plain reports whether a name has nothing that quoting would have to change.
func plain(name string) bool {
	for i, r := range name {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if digit := '0' <= r && r <= '9'; !letter && !(digit && i > 0) {
			return false
		}
	}
	return true
}

// quoted returns the name of the table for statements.
func (c Config) quoted() string {
	table := `"` + c.Table + `"`
	if c.Schema != "" {
		return `"` + c.Schema + `".` + table
	}
	return table
}

// DDL returns the statements that make the table and its index, for those who would rather not have the store do it:
// for a migration tool, or because the role of the service must not. They do nothing where both are there already. The
// error is an [*idempotency.ConfigurationError] that lists everything that is wrong.
//
// Besides them the role needs SELECT, INSERT, UPDATE and DELETE on the table, and USAGE of its schema.
func DDL(cfg Config) (string, error) {
	cfg = cfg.withDefaults()
	var checks patterns.Checks
	cfg.check(&checks)
	if err := checks.Err(backend); err != nil {
		return "", &idempotency.ConfigurationError{Err: err}
	}
	return strings.NewReplacer("{table}", cfg.quoted(), "{index}", `"`+cfg.Table+indexSuffix+`"`).Replace(ddl), nil
}
