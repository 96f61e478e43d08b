package pgstore_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/storetest"
)

func TestConformance(t *testing.T) {
	pool := connect(t)
	storetest.Idempotency(t, func(t *testing.T) idempotency.Store { return open(t, pool) }, storetest.RaceKeys(raceKeys),
		storetest.SkewedClient(func(t *testing.T) idempotency.Store { return open(t, connect(t)) }))
}

// What a proxy such as PgBouncer asks for, which gives each statement the connection that is free.
func TestConformanceWithoutPreparedStatements(t *testing.T) {
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		t.Run(mode.String(), func(t *testing.T) {
			pool := connect(t, func(c *pgxpool.Config) { c.ConnConfig.DefaultQueryExecMode = mode })
			storetest.Idempotency(t, func(t *testing.T) idempotency.Store { return open(t, pool) }, storetest.RaceKeys(5))
		})
	}
}

// Sessions that PostgreSQL makes repeat what has met another's write.
func TestConformanceWhereTransactionsAreSerializable(t *testing.T) {
	pool := connect(t, with("default_transaction_isolation", "serializable"))
	storetest.Idempotency(t, func(t *testing.T) idempotency.Store { return open(t, pool) }, storetest.RaceKeys(10))
}
