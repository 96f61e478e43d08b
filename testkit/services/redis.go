package services

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// StartRedis starts a Redis that keeps every write it has acknowledged, even when it is killed, and returns when it
// answers, or after a minute at most. The caller stops it. If redis-server is not on PATH, the error matches
// [ErrNotInstalled].
func StartRedis(ctx context.Context) (*Process, error) { return start(ctx, redisKind) }

var redisKind = kind{
	name:     "Redis",
	variable: "STEADY_TEST_REDIS_URL",
	example:  "redis://127.0.0.1:6379/0",
	port:     "6379",
	quit:     syscall.SIGTERM,
	prepare:  prepareRedis,
	ping:     pingRedis,
}

// redisNodeKind is never borrowed: nobody has a node to spare.
var redisNodeKind = kind{
	name:    "Redis",
	quit:    syscall.SIGTERM,
	prepare: prepareRedisNode,
	ping:    pingRedis,
}

func prepareRedisNode(ctx context.Context, folder, addr string) (command, error) {
	c, err := prepareRedis(ctx, folder, addr)
	if err != nil {
		return command{}, err
	}
	bus, err := freeAddr() // else it is the port and 10000, which may be a client's
	if err != nil {
		return command{}, err
	}
	_, port, err := net.SplitHostPort(bus)
	if err != nil {
		return command{}, fmt.Errorf("services: %w", err)
	}
	c.args = append(c.args, "--cluster-enabled", "yes", "--cluster-port", port)
	return c, nil
}

func prepareRedis(_ context.Context, folder, addr string) (command, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return command{}, fmt.Errorf("services: Redis is %w: install redis-server"+
			" (Debian, Ubuntu: apt-get install redis-server; macOS: brew install redis)", ErrNotInstalled)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return command{}, fmt.Errorf("services: %w", err)
	}
	return command{
		url:     "redis://" + addr + "/0",
		program: program,
		args: []string{
			"--bind", host, "--port", port, "--dir", folder,
			"--save", "", "--appendonly", "yes", "--appendfsync", "always",
		},
	}, nil
}

func pingRedis(ctx context.Context, url string) error {
	options, err := redis.ParseURL(url)
	if err != nil {
		return err
	}
	// go-redis would log each refusal of a server that is about to start.
	conn, err := (&net.Dialer{}).DialContext(ctx, options.Network, options.Addr)
	if err != nil {
		return err
	}
	if err := conn.Close(); err != nil {
		return err
	}
	options.ContextTimeoutEnabled = true
	options.MaxRetries = -1
	options.DialerRetries = 1
	client := redis.NewClient(options)
	defer client.Close() //nolint:errcheck // nothing was written that could be lost
	return client.Ping(ctx).Err()
}
