package mysqlstore_test

import (
	"crypto/rand"
	"database/sql"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"go.uber.org/goleak"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/mysqlstore"
	"github.com/steadyfx/steady/testkit/services"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(withServer{m}) }

// withServer runs tests and then ends the server that they share.
type withServer struct{ *testing.M }

func (m withServer) Run() int {
	code := m.M.Run()
	for _, end := range shared.ends {
		end()
	}
	return code
}

// shared is a server for all tests that leave it as it is: to start one takes long.
var shared struct {
	server *services.Server
	ends   []func()
}

// lasting is a test that leaves its server to the next.
type lasting struct{ testing.TB }

func (lasting) Cleanup(end func()) { shared.ends = append(shared.ends, end) }

// sharedServer is for one test at a time.
func sharedServer(tb testing.TB) *services.Server {
	tb.Helper()
	if shared.server == nil {
		shared.server = services.MySQL(lasting{tb})
	}
	return shared.server
}

// Times that no test outlives, and that it waits for.
const (
	long     = 10 * time.Minute
	short    = 20 * time.Millisecond
	patience = time.Minute // longer than a busy machine needs for any call
)

// connect returns a pool of connections to a server, with parameters for its DSN.
func connect(tb testing.TB, server *services.Server, params url.Values) *sql.DB {
	tb.Helper()
	dsn, err := services.MySQLDSN(server.URL + "?" + params.Encode())
	if err != nil {
		tb.Fatal(err)
	}
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		tb.Fatal(err)
	}
	cfg.Logger = &mysql.NopLogger{} // of connections that tests cut
	return dial(tb, cfg)
}

func dial(tb testing.TB, cfg *mysql.Config) *sql.DB {
	tb.Helper()
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxIdleConns(16)
	tb.Cleanup(func() { _ = db.Close() }) // which fails where the server was killed
	return db
}

// newTable returns a name that no other test has, so that the table is new on any server.
func newTable() string { return "test_" + rand.Text() }

// open returns a store with a table of its own.
func open(tb testing.TB, db *sql.DB) *mysqlstore.Idempotency {
	tb.Helper()
	return openTable(tb, db, newTable())
}

func openTable(tb testing.TB, db *sql.DB, table string) *mysqlstore.Idempotency {
	tb.Helper()
	s, err := mysqlstore.NewIdempotency(db, mysqlstore.Config{Table: table, Timeout: patience})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// alter changes something behind the store's back.
func alter(tb testing.TB, db *sql.DB, query string) {
	tb.Helper()
	if _, err := db.ExecContext(tb.Context(), query); err != nil {
		tb.Fatalf("%s: %v", query, err)
	}
}

func claim(tb testing.TB, s *mysqlstore.Idempotency, req idempotency.ClaimRequest) idempotency.Claim {
	tb.Helper()
	c, err := s.Claim(tb.Context(), req)
	if err != nil {
		tb.Fatalf("claim: %v", err)
	}
	return c
}

// atOnce runs f n times at the same time and waits for all.
func atOnce(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}
