// Transaction moves money between accounts in PostgreSQL, each transfer once, for clients that send it again and again
// until they hear an answer, while processes crash before the commit and answers are lost after it. The transfer and the
// record of its key are one commit.
//
//	go run ./examples/transaction [-dsn postgres://...] [-transfers 200]
//
// Without -dsn it starts a PostgreSQL of its own. Look at how often the transfers came, and that the sum of all balances
// is what it was and every transfer was booked once; else it exits with 1. The part worth copying is bank.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/fx"

	"github.com/steadyfx/steady/idempotencyfx"
	"github.com/steadyfx/steady/patterns/idempotency"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("transaction", flag.ContinueOnError)
	dsn := flags.String("dsn", "", "`URL` of a PostgreSQL; without it, one is started")
	transfers := flags.Int("transfers", 200, "that the clients send")
	if err := flags.Parse(args); err != nil {
		return err
	}
	pool, closePool, err := connect(ctx, *dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closePool()) }()

	guard, stop, err := start(ctx, pool)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop(context.WithoutCancel(ctx))) }()

	b := &bank{guard: guard, pool: pool}
	if err := b.open(ctx); err != nil {
		return err
	}
	c := newClients(b, *transfers)
	if err := c.send(ctx); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d transfers, sent %d times: %d crashes before the commit, %d answers lost after it\n",
		*transfers, c.sent.Load(), c.crashes.Load(), c.lost.Load())
	fmt.Fprintf(out, "%d booked, %d duplicates answered with the stored result, %d told to come back later\n",
		c.booked.Load(), c.duplicates.Load(), c.early.Load())
	state, err := b.audit(ctx, *transfers)
	fmt.Fprintln(out, state)
	return err
}

// start starts the application: a guard whose records are in the database of the pool.
func start(ctx context.Context, pool *pgxpool.Pool) (*idempotency.Guard, func(context.Context) error, error) {
	cfg := idempotency.DefaultConfig()
	cfg.Wait = 100 * time.Millisecond // for a transfer that is being booked
	var guard *idempotency.Guard
	app := fx.New(fx.NopLogger,
		idempotencyfx.Module, idempotencyfx.Postgres, idempotencyfx.Configure(cfg), fx.Supply(pool), fx.Populate(&guard))
	return guard, app.Stop, app.Start(ctx)
}
