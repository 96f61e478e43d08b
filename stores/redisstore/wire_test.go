package redisstore_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// wire is the network of a client. The zero wire is a good one.
type wire struct {
	loseAnswer atomic.Bool // the next answer is read and lost, and its connection too
	stalled    atomic.Bool // answers wait until the wire is released
	release    chan struct{}
	written    chan struct{} // gets a value for each command that was written while stalled
}

func newWire(tb testing.TB) *wire {
	w := &wire{release: make(chan struct{}), written: make(chan struct{}, 100)}
	tb.Cleanup(w.resume)
	return w
}

func (w *wire) stall() { w.stalled.Store(true) }

func (w *wire) resume() {
	if w.stalled.CompareAndSwap(true, false) {
		close(w.release)
	}
}

// under makes a client use the wire.
func (w *wire) under(o *redis.Options) {
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		return &wireConn{Conn: conn, wire: w}, err
	}
}

type wireConn struct {
	net.Conn
	wire         *wire
	readDeadline atomic.Pointer[time.Time]
}

func (c *wireConn) SetReadDeadline(t time.Time) error {
	c.readDeadline.Store(&t)
	return c.Conn.SetReadDeadline(t)
}

func (c *wireConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if c.wire.stalled.Load() {
		c.wire.written <- struct{}{}
	}
	return n, err
}

func (c *wireConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		return n, err
	}
	if c.wire.loseAnswer.CompareAndSwap(true, false) {
		return 0, errors.Join(io.EOF, c.Close())
	}
	if c.wire.stalled.Load() {
		var late <-chan time.Time
		if t := c.readDeadline.Load(); t != nil && !t.IsZero() {
			late = time.After(time.Until(*t))
		}
		select {
		case <-c.wire.release:
		case <-late:
			return 0, os.ErrDeadlineExceeded
		}
	}
	return n, nil
}
