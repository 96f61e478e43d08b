package services

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
)

// conn is one connection to either kind of server.
type conn interface {
	ping(ctx context.Context) error
	put(ctx context.Context, value string) error
	get(ctx context.Context) (string, error)
}

type redisConn struct{ client *redis.Client }

func (c redisConn) ping(ctx context.Context) error { return c.client.Ping(ctx).Err() }

func (c redisConn) put(ctx context.Context, value string) error {
	return c.client.Set(ctx, "value", value, 0).Err()
}

func (c redisConn) get(ctx context.Context) (string, error) {
	return c.client.Get(ctx, "value").Result()
}

type postgresConn struct{ conn *pgx.Conn }

func (c postgresConn) ping(ctx context.Context) error { return c.conn.Ping(ctx) }

func (c postgresConn) put(ctx context.Context, value string) error {
	_, err := c.conn.Exec(ctx, "CREATE TABLE stored AS SELECT $1::text AS value", value)
	return err
}

func (c postgresConn) get(ctx context.Context) (value string, err error) {
	err = c.conn.QueryRow(ctx, "SELECT value FROM stored").Scan(&value)
	return value, err
}

type mysqlConn struct{ db *sql.DB }

func (c mysqlConn) ping(ctx context.Context) error { return c.db.PingContext(ctx) }

func (c mysqlConn) put(ctx context.Context, value string) error {
	if _, err := c.db.ExecContext(ctx, "CREATE TABLE stored (value TEXT)"); err != nil {
		return err
	}
	_, err := c.db.ExecContext(ctx, "INSERT INTO stored VALUES (?)", value)
	return err
}

func (c mysqlConn) get(ctx context.Context) (value string, err error) {
	err = c.db.QueryRowContext(ctx, "SELECT value FROM stored").Scan(&value)
	return value, err
}

func dialRedis(t *testing.T, address string) conn {
	t.Helper()
	options, err := redis.ParseURL(address)
	if err != nil {
		t.Fatal(err)
	}
	options.ContextTimeoutEnabled = true
	client := redis.NewClient(options)
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return redisConn{client}
}

func dialPostgres(t *testing.T, address string) conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil && !c.IsClosed() {
			t.Error(err)
		}
		<-c.PgConn().CleanupDone()
	})
	return postgresConn{c}
}

func dialMySQL(t *testing.T, address string) conn {
	t.Helper()
	dsn, err := MySQLDSN(address)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() }) // which fails where the server was killed
	return mysqlConn{db}
}

var each = []struct {
	kind  kind
	serve func(TB) *Server
	start func(context.Context) (*Process, error)
	dial  func(*testing.T, string) conn
}{
	{redisKind, Redis, StartRedis, dialRedis},
	{postgresKind, Postgres, StartPostgres, dialPostgres},
	{mysqlKind, MySQL, StartMySQL, dialMySQL},
}

// own makes the test start its servers, whatever the environment names.
func own(t *testing.T) {
	for _, s := range each {
		t.Setenv(s.kind.variable, "")
	}
}

