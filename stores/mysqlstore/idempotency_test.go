package mysqlstore_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/mysqlstore"
	"github.com/steadyfx/steady/testkit/services"
)

func TestConfigurationIsChecked(t *testing.T) {
	db := dial(t, mysql.NewConfig()) // nothing connects
	for name, tc := range map[string]struct {
		db     *sql.DB
		cfg    mysqlstore.Config
		fields []string
	}{
		"no db":                  {nil, mysqlstore.Config{}, []string{"db"}},
		"table with a quote":     {db, mysqlstore.Config{Table: "a`b"}, []string{"table"}},
		"table with a dot":       {db, mysqlstore.Config{Table: "app.keys"}, []string{"table"}},
		"table with a digit":     {db, mysqlstore.Config{Table: "1a"}, []string{"table"}},
		"table that is too long": {db, mysqlstore.Config{Table: strings.Repeat("t", 52)}, []string{"table"}},
		"negative timeout":       {db, mysqlstore.Config{Timeout: -1}, []string{"timeout"}},
		"everything is wrong":    {nil, mysqlstore.Config{Table: "é", Timeout: 1}, []string{"db", "table", "timeout"}},
		"nothing is wrong":       {db, mysqlstore.Config{Table: "Order", Timeout: time.Millisecond}, nil},
		"nothing is said":        {db, mysqlstore.Config{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := mysqlstore.NewIdempotency(tc.db, tc.cfg)
			if (err == nil) != (tc.fields == nil) {
				t.Fatalf("got error %v, want mistakes in %v", err, tc.fields)
			}
			if err == nil {
				return
			}
			misconfigured(t, err, name, tc.fields...)
			if !errors.As(err, new(*patterns.FieldError)) {
				t.Errorf("got %v, want a *FieldError in it", err)
			}
			if got := strings.Count(err.Error(), "\n") + 1; got != len(tc.fields) {
				t.Errorf("got %d mistakes, want %d: %v", got, len(tc.fields), err)
			}
		})
	}
	if _, err := mysqlstore.DDL(mysqlstore.Config{Table: "`; DROP TABLE a"}); err == nil {
		t.Error("got statements for a name that is none")
	}
}

// misconfigured wants a *ConfigurationError with parts of its text.
func misconfigured(t *testing.T, err error, what string, parts ...string) {
	t.Helper()
	var e *idempotency.ConfigurationError
	if !errors.As(err, &e) {
		t.Errorf("%s: got error %v, want a *ConfigurationError", what, err)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s: got error %v, want %q in it", what, err, part)
		}
	}
}

// unavailable wants a *BackendError with a cause.
func unavailable(t *testing.T, err, cause error, what string) {
	t.Helper()
	var e *idempotency.BackendError
	if !errors.As(err, &e) || e.Backend != "mysql" || !errors.Is(err, cause) {
		t.Errorf("%s: got error %v, want a *BackendError of mysql with %v", what, err, cause)
	}
}

// wrong wants a *StoreError.
func wrong(t *testing.T, err error, what string) {
	t.Helper()
	var e *idempotency.StoreError
	if !errors.As(err, &e) || e.Backend != "mysql" {
		t.Errorf("%s: got error %v, want a *StoreError of mysql", what, err)
	}
}

