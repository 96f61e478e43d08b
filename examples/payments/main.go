// Payments is the main job of Steady: a service that takes payments, a payment provider that fails in every way that
// providers do, and clients that make it hard for both. It runs for a while, compares what the clients were told with
// the books of the service and of the provider, and exits with 1 if a payment was charged twice or lost.
//
//	go run ./examples/payments [-store memory|redis] [-config file] [-duration 15s] [-seed n]
//
// The service is package service, its configuration payments.yaml, and how Fx wires it is in app.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9/logging"

	"github.com/steadyfx/steady/examples/payments/report"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/idempotency"
)

// What the program exits with.
const (
	exitOK    = 0
	exitFail  = 1 // a payment was charged twice or lost, or the run could not be made
	exitUsage = 2 // the flags or the configuration are wrong
)

func main() {
	logging.Disable() // go-redis would log every connection that it cannot make; what comes of it the service logs
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the first signal ends the traffic, the second one the program
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options are what the flags say.
type options struct {
	store    string // empty: what the configuration says
	config   string // file; empty: the one that is built in
	duration time.Duration
	seed     uint64
}

const redisStore = "redis"

var stores = []string{idempotency.MemoryBackend, redisStore}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	}
	passed := false
	d, err := newDemo(ctx, o, report.NewProgress(stdout), stderr)
	if err == nil {
		summary, verdict := d.run(ctx)
		summary.Write(stdout)
		verdict.Write(stdout)
		passed = verdict.OK()
	}
	err = errors.Join(err, d.close())
	switch {
	case errors.Is(err, patterns.ErrConfiguration):
		fmt.Fprintf(stderr, "The configuration is wrong:\n%v\n", err)
		return exitUsage
	case err != nil:
		fmt.Fprintln(stderr, err)
		return exitFail
	case !passed:
		return exitFail
	}
	return exitOK
}

// parse reads the flags. What is wrong with them it has written to stderr.
func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("payments", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.store, "store", "",
		"where idempotency keys are kept, "+strings.Join(stores, " or ")+", instead of where the configuration says (memory)")
	flags.StringVar(&o.config, "config", "", "`file` (YAML, TOML or JSON) over the built-in configuration")
	flags.DurationVar(&o.duration, "duration", 15*time.Second, "of the traffic")
	flags.Uint64Var(&o.seed, "seed", 0, "of what is random in the traffic; 0: another one each time")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.seed == 0 {
		o.seed = 1 + rand.Uint64N(1_000_000)
	}
	var err error
	switch {
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.store != "" && !slices.Contains(stores, o.store):
		err = fmt.Errorf("unknown store %q; choose one of: %s", o.store, strings.Join(stores, ", "))
	case o.duration <= 0:
		err = fmt.Errorf("the duration must be positive, got %v", o.duration)
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
	}
	return o, err
}
