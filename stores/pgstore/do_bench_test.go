package pgstore_test

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/pgstore"
)

// BenchmarkDo has beside Do what a program can do instead at the least: a transaction that inserts the same business row,
// and the record of its key with the result, without asking first.
func BenchmarkDo(b *testing.B) {
	for _, clients := range []int{1, 16} {
		b.Run("clients="+strconv.Itoa(clients), func(b *testing.B) {
			pool := connect(b, func(c *pgxpool.Config) { c.MaxConns = int32(clients) })
			store, raw, orders := open(b, pool), newTable(), newTable()
			must(b, store.EnsureSchema(b.Context()))
			exec(b, pool, "CREATE TABLE "+orders+" (id text)")
			exec(b, pool, "CREATE TABLE "+raw+" (key text PRIMARY KEY, result text)")
			guard, err := idempotency.New(store, idempotency.Config{})
			must(b, err)
			order := func(ctx context.Context, tx pgx.Tx) (string, error) {
				_, err := tx.Exec(ctx, "INSERT INTO "+orders+" VALUES ($1)", "order")
				return "receipt", err
			}
			_, err = pgstore.Do(b.Context(), guard, pool, ordering("replayed"), order)
			must(b, err)
			for name, act := range map[string]func(key string) error{
				"by hand": func(key string) error {
					return pgx.BeginFunc(b.Context(), pool, func(tx pgx.Tx) error {
						receipt, err := order(b.Context(), tx)
						if err == nil {
							_, err = tx.Exec(b.Context(), "INSERT INTO "+raw+" VALUES ($1, $2)", key, receipt)
						}
						return err
					})
				},
				"do": func(key string) error {
					_, err := pgstore.Do(b.Context(), guard, pool, ordering(key), order)
					return err
				},
				"replay": func(string) error {
					_, err := pgstore.Do(b.Context(), guard, pool, ordering("replayed"), order)
					return err
				},
			} {
				b.Run(name, func(b *testing.B) {
					var begun atomic.Int64
					atOnce(clients, func(int) {
						for begun.Add(1) <= int64(b.N) {
							if err := act(newTable()); err != nil {
								b.Error(err)
							}
						}
					})
				})
			}
		})
	}
}