func config(t *testing.T, server *services.Server) *mysql.Config {
	t.Helper()
	dsn, err := services.MySQLDSN(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Logger = &mysql.NopLogger{}
	return cfg
}

func TestStatementsOfEachOperation(t *testing.T) {
	db, m := meddle(t, config(t, sharedServer(t)))
	s := open(t, db)
	ctx := t.Context()
	if err := s.EnsureSchema(ctx); err != nil {
		t.Fatal(err)
	}
	if got := m.seen(); got != "SELECT CREATE SELECT" {
		t.Errorf("a missing table is made by %s", got)
	}
	var held idempotency.Claim
	acquire := func(key string, lease time.Duration) func() error {
		return func() (err error) {
			held, err = s.Claim(ctx, idempotency.ClaimRequest{Key: key, Lease: lease})
			return err
		}
	}
	for _, o := range []struct {
		name, want string
		call       func() error
	}{
		{"claim", "INSERT", acquire("other", long)},
		{"claim after a new key", "INSERT", acquire("k", long)},
		{"claim of a held key", "INSERT SELECT", func() error { _, err := s.Acquire(ctx, "k", long); return err }},
		{"claim of a held key after a held key", "SELECT", func() error { _, err := s.Acquire(ctx, "k", long); return err }},
		{"extend", "UPDATE", func() error { return s.Extend(ctx, "k", held.Token, long) }},
		{"complete", "UPDATE", func() error { return s.Complete(ctx, "k", held.Token, nil, long) }},
		{"replay", "SELECT", func() error { _, err := s.Acquire(ctx, "k", long); return err }},
		{"get", "SELECT", func() error { _, _, err := s.Get(ctx, "k"); return err }},
		{"complete again", "UPDATE SELECT", func() error { return s.Complete(ctx, "k", held.Token, nil, long) }},
		{"set", "INSERT", func() error { return s.Set(ctx, "k", nil, 1) }},
		{"takeover", "SELECT UPDATE", acquire("k", long)},
		{"release", "UPDATE", func() error { return s.Release(ctx, "k", held.Token) }},
		{"claim of a released key", "SELECT UPDATE", acquire("k", long)},
		{"delete", "DELETE", func() error { return s.Delete(ctx, "k") }},
		{"claim of a new key after a held key", "SELECT INSERT", acquire("k", long)},
		{"cleanup of nothing", "SELECT", func() error { _, err := s.CleanupExpired(ctx, 10); return err }},
		{"ping", "DELETE", func() error { return s.Ping(ctx) }},
	} {
		if err := o.call(); err != nil {
			t.Errorf("%s: %v", o.name, err)
		}
		if got := m.seen(); got != o.want {
			t.Errorf("%s: %s, want %s", o.name, got, o.want)
		}
	}
	if err := db.PingContext(ctx); err != nil {
		t.Errorf("the caller's connections: %v", err)
	}
}

// A server that was made read-only still has the results.
func TestReplaysGoOnWhereNothingCanBeWritten(t *testing.T) {
	db, m := meddle(t, config(t, sharedServer(t)))
	s := open(t, db)
	ctx := t.Context()
	if err := s.Set(ctx, "done", []byte("result"), long); err != nil {
		t.Fatal(err)
	}
	for range 2 { // and again, after it has looked in vain
		readOnly := &mysql.MySQLError{Number: 1290, Message: "read-only"}
		m.fail("INSERT", readOnly)
		_, err := s.Claim(ctx, idempotency.ClaimRequest{Key: "new", Lease: long})
		unavailable(t, err, readOnly, "claim of a new key")
		m.seen()
		c := claim(t, s, idempotency.ClaimRequest{Key: "done", Lease: long})
		if seen := m.seen(); c.Outcome != idempotency.Done || string(c.Value) != "result" || seen != "SELECT" {
			t.Errorf("got %v with %q by %s, want the result by SELECT", c.Outcome, c.Value, seen)
		}
	}
}

// What the server says of statements that it has rolled back.
func TestStatementsThatWereRolledBackAreRepeated(t *testing.T) {
	db, m := meddle(t, config(t, sharedServer(t)))
	s := open(t, db)
	ctx := t.Context()
	c := claim(t, s, idempotency.ClaimRequest{Key: "held", Lease: long})
	for _, number := range []uint16{1213, 1205, 1020} {
		for word, call := range map[string]func() error{
			"INSERT": func() error { return s.Set(ctx, "k", nil, 1) },
			"UPDATE": func() error { return s.Extend(ctx, "held", c.Token, long) },
			"DELETE": func() error { return s.Delete(ctx, "k") },
			"SELECT": func() error { _, err := s.CleanupExpired(ctx, 10); return err },
		} {
			m.seen()
			m.fail(word, &mysql.MySQLError{Number: number, Message: "try restarting transaction"})
			if err := call(); err != nil {
				t.Errorf("%s with error %d: %v", word, number, err)
			}
			if seen := m.seen(); strings.Count(seen, word) < 2 {
				t.Errorf("%s with error %d was not repeated: %s", word, number, seen)
			}
		}
	}
}

func TestErrorsOfTheServer(t *testing.T) {
	db, m := meddle(t, config(t, sharedServer(t)))
	s := open(t, db)
	ctx := t.Context()
	claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long})
	for number, store := range map[uint16]bool{
		1264: true, 1366: true, 1406: true, // the table is not ours
		1040: false, 1045: false, 1053: false, 1054: false, 1142: false, 1146: false, 1290: false, 1317: false, 1364: false,
		1836: false, 1927: false,
	} {
		cause := &mysql.MySQLError{Number: number, Message: "told"}
		for word, call := range map[string]func() error{
			"SELECT": func() error { _, err := s.Acquire(ctx, "k", long); return err },
			"INSERT": func() error { return s.Set(ctx, "k", nil, long) },
		} {
			m.fail(word, cause)
			if err := call(); store {
				wrong(t, err, fmt.Sprint(number))
			} else {
				unavailable(t, err, cause, fmt.Sprint(number))
			}
		}
	}

	m.fail("INSERT", &mysql.MySQLError{Number: 1064, Message: "You have an error in your SQL syntax near 's3cr3t'"})
	err := s.Set(ctx, "k", nil, long)
	var e *mysql.MySQLError
	if !errors.As(err, &e) || e.Number != 1064 || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("syntax error: got error %v, want one that does not quote the statement", err)
	}
}

