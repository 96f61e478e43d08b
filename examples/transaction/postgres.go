package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/steadyfx/steady/testkit/services"
)

// connect returns a pool on the PostgreSQL of the dsn, or on one of its own, with a schema of its own. The returned
// function ends all of that.
func connect(ctx context.Context, dsn string) (_ *pgxpool.Pool, end func() error, err error) {
	stop := func() error { return nil }
	if dsn == "" {
		server, err := services.StartPostgres(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("no -dsn is given, and no PostgreSQL could be started: %w", err)
		}
		dsn, stop = server.URL, server.Stop
	}
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, nil, errors.Join(errors.New("-dsn must be a URL such as postgres://user:password@host:5432/database"), stop())
	}
	schema := "steady_example_" + strings.ToLower(rand.Text())
	cfg.ConnConfig.RuntimeParams["search_path"] = schema
	cfg.ConnConfig.Tracer = crasher{}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, nil, errors.Join(err, stop())
	}
	if _, err := pool.Exec(ctx, "CREATE SCHEMA "+schema); err != nil {
		pool.Close()
		return nil, nil, errors.Join(err, stop())
	}
	return pool, func() error {
		_, err := pool.Exec(context.WithoutCancel(ctx), "DROP SCHEMA "+schema+" CASCADE")
		pool.Close()
		return errors.Join(err, stop())
	}, nil
}
