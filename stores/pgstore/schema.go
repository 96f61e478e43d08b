package pgstore

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/idempotency"
)

// EnsureSchema makes the table and its index if there is no table, and then does what [Idempotency.CheckSchema] does.
// Any number of processes may do so at once. A role that may not create tables needs one that is there. The schema is
// not created.
func (s *Idempotency) EnsureSchema(ctx context.Context) error {
	return s.ask(ctx, "schema", repeatable, s.ensure)
}

// CheckSchema reports whether the table has the columns and indexes that the store needs, and the role the privileges.
// It changes nothing. The error is an [*idempotency.ConfigurationError] that lists everything that is missing, or an
// [*idempotency.BackendError].
func (s *Idempotency) CheckSchema(ctx context.Context) error {
	return s.ask(ctx, "schema", repeatable, func(ctx context.Context) error {
		found, err := s.inspect(ctx)
		if err == nil && !found {
			return s.misfit("there is no table %s: create it by the statements of pgstore.DDL", s.table)
		}
		return err
	})
}

// ready looks for the table until it was found once. One caller does so, and the others wait.
func (s *Idempotency) ready(ctx context.Context) error {
	if s.usable.Load() {
		return nil
	}
	select {
	case s.gate <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.gate }()
	if s.usable.Load() {
		return nil
	}
	return s.ensure(ctx)
}

// ensure makes the table if there is none.
func (s *Idempotency) ensure(ctx context.Context) error {
	found, err := s.inspect(ctx)
	if err == nil && !found {
		if err = s.create(ctx); err == nil {
			found, err = s.inspect(ctx)
		}
	}
	switch {
	case err != nil:
		return err
	case !found:
		return s.misfit("the table %s cannot be seen after its creation: look at the search_path", s.table)
	}
	s.usable.Store(true)
	return nil
}

// create makes the table under a lock, because IF NOT EXISTS does not help those who come at the same time. Whoever
// makes it otherwise, such as a migration tool, may still be in the way, and is welcome.
func (s *Idempotency) create(ctx context.Context) error {
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended($1::text, 0))", s.table); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, s.ddl)
		return err
	})
	switch codeOf(err) {
	case tableExists, uniqueViolation:
		return nil
	case noPrivilege:
		return s.misfit("there is no table %s, and this role may not create it: create it by the statements of pgstore.DDL", s.table)
	case noSchema:
		return s.misfit("there is no schema for the table %s: create one", s.table)
	default:
		return err
	}
}

// column is what the store needs of a column.
type column struct {
	name, kind string
	nullable   bool // the store writes NULL
}

var columns = []column{
	{name: "key", kind: "bytea"},
	{name: "owner", kind: "uuid"},
	{name: "fence", kind: "bigint"},
	{name: "created_at", kind: "timestamp with time zone"},
	{name: "stored_at", kind: "timestamp with time zone", nullable: true},
	{name: "expires_at", kind: "timestamp with time zone"},
	{name: "purge_after", kind: "timestamp with time zone"},
	{name: "state", kind: "smallint"},
	{name: "fingerprint", kind: "bytea", nullable: true},
	{name: "result", kind: "bytea", nullable: true},
}

// catalog asks for columns, and which of them must be given a value, for the two indexes, and for privileges that the
// role does not have.
const catalog = `
SELECT
  ARRAY(SELECT attname::text FROM pg_catalog.pg_attribute
    WHERE attrelid = t.oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum),
  ARRAY(SELECT pg_catalog.format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute
    WHERE attrelid = t.oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum),
  ARRAY(SELECT attnotnull AND NOT atthasdef AND attidentity = '' FROM pg_catalog.pg_attribute
    WHERE attrelid = t.oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum),
  EXISTS (SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = t.oid AND a.attname = 'key' AND i.indnkeyatts = 1 AND i.indisunique AND i.indimmediate
      AND i.indisvalid AND i.indpred IS NULL),
  EXISTS (SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = t.oid AND a.attname = 'purge_after' AND i.indisvalid AND i.indpred IS NULL),
  ARRAY(SELECT p FROM unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) p WHERE NOT has_table_privilege(t.oid, p))
FROM pg_catalog.pg_class t WHERE t.oid = pg_catalog.to_regclass($1::text)`

// inspect reports whether there is a table, and what is wrong with it.
func (s *Idempotency) inspect(ctx context.Context) (found bool, err error) {
	var (
		names, kinds, denied []string
		required             []bool
		unique, purge        bool
	)
	err = s.pool.QueryRow(ctx, catalog, s.table).Scan(&names, &kinds, &required, &unique, &purge, &denied)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil
	case codeOf(err) == noPrivilege:
		return false, s.misfit("this role may not use the schema of the table %s: grant it USAGE", s.table)
	case err != nil:
		return false, err
	}
	var checks patterns.Checks
	that := func(ok bool, problem string, args ...any) {
		checks.That(ok, "table", s.table+" "+problem, args...)
	}
	for i, name := range names {
		ours := slices.ContainsFunc(columns, func(c column) bool { return c.name == name })
		that(ours || !required[i], "has the column %s, which is NOT NULL without a default", name)
	}
	for _, c := range columns {
		i := slices.Index(names, c.name)
		if that(i >= 0, "has no column %s %s", c.name, c.kind); i >= 0 {
			that(kinds[i] == c.kind, "has the column %s %s, which must be %s", c.name, kinds[i], c.kind)
			that(!required[i] || !c.nullable, "has the column %s, which must not be NOT NULL", c.name)
		}
	}
	that(unique, "has no primary key or unique index on key alone")
	that(purge, "has no index that begins with purge_after")
	that(len(denied) == 0, "may not be used by this role: grant it %s", strings.Join(denied, ", "))
	if err := checks.Err(backend); err != nil {
		return true, &idempotency.ConfigurationError{Err: err}
	}
	return true, nil
}

// misfit says what is wrong with the table.
func (s *Idempotency) misfit(problem string, args ...any) error {
	var checks patterns.Checks
	checks.That(false, "table", problem, args...)
	return &idempotency.ConfigurationError{Err: checks.Err(backend)}
}