// The server has carried a statement out, but the client does not hear of it.
func TestLostAnswersAreRepeatedSafely(t *testing.T) {
	server := sharedServer(t)
	w := newWire(t, server)
	cfg := config(t, server)
	w.under(cfg)
	db := dial(t, cfg)
	s := open(t, db)
	ctx := t.Context()
	must := func(err error, what string) {
		t.Helper()
		if err != nil {
			t.Errorf("%s with its answer lost: %v", what, err)
		}
		if !w.lost() {
			t.Errorf("%s: no answer was lost", what)
		}
	}
	acquired := func(c idempotency.Claim, err error, what string) {
		t.Helper()
		must(err, what)
		rec, _, err := s.GetRecord(ctx, "k")
		if c.Outcome != idempotency.Acquired || err != nil || rec.Fence != c.Fence || rec.Fence != c.Token.Fence {
			t.Errorf("%s with its answer lost: got %v with fence %d of a record with %d, error %v", what, c.Outcome, c.Fence, rec.Fence, err)
		}
	}
	must(s.EnsureSchema(ctx), "schema")
	for n, what := range []string{"look", "insert"} {
		w.loseAnswer(n + 1)
		c, err := s.Claim(ctx, idempotency.ClaimRequest{Key: "k", Lease: long, Fingerprint: []byte("fp")})
		acquired(c, err, what)
		w.loseAnswer(1)
		must(s.Release(ctx, "k", c.Token), "release")
		must(s.Delete(ctx, "k"), "delete")
	}
	first := claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: time.Millisecond})
	<-time.After(5 * time.Millisecond)
	w.loseAnswer(2)
	c, err := s.Claim(ctx, idempotency.ClaimRequest{Key: "k", Lease: long})
	acquired(c, err, "takeover")
	if c.Fence <= first.Fence {
		t.Errorf("takeover with its answer lost: got fence %d after %d", c.Fence, first.Fence)
	}
	w.loseAnswer(1)
	must(s.Extend(ctx, "k", c.Token, 2*long), "extend")
	w.loseAnswer(1)
	must(s.Complete(ctx, "k", c.Token, []byte("result"), long), "complete")
	w.loseAnswer(1)
	value, found, err := s.Get(ctx, "k")
	must(err, "get")
	if !found || string(value) != "result" {
		t.Errorf("get with its answer lost: got %q, found %v", value, found)
	}

	// What could undo another's work is told.
	for what, call := range map[string]func() error{
		"set": func() error { return s.Set(ctx, "k", []byte("set"), long) }, "delete": func() error { return s.Delete(ctx, "k") },
	} {
		w.loseAnswer(1)
		unavailable(t, call(), mysql.ErrInvalidConn, what+" with its answer lost")
	}
}

