package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/steadyfx/steady/patterns/idempotency"
)

const order = `{"order":"1042","cents":1999}`

var payment = []byte(`{"id":"pay_8f2c","order":"1042","amount":1999,"currency":"EUR","status":"accepted"}`)

func servers(op operation) []group {
	var (
		keys   keyMaker
		known  = func() string { return "known" }
		alone  = unguarded(op)
		first  = guarded(op)
		replay = guarded(op)
	)
	filled(contender{run: first.inMemory(keys.next, false)})
	must(struct{}{}, replay.inMemory(known, false)(1))

	const handler, middleware = "the handler alone", "Steady, `idempotency.Middleware`"
	return []group{
		{
			name: "HTTP server: first execution",
			about: "A POST with a short body and a new key is answered with 201, two headers and 83 bytes, which the guard " +
				"stores in a store that is full of 10,000 results. There is no network in it.",
			modes: []mode{serial(), parallel()},
			contenders: []contender{
				{handler, floor, alone.inMemory(keys.next, false)},
				{middleware, steady, first.inMemory(keys.next, false)},
			},
		},
		{
			name:  "HTTP server: replay",
			about: "The same with a key that has a result, which is sent again. The handler runs only where it is alone.",
			modes: []mode{serial(), parallel()},
			contenders: []contender{
				{handler, floor, alone.inMemory(known, false)},
				{middleware, steady, replay.inMemory(known, true)},
			},
		},
		{
			name:  "HTTP server over TCP: first execution",
			about: "The same by one connection to a server of net/http in the same process.",
			modes: []mode{serial()},
			contenders: []contender{
				{handler, floor, alone.overTCP(keys.next, false)},
				{middleware, steady, first.overTCP(keys.next, false)},
			},
		},
		{
			name:  "HTTP server over TCP: replay",
			about: "The same with a key that has a result.",
			modes: []mode{serial()},
			contenders: []contender{
				{handler, floor, alone.overTCP(known, false)},
				{middleware, steady, replay.overTCP(known, true)},
			},
		},
	}
}

// payments serves pay.
type payments struct {
	http.Handler

	op     operation
	failed atomic.Pointer[error] // why a payment was not made, if there is one
}

func unguarded(op operation) *payments {
	p := &payments{op: op}
	p.Handler = http.HandlerFunc(p.pay)
	return p
}

func guarded(op operation) *payments {
	p := unguarded(op)
	guard := must(idempotency.New(newStore(), idempotency.Config{Lease: lease, TTL: retention}))
	p.Handler = idempotency.Middleware(guard, idempotency.SharedScope)(p.Handler)
	return p
}

func (p *payments) pay(w http.ResponseWriter, r *http.Request) {
	if err := p.op(r.Context()); err != nil {
		p.failed.Store(&err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Location", "/payments/pay_8f2c")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(payment)
}

// check returns an error for an answer that the benchmark is not about.
func (p *payments) check(status int, header http.Header, body int64, replayed bool) error {
	if err := p.failed.Load(); err != nil {
		return *err
	}
	if status != http.StatusCreated || body != int64(len(payment)) || len(header["Idempotent-Replayed"]) > 0 != replayed {
		return errDuplicate
	}
	return nil
}

// inMemory serves one request again and again, with a key each time.
func (p *payments) inMemory(key func() string, replayed bool) func(int) error {
	return func(n int) error {
		body := strings.NewReader(order)
		r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "/payments", io.NopCloser(body))
		if err != nil {
			return err
		}
		// As http.Server and http.ServeMux leave it.
		r.RequestURI, r.Pattern, r.ContentLength = "/payments", "POST /payments", int64(len(order))
		line := []string{""}
		r.Header[idempotency.KeyHeader] = line
		return times(n, func() error {
			body.Reset(order)
			line[0] = key()
			w := answer{header: http.Header{}}
			p.ServeHTTP(&w, r)
			return p.check(w.status, w.header, w.body, replayed)
		})
	}
}

// answer counts what is written.
type answer struct {
	header http.Header
	status int
	body   int64
}

func (a *answer) Header() http.Header    { return a.header }
func (a *answer) WriteHeader(status int) { a.status = status }

func (a *answer) Write(p []byte) (int, error) {
	a.body += int64(len(p))
	return len(p), nil
}

// overTCP starts a server, and sends to it by one connection.
func (p *payments) overTCP(key func() string, replayed bool) func(int) error {
	return func(n int) (err error) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		server, served := http.Server{Handler: p, ReadHeaderTimeout: limit}, make(chan struct{})
		go func() {
			defer close(served)
			_ = server.Serve(listener) // until it is closed
		}()
		defer func() {
			err = errors.Join(err, server.Close())
			<-served
		}()
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, conn.Close()) }()
		in := bufio.NewReader(conn)
		return times(n, func() error {
			_, err := fmt.Fprintf(conn, "POST /payments HTTP/1.1\r\nHost: bench.test\r\n%s: %s\r\nContent-Length: %d\r\n\r\n%s",
				idempotency.KeyHeader, key(), len(order), order)
			if err != nil {
				return err
			}
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				return err
			}
			body, err := io.Copy(io.Discard, resp.Body)
			if err != nil {
				return err
			}
			return p.check(resp.StatusCode, resp.Header, body, replayed)
		})
	}
}
