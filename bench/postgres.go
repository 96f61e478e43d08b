package main

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/steadyfx/steady/stores/pgstore"
	"github.com/steadyfx/steady/testkit/services"
)

func openPostgres(ctx context.Context) (groups []group, end func() error, err error) {
	server, err := services.StartPostgres(ctx)
	if err != nil {
		return nil, nil, err
	}
	cfg, err := pgxpool.ParseConfig(server.URL)
	if err != nil {
		return nil, nil, errors.Join(err, server.Stop())
	}
	cfg.MaxConns = most
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, nil, errors.Join(err, server.Stop())
	}
	end = func() error {
		pool.Close()
		return server.Stop()
	}
	if groups, err = postgresGroups(ctx, pool); err != nil {
		return nil, nil, errors.Join(err, end())
	}
	return groups, end, nil
}

func postgresGroups(ctx context.Context, pool *pgxpool.Pool) ([]group, error) {
	ddl, err := pgstore.DDL(pgstore.Config{Table: plainTable})
	if err != nil {
		return nil, err
	}
	if _, err := pool.Exec(ctx, ddl); err != nil {
		return nil, err
	}
	w := newWorkload(ctx, must(pgstore.NewIdempotency(pool, pgstore.Config{})))
	return tableGroups("PostgreSQL", w, plain{
		insert: func(id []byte) error {
			_, err := pool.Exec(ctx, `INSERT INTO `+plainTable+`
(key, owner, fence, created_at, expires_at, purge_after, state, fingerprint)
VALUES ($1, $2, 1, now(), now() + interval '30 seconds', now() + interval '1 hour', 1, $3)`,
				id, pgtype.UUID{Valid: true}, w.fingerprint)
			return err
		},
		update: func(id []byte) error {
			_, err := pool.Exec(ctx, `UPDATE `+plainTable+`
SET state = 2, result = $2, stored_at = now(), expires_at = now() + interval '1 hour' WHERE key = $1`, id, w.value)
			return err
		},
		read: func(id []byte) error {
			var value []byte
			return pool.QueryRow(ctx, `SELECT result FROM `+plainTable+` WHERE key = $1`, id).Scan(&value)
		},
	})
}
