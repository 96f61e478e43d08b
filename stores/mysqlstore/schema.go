package mysqlstore

import (
	"context"
	"database/sql"
	"strings"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/idempotency"
)

// EnsureSchema makes the table if there is none, and then does what [Idempotency.CheckSchema] does. Any number of
// processes may do so at once. A user who may not create tables needs one that is there.
func (s *Idempotency) EnsureSchema(ctx context.Context) error {
	return s.call(ctx, "schema", repeatable, func(context.Context) error { return nil })
}

// CheckSchema reports whether the table has the columns, the indexes and the engine that the store needs, and the
// connections autocommit. It changes nothing. The error is an [*idempotency.ConfigurationError] that lists everything
// that is wrong, or an [*idempotency.BackendError].
func (s *Idempotency) CheckSchema(ctx context.Context) error {
	return s.ask(ctx, "schema", repeatable, func(ctx context.Context) error {
		found, err := s.inspect(ctx)
		if err == nil && !found {
			return s.misfit("there is no table %s: create it by the statement of mysqlstore.DDL", s.table)
		}
		return err
	})
}

// schema is a table that was found to be right.
type schema struct{}

// ensure makes the table if there is none.
func (s *Idempotency) ensure(ctx context.Context) (*schema, error) {
	found, err := s.inspect(ctx)
	if err == nil && !found {
		if err = s.create(ctx); err == nil {
			_, err = s.inspect(ctx)
		}
	}
	if err != nil {
		return nil, err
	}
	return &schema{}, nil
}

func (s *Idempotency) create(ctx context.Context) error {
	_, err := s.db.ExecContext(ctx, s.sql.create)
	switch numberOf(err) {
	case tableExists:
		return nil
	case accessDenied, commandDenied:
		return s.misfit("there is no table %s, and this user may not create it: create it by the statement of mysqlstore.DDL", s.table)
	case noDatabase:
		return s.misfit("the DSN names no database for the table %s: name one", s.table)
	default:
		return err
	}
}

// columns are those of the table, each with its type and the length in bytes. LONGBLOB may be a smaller BLOB.
var columns = []struct{ name, kind string }{
	{"key", "binary32"},
	{"state", "tinyint"},
	{"owner", "binary16"},
	{"fence", "bigint"},
	{"fingerprint", "varbinary64"},
	{"created_at", "bigint"},
	{"stored_at", "bigint"},
	{"expires_at", "bigint"},
	{"purge_after", "bigint"},
	{"result", "longblob4294967295"},
}

// found is what the server says of a column.
type found struct {
	kind, index string
	required    bool // has no default
}

// inspect reports whether there is a table, and what is wrong with it.
func (s *Idempotency) inspect(ctx context.Context) (exists bool, err error) {
	rows, err := s.db.QueryContext(ctx, s.sql.inspect)
	if err != nil {
		return false, err
	}
	defer rows.Close() //nolint:errcheck // read to the end
	var (
		all        = map[string]found{}
		engine     sql.NullString
		autocommit bool
		packet     int64
	)
	for rows.Next() {
		var name string
		var f found
		if err := rows.Scan(&name, &f.kind, &f.index, &f.required, &engine, &autocommit, &packet); err != nil {
			return false, err
		}
		all[name] = f
	}
	if err := rows.Err(); err != nil || len(all) == 0 {
		return false, err
	}
	s.packet.Store(packet)
	return true, s.judge(all, engine.String, autocommit)
}

// judge lists what is wrong with a table.
func (s *Idempotency) judge(all map[string]found, engine string, autocommit bool) error {
	var checks patterns.Checks
	that := func(ok bool, problem string, args ...any) {
		checks.That(ok, "table", s.table+" "+problem, args...)
	}
	for _, c := range columns {
		f, ok := all[c.name]
		that(ok, "has no column %s %s", c.name, c.kind)
		that(!ok || f.kind == c.kind, "has the column %s %s, which must be %s", c.name, f.kind, c.kind)
		delete(all, c.name)
		switch c.name {
		case "key":
			that(f.index == "PRI", "has no primary key on key alone")
		case "purge_after":
			that(f.index == "MUL", "has no index that begins with purge_after")
		case "result":
			that(!f.required, "has the column result, which must not be NOT NULL")
		default:
			that(f.index != "PRI", "has %s in its primary key, which must be on key alone", c.name)
		}
	}
	for name, f := range all {
		that(!f.required, "has the column %s, which is NOT NULL without a default", name)
		that(f.index != "PRI", "has %s in its primary key, which must be on key alone", name)
	}
	that(strings.EqualFold(engine, "InnoDB"), "is of the engine %s, which must be InnoDB", engine)
	checks.That(autocommit, "db", "must have autocommit on, or nothing that is written stays")
	return misconfigured(&checks)
}

// misfit says what is wrong.
func (s *Idempotency) misfit(problem string, args ...any) error {
	var checks patterns.Checks
	checks.That(false, "table", problem, args...)
	return &idempotency.ConfigurationError{Err: checks.Err(backend)}
}
