// Worker takes messages from a queue that delivers each of them at least once, some to two consumers at the same time,
// and ships each order once. What it has done it keeps in a SQLite file, so that it is known to the next run, too.
//
//	go run ./examples/worker [-file worker.db] [-messages 50]
//
// Look at how many deliveries there were, and how often it shipped. Run it again with the same file: the queue delivers
// everything again, and nothing is shipped. The part worth copying is worker.go.
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

	"go.uber.org/fx"

	"github.com/steadyfx/steady/idempotencyfx"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/sqlitestore"
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
	flags := flag.NewFlagSet("worker", flag.ContinueOnError)
	file := flags.String("file", "worker.db", "SQLite `file` that remembers what has been done")
	messages := flags.Int("messages", 50, "that the queue holds")
	if err := flags.Parse(args); err != nil {
		return err
	}
	store, err := sqlitestore.NewIdempotency(sqlitestore.Config{Path: *file})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()

	var guard *idempotency.Guard
	app := fx.New(fx.NopLogger, idempotencyfx.Module, idempotencyfx.UseStore(store), fx.Populate(&guard))
	if err := app.Start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, app.Stop(context.WithoutCancel(ctx))) }()

	q, w := newQueue(*messages), &worker{guard: guard}
	if err := q.deliver(ctx, w.handle); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d messages, delivered %d times; shipped %d orders, recognised %d duplicates, %d came too early\n",
		*messages, q.deliveries.Load(), w.shipped.Load(), w.duplicates.Load(), w.early.Load())
	return w.check()
}
