package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/pgstore"
)

// The order and the record of its key are written by one commit.
func ExampleDo() { //nolint:testableexamples // needs a PostgreSQL
	var (
		ctx   context.Context
		pool  *pgxpool.Pool
		store *pgstore.Idempotency // on the same database
	)
	guard, err := idempotency.New(store, idempotency.DefaultConfig())
	if err != nil {
		panic(err)
	}
	placeOrder := func(key string, order []byte) (id int64, err error) {
		call := idempotency.Call{Operation: "order", Key: key, Fingerprint: idempotency.Fingerprint(order)}
		result, err := pgstore.Do(ctx, guard, pool, call, func(ctx context.Context, tx pgx.Tx) (id int64, err error) {
			err = tx.QueryRow(ctx, "INSERT INTO orders (content) VALUES ($1) RETURNING id", order).Scan(&id)
			return id, err
		})
		if errors.Is(err, idempotency.ErrInDoubt) {
			return 0, fmt.Errorf("send the order again, with the same key: %w", err)
		}
		return result.Value, err
	}
	_ = placeOrder
}

// The middleware answers duplicates over HTTP with the stored response. Do sees to it that the order is placed once even
// if the process dies before its response is stored, and the handler runs again when the lease is over.
func ExampleDo_handler() { //nolint:testableexamples // needs a PostgreSQL
	var (
		pool   *pgxpool.Pool
		guard  *idempotency.Guard
		tenant idempotency.Scope
	)
	place := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call, _ := idempotency.CallOf(r.Context()) // there is one, because the key is required
		call.Operation = "order"                   // the operation of the request is taken, by the middleware
		result, err := pgstore.Do(r.Context(), guard, pool, call, func(ctx context.Context, tx pgx.Tx) (id int64, err error) {
			err = tx.QueryRow(ctx, "INSERT INTO orders DEFAULT VALUES RETURNING id").Scan(&id)
			return id, err
		})
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable) // which gives the key of the request back
			return
		}
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"id": %d}`, result.Value)
	})
	http.Handle("POST /orders", idempotency.Middleware(guard, tenant, idempotency.WithRequiredKey())(place))
}
