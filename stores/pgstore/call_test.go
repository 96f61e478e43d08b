package pgstore_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/pgstore"
)

// failing is a pool whose statements fail with errs, one after the other, and then for ever with last, if there is one.
type failing struct {
	pgstore.Pool
	errs  []error
	last  error
	asked int
}

func (f *failing) fail() error {
	f.asked++
	if len(f.errs) == 0 {
		return f.last
	}
	err := f.errs[0]
	f.errs = f.errs[1:]
	return err
}

func (f *failing) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if err := f.fail(); err != nil {
		return pgconn.CommandTag{}, err
	}
	return f.Pool.Exec(ctx, sql, args...)
}

// QueryRow fails only where there is no pool.
func (f *failing) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if f.Pool == nil {
		return failed{f.fail()}
	}
	return f.Pool.QueryRow(ctx, sql, args...)
}

type failed struct{ err error }

func (f failed) Scan(...any) error { return f.err }

// code is an error of PostgreSQL.
func code(code string) error {
	return &pgconn.PgError{Severity: "ERROR", Code: code, Message: "told", Detail: "s3cr3t"}
}

// unsent is an error of pgx before it has sent anything.
type unsent struct{}

func (unsent) Error() string     { return "unsent" }
func (unsent) SafeToRetry() bool { return true }

func TestErrorsAreRepeatedWhereThatIsSafe(t *testing.T) {
	faulty := &failing{Pool: connect(t)}
	s := open(t, faulty)
	must(t, s.EnsureSchema(t.Context()))
	for name, tc := range map[string]struct {
		err           error
		any, harmless bool // repeated: any call, one that may be carried out twice
		store         bool // a *StoreError, else a *BackendError
	}{
		"serialization failure":  {code("40001"), true, true, false},
		"deadlock":               {code("40P01"), true, true, false},
		"nothing was sent":       {unsent{}, true, true, false},
		"end of file":            {io.EOF, false, true, false},
		"end in the midst":       {io.ErrUnexpectedEOF, false, true, false},
		"network":                {&net.OpError{Op: "read", Err: errors.New("reset by peer")}, false, true, false},
		"closed network":         {net.ErrClosed, false, true, false},
		"closed connection":      {pgconn.ErrConnClosed, false, true, false},
		"terminated":             {code("57P01"), false, true, false},
		"crash":                  {code("57P02"), false, true, false},
		"idle for too long":      {code("57P05"), false, true, false},
		"connection failure":     {code("08006"), false, true, false},
		"proxy":                  {code("08P01"), false, true, false},
		"cancelled by statement": {code("57014"), false, false, false},
		"waited too long":        {code("55P03"), false, false, false},
		"disk full":              {code("53100"), false, false, false},
		"out of memory":          {code("53200"), false, false, false},
		"read-only":              {code("25006"), false, false, false},
		"no privilege":           {code("42501"), false, false, false},
		"another's statement":    {code("42P05"), false, false, false},
		"odd code":               {code("4"), false, false, false},
		"something else":         {errors.New("something else"), false, false, false},
		"no schema":              {code("3F000"), false, false, false},
		"no table":               {code("42P01"), false, false, false},
		"no column":              {code("42703"), false, false, false},
		"not null":               {code("23502"), false, false, false},
		"out of range":           {code("22003"), false, false, true},
		"too large":              {code("54000"), false, false, true},
		"no row":                 {pgx.ErrNoRows, false, false, true},
		"unreadable":             {pgx.ScanArgError{ColumnIndex: 1, Err: errors.New("wrong type")}, false, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			for op, call := range map[string]struct {
				do       func() error
				repeated bool
			}{
				"delete": {func() error { return s.Delete(t.Context(), "k") }, tc.any},
				"ping":   {func() error { return s.Ping(t.Context()) }, tc.harmless},
			} {
				faulty.errs, faulty.asked = []error{tc.err, tc.err}, 0
				err := call.do()
				if call.repeated {
					if err != nil || faulty.asked != 3 {
						t.Errorf("%s: got error %v after %d attempts, want none after 3", op, err, faulty.asked)
					}
					continue
				}
				var store *idempotency.StoreError
				var unavailable *idempotency.BackendError
				if errors.As(err, &store) != tc.store || errors.As(err, &unavailable) == tc.store || !errors.Is(err, tc.err) {
					t.Errorf("%s: got a %T, want a *StoreError: %v", op, err, tc.store)
				}
				if faulty.asked != 1 || strings.Contains(err.Error(), "s3cr3t") || !strings.Contains(err.Error(), "postgres") ||
					!strings.Contains(err.Error(), op) {
					t.Errorf("%s: got %q after %d attempts, want the name and the operation after one", op, err, faulty.asked)
				}
			}
		})
	}
}

