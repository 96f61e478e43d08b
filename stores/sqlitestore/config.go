package sqlitestore

import (
	"strings"
	"time"

	"github.com/steadyfx/steady/internal/sqlrecord"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/idempotency"
)

// Config says where an [Idempotency] keeps its records. A zero field takes its default.
type Config struct {
	// Path is the file, which is made if it is not there; its folder must be. A relative path is relative to the folder
	// in which the process is when it calls [NewIdempotency]. Required.
	Path string `koanf:"path"`

	// Table is the name of the table, of at most 51 bytes. Services that share a file need tables of their own. Empty:
	// "idempotency_keys".
	Table string `koanf:"table"`

	// Timeout bounds each call, the wait for other writers included; a shorter deadline of its context comes first. It
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

// check returns the mistakes of a config that has its defaults.
func (c Config) check() error {
	var checks patterns.Checks
	checks.That(c.Path != "", "path", "must not be empty")
	checks.That(!strings.ContainsRune(c.Path, 0), "path", "must not hold a zero byte, got %q", c.Path)
	checks.That(c.Path != ":memory:" && !strings.HasPrefix(c.Path, "file:"), "path",
		"must be the path of a file, got %q; for records in memory use stores/memstore", c.Path)
	checkTable(&checks, c.Table)
	sqlrecord.CheckTimeout(&checks, c.Timeout)
	return misconfigured(&checks)
}

func checkTable(checks *patterns.Checks, table string) {
	sqlrecord.CheckName(checks, "table", table)
	checks.That(!strings.HasPrefix(strings.ToLower(table), "sqlite_"), "table",
		"must not begin with sqlite_, which is SQLite's own, got %q", table)
}

// misconfigured returns the mistakes, or nil.
func misconfigured(checks *patterns.Checks) error {
	if err := checks.Err(backend); err != nil {
		return &idempotency.ConfigurationError{Err: err}
	}
	return nil
}

// DDL returns the statements that make the table of cfg and its index, for those who would rather not have the store do
// it. They do nothing where both are there already. Only cfg.Table is looked at. The error is an
// [*idempotency.ConfigurationError].
func DDL(cfg Config) (string, error) {
	var checks patterns.Checks
	table := cfg.withDefaults().Table
	checkTable(&checks, table)
	if err := misconfigured(&checks); err != nil {
		return "", err
	}
	return statementsFor(table).create, nil
}
