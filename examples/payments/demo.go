package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
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
	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns/idempotency"
)

const (
	customers = 48
	payments  = 5_000 // at most
	grace     = 15 * time.Second
)

// demo is the three parties of a run. They talk over HTTP; the books are read when the run is over.
type demo struct {
	options  options
	store    string // of idempotency keys
	progress *report.Progress
	bank     *provider.Server
	events   *events
	clients  *traffic.Client
	fleet    *fleet // nil: the service is a part of this process
	entries  func() ([]service.Entry, error)
	closers  []func() error // in the order of opening
}

// newDemo starts the provider, the store and the service. The caller closes the demo, also after an error.
func newDemo(ctx context.Context, o options, progress *report.Progress, stderr io.Writer) (*demo, error) {
	d := &demo{options: o, progress: progress, events: newEvents(progress)}
	bank, err := d.openBank(ctx)
	if err != nil {
		return d, err
	}
	s := setup{File: o.config}.with("payments", map[string]any{"provider": bank})
	if o.store != "" {
		s = s.with("resilience", map[string]any{"idempotency": map[string]any{"backend": o.store}})
	}
	c, err := s.load()
	if err != nil {
		return d, err
	}
	d.store = c.tree.Resilience.Idempotency.Backend
	if d.store == idempotency.MemoryBackend && o.replicas > 0 {
		return d, errInMemory
	}
	progress.Say("%v of traffic with seed %d, idempotency keys in %s", o.duration, o.seed, d.store)
	if c.service.AnswerKey == "" {
		s = s.with("payments", map[string]any{"answer_key": newAnswerKey()})
	}
	s, stop, err := provideStore(ctx, s, c, progress)
	d.closing(stop)
	if err != nil {
		return d, err
	}
	url, err := d.openService(ctx, s, stderr)
	if err != nil {
		return d, err
	}
	d.clients = traffic.New(traffic.Options{
		URL: url, Seed: o.seed, Customers: customers, Payments: payments, Duration: o.duration, Grace: grace,
	})
	return d, nil
}

// newAnswerKey returns one for this run. A service that keeps its answers for longer takes it from its secrets.
func newAnswerKey() string {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails
	return base64.StdEncoding.EncodeToString(key[:])
}

// openBank starts the provider and returns its URL.
func (d *demo) openBank(ctx context.Context) (url string, err error) {
	var addresses net.ListenConfig
	listener, err := addresses.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	d.bank = provider.NewServer(provider.Schedule(d.options.duration), d.options.seed)
	server := &http.Server{Handler: d.bank, ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(listener) }() // until it is closed
	d.closing(server.Close)
	return "http://" + listener.Addr().String(), nil
}

// openService starts the service, here or as replicas, and returns where it is.
func (d *demo) openService(ctx context.Context, s setup, stderr io.Writer) (url func() string, err error) {
	if n := d.options.replicas; n > 0 {
		d.fleet, err = startFleet(ctx, n, s, d.events.count, stderr, d.progress)
		d.closing(d.fleet.stop)
		d.entries = d.fleet.entries
		return d.fleet.url, err
	}
	c, err := s.load()
	if err != nil {
		return nil, err
	}
	var server *service.Server
	var ledger *service.Ledger
	app := newApp(c, stderr, fx.Populate(&server, &ledger),
		fx.Invoke(func(bus *hooks.Bus) { listen(bus, d.events.count) }))
	stop, err := start(ctx, app)
	if err != nil {
		return nil, err
	}
	d.closing(stop)
	d.entries = func() ([]service.Entry, error) { return ledger.Entries(), nil }
	return server.URL, nil
}

// run sends the traffic and judges what came of it.
func (d *demo) run(ctx context.Context) (report.Summary, report.Verdict, error) {
	started := time.Now()
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var crashed error
	var running sync.WaitGroup
	running.Go(func() { d.progress.Show(background, func() string { return d.status(time.Since(started)) }) })
	if d.fleet != nil {
		running.Go(func() { crashed = d.fleet.crashes(background, d.options.duration) })
	}
	told := d.clients.Run(ctx)
	cancel()
	running.Wait()

	// The provider's book last: what the service has accepted by now was charged before.
	accepted, err := d.entries()
	books := report.Books{Told: told, Accepted: accepted, Charged: d.bank.Charges()}
	summary := report.Summary{
		Clients:   d.clients.Counts(),
		Latencies: d.clients.Latencies(),
		Charges:   len(books.Charged),
		GivenUp:   report.GivenUp(told),
		Replicas:  d.options.replicas,
	}
	summary.Service, _ = d.events.counted()
	if d.fleet != nil {
		summary.Kills = int(d.fleet.kills.Load())
	}
	return summary, report.Judge(books, summary, d.store == idempotency.MemoryBackend), errors.Join(crashed, err)
}

func (d *demo) status(elapsed time.Duration) string {
	c := d.clients.Counts()
	_, circuit := d.events.counted()
	return fmt.Sprintf("%3.0fs  %-10s  requests %4d  accepted %4d  charged %4d  circuit %-9s  store down %d",
		elapsed.Seconds(), d.bank.Phase().Name, c.Requests, c.Accepted, d.bank.Charged(), circuit, c.StoreDown)
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
