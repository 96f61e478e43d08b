package idempotencyfx_test

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/steadyfx/steady/config"
	"github.com/steadyfx/steady/testkit/services"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(withServer{m}) }

// withServer runs tests and then ends the PostgreSQL that they share: to start one takes seconds.
type withServer struct{ *testing.M }

func (m withServer) Run() int {
	code := m.M.Run()
	for _, end := range shared.ends {
		end()
	}
	return code
}

var shared struct {
	url  string
	ends []func()
}

// lasting is the test that starts the server, which outlives it.
type lasting struct{ testing.TB }

func (lasting) Context() context.Context { return context.Background() }
func (lasting) Cleanup(end func())       { shared.ends = append(shared.ends, end) }

// postgres returns a section for a PostgreSQL that many tests use, with a schema of the test's own.
func postgres(t *testing.T) config.Postgres {
	t.Helper()
	if shared.url == "" {
		shared.url = services.Postgres(lasting{t}).URL
	}
	section := config.DefaultPostgres()
	section.DSN, section.Schema = shared.url, "test_"+strings.ToLower(rand.Text())
	execute(t, "CREATE SCHEMA "+section.Schema)
	t.Cleanup(func() { execute(t, "DROP SCHEMA "+section.Schema+" CASCADE") })
	return section
}

// execute runs a statement on the shared PostgreSQL.
func execute(t *testing.T, statement string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // of a test that may have ended
	conn, err := pgx.Connect(ctx, shared.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// await waits until ready says so.
func await(t *testing.T, what string, ready func() bool) {
	t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	limit := time.After(time.Minute)
	for !ready() {
		select {
		case <-again.C:
		case <-limit:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}
