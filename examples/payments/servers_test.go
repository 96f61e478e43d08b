package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/steadyfx/steady/config"
	"github.com/steadyfx/steady/examples/payments/report"
	"github.com/steadyfx/steady/testkit/services"
)

// output can be read while it is written.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// unused returns an address that nobody listens on.
func unused(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// needsRedisServer skips or fails the test where no Redis can be started.
func needsRedisServer(t *testing.T) *services.Server {
	t.Helper()
	t.Setenv("STEADY_TEST_REDIS_URL", "")
	return services.Redis(t)
}

// TestRedisThatIsKilledDuringTheRun is the promise of the example: while Redis is away, requests get 503 with
// Retry-After (which the clients check); none is charged twice; and it goes on when Redis is back.
func TestRedisThatIsKilledDuringTheRun(t *testing.T) {
	redis := needsRedisServer(t)
	t.Setenv("STEADY_REDIS__ADDRS", redis.Addr())
	var out, log strings.Builder
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	d, err := newDemo(ctx, options{store: "redis", duration: time.Minute, seed: 7}, report.NewProgress(&out), &log)
	t.Cleanup(func() {
		if err := d.close(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}

	var summary report.Summary
	var verdict report.Verdict
	var running sync.WaitGroup
	running.Go(func() { summary, verdict, err = d.run(ctx) })
	eventually(t, "payments are accepted", func() bool { return d.clients.Counts().Accepted >= 50 })
	redis.Kill()
	eventually(t, "requests are refused", func() bool { return d.clients.Counts().StoreDown >= 50 })
	redis.Start()
	before := d.clients.Counts().Accepted
	eventually(t, "payments are accepted again", func() bool { return d.clients.Counts().Accepted >= before+50 })
	interrupt()
	running.Wait()

	if err != nil {
		t.Error(err)
	}
	if len(verdict.Offences) > 0 {
		t.Errorf("offences: %q", verdict.Offences)
	}
	if summary.GivenUp > 0 {
		t.Errorf("%d payments were given up", summary.GivenUp)
	}
	if !strings.Contains(out.String(), "using the Redis at "+redis.Addr()) {
		t.Errorf("want the address of the Redis in use in\n%s", out.String())
	}
}

// needsServers skips or fails the test where servers cannot be started.
func needsServers(t *testing.T) {
	t.Helper()
	for _, service := range []struct {
		variable string
		start    func(services.TB) *services.Server
	}{
		{"STEADY_TEST_REDIS_URL", services.Redis},
		{"STEADY_TEST_POSTGRES_URL", services.Postgres},
		{"STEADY_TEST_MYSQL_URL", services.MySQL},
	} {
		t.Setenv(service.variable, "")
		service.start(t)
	}
}

func TestRunStartsARedisWhereThereIsNone(t *testing.T) {
	needsRedisServer(t)
	t.Setenv("STEADY_REDIS__ADDRS", unused(t))
	code, stdout, stderr := do(t.Context(), "-store", "redis", "-duration", "4s", "-seed", "7")
	if code != exitOK {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	for _, want := range []string{"keys in redis", "started a Redis at 127.0.0.1:", "PASS: "} {
		if !strings.Contains(stdout, want) {
			t.Errorf("want %q in\n%s", want, stdout)
		}
	}
}

// TestProcessThatIsKilled is the promise of the durable stores: whatever the process was doing when it was killed, no
// payment is charged twice and none that was accepted is lost.
func TestProcessThatIsKilled(t *testing.T) {
	needsServers(t)
	t.Setenv("STEADY_REDIS__ADDRS", unused(t))
	t.Setenv("STEADY_POSTGRES__DSN", "postgres://"+unused(t)+"/app")
	for _, test := range []struct {
		store    string
		replicas int
		want     string
	}{
		{"sqlite", 1, "keys in sqlite"},
		{"redis", 2, "nobody listens at 127.0.0.1:"},
		{"postgres", 2, "started a PostgreSQL at 127.0.0.1:"},
		{"mysql", 1, "none is configured: started a MariaDB at 127.0.0.1:"},
	} {
		t.Run(test.store, func(t *testing.T) {
			code, stdout, stderr := do(t.Context(), "-store", test.store, "-replicas", strconv.Itoa(test.replicas),
				"-duration", "4s", "-seed", "7")
			if code != exitOK || !strings.Contains(stdout, test.want) || !strings.Contains(stdout, "PASS: ") {
				t.Errorf("exit %d, want %q and PASS in\n%s%s", code, test.want, stdout, stderr)
			}
			kills := strings.Count(stdout, "killed process ")
			backs := strings.Count(stdout, "the service is back, process ")
			if kills != test.replicas || backs != test.replicas {
				t.Errorf("%d kills and %d restarts, want %d, in\n%s", kills, backs, test.replicas, stdout)
			}
		})
	}
}

func TestRedisThatCannotBeStartedFailsTheRun(t *testing.T) {
	addr := unused(t)
	t.Setenv("STEADY_REDIS__ADDRS", addr)
	t.Setenv("PATH", t.TempDir())
	code, _, stderr := do(t.Context(), "-store", "redis")
	if code != exitFail || !strings.Contains(stderr, addr) || !strings.Contains(stderr, "install redis-server") {
		t.Errorf("exit %d, %q; want the address and what to install", code, stderr)
	}
}

func TestOwnRedisReplacesTheConfiguredOneUntilItIsStopped(t *testing.T) {
	needsRedisServer(t)
	s := setup{}.with("payments", map[string]any{"provider": "http://127.0.0.1:1"}).
		with("resilience", map[string]any{"idempotency": map[string]any{"backend": "redis"}}).
		with("redis", map[string]any{"addrs": []string{unused(t)}, "password": "of another server", "db": 3})
	c, err := s.load()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	s, stop, err := provideStore(t.Context(), s, c, report.NewProgress(&out))
	if err != nil {
		t.Fatal(err)
	}
	if c, err = s.load(); err != nil {
		t.Fatal(err)
	}
	section, want := c.tree.Redis, config.DefaultRedis()
	want.Addrs = section.Addrs
	own := servers[0].configured(c)
	if len(own) != 1 || section.String() != want.String() || !anyoneListens(t.Context(), own) {
		t.Errorf("section %v, want the defaults with the address of a Redis that runs", section)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if anyoneListens(t.Context(), own) {
		t.Error("it still listens after the stop")
	}
}

func TestOwnRedisThatIsKilledIsStartedAgain(t *testing.T) {
	needsRedisServer(t)
	process, err := services.StartRedis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first := process.PID()
	var out output
	ctx, cancel := context.WithCancel(t.Context())
	var supervisor sync.WaitGroup
	supervisor.Go(func() { servers[0].supervise(ctx, process, time.Millisecond, report.NewProgress(&out)) })
	stop := func() {
		cancel()
		supervisor.Wait()
	}
	t.Cleanup(func() {
		stop()
		if err := process.Stop(); err != nil {
			t.Error(err)
		}
	})
	victim, err := os.FindProcess(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Redis is back", func() bool { return strings.Contains(out.String(), "Redis is back, process ") })
	stop()
	second := process.PID()
	want := fmt.Sprintf("Redis is gone; it is started again in 1ms\nRedis is back, process %d\n", second)
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	if second == 0 || second == first {
		t.Errorf("process %d after %d, want another one", second, first)
	}
}
