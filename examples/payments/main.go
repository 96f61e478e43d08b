// Payments is the main job of Steady: a service that takes payments, a payment provider that fails in every way that
// providers do, and clients that make it hard for both. It runs for a while, compares what the clients were told with
// the books of the service and of the provider, and exits with 1 if a payment was charged twice or lost.
//
//	go run ./examples/payments [-store memory|sqlite|redis|postgres|mysql] [-replicas n] [-config file] [-duration 15s] [-seed n]
//
// With -replicas the service runs in processes of its own, which are killed on the way and started again.
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
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// options are what the flags say.
type options struct {
	store    string // empty: what the configuration says
	config   string // file; empty: the one that is built in
	replicas int    // processes of the service; 0: it runs in this one
	duration time.Duration
	seed     uint64
}

const maxReplicas = 9

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if slices.Equal(args, []string{replicaRole}) {
		return exitCode(beReplica(ctx, stdin, stdout, stderr), stderr)
	}
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
		var summary report.Summary
		var verdict report.Verdict
		if summary, verdict, err = d.run(ctx); err == nil {
			summary.Write(stdout)
			verdict.Write(stdout)
			passed = verdict.OK()
		}
	}
	code := exitCode(errors.Join(err, d.close()), stderr)
	if code == exitOK && !passed {
		return exitFail
	}
	return code
}

// exitCode writes what went wrong.
func exitCode(err error, stderr io.Writer) int {
	switch {
	case errors.Is(err, patterns.ErrConfiguration):
		fmt.Fprintf(stderr, "The configuration is wrong:\n%v\n", err)
		return exitUsage
	case err != nil:
		fmt.Fprintln(stderr, err)
		return exitFail
	}
	return exitOK
}

// parse reads the flags. What is wrong with them it has written to stderr.
func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	stores := stores()
	flags := flag.NewFlagSet("payments", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.store, "store", "", "where idempotency keys are kept, one of "+strings.Join(stores, ", ")+
		", instead of where the configuration says (memory)")
	flags.IntVar(&o.replicas, "replicas", 0,
		"`processes` of the service, each of which is killed on the way and started again; 0: it is a part of this one, and lives")
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
	case o.replicas < 0 || o.replicas > maxReplicas:
		err = fmt.Errorf("there can be 0 to %d replicas, got %d", maxReplicas, o.replicas)
	case o.replicas > 0 && o.store == idempotency.MemoryBackend:
		err = errInMemory
	case o.duration <= 0:
		err = fmt.Errorf("the duration must be positive, got %v", o.duration)
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
	}
	return o, err
}

var errInMemory = errors.New("keys in memory are gone with the process, and no process sees those of another: " +
	"choose another store for -replicas")