// The table's engine detects a deadlock, and gives up the transaction that has changed less.
func TestRealDeadlockIsRepeated(t *testing.T) {
	db := connect(t, sharedServer(t), nil)
	table := newTable()
	s := openTable(t, db, table)
	ctx := t.Context()
	for i := range 200 {
		if err := s.Set(ctx, fmt.Sprint(i), nil, 1); err != nil {
			t.Fatal(err)
		}
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // committed, unless the test has failed
	// It takes the last records, so that the cleanup takes the first ones and waits, and then it wants the first ones.
	exec(t, tx, "UPDATE "+table+" SET fingerprint = x'01' ORDER BY `key` DESC LIMIT 150")
	before := deadlocks(t, db)
	removed := make(chan error)
	go func() {
		n, err := s.CleanupExpired(ctx, 1000)
		if err == nil && n != 200 {
			err = fmt.Errorf("removed %d, want 200", n)
		}
		removed <- err
	}()
	awaitLockWait(t, db, removed)
	exec(t, tx, "UPDATE "+table+" SET fingerprint = x'02' ORDER BY `key` LIMIT 1")
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
	if err := <-removed; err != nil {
		t.Errorf("cleanup: %v", err)
	}
	if after := deadlocks(t, db); after == before {
		t.Error("there was no deadlock: this test sees nothing")
	}
}

func exec(t *testing.T, tx *sql.Tx, query string) {
	t.Helper()
	if _, err := tx.ExecContext(t.Context(), query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// awaitLockWait returns when a statement waits for a lock, which must be before the call that sends it is over.
func awaitLockWait(t *testing.T, db *sql.DB, over <-chan error) {
	t.Helper()
	for waiting := false; !waiting; {
		select {
		case err := <-over:
			t.Fatalf("the call did not wait: %v", err)
		case <-time.After(5 * time.Millisecond):
		}
		if err := db.QueryRowContext(t.Context(),
			"SELECT COUNT(*) > 0 FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'").Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
}

// A record is found to have expired, and then it is taken over before the cleanup comes to it.
func TestCleanupLooksAtTheTimeAgain(t *testing.T) {
	db := connect(t, sharedServer(t), nil)
	table := newTable()
	s := openTable(t, db, table)
	ctx := t.Context()
	if err := errors.Join(s.Set(ctx, "expired", nil, 1), s.Set(ctx, "taken over", nil, 1)); err != nil {
		t.Fatal(err)
	}
	<-time.After(5 * time.Millisecond)
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // committed, unless the test has failed
	exec(t, tx, fmt.Sprintf("UPDATE %s SET purge_after = purge_after + 3600000000 WHERE `key` = x'%x'", table, sha256.Sum256([]byte("taken over"))))
	removed := make(chan error)
	go func() {
		n, err := s.CleanupExpired(ctx, 10)
		if err == nil && n != 1 {
			err = fmt.Errorf("removed %d, want 1", n)
		}
		removed <- err
	}()
	awaitLockWait(t, db, removed)
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-removed; err != nil {
		t.Error(err)
	}
}

func deadlocks(t *testing.T, db *sql.DB) (n int) {
	t.Helper()
	var name string
	if err := db.QueryRowContext(t.Context(), "SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'").Scan(&name, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestSessionsInOtherTimeZonesAgree(t *testing.T) {
	server := sharedServer(t)
	table := newTable()
	in := func(zone string) *mysqlstore.Idempotency {
		return openTable(t, connect(t, server, url.Values{"time_zone": {"'" + zone + "'"}}), table)
	}
	west, east := in("-11:00"), in("+13:00")
	ctx := t.Context()
	for _, pair := range [][2]*mysqlstore.Idempotency{{west, east}, {east, west}} {
		one, other := pair[0], pair[1]
		before := time.Now()
		c := claim(t, one, idempotency.ClaimRequest{Key: "k", Lease: long, Retention: long})
		if got := claim(t, other, idempotency.ClaimRequest{Key: "k", Lease: long}); got.Outcome != idempotency.InProgress ||
			got.RetryAfter < long/2 || got.RetryAfter > long {
			t.Errorf("claim of the other: got %v, retry after %v", got.Outcome, got.RetryAfter)
		}
		rec, _, err := other.GetRecord(ctx, "k")
		if err != nil || rec.CreatedAt.Before(before.Add(-time.Minute)) || rec.CreatedAt.After(time.Now().Add(time.Minute)) {
			t.Errorf("the record is of %v, error %v, want about %v", rec.CreatedAt, err, before)
		}
		if err := other.Complete(ctx, "k", c.Token, nil, long); err != nil {
			t.Error(err)
		}
		if got := claim(t, one, idempotency.ClaimRequest{Key: "k", Lease: long}); got.Outcome != idempotency.Done || got.Age > long {
			t.Errorf("claim of the one: got %v, aged %v", got.Outcome, got.Age)
		}
		if err := one.Set(ctx, "k", nil, time.Millisecond); err != nil {
			t.Error(err)
		}
		<-time.After(5 * time.Millisecond)
		if got := claim(t, other, idempotency.ClaimRequest{Key: "k", Lease: long}); got.Outcome != idempotency.Acquired {
			t.Errorf("takeover by the other: got %v", got.Outcome)
		}
		if n, err := other.CleanupExpired(ctx, 10); n != 0 || err != nil {
			t.Errorf("cleanup of the other: removed %d, error %v", n, err)
		}
		if err := one.Delete(ctx, "k"); err != nil {
			t.Error(err)
		}
	}
}

func TestKeysThatCollationsConfuseStayApart(t *testing.T) {
	db := connect(t, sharedServer(t), url.Values{"collation": {"utf8mb4_general_ci"}})
	s := open(t, db)
	for _, key := range []string{"ABC", "abc", "ABC ", "ABC\x00", "\u00c4BC"} {
		if c := claim(t, s, idempotency.ClaimRequest{Key: key, Lease: long}); c.Outcome != idempotency.Acquired {
			t.Errorf("%q: got %v, want acquired", key, c.Outcome)
		}
	}
}

func TestFirstCallersMakeTheTable(t *testing.T) {
	server := sharedServer(t)
	table := newTable()
	var stores []*mysqlstore.Idempotency
	for range 4 {
		stores = append(stores, openTable(t, connect(t, server, nil), table))
	}
	var winners atomic.Int32
	atOnce(16, func(i int) {
		c, err := stores[i%len(stores)].Claim(t.Context(), idempotency.ClaimRequest{Key: "k", Lease: long})
		switch {
		case err != nil:
			t.Errorf("claim: %v", err)
		case c.Outcome == idempotency.Acquired:
			winners.Add(1)
		}
	})
	if n := winners.Load(); n != 1 {
		t.Errorf("%d acquired the key, want 1", n)
	}
}

func TestSchemaIsChecked(t *testing.T) {
	db := connect(t, sharedServer(t), nil)
	table := newTable()
	s := openTable(t, db, table)
	ctx := t.Context()
	misconfigured(t, s.CheckSchema(ctx), "no table", table, "mysqlstore.DDL")
	ddl, err := mysqlstore.DDL(mysqlstore.Config{Table: table})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ change, want string }{
		{"DROP COLUMN fingerprint", "no column fingerprint"},
		{"MODIFY COLUMN `key` VARCHAR(32) NOT NULL", "key varchar32"},
		{"MODIFY COLUMN owner BINARY(15) NOT NULL", "owner binary15"},
		{"MODIFY COLUMN expires_at DATETIME(6) NOT NULL", "expires_at datetime"},
		{"MODIFY COLUMN result LONGBLOB NOT NULL", "result, which must not be NOT NULL"},
		{"DROP PRIMARY KEY", "no primary key on key alone"},
		{"DROP PRIMARY KEY, ADD PRIMARY KEY (`key`, owner)", "owner in its primary key"},
		{"ADD COLUMN tenant INT NOT NULL, DROP PRIMARY KEY, ADD PRIMARY KEY (`key`, tenant)", "tenant in its primary key"},
		{"ADD COLUMN tenant INT NOT NULL", "tenant, which is NOT NULL"},
		{"DROP KEY purge_after", "no index that begins with purge_after"},
		{"ENGINE=MyISAM", "engine MyISAM"},
	} {
		alter(t, db, ddl)
		if err := s.CheckSchema(ctx); err != nil {
			t.Fatalf("before %s: %v", tc.change, err)
		}
		alter(t, db, "ALTER TABLE "+table+" "+tc.change)
		misconfigured(t, s.CheckSchema(ctx), tc.change, table, tc.want)
		misconfigured(t, openTable(t, db, table).Set(ctx, "k", nil, 0), "set after "+tc.change, tc.want)
		alter(t, db, "DROP TABLE "+table)
	}
	alter(t, db, ddl)
	alter(t, db, ddl) // changes nothing
	alter(t, db, "ALTER TABLE "+table+" ADD COLUMN noted TIMESTAMP NULL")
	claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long})

	alter(t, db, "DROP TABLE "+table)
	gone := &mysql.MySQLError{Number: 1146}
	unavailable(t, s.Ping(ctx), gone, "ping after the table was dropped")
	claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long}) // in a new one

	// Nothing is done where the table cannot be used, and the next call says what is wrong with it.
	alter(t, db, "ALTER TABLE "+table+" DROP COLUMN fence")
	_, err = s.Acquire(ctx, "k", long)
	unavailable(t, err, &mysql.MySQLError{Number: 1054}, "claim after a column was dropped")
	misconfigured(t, s.Ping(ctx), "ping after a column was dropped", "no column fence")
}

// A result is in one statement as text of twice its length.
func TestResultThatIsTooLarge(t *testing.T) {
	cfg := config(t, sharedServer(t))
	var packet int
	if err := dial(t, cfg).QueryRowContext(t.Context(), "SELECT @@max_allowed_packet").Scan(&packet); err != nil {
		t.Fatal(err)
	}
	limited := cfg.Clone()
	limited.MaxAllowedPacket = 1 << 16
	unlimited := cfg.Clone()
	unlimited.MaxAllowedPacket = 8 * packet
	for name, tc := range map[string]struct {
		cfg  *mysql.Config
		size int
	}{
		"for the client":       {limited, 1 << 15},
		"for the server":       {unlimited, packet / 2},
		"for it to say a word": {unlimited, packet},
	} {
		t.Run(name, func(t *testing.T) {
			db, m := meddle(t, tc.cfg)
			s := open(t, db)
			c := claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long})
			m.seen()
			err := s.Complete(t.Context(), "k", c.Token, make([]byte, tc.size), long)
			wrong(t, err, "complete")
			if !strings.Contains(err.Error(), "the result is too large for the store") || len(err.Error()) > 300 {
				t.Errorf("got error %v, want one that says so", err)
			}
			if seen := m.seen(); strings.Count(seen, "UPDATE") > 3 { // database/sql has its own idea of what was not sent
				t.Errorf("the result was sent again and again: %s", seen)
			}
			wrong(t, s.Set(t.Context(), "k", make([]byte, tc.size), long), "set")
			if err := s.Complete(t.Context(), "k", c.Token, make([]byte, 1<<14), long); err != nil {
				t.Errorf("a result that fits: %v", err)
			}
		})
	}
}

