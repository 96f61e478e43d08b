package main

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// group is a set of contenders that do the same work, and becomes one table.
type group struct {
	name       string
	about      string // what is common to the contenders
	modes      []mode
	contenders []contender

	prepare func(n int) error    // makes n calls possible, which is not measured; may be nil
	clock   func() time.Duration // shows what is measured; nil: the time
}

// mode says how many goroutines share the calls.
type mode struct {
	name    string
	workers int
}

func serial() mode       { return mode{"serial", 1} }
func parallel() mode     { return mode{"parallel", runtime.GOMAXPROCS(0)} }
func clients(n int) mode { return mode{strconv.Itoa(n) + " at once", n} }

// contender is one way to do the work of its group.
type contender struct {
	name string
	role role
	run  func(n int) error // makes n calls one after the other; returns the first error
}

type role int

const (
	peer   role = iota
	steady      // the first one of a group is what others are compared with
	floor       // what the work is made of, or what one would write without a library; the first one likewise
)

type operation = func(context.Context) error

// nothing is the operation of all benchmarks.
//
//go:noinline
func nothing(context.Context) error { return nil }

// groups returns what can be measured without a backend, with op as the operation, and with request where a context that
// can be cancelled makes a difference.
func groups(request context.Context, op operation) []group {
	all := []group{floors(op)}
	all = append(all, breakers(op)...)
	all = append(all, bulkheads(op)...)
	all = append(all, rateLimits(op)...)
	all = append(all, retries(op)...)
	all = append(all, timeouts(request, op)...)
	all = append(all, pipelines(op)...)
	all = append(all, transports(request, op)...)
	all = append(all, idempotencies(op)...)
	return append(all, servers(op)...)
}

// times makes n calls. The compiler inlines it together with call, so that this loop is what is measured, and not
// another call in it.
func times(n int, call func() error) error {
	for range n {
		if err := call(); err != nil {
			return err
		}
	}
	return nil
}

// share is how many calls a worker takes at a time, so that handing them out costs nothing. Of few calls it takes fewer,
// so that all workers have some.
const share = 256

// run prepares and makes b.N calls, and returns what the clock has shown of them, if there is one.
func (g *group) run(b *testing.B, c contender, m mode) (shown time.Duration, err error) {
	if g.prepare != nil {
		if err := g.prepare(b.N); err != nil {
			return 0, err
		}
		b.ResetTimer()
	}
	if g.clock == nil {
		return 0, c.calls(b.N, m)
	}
	before := g.clock()
	err = c.calls(b.N, m)
	return g.clock() - before, err
}

// calls makes n calls, by some goroutines together.
func (c contender) calls(n int, m mode) error {
	if m.workers == 1 {
		return c.run(n)
	}
	var (
		workers errgroup.Group
		taken   atomic.Int64
		portion = min(share, max(1, n/(8*m.workers)))
	)
	for range m.workers {
		workers.Go(func() error {
			for {
				left := n - int(taken.Add(int64(portion))) + portion
				if left <= 0 {
					return nil
				}
				if err := c.run(min(left, portion)); err != nil {
					return err
				}
			}
		})
	}
	return workers.Wait()
}

var (
	errRejected = errors.New("rejected")
	errAdmitted = errors.New("not rejected")
)

// must is for constructors with constant arguments.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
