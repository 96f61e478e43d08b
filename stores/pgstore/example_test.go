package pgstore_test

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/pgstore"
)

func Example() {
	pool, err := pgxpool.New(context.Background(), "postgres://app@localhost:5432/app")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Close() // the store borrows it

	store, err := pgstore.NewIdempotency(pool, pgstore.Config{Schema: "payments"})
	fmt.Println(store != nil, err) // nothing has connected yet; store.EnsureSchema does

	_, err = pgstore.NewIdempotency(pool, pgstore.Config{Table: "keys; drop table users"})
	fmt.Println(err)

	// Output:
	// true <nil>
	// idempotency: postgres: table: must be letters, digits and underscores and not begin with a digit, got "keys; drop table users"
}

// For a migration tool.
func ExampleDDL() {
	sql, err := pgstore.DDL(pgstore.Config{Schema: "payments"})
	fmt.Print(sql, err)
	// Output:
	// CREATE TABLE IF NOT EXISTS "payments"."idempotency_keys" (
	//   key bytea PRIMARY KEY,            -- SHA-256 of the key
	//   owner uuid NOT NULL,              -- random for every claim
	//   fence bigint NOT NULL,
	//   created_at timestamptz NOT NULL,  -- when it was acquired
	//   stored_at timestamptz,            -- when the result was stored
	//   expires_at timestamptz NOT NULL,  -- end of the lease or of the retention
	//   purge_after timestamptz NOT NULL, -- when a cleanup may look at it
	//   state smallint NOT NULL,          -- 1 pending, 2 complete
	//   fingerprint bytea,
	//   result bytea
	// ) WITH (fillfactor = 70);
	// CREATE INDEX IF NOT EXISTS "idempotency_keys_purge_after" ON "payments"."idempotency_keys" (purge_after);
	// <nil>
}

// The order and the record of its key are written by one commit. Whoever comes with the same key at the same time waits
// for up to 200 ms, and is then told that the order is being placed.
func ExampleIdempotency_ClaimTx() { //nolint:testableexamples // needs a PostgreSQL
	var (
		ctx   context.Context
		pool  *pgxpool.Pool
		store *pgstore.Idempotency
	)
	placeOrder := func(key string, order []byte) (receipt []byte, err error) {
		err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { // rolls back what returns an error
			if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '200ms'"); err != nil {
				return err
			}
			claim, err := store.ClaimTx(ctx, tx, idempotency.ClaimRequest{
				Key: key, Fingerprint: idempotency.Fingerprint(order), Lease: time.Minute, Retention: 24 * time.Hour,
			})
			if err != nil {
				return err
			}
			switch claim.Outcome {
			case idempotency.Done:
				receipt = claim.Value
				return nil
			case idempotency.InProgress:
				return &idempotency.ConflictError{Operation: "place order", RetryAfter: claim.RetryAfter}
			case idempotency.Mismatch:
				return &idempotency.DuplicateRequestError{Operation: "place order"}
			}
			row := tx.QueryRow(ctx, "INSERT INTO orders (content) VALUES ($1) RETURNING id::text::bytea", order)
			if err := row.Scan(&receipt); err != nil {
				return err
			}
			return store.CompleteTx(ctx, tx, key, claim.Token, receipt, 24*time.Hour)
		})
		return receipt, err
	}
	_ = placeOrder
}
