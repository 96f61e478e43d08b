package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/steadyfx/steady/examples/payments/report"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/testkit/services"
)

const (
	sqliteStore = "sqlite"

	lookLimit    = 500 * time.Millisecond
	restartDelay = 3 * time.Second // long enough to see what the service does without the server
)

// stores are those that keys can be in.
func stores() []string {
	all := []string{idempotency.MemoryBackend, sqliteStore}
	for _, s := range servers {
		all = append(all, s.store)
	}
	return all
}

// endpoint is where a server listens.
type endpoint struct{ network, addr string }

// server is a store that is a process of its own.
type server struct {
	store string // as the configuration calls it
	name  string
	start func(context.Context) (*services.Process, error)

	// configured returns where it is, as the configuration says. What cannot be read is for the store to complain of.
	configured func(configuration) []endpoint
	// at returns the setup of a service that uses the process.
	at func(setup, *services.Process) (setup, error)
}

var servers = []server{
	{
		store: "redis", name: "Redis", start: services.StartRedis,
		configured: func(c configuration) []endpoint {
			var all []endpoint
			for _, addr := range c.tree.Redis.Addrs {
				all = append(all, endpoint{"tcp", addr})
			}
			return all
		},
		at: func(s setup, p *services.Process) (setup, error) {
			return s.with("redis", map[string]any{
				"addrs": []string{p.Addr()}, "username": "", "password": "", "db": 0, "master_name": "", "tls": false,
			}), nil
		},
	},
	{
		store: "postgres", name: "PostgreSQL", start: services.StartPostgres,
		configured: func(c configuration) []endpoint {
			cfg, err := pgconn.ParseConfig(c.tree.Postgres.DSN)
			if err != nil {
				return nil
			}
			network, addr := pgconn.NetworkAddress(cfg.Host, cfg.Port)
			return []endpoint{{network, addr}}
		},
		at: func(s setup, p *services.Process) (setup, error) {
			return s.with("postgres", map[string]any{"dsn": p.URL, "schema": ""}), nil
		},
	},
	{
		store: "mysql", name: "MariaDB", start: services.StartMySQL,
		configured: func(c configuration) []endpoint {
			cfg, err := mysql.ParseDSN(c.stores.MySQL.DSN)
			if err != nil || c.stores.MySQL.DSN == "" {
				return nil
			}
			return []endpoint{{cfg.Net, cfg.Addr}}
		},
		at: func(s setup, p *services.Process) (setup, error) {
			dsn, err := services.MySQLDSN(p.URL)
			return s.with("stores", map[string]any{"mysql": map[string]any{"dsn": dsn}}), err
		},
	},
}

// provideStore sees to it that the store is there, and returns a setup that has it. The returned function ends what was
// made for that, also after an error.
func provideStore(
	ctx context.Context, s setup, c configuration, progress *report.Progress,
) (_ setup, stop func() error, err error) {
	store := c.tree.Resilience.Idempotency.Backend
	if i := slices.IndexFunc(servers, func(s server) bool { return s.store == store }); i >= 0 {
		return servers[i].provide(ctx, s, c, progress)
	}
	if store != sqliteStore || c.stores.SQLite.Path != "" {
		return s, nothing, nil
	}
	folder, err := os.MkdirTemp("", "payments-")
	if err != nil {
		return s, nothing, err
	}
	path := filepath.Join(folder, "keys.db")
	return s.with("stores", map[string]any{"sqlite": map[string]any{"path": path}}),
		func() error { return os.RemoveAll(folder) }, nil
}

func nothing() error { return nil }

// provide uses the server that is where the configuration says or, where nobody listens, starts one.
func (v server) provide(
	ctx context.Context, s setup, c configuration, progress *report.Progress,
) (_ setup, stop func() error, err error) {
	configured := v.configured(c)
	var addrs []string
	for _, e := range configured {
		addrs = append(addrs, e.addr)
	}
	where := strings.Join(addrs, ", ")
	if anyoneListens(ctx, configured) {
		progress.Say("using the %s at %s", v.name, where)
		return s, nothing, nil
	}
	reason := "none is configured"
	if where != "" {
		reason = "nobody listens at " + where
	}
	process, err := v.start(ctx)
	if err != nil {
		return s, nothing, fmt.Errorf("%s: %s, and none could be started: %w", v.name, reason, err)
	}
	progress.Say("%s: started a %s at %s, process %d; kill it to see what happens",
		reason, v.name, process.Addr(), process.PID())

	supervised, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var supervisor sync.WaitGroup
	supervisor.Go(func() { v.supervise(supervised, process, restartDelay, progress) })
	s, err = v.at(s, process)
	return s, func() error {
		cancel()
		supervisor.Wait()
		return process.Stop()
	}, err
}

func anyoneListens(ctx context.Context, endpoints []endpoint) bool {
	dialer := net.Dialer{Timeout: lookLimit}
	for _, e := range endpoints {
		if conn, err := dialer.DialContext(ctx, e.network, e.addr); err == nil {
			_ = conn.Close() // nothing was sent
			return true
		}
	}
	return false
}

// supervise starts the process again some time after it has ended, on the same port and with its data, until ctx ends.
func (v server) supervise(ctx context.Context, process *services.Process, delay time.Duration, progress *report.Progress) {
	for {
		select {
		case <-process.Ended():
		case <-ctx.Done():
			return
		}
		progress.Say("%s is gone; it is started again in %v", v.name, delay)
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return
		}
		switch err := process.Start(ctx); {
		case ctx.Err() != nil:
			return
		case err != nil:
			progress.Say("%s stays away: %v", v.name, err)
			return
		}
		progress.Say("%s is back, process %d", v.name, process.PID())
	}
}