func TestConnectionsMustCommit(t *testing.T) {
	s := open(t, connect(t, sharedServer(t), url.Values{"autocommit": {"0"}}))
	for range 2 {
		_, err := s.Acquire(t.Context(), "k", long)
		misconfigured(t, err, "autocommit off", "db: ", "autocommit")
	}
}

func TestUserWhoMayNotCreateTables(t *testing.T) {
	server := sharedServer(t)
	admin := connect(t, server, nil)
	cfg := config(t, server)
	name, table := "u"+newTable()[5:20], newTable()
	alter(t, admin, "CREATE USER "+name+"@'%' IDENTIFIED BY 'pass'")
	t.Cleanup(func() {
		if _, err := admin.ExecContext(context.Background(), "DROP USER "+name+"@'%'"); err != nil {
			t.Error(err)
		}
	})
	ddl, err := mysqlstore.DDL(mysqlstore.Config{Table: table})
	if err != nil {
		t.Fatal(err)
	}
	alter(t, admin, "CREATE TABLE "+table+"_seen (a INT)") // a grant on it lets the user into the database
	alter(t, admin, "GRANT SELECT ON "+table+"_seen TO "+name+"@'%'")
	cfg.User, cfg.Passwd = name, "pass"
	s := openTable(t, dial(t, cfg), table)
	_, err = s.Acquire(t.Context(), "k", long)
	misconfigured(t, err, "no table and no right to make it", table, "mysqlstore.DDL")

	alter(t, admin, ddl)
	alter(t, admin, "GRANT SELECT, INSERT, UPDATE, DELETE ON "+table+" TO "+name+"@'%'")
	c := claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long})
	if err := s.Complete(t.Context(), "k", c.Token, nil, 1); err != nil {
		t.Error(err)
	}
	if err := s.Delete(t.Context(), "k"); err != nil {
		t.Error(err)
	}

	cfg.DBName = ""
	_, err = openTable(t, dial(t, cfg), table).Acquire(t.Context(), "k", long)
	misconfigured(t, err, "no database", "names no database")
}