func TestResultThatIsTooLargeIsNamedAsSuch(t *testing.T) {
	faulty := &failing{Pool: connect(t)}
	s := open(t, faulty)
	token := acquire(t, s, "k")
	faulty.errs = []error{code("54000")}
	err := s.Complete(t.Context(), "k", token, nil, long)
	var store *idempotency.StoreError
	if !errors.As(err, &store) || !strings.Contains(err.Error(), "the result is too large for the store") {
		t.Errorf("got error %v, want a *StoreError that says so", err)
	}
}

func TestRepeatingEndsWithTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty := &failing{last: code("40001")}
		s := open(t, faulty)
		for name, want := range map[string]time.Duration{"default": 3 * time.Second, "deadline": time.Second} {
			ctx, cancel := context.WithTimeout(t.Context(), want)
			if name == "default" {
				ctx = t.Context()
			}
			faulty.asked = 0
			began := time.Now()
			err := s.Ping(ctx)
			cancel()
			var serialization *pgconn.PgError
			if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &serialization) || patterns.Code(err) != idempotency.CodeBackend {
				t.Errorf("%s: got error %v, want a *BackendError with both reasons", name, err)
			}
			if took := time.Since(began); took != want {
				t.Errorf("%s: gave up after %v, want %v", name, took, want)
			}
			// At most 50 ms apart, and at first much less.
			if least, most := int(want/(50*time.Millisecond)), int(want/(25*time.Millisecond))+60; faulty.asked < least || faulty.asked > most {
				t.Errorf("%s: %d attempts in %v, want between %d and %d", name, faulty.asked, want, least, most)
			}
		}
	})
}

func TestPoolWithoutFreeConnectionIsABackendErrorInTime(t *testing.T) {
	pool := connect(t, single)
	s := openAt(t, pool, pgstore.Config{Table: newTable(), Timeout: short})
	must(t, openAt(t, pool, pgstore.Config{Table: newTable()}).EnsureSchema(t.Context()))
	held, err := pool.Acquire(t.Context())
	must(t, err)
	_, claimErr := s.Acquire(t.Context(), "k", long)
	for what, err := range map[string]error{"first claim": claimErr, "ping": s.Ping(t.Context()), "schema": s.EnsureSchema(t.Context())} {
		var unavailable *idempotency.BackendError
		if !errors.As(err, &unavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got error %v, want a *BackendError with DeadlineExceeded", what, err)
		}
	}
	held.Release()
	await(t, "the connection is back", func() bool { return s.EnsureSchema(t.Context()) == nil })
	acquire(t, openAt(t, pool, pgstore.Config{Table: newTable()}), "k")
}

