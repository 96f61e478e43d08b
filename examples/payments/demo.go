package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/fx"

	"github.com/steadyfx/steady/examples/payments/provider"
	"github.com/steadyfx/steady/examples/payments/report"
	"github.com/steadyfx/steady/examples/payments/service"
	"github.com/steadyfx/steady/examples/payments/traffic"
	"github.com/steadyfx/steady/patterns/idempotency"
)

const (
	customers = 48
	payments  = 5_000 // at most
	grace     = 15 * time.Second
)

// demo is the three parties of a run. They talk over HTTP; the books are read when the run is over.
type demo struct {
	store    string // of idempotency keys
	progress *report.Progress
	bank     *provider.Server
	ledger   *service.Ledger
	events   *events
	clients  *traffic.Client
	closers  []func() error // in the order of opening
}

// newDemo starts the provider and the service. The caller closes the demo, also after an error.
func newDemo(ctx context.Context, o options, progress *report.Progress, log io.Writer) (*demo, error) {
	d := &demo{progress: progress, events: newEvents(progress)}
	var addresses net.ListenConfig
	listener, err := addresses.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return d, err
	}
	d.bank = provider.NewServer(provider.Schedule(o.duration), o.seed)
	bank := &http.Server{Handler: d.bank, ReadHeaderTimeout: time.Second}
	go func() { _ = bank.Serve(listener) }() // until it is closed
	d.closing(bank.Close)
	tree, settings, err := load(o, "http://"+listener.Addr().String())
	if err != nil {
		return d, err
	}
	d.store = tree.Resilience.Idempotency.Backend
	progress.Say("%v of traffic with seed %d, idempotency keys in %s", o.duration, o.seed, d.store)
	if d.store == redisStore {
		stop, err := provideRedis(ctx, &tree.Redis, progress)
		if err != nil {
			return d, err
		}
		d.closing(stop)
	}
	var server *service.Server
	app := newApp(tree, settings, log, fx.Populate(&server, &d.ledger), fx.Invoke(d.events.listen))
	starting, cancel := context.WithTimeout(ctx, app.StartTimeout())
	defer cancel()
	if err := app.Start(starting); err != nil {
		return d, err
	}
	d.closing(func() error {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), app.StopTimeout())
		defer cancel()
		return app.Stop(stopping)
	})
	d.clients = traffic.New(traffic.Options{
		URL: server.URL(), Seed: o.seed, Customers: customers, Payments: payments, Duration: o.duration, Grace: grace,
	})
	return d, nil
}

// run sends the traffic and judges what came of it.
func (d *demo) run(ctx context.Context) (report.Summary, report.Verdict) {
	started := time.Now()
	showing, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var shown sync.WaitGroup
	shown.Go(func() { d.progress.Show(showing, func() string { return d.status(time.Since(started)) }) })
	told := d.clients.Run(ctx)
	cancel()
	shown.Wait()

	// The provider's book last: what the service has accepted by now was charged before.
	books := report.Books{Told: told, Accepted: d.ledger.Entries(), Charged: d.bank.Charges()}
	summary := report.Summary{
		Clients:   d.clients.Counts(),
		Latencies: d.clients.Latencies(),
		Charges:   len(books.Charged),
		GivenUp:   report.GivenUp(told),
		Service:   d.events.counts(),
	}
	return summary, report.Judge(books, summary, d.store == idempotency.MemoryBackend)
}

func (d *demo) status(elapsed time.Duration) string {
	c := d.clients.Counts()
	return fmt.Sprintf("%3.0fs  %-10s  requests %4d  accepted %4d  charged %4d  circuit %-9s  store down %d",
		elapsed.Seconds(), d.bank.Phase().Name, c.Requests, c.Accepted, d.bank.Charged(), *d.events.circuit.Load(), c.StoreDown)
}

func (d *demo) closing(closer func() error) { d.closers = append(d.closers, closer) }

// close stops what was started, last things first.
func (d *demo) close() error {
	var errs []error
	for i := len(d.closers) - 1; i >= 0; i-- {
		errs = append(errs, d.closers[i]())
	}
	return errors.Join(errs...)
}
