package pgstore_test

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/pgstore"
	"github.com/steadyfx/steady/testkit/services"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(sharing{m}) }

// sharing ends with the server that the tests have shared: to start one takes seconds.
type sharing struct{ *testing.M }

func (m sharing) Run() int {
	defer func() {
		for _, end := range slices.Backward(shared.ends) {
			end()
		}
	}()
	return m.M.Run()
}

var shared struct {
	url    string
	addr   string
	schema string // of all tables, so that nothing stays behind on a server that was there before
	ends   []func()
}

// lasting is the test that starts the server, which outlives it.
type lasting struct{ testing.TB }

func (lasting) Context() context.Context { return context.Background() }
func (lasting) Cleanup(end func())       { shared.ends = append(shared.ends, end) }

func share(tb testing.TB) {
	tb.Helper()
	if shared.url != "" {
		return
	}
	server := lasting{tb}
	started, schema, ctx := services.Postgres(server), newTable(), server.Context()
	run := func(sql string) {
		conn, err := pgx.Connect(ctx, started.URL)
		if err != nil {
			tb.Fatal(err)
		}
		defer conn.Close(ctx)
		if _, err := conn.Exec(ctx, sql); err != nil {
			tb.Fatal(err)
		}
	}
	run("CREATE SCHEMA " + schema)
	server.Cleanup(func() { run("DROP SCHEMA " + schema + " CASCADE") })
	shared.url, shared.addr, shared.schema = started.URL, started.Addr(), schema
}

// connect returns a pool of at most 16 connections.
func connect(tb testing.TB, change ...func(*pgxpool.Config)) *pgxpool.Pool {
	tb.Helper()
	share(tb)
	cfg, err := pgxpool.ParseConfig(shared.url)
	if err != nil {
		tb.Fatal(err)
	}
	cfg.MaxConns = 8
	cfg.ConnConfig.RuntimeParams["search_path"] = shared.schema
	for _, c := range change {
		c(cfg)
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(pool.Close)
	return pool
}

// with sets a parameter of the sessions.
func with(name, value string) func(*pgxpool.Config) {
	return func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams[name] = value }
}

func single(c *pgxpool.Config) { c.MaxConns = 1 }

// newTable returns the name of a table that nobody has.
func newTable() string { return "test_" + strings.ToLower(rand.Text()) }

// open returns a store on pool with a table of its own.
func open(tb testing.TB, pool pgstore.Pool) *pgstore.Idempotency {
	tb.Helper()
	return openAt(tb, pool, pgstore.Config{Table: newTable()})
}

func openAt(tb testing.TB, pool pgstore.Pool, cfg pgstore.Config) *pgstore.Idempotency {
	tb.Helper()
	s, err := pgstore.NewIdempotency(pool, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// Times that no test outlives, and that it waits for.
const (
	long  = 10 * time.Minute
	short = 20 * time.Millisecond
)

// request asks for a key for long.
func request(key string) idempotency.ClaimRequest {
	return idempotency.ClaimRequest{Key: key, Lease: long, Retention: long}
}

func claim(tb testing.TB, s *pgstore.Idempotency, req idempotency.ClaimRequest) idempotency.Claim {
	tb.Helper()
	c, err := s.Claim(tb.Context(), req)
	if err != nil {
		tb.Fatalf("claim: %v", err)
	}
	return c
}

// acquire claims key for long and wants it.
func acquire(tb testing.TB, s *pgstore.Idempotency, key string) idempotency.Token {
	tb.Helper()
	c := claim(tb, s, request(key))
	if c.Outcome != idempotency.Acquired {
		tb.Fatalf("claim: got %v, want acquired", c.Outcome)
	}
	return c.Token
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func exec(tb testing.TB, pool *pgxpool.Pool, sql string, args ...any) {
	tb.Helper()
	if _, err := pool.Exec(tb.Context(), sql, args...); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
}

// begin begins a transaction, which ends with the test if not before.
func begin(tb testing.TB, pool *pgxpool.Pool) pgx.Tx {
	tb.Helper()
	tx, err := pool.Begin(tb.Context())
	must(tb, err)
	tb.Cleanup(func() {
		if err := tx.Rollback(context.WithoutCancel(tb.Context())); err != nil && !errors.Is(err, pgx.ErrTxClosed) {
			tb.Error(err)
		}
	})
	return tx
}

// ask returns the one value that sql selects.
func ask[T any](tb testing.TB, pool *pgxpool.Pool, sql string, args ...any) T {
	tb.Helper()
	var v T
	if err := pool.QueryRow(tb.Context(), sql, args...).Scan(&v); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
	return v
}

// await waits until ready says so.
func await(tb testing.TB, what string, ready func() bool) {
	tb.Helper()
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	for tries := 0; !ready(); tries++ {
		if tries == 5000 {
			tb.Fatalf("waited in vain until %s", what)
		}
		<-again.C
	}
}

// atOnce runs f n times at the same time and waits for all.
func atOnce(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}