func TestServerThatCannotBeReachedIsABackendErrorAtOnce(t *testing.T) {
	hangsUp, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer hangsUp.Close()
	go func() {
		for {
			conn, err := hangsUp.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	for what, addr := range map[string]string{"nobody listens": "127.0.0.1:1", "hangs up": hangsUp.Addr().String()} {
		cfg, err := pgxpool.ParseConfig("postgres://app:s3cr3t@" + addr + "/app?sslmode=disable")
		must(t, err)
		var attempts atomic.Int32
		cfg.BeforeConnect = func(context.Context, *pgx.ConnConfig) error { attempts.Add(1); return nil }
		pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
		must(t, err)
		_, err = open(t, pool).Acquire(t.Context(), "k", long)
		pool.Close()
		var unavailable *idempotency.BackendError
		if !errors.As(err, &unavailable) || unavailable.Backend != "postgres" || unavailable.Op != "claim" {
			t.Errorf("%s: got error %v, want a *BackendError of postgres for claim", what, err)
		}
		if n := attempts.Load(); n != 1 || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: got error %v after %d attempts, want one without the password after 1", what, err, n)
		}
	}
}

func TestClosedPoolIsABackendError(t *testing.T) {
	pool := connect(t)
	s := open(t, pool)
	pool.Close()
	var unavailable *idempotency.BackendError
	if _, err := s.Acquire(t.Context(), "k", long); !errors.As(err, &unavailable) {
		t.Errorf("got error %v, want a *BackendError", err)
	}
}

// kill ends the sessions of an application that the condition selects, and returns how many.
func kill(tb testing.TB, admin *pgxpool.Pool, application, condition string) int {
	tb.Helper()
	return ask[int](tb, admin, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE application_name = $1 AND `+condition, application)
}

func TestKilledConnectionsAreReplaced(t *testing.T) {
	admin := connect(t)
	name := newTable()
	pool := connect(t, with("application_name", name))
	s := open(t, pool)
	must(t, s.EnsureSchema(t.Context()))
	for round := range 3 {
		// All of them are idle, and dead when they are taken from the pool.
		conns := make([]*pgxpool.Conn, 8)
		for i := range conns {
			var err error
			conns[i], err = pool.Acquire(t.Context())
			must(t, err)
		}
		for _, c := range conns {
			c.Release()
		}
		if n := kill(t, admin, name, "true"); n != len(conns) {
			t.Fatalf("killed %d connections, want %d", n, len(conns))
		}
		await(t, "they are dead", func() bool {
			return ask[int](t, admin, "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1", name) == 0
		})
		key := string(rune('a' + round))
		must(t, s.Complete(t.Context(), key, acquire(t, s, key), nil, long))
	}
}

// waiting counts the sessions of an application that wait for others.
func waiting(tb testing.TB, admin *pgxpool.Pool, application string) int {
	tb.Helper()
	return ask[int](tb, admin, `SELECT count(*) FROM pg_stat_activity
		WHERE application_name = $1 AND wait_event_type = 'Lock'`, application)
}

func TestClaimSurvivesTheDeathOfItsConnection(t *testing.T) {
	admin := connect(t)
	name := newTable()
	s := open(t, connect(t, with("application_name", name)))
	must(t, s.EnsureSchema(t.Context()))
	other := begin(t, admin)
	if c, err := s.ClaimTx(t.Context(), other, request("k")); err != nil || c.Outcome != idempotency.Acquired {
		t.Fatalf("claim: got %v, error %v", c.Outcome, err)
	}
	answer := make(chan idempotency.Claim)
	go func() {
		c, err := s.Claim(t.Context(), request("k"))
		if err != nil {
			t.Error(err)
		}
		answer <- c
	}()
	await(t, "the claim waits", func() bool { return waiting(t, admin, name) == 1 })
	if n := kill(t, admin, name, "wait_event_type = 'Lock'"); n != 1 {
		t.Fatalf("killed %d connections, want 1", n)
	}
	await(t, "the claim waits again", func() bool { return waiting(t, admin, name) == 1 })
	must(t, other.Rollback(t.Context()))
	if c := <-answer; c.Outcome != idempotency.Acquired {
		t.Errorf("got %v, want acquired", c.Outcome)
	}
}

// A claim waits for the transaction that has inserted its key, and that for the table, which the claim uses. PostgreSQL
// looks for a deadlock once, a second after the claim began to wait.
func TestDeadlockIsRepeated(t *testing.T) {
	admin := connect(t, with("deadlock_timeout", "1min"))
	name, table := newTable(), newTable()
	pool := connect(t, with("application_name", name), with("deadlock_timeout", "1s"))
	s := openAt(t, pool, pgstore.Config{Table: table, Timeout: time.Minute})
	must(t, s.EnsureSchema(t.Context()))
	before := deadlocks(t, admin)
	other := begin(t, admin)
	if _, err := s.ClaimTx(t.Context(), other, request("k")); err != nil {
		t.Fatal(err)
	}
	answer := make(chan error)
	go func() {
		_, err := s.Claim(t.Context(), request("k"))
		answer <- err
	}()
	await(t, "the claim waits", func() bool { return waiting(t, admin, name) == 1 })
	if _, err := other.Exec(t.Context(), "LOCK TABLE "+table); err != nil {
		t.Fatal(err)
	}
	must(t, other.Commit(t.Context()))
	must(t, <-answer)
	pool.Close() // sessions count when they end
	await(t, "the deadlock is counted", func() bool { return deadlocks(t, admin) > before })
}

func deadlocks(tb testing.TB, admin *pgxpool.Pool) int {
	tb.Helper()
	return ask[int](tb, admin, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
}
