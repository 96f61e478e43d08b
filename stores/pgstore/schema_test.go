package pgstore_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/pgstore"
)

// misconfigured wants a *ConfigurationError with a *FieldError for each of words, in that order.
func misconfigured(t *testing.T, err error, words ...string) {
	t.Helper()
	var configuration *idempotency.ConfigurationError
	var field *patterns.FieldError
	if !errors.As(err, &configuration) || !errors.As(err, &field) {
		t.Fatalf("got error %v, want a *ConfigurationError with a *FieldError", err)
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != len(words) {
		t.Fatalf("got %d mistakes, want %d: %v", len(lines), len(words), err)
	}
	for i, word := range words {
		if !strings.Contains(lines[i], word) {
			t.Errorf("mistake %d is %q, want one with %q", i+1, lines[i], word)
		}
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	pool, err := pgxpool.New(t.Context(), "postgres://127.0.0.1:1/") // nothing connects
	must(t, err)
	defer pool.Close()
	for name, tc := range map[string]struct {
		pool   pgstore.Pool
		cfg    pgstore.Config
		fields []string
	}{
		"no pool":                   {nil, pgstore.Config{}, []string{"pool"}},
		"nil pool":                  {(*pgxpool.Pool)(nil), pgstore.Config{}, []string{"pool"}},
		"nothing is said":           {pool, pgstore.Config{}, nil},
		"everything is said":        {pool, pgstore.Config{Schema: "App_2", Table: "_Keys", Timeout: time.Millisecond}, nil},
		"a keyword":                 {pool, pgstore.Config{Schema: "select", Table: "table"}, nil},
		"longest names":             {pool, pgstore.Config{Schema: strings.Repeat("s", 63), Table: strings.Repeat("t", 51)}, nil},
		"long table":                {pool, pgstore.Config{Table: strings.Repeat("t", 52)}, []string{"table"}},
		"long schema":               {pool, pgstore.Config{Schema: strings.Repeat("s", 64)}, []string{"schema"}},
		"a quote":                   {pool, pgstore.Config{Table: `keys" (key bytea); DROP TABLE users; --`}, []string{"table"}},
		"an apostrophe":             {pool, pgstore.Config{Table: "keys'"}, []string{"table"}},
		"a dot":                     {pool, pgstore.Config{Table: "app.keys"}, []string{"table"}},
		"a space":                   {pool, pgstore.Config{Table: "my keys"}, []string{"table"}},
		"a NUL":                     {pool, pgstore.Config{Table: "keys\x00"}, []string{"table"}},
		"a line":                    {pool, pgstore.Config{Table: "keys\n"}, []string{"table"}},
		"not ASCII":                 {pool, pgstore.Config{Table: "clés"}, []string{"table"}},
		"not UTF-8":                 {pool, pgstore.Config{Table: "keys\xff"}, []string{"table"}},
		"a leading digit":           {pool, pgstore.Config{Table: "2keys"}, []string{"table"}},
		"a placeholder":             {pool, pgstore.Config{Table: "{fence}"}, []string{"table"}},
		"hostile schema":            {pool, pgstore.Config{Schema: `a".b`}, []string{"schema"}},
		"negative timeout":          {pool, pgstore.Config{Timeout: -time.Second}, []string{"timeout"}},
		"timeout too short to keep": {pool, pgstore.Config{Timeout: time.Millisecond - 1}, []string{"timeout"}},
		"everything is wrong": {nil, pgstore.Config{Schema: "-", Table: "$" + strings.Repeat("t", 60), Timeout: -1},
			[]string{"pool", "schema", "table", "table", "timeout"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := pgstore.NewIdempotency(tc.pool, tc.cfg)
			if tc.fields == nil {
				must(t, err)
				return
			}
			misconfigured(t, err, tc.fields...)
			if _, err := pgstore.DDL(tc.cfg); (err == nil) != (tc.cfg == pgstore.Config{}) {
				t.Errorf("DDL: got error %v", err)
			}
		})
	}
}

// countTables returns how many tables of that name there are, in any schema.
func countTables(tb testing.TB, pool *pgxpool.Pool, table string) int {
	tb.Helper()
	return ask[int](tb, pool, "SELECT count(*) FROM pg_tables WHERE tablename = $1", table)
}

func TestTableIsMadeOnFirstUse(t *testing.T) {
	pool := connect(t)
	table := newTable()
	s := openAt(t, pool, pgstore.Config{Table: table})
	misconfigured(t, s.CheckSchema(t.Context()), "pgstore.DDL")
	if n := countTables(t, pool, table); n != 0 {
		t.Errorf("%d tables after the construction and a check, want none", n)
	}
	must(t, s.Ping(t.Context()))
	must(t, s.CheckSchema(t.Context()))
	acquire(t, s, "k")
	must(t, s.CheckSchema(t.Context()))
	must(t, s.EnsureSchema(t.Context()))
	if c := claim(t, openAt(t, pool, pgstore.Config{Table: table}), request("k")); c.Outcome != idempotency.InProgress {
		t.Errorf("claim in another store of the same table: got %v, want in_progress", c.Outcome)
	}
}

// failures counts the statements of a pool that fail.
type failures struct{ n atomic.Int32 }

func (f *failures) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

func (f *failures) TraceQueryEnd(_ context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	if data.Err != nil {
		f.n.Add(1)
	}
}

func TestReplicasMakeTheTableAtOnce(t *testing.T) {
	var failed failures
	pool := connect(t, func(c *pgxpool.Config) { c.ConnConfig.Tracer = &failed })
	for range 5 {
		table := newTable()
		stores := make([]*pgstore.Idempotency, 8)
		for i := range stores {
			stores[i] = openAt(t, pool, pgstore.Config{Table: table})
		}
		won := make([]bool, 2*len(stores))
		atOnce(len(won), func(i int) {
			ok, err := stores[i/2].Acquire(t.Context(), "k", long)
			if err != nil {
				t.Error(err)
			}
			won[i] = ok
		})
		winners := 0
		for _, ok := range won {
			if ok {
				winners++
			}
		}
		if n := countTables(t, pool, table); winners != 1 || n != 1 {
			t.Fatalf("%d winners and %d tables, want one of each", winners, n)
		}
	}
	if n := failed.n.Load(); n != 0 {
		t.Errorf("%d statements failed, want none", n)
	}
}

// A migration tool knows nothing of our lock.
func TestTableThatAnotherIsMakingIsAwaited(t *testing.T) {
	name := newTable()
	pool := connect(t, with("application_name", name))
	cfg := pgstore.Config{Table: newTable()}
	ddl, err := pgstore.DDL(cfg)
	must(t, err)
	tx := begin(t, pool)
	if _, err := tx.Exec(t.Context(), ddl); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- openAt(t, pool, cfg).EnsureSchema(t.Context()) }()
	await(t, "the store waits", func() bool { return waiting(t, pool, name) == 1 })
	must(t, tx.Commit(t.Context()))
	must(t, <-done)
}

func TestTableIsMadeAgain(t *testing.T) {
	pool := connect(t)
	table := newTable()
	s := openAt(t, pool, pgstore.Config{Table: table})
	acquire(t, s, "k")
	exec(t, pool, "DROP TABLE "+table)
	unavailable(t, s.Ping(t.Context()), "ping without the table", table)
	acquire(t, s, "k")
}

// unavailable wants a *BackendError with a word.
func unavailable(t *testing.T, err error, what, word string) {
	t.Helper()
	var e *idempotency.BackendError
	if !errors.As(err, &e) || !strings.Contains(err.Error(), word) {
		t.Errorf("%s: got error %v, want a *BackendError with %q", what, err, word)
	}
}

// Nothing is done where the table cannot be used, and the next call says what is wrong with it.
func TestTableThatNoLongerFits(t *testing.T) {
	pool := connect(t)
	for _, tc := range []struct{ change, refused, wrong string }{
		{"DROP COLUMN fence", "42703", "has no column fence"},
		{"ADD COLUMN tenant text NOT NULL", "23502", "has the column tenant"},
		{"ALTER COLUMN owner TYPE text", "42", "owner text, which must be uuid"},
	} {
		table := newTable()
		s := openAt(t, pool, pgstore.Config{Table: table})
		must(t, s.EnsureSchema(t.Context()))
		exec(t, pool, "ALTER TABLE "+table+" "+tc.change)
		_, err := s.Acquire(t.Context(), "k", long)
		unavailable(t, err, "claim after "+tc.change, tc.refused)
		misconfigured(t, s.Ping(t.Context()), tc.wrong)
	}
}

func TestServerThatDoesNotWriteIsNotAvailable(t *testing.T) {
	cfg := pgstore.Config{Table: newTable()}
	must(t, openAt(t, connect(t), cfg).EnsureSchema(t.Context()))
	s := openAt(t, connect(t, with("default_transaction_read_only", "on")), cfg)
	_, err := s.Acquire(t.Context(), "k", long)
	unavailable(t, err, "claim", "25006")
	unavailable(t, s.Ping(t.Context()), "ping", "25006")
}

func TestTableOfAMigrationToolIsUsed(t *testing.T) {
	pool := connect(t)
	cfg := pgstore.Config{Table: newTable()}
	ddl, err := pgstore.DDL(cfg)
	must(t, err)
	for range 2 {
		exec(t, pool, ddl)
	}
	s := openAt(t, pool, cfg)
	must(t, s.CheckSchema(t.Context()))
	acquire(t, s, "k")
}

func TestPartitionedTableIsUsed(t *testing.T) {
	pool := connect(t)
	cfg := pgstore.Config{Table: newTable()}
	ddl, err := pgstore.DDL(cfg)
	must(t, err)
	exec(t, pool, strings.Replace(ddl, "WITH (fillfactor = 70)", "PARTITION BY HASH (key)", 1))
	for _, part := range []string{"0", "1"} {
		exec(t, pool, "CREATE TABLE "+cfg.Table+part+" PARTITION OF "+cfg.Table+" FOR VALUES WITH (MODULUS 2, REMAINDER "+part+")")
	}
	s := openAt(t, pool, cfg)
	for _, key := range []string{"a", "b", "c", "d"} {
		token := acquire(t, s, key)
		must(t, s.Complete(t.Context(), key, token, nil, time.Microsecond))
	}
	exec(t, pool, "UPDATE "+cfg.Table+" SET purge_after = now()")
	if n, err := s.CleanupExpired(t.Context(), 3); n != 3 || err != nil {
		t.Errorf("cleanup removed %d, error %v, want 3", n, err)
	}
}

func TestTableThatDoesNotFitIsRefused(t *testing.T) {
	pool := connect(t)
	for name, tc := range map[string]struct {
		change string
		words  []string
	}{
		"column is missing":      {"ALTER TABLE {t} DROP COLUMN fence", []string{"no column fence bigint"}},
		"column of another type": {"ALTER TABLE {t} ALTER state TYPE int", []string{"state integer, which must be smallint"}},
		"column must be null":    {"ALTER TABLE {t} ALTER result SET NOT NULL", []string{"result, which must not be NOT NULL"}},
		"column must be filled":  {"ALTER TABLE {t} ADD tenant text NOT NULL", []string{"tenant, which is NOT NULL without a default"}},
		"no primary key":         {"ALTER TABLE {t} DROP CONSTRAINT {t}_pkey", []string{"unique index on key"}},
		"key is not unique": {
			"ALTER TABLE {t} DROP CONSTRAINT {t}_pkey; CREATE INDEX ON {t} (key)", []string{"unique index on key"}},
		"part of the key": {
			"ALTER TABLE {t} DROP CONSTRAINT {t}_pkey, ADD PRIMARY KEY (key, state)", []string{"unique index on key"}},
		"some keys are unique": {
			"ALTER TABLE {t} DROP CONSTRAINT {t}_pkey; CREATE UNIQUE INDEX ON {t} (key) WHERE state = 1", []string{"unique index on key"}},
		"keys are unique in the end": {
			"ALTER TABLE {t} DROP CONSTRAINT {t}_pkey, ADD UNIQUE (key) DEFERRABLE", []string{"unique index on key"}},
		"no index for cleanup": {"DROP INDEX {t}_purge_after", []string{"index that begins with purge_after"}},
		"all at once": {"DROP TABLE {t}; CREATE TABLE {t} (key text PRIMARY KEY, result bytea)", []string{
			"key text, which must be bytea", "no column owner uuid", "no column fence bigint", "no column created_at", "no column stored_at",
			"no column expires_at", "no column purge_after", "no column state", "no column fingerprint", "purge_after"}},

		"more columns":      {"ALTER TABLE {t} ADD tenant text, ADD at timestamptz NOT NULL DEFAULT now(), ADD n int GENERATED ALWAYS AS IDENTITY", nil},
		"dropped column":    {"ALTER TABLE {t} ADD tenant text NOT NULL; ALTER TABLE {t} DROP tenant", nil},
		"unique constraint": {"ALTER TABLE {t} DROP CONSTRAINT {t}_pkey, ADD UNIQUE (key)", nil},
	} {
		t.Run(name, func(t *testing.T) {
			table := newTable()
			s := openAt(t, pool, pgstore.Config{Table: table})
			must(t, s.EnsureSchema(t.Context()))
			exec(t, pool, strings.ReplaceAll(tc.change, "{t}", table))
			fresh := openAt(t, pool, pgstore.Config{Table: table})
			if tc.words == nil {
				must(t, fresh.CheckSchema(t.Context()))
				must(t, fresh.Complete(t.Context(), "k", acquire(t, fresh, "k"), []byte("result"), long))
				return
			}
			misconfigured(t, fresh.CheckSchema(t.Context()), tc.words...)
			misconfigured(t, fresh.EnsureSchema(t.Context()), tc.words...)
			_, err := fresh.Acquire(t.Context(), "k", long)
			misconfigured(t, err, tc.words...)
		})
	}
}

// A role of a service need not own the table, nor be allowed to make one.
func TestRoleWithoutRightsSaysWhichItLacks(t *testing.T) {
	admin := connect(t)
	name, table := newTable(), newTable()
	exec(t, admin, "CREATE ROLE "+name+" LOGIN PASSWORD 'secret'")
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if _, err := admin.Exec(ctx, "DROP SCHEMA IF EXISTS "+name+" CASCADE; DROP ROLE "+name); err != nil {
			t.Error(err)
		}
	})
	service := connect(t, func(c *pgxpool.Config) { c.ConnConfig.User, c.ConnConfig.Password = name, "secret" })
	cfg := pgstore.Config{Schema: name, Table: table}
	s := openAt(t, service, cfg)
	refused := func(word string) {
		t.Helper()
		misconfigured(t, s.EnsureSchema(t.Context()), word)
		_, err := s.Acquire(t.Context(), "k", long)
		misconfigured(t, err, word)
	}
	refused("no schema")
	exec(t, admin, "CREATE SCHEMA "+name)
	refused("USAGE")
	exec(t, admin, "GRANT USAGE ON SCHEMA "+name+" TO "+name)
	refused("may not create it: create it by the statements of pgstore.DDL")
	ddl, err := pgstore.DDL(cfg)
	must(t, err)
	exec(t, admin, ddl)
	refused("grant it SELECT, INSERT, UPDATE, DELETE")
	exec(t, admin, "GRANT SELECT, INSERT, DELETE ON "+name+"."+table+" TO "+name)
	refused("grant it UPDATE")
	exec(t, admin, "GRANT UPDATE ON "+name+"."+table+" TO "+name)
	must(t, s.CheckSchema(t.Context()))
	must(t, s.Complete(t.Context(), "k", acquire(t, s, "k"), nil, long))

	exec(t, admin, "REVOKE UPDATE ON "+name+"."+table+" FROM "+name)
	unavailable(t, s.Set(t.Context(), "k", nil, long), "set without a right that was there before", "42501")
	misconfigured(t, s.Ping(t.Context()), "grant it UPDATE")
}

func TestLongTimesSurvive(t *testing.T) {
	s := open(t, connect(t))
	const century = 100 * 365 * 24 * time.Hour
	for _, d := range []time.Duration{century, math.MaxInt64} {
		key := d.String()
		c := claim(t, s, idempotency.ClaimRequest{Key: key, Lease: d, Retention: d})
		if c.Outcome != idempotency.Acquired {
			t.Fatalf("claim for %v: got %v", d, c.Outcome)
		}
		if c := claim(t, s, idempotency.ClaimRequest{Key: key, Lease: d}); c.RetryAfter < century-time.Hour {
			t.Errorf("claim for %v: retry after %v", d, c.RetryAfter)
		}
		must(t, s.Complete(t.Context(), key, c.Token, nil, d))
		rec, found, err := s.GetRecord(t.Context(), key)
		if err != nil || !found || rec.ExpiresAt.Sub(rec.CreatedAt) < century {
			t.Errorf("complete for %v: expires at %v, found %v, error %v", d, rec.ExpiresAt, found, err)
		}
	}
}