func TestWhatNoStoreWroteIsAStoreError(t *testing.T) {
	db := connect(t, sharedServer(t), nil)
	table := newTable()
	s := openTable(t, db, table)
	claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long})
	for _, set := range []string{"state = 3", "state = -1", "state = 1, fence = -1"} {
		alter(t, db, "UPDATE "+table+" SET "+set)
		_, err := s.Acquire(t.Context(), "k", long)
		wrong(t, err, "claim where "+set)
		_, _, err = s.Get(t.Context(), "k")
		wrong(t, err, "get where "+set)
	}
}

func TestFenceGrowsWhateverBecomesOfTheRecord(t *testing.T) {
	db := connect(t, sharedServer(t), nil)
	table := newTable()
	s := openTable(t, db, table)
	ctx := t.Context()
	last := int64(0)
	next := func(what string) idempotency.Claim {
		t.Helper()
		c := claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long})
		if c.Outcome != idempotency.Acquired || c.Fence <= last || c.Token.Fence != c.Fence {
			t.Fatalf("%s: got %v with fence %d after %d", what, c.Outcome, c.Fence, last)
		}
		if rec, _, err := s.GetRecord(ctx, "k"); err != nil || rec.Fence != c.Fence || rec.CreatedAt.UnixMicro() < c.Fence-1 && what != "ahead" {
			t.Errorf("%s: claim with fence %d, record %+v, error %v", what, c.Fence, rec, err)
		}
		last = c.Fence
		return c
	}
	if err := s.Release(ctx, "k", next("first claim").Token); err != nil {
		t.Fatal(err)
	}
	next("after a release")
	if err := s.Delete(ctx, "k"); err != nil {
		t.Fatal(err)
	}
	next("after a delete")

	// The fence is as if it came from a time ahead.
	ahead := last + 2*time.Hour.Microseconds()
	alter(t, db, fmt.Sprintf("UPDATE %s SET fence = %d, expires_at = 0", table, ahead))
	if c := next("ahead"); c.Fence != ahead+1 {
		t.Errorf("claim: got fence %d, want %d", c.Fence, ahead+1)
	}
	if err := s.Set(ctx, "k", nil, long); err != nil {
		t.Fatal(err)
	}
	if rec, _, err := s.GetRecord(ctx, "k"); err != nil || rec.Fence != ahead+2 {
		t.Errorf("set: got fence %d, error %v, want %d", rec.Fence, err, ahead+2)
	}
}