func TestServerAnswersAtItsURL(t *testing.T) {
	for _, s := range each {
		t.Run(s.kind.name, func(t *testing.T) {
			own(t)
			server := s.serve(t)
			if err := s.dial(t, server.URL).ping(t.Context()); err != nil {
				t.Error(err)
			}
			u, err := url.Parse(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			if u.Hostname() != "127.0.0.1" || u.Host != server.Addr() {
				t.Errorf("URL %s and Addr %s: want the same port of 127.0.0.1", u.Redacted(), server.Addr())
			}
			if !server.Owned() {
				t.Error("a server that was started for the test is not owned by it")
			}
		})
	}
}

func TestKilledServerRefusesAndKeepsItsDataForTheNextStart(t *testing.T) {
	for _, s := range each {
		t.Run(s.kind.name, func(t *testing.T) {
			own(t)
			server := s.serve(t)
			if err := s.dial(t, server.URL).put(t.Context(), "kept"); err != nil {
				t.Fatal(err)
			}

			server.Kill()
			if c, err := net.Dial("tcp", server.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("dial of a killed server: %v, %v; want refused", c, err)
			}

			server.Start()
			got, err := s.dial(t, server.URL).get(t.Context())
			if err != nil || got != "kept" {
				t.Errorf("after the restart: %q, %v; want %q", got, err, "kept")
			}
		})
	}
}

func TestPausedServerLetsCallersTimeOutUntilItIsResumed(t *testing.T) {
	for _, s := range each {
		t.Run(s.kind.name, func(t *testing.T) {
			own(t)
			server := s.serve(t)
			open := s.dial(t, server.URL)
			if err := open.ping(t.Context()); err != nil {
				t.Fatal(err)
			}

			server.Pause()
			mustTimeOut(t, "open connection", open.ping)
			mustTimeOut(t, "new connection", func(ctx context.Context) error { return s.kind.ping(ctx, server.URL) })

			server.Resume()
			if err := s.kind.ping(t.Context(), server.URL); err != nil {
				t.Errorf("after the resume: %v", err)
			}
		})
	}
}

func mustTimeOut(t *testing.T, what string, ping func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := ping(ctx)
	var timeout net.Error
	if !errors.Is(err, context.DeadlineExceeded) && !(errors.As(err, &timeout) && timeout.Timeout()) {
		t.Errorf("%s to a paused server: %v; want a timeout", what, err)
	}
}

func TestServerOfTheEnvironmentIsUsedAndLeftAlone(t *testing.T) {
	for _, s := range each {
		t.Run(s.kind.name, func(t *testing.T) {
			own(t)
			running := s.serve(t)
			t.Setenv(s.kind.variable, running.URL)
			var server *Server
			watch(t, func(tb TB) { server = s.serve(tb) }).mustPass(t)
			if server.Owned() || server.URL != running.URL || server.Addr() != running.Addr() {
				t.Errorf("server at %s, owned %v; want the one at %s", server.Addr(), server.Owned(), running.Addr())
			}
			if err := s.kind.ping(t.Context(), running.URL); err != nil {
				t.Errorf("after the test that borrowed it: %v", err)
			}
		})
	}
}

func TestServerOfTheEnvironmentCannotBeKilled(t *testing.T) {
	for name, act := range map[string]func(*Server){
		"killed": (*Server).Kill, "started": (*Server).Start, "paused": (*Server).Pause, "resumed": (*Server).Resume,
	} {
		t.Run(name, func(t *testing.T) {
			watch(t, func(tb TB) { act(&Server{tb: tb, kind: redisKind}) }).
				mustFail(t, "STEADY_TEST_REDIS_URL", "cannot be "+name)
		})
	}
}

func TestServerOfTheEnvironmentMustAnswer(t *testing.T) {
	for _, s := range each {
		t.Run(s.kind.name, func(t *testing.T) {
			addr, err := freeAddr()
			if err != nil {
				t.Fatal(err)
			}
			scheme, _, _ := strings.Cut(s.kind.example, "://")
			t.Setenv(s.kind.variable, scheme+"://someone:secret@"+addr+"/0")
			got := watch(t, func(tb TB) { s.serve(tb) })
			got.mustFail(t, s.kind.variable, addr, "refused")
			if strings.Contains(got.failed, "secret") {
				t.Errorf("the message holds the password: %s", got.failed)
			}

			t.Setenv(s.kind.variable, "host=127.0.0.1 password=secret")
			got = watch(t, func(tb TB) { s.serve(tb) })
			got.mustFail(t, s.kind.variable, s.kind.example)
			if strings.Contains(got.failed, "secret") {
				t.Errorf("the message holds the password: %s", got.failed)
			}
		})
	}
}

func TestDefaultPortOfAServerOfTheEnvironment(t *testing.T) {
	answering := redisKind
	answering.ping = func(context.Context, string) error { return nil }
	t.Setenv(redisKind.variable, "redis://cache.internal/0")
	if got := serve(t, answering).Addr(); got != "cache.internal:6379" {
		t.Errorf("Addr is %s, want cache.internal:6379", got)
	}
}

func TestMissingServiceSkipsUnlessItIsRequired(t *testing.T) {
	own(t)
	t.Setenv("PATH", t.TempDir())
	t.Setenv(requireServices, "")
	watch(t, func(tb TB) { Redis(tb) }).mustSkip(t, "apt-get install redis-server", "STEADY_TEST_REDIS_URL")
	t.Setenv(requireServices, "1")
	watch(t, func(tb TB) { Redis(tb) }).mustFail(t, "apt-get install redis-server", "STEADY_TEST_REDIS_URL")
}

// outcome is how a test would have ended.
type outcome struct {
	testing.TB
	failed, skipped string
	cleanups        []func()
}

func (o *outcome) Cleanup(f func()) { o.cleanups = append(o.cleanups, f) }

func (o *outcome) Fatalf(format string, args ...any) {
	o.failed = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (o *outcome) Skipf(format string, args ...any) {
	o.skipped = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// watch runs a test inside a test, with its cleanups.
func watch(t *testing.T, test func(TB)) *outcome {
	t.Helper()
	o := &outcome{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for _, f := range o.cleanups {
				f()
			}
		}()
		test(o)
	}()
	<-done
	return o
}

func (o *outcome) mustPass(t *testing.T) {
	t.Helper()
	if o.failed != "" || o.skipped != "" {
		t.Fatalf("failed %q, skipped %q; want neither", o.failed, o.skipped)
	}
}

func (o *outcome) mustFail(t *testing.T, parts ...string) {
	t.Helper()
	mustHold(t, o.failed, parts)
}

func (o *outcome) mustSkip(t *testing.T, parts ...string) {
	t.Helper()
	mustHold(t, o.skipped, parts)
}

func mustHold(t *testing.T, message string, parts []string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(message, part) {
			t.Errorf("message %q, want %q in it", message, part)
		}
	}
}
