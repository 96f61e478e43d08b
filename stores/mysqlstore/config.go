package mysqlstore

import (
	"time"

	"github.com/steadyfx/steady/internal/sqlrecord"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/idempotency"
)

// Config says where in the database an [Idempotency] keeps its records. A zero field takes its default.
type Config struct {
	// Table is the name of the table, of at most 51 bytes, in the database that the DSN names. Services that share a
	// database need tables of their own. Empty: "idempotency_keys".
	Table string `koanf:"table"`

	// Timeout bounds each call, the wait for a connection included; a shorter deadline of its context comes first. It
	// is at least a millisecond. Zero: 3 s.
	Timeout time.Duration `koanf:"timeout"`
}

func (c Config) withDefaults() Config {
	if c.Table == "" {
		c.Table = sqlrecord.DefaultTable
	}
	if c.Timeout == 0 {
		c.Timeout = sqlrecord.DefaultTimeout
	}
	return c
}

// check records the mistakes of a config that has its defaults.
func (c Config) check(checks *patterns.Checks) {
	sqlrecord.CheckName(checks, "table", c.Table)
	sqlrecord.CheckTimeout(checks, c.Timeout)
}

// misconfigured returns the mistakes, or nil.
func misconfigured(checks *patterns.Checks) error {
	if err := checks.Err(backend); err != nil {
		return &idempotency.ConfigurationError{Err: err}
	}
	return nil
}

// DDL returns the statement that makes the table, for those who would rather not have the store do it: for a migration
// tool, or because the user of the service must not. It does nothing where there is a table of that name. The error is
// an [*idempotency.ConfigurationError] that lists everything that is wrong.
//
// Besides it the user needs SELECT, INSERT, UPDATE and DELETE on the table.
func DDL(cfg Config) (string, error) {
	cfg = cfg.withDefaults()
	var checks patterns.Checks
	cfg.check(&checks)
	if err := misconfigured(&checks); err != nil {
		return "", err
	}
	return statementsFor(cfg.Table).create, nil
}