func TestReleaseIsRepeatedOnlyByItsOwner(t *testing.T) {
	s := open(t, connect(t, sharedServer(t), nil))
	ctx := t.Context()
	first := claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long})
	for range 2 {
		if err := s.Release(ctx, "k", first.Token); err != nil {
			t.Fatalf("release: %v", err)
		}
	}
	stranger := idempotency.Token{Owner: [16]byte{1}, Fence: first.Fence}
	if err := s.Release(ctx, "k", stranger); !errors.Is(err, idempotency.ErrClaimLost) {
		t.Errorf("release of a stranger: got error %v, want ErrClaimLost", err)
	}
	claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long})
	if err := s.Release(ctx, "k", first.Token); !errors.Is(err, idempotency.ErrClaimLost) {
		t.Errorf("release after another has claimed the key: got error %v, want ErrClaimLost", err)
	}
}

func TestCleanupSparesWhatItsOwnerMayStillWant(t *testing.T) {
	db := connect(t, sharedServer(t), nil)
	table := newTable()
	s := openTable(t, db, table)
	ctx := t.Context()
	cleanup := func(want int, what string) {
		t.Helper()
		if n, err := s.CleanupExpired(ctx, 1000); n != want || err != nil {
			t.Errorf("%s: removed %d, error %v, want %d", what, n, err, want)
		}
	}
	purge := func(d time.Duration) {
		t.Helper()
		alter(t, db, fmt.Sprintf("UPDATE %s SET purge_after = purge_after - %d", table, d.Microseconds()))
	}
	lapsed := claim(t, s, idempotency.ClaimRequest{Key: "lapsed", Lease: time.Millisecond})
	retained := claim(t, s, idempotency.ClaimRequest{Key: "retained", Lease: time.Millisecond, Retention: time.Hour})
	released := claim(t, s, idempotency.ClaimRequest{Key: "released", Lease: time.Hour})
	if err := errors.Join(s.Release(ctx, "released", released.Token), s.Set(ctx, "expired", nil, time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	<-time.After(5 * time.Millisecond)
	cleanup(1, "expired result")
	if err := s.Extend(ctx, "lapsed", lapsed.Token, time.Millisecond); err != nil {
		t.Errorf("extend of a lapsed claim after a cleanup: %v", err)
	}
	purge(50 * time.Second)
	cleanup(0, "50 s later")
	if err := s.Release(ctx, "released", released.Token); err != nil {
		t.Errorf("second release after a cleanup: %v", err)
	}
	purge(11 * time.Second)
	cleanup(2, "lapsed and released claim after a minute")
	if err := s.Complete(ctx, "retained", retained.Token, []byte("late"), long); err != nil {
		t.Errorf("complete of a lapsed claim that was to be retained: %v", err)
	}
	purge(time.Hour - 2*time.Minute)
	cleanup(0, "before the end of the retention")
	purge(2 * time.Minute)
	cleanup(1, "after the end of the retention")

	// What lasts longer than it was said at first is kept for as long as it lasts.
	c := claim(t, s, idempotency.ClaimRequest{Key: "longer", Lease: time.Millisecond, Retention: time.Millisecond})
	if err := s.Complete(ctx, "longer", c.Token, nil, time.Hour); err != nil {
		t.Fatal(err)
	}
	c = claim(t, s, idempotency.ClaimRequest{Key: "for ever", Lease: time.Millisecond})
	if err := errors.Join(s.Complete(ctx, "for ever", c.Token, nil, 0), s.Set(ctx, "set for ever", nil, 0)); err != nil {
		t.Fatal(err)
	}
	c = claim(t, s, idempotency.ClaimRequest{Key: "extended", Lease: time.Millisecond})
	if err := s.Extend(ctx, "extended", c.Token, time.Hour); err != nil {
		t.Fatal(err)
	}
	purge(time.Hour - time.Minute)
	cleanup(0, "results and a claim that last longer than it was said")
	purge(3 * time.Minute)
	cleanup(2, "after their time")
	purge(1000 * time.Hour)
	cleanup(0, "results without expiry")
}

// A statement names a thousand records, however many are wanted.
func TestCleanupOfMany(t *testing.T) {
	db := connect(t, sharedServer(t), nil)
	table := newTable()
	s := openTable(t, db, table)
	if err := s.Set(t.Context(), "k", nil, 0); err != nil {
		t.Fatal(err)
	}
	const rows = 2500
	alter(t, db, fmt.Sprintf("INSERT INTO %[1]s SELECT UNHEX(SHA2(seq, 256)), state, owner, fence, fingerprint, created_at, "+
		"stored_at, 1, seq, result FROM %[1]s, seq_1_to_%[2]d", table, rows))
	for _, tc := range []struct{ limit, want int }{{0, 0}, {-1, 0}, {1200, 1200}, {10_000, 1300}, {10_000, 0}} {
		if n, err := s.CleanupExpired(t.Context(), tc.limit); n != tc.want || err != nil {
			t.Errorf("limit %d: removed %d, error %v, want %d", tc.limit, n, err, tc.want)
		}
	}
	if _, found, err := s.Get(t.Context(), "k"); !found || err != nil {
		t.Errorf("the live record: found %v, error %v", found, err)
	}
}

func TestResultsSurviveTheDeathOfTheServer(t *testing.T) {
	t.Setenv("STEADY_TEST_MYSQL_URL", "") // for a server that may be killed
	server := services.MySQL(t)
	db := connect(t, server, nil)
	s := open(t, db)
	ctx := t.Context()
	var stored atomic.Int32
	died := make(chan struct{})
	go func() { // in the midst of it
		defer close(died)
		for i := 0; ; i++ {
			key := fmt.Sprint(i)
			c, err := s.Claim(ctx, idempotency.ClaimRequest{Key: key, Lease: long, Retention: long})
			if err == nil {
				err = s.Complete(ctx, key, c.Token, []byte("result "+key), long)
			}
			if err != nil {
				if !errors.As(err, new(*idempotency.BackendError)) {
					t.Errorf("got error %v, want a *BackendError", err)
				}
				return
			}
			stored.Add(1)
		}
	}()
	for stored.Load() < 50 {
		<-time.After(time.Millisecond)
	}
	server.Kill()
	<-died
	if err := s.Ping(ctx); !errors.As(err, new(*idempotency.BackendError)) {
		t.Errorf("ping of a dead server: got error %v, want a *BackendError", err)
	}

	server.Start()
	for i := range int(stored.Load()) {
		key := fmt.Sprint(i)
		c, err := s.Claim(ctx, idempotency.ClaimRequest{Key: key, Lease: long})
		if err != nil || c.Outcome != idempotency.Done || string(c.Value) != "result "+key {
			t.Errorf("%s after the restart: got %v with %q, error %v", key, c.Outcome, c.Value, err)
		}
	}

	server.Pause()
	limited, cancel := context.WithTimeout(ctx, 5*short)
	defer cancel()
	_, err := s.Acquire(limited, "0", long)
	unavailable(t, err, context.DeadlineExceeded, "claim while the server hangs")
	server.Resume()
	if ok, err := s.Acquire(ctx, "0", long); ok || err != nil {
		t.Errorf("claim after the server hung: got %v, error %v", ok, err)
	}
}
