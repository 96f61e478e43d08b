package idempotency_test

import (
	"context"
	"crypto/rand"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/pgstore"
	"github.com/steadyfx/steady/stores/redisstore"
	"github.com/steadyfx/steady/testkit/services"
)

// sharing ends with the servers that the tests have shared: to start one takes seconds.
type sharing struct{ *testing.M }

func (m sharing) Run() int {
	defer func() {
		for _, end := range slices.Backward(servers.ends) {
			end()
		}
	}()
	return m.M.Run()
}

var servers struct {
	redis, postgres string // addresses, once they run
	ends            []func()
}

// lasting is the test that starts a server, which outlives it.
type lasting struct{ testing.TB }

func (lasting) Context() context.Context { return context.Background() }
func (lasting) Cleanup(end func())       { servers.ends = append(servers.ends, end) }

// backend is where records are kept.
type backend struct {
	store idempotency.Store
	down  idempotency.Store // one of the same kind whose server does not answer
}

// onEveryBackend runs a test with a memory store, and with stores on a real Redis and a real PostgreSQL.
func onEveryBackend(t *testing.T, test func(t *testing.T, b backend)) {
	t.Run("memory", func(t *testing.T) {
		test(t, backend{store: newStore(t), down: newStore(t).failing("claim")})
	})
	t.Run("redis", func(t *testing.T) {
		nowhere := &redis.Options{Addr: unused(t), MaxRetries: -1, DialerRetries: 1}
		redis.SetLogger(quiet{})
		test(t, backend{store: onRedis(t, redisOptions(t)), down: onRedis(t, nowhere)})
	})
	t.Run("postgres", func(t *testing.T) {
		if servers.postgres == "" {
			servers.postgres = services.Postgres(lasting{t}).URL
		}
		up := postgres(t, servers.postgres, nil)
		nowhere := postgres(t, servers.postgres, func(c *pgxpool.Config) {
			c.ConnConfig.DialFunc = func(context.Context, string, string) (net.Conn, error) {
				return nil, net.ErrClosed
			}
		})
		test(t, backend{store: up, down: nowhere})
	})
}

// quiet keeps go-redis from telling of every connection that it cannot open.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

func redisOptions(t *testing.T) *redis.Options {
	t.Helper()
	if servers.redis == "" {
		servers.redis = services.Redis(lasting{t}).URL
	}
	opts, err := redis.ParseURL(servers.redis)
	if err != nil {
		t.Fatal(err)
	}
	return opts
}

func onRedis(t *testing.T, opts *redis.Options, hooks ...redis.Hook) idempotency.Store {
	t.Helper()
	client := redis.NewClient(opts)
	for _, hook := range hooks {
		client.AddHook(hook)
	}
	t.Cleanup(func() { _ = client.Close() })
	s, err := redisstore.NewIdempotency(client, redisstore.Config{KeyPrefix: "test:" + rand.Text() + ":"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func postgres(t *testing.T, url string, change func(*pgxpool.Config)) idempotency.Store {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(cfg)
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	s, err := pgstore.NewIdempotency(pool, pgstore.Config{Table: "test_" + strings.ToLower(rand.Text())})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// unused returns an address where nobody listens.
func unused(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// commands is a hook of go-redis that keeps what was sent.
type commands struct {
	mu   sync.Mutex
	sent [][]any
}

func (c *commands) all() [][]any {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.sent)
}

func (c *commands) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *commands) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.mu.Lock()
		c.sent = append(c.sent, cmd.Args())
		c.mu.Unlock()
		return next(ctx, cmd)
	}
}

func (c *commands) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.mu.Lock()
		for _, cmd := range cmds {
			c.sent = append(c.sent, cmd.Args())
		}
		c.mu.Unlock()
		return next(ctx, cmds)
	}
}

// until asks again and again until the answer is yes. It is for tests whose time is that of a real server.
func until(t *testing.T, what string, answer func() bool) {
	t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for range 2000 {
		if answer() {
			return
		}
		<-again.C
	}
	t.Fatalf("waited in vain until %s", what)
}
