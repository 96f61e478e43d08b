package timeout

import (
	"context"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
)

// WithDetached sets Config.Detached; for a [Manager], that of every operation.
func WithDetached() Option { return func(p *Policy) { p.detached = true } }

// Abandoned returns how many operations still run although Execute has returned. Only a detached policy has any.
func (p *Policy) Abandoned() int { return int(p.abandoned.Load()) }

// runDetached is run with the operation on a goroutine of its own, for which it waits no longer than its context lives.
func (p *Policy) runDetached(ctx context.Context, next patterns.Policy, op patterns.Operation) (expired bool, err error) {
	if ctx.Err() != nil {
		return false, patterns.Ended(ctx)
	}
	forked, branch := patterns.Fork(ctx)
	c := &deadlineContext{parent: forked, policy: p, begun: time.Since(p.start)}
	defer c.finish()
	a := &attempt{done: make(chan struct{})}
	go a.run(c, next, op)
	select {
	case <-a.done:
	case <-c.Done():
		if a.abandon(p) {
			return c.expired(), &AbandonedError{Operation: p.name, Err: patterns.Ended(c)}
		}
		<-a.done // in this very moment
	}
	switch a.way {
	case byPanic:
		panic(a.value)
	case byGoexit:
		runtime.Goexit()
	}
	if a.err != nil {
		return c.expired(), a.err
	}
	branch.Adopt()
	return false, nil
}

// attempt is one run of an operation by a detached policy.
type attempt struct {
	state atomic.Uint32 // running, then either ended or abandoned
	done  chan struct{} // closed once it has ended, unless it was abandoned

	// How it ended.
	way   way
	err   error // if it returned
	value any   // if it panicked
}

const (
	running uint32 = iota
	ended
	abandoned
)

type way uint8

const (
	byGoexit way = iota
	byPanic
	byReturn
)

func (a *attempt) run(c *deadlineContext, next patterns.Policy, op patterns.Operation) {
	defer func() {
		if value := recover(); value != nil {
			a.way, a.value = byPanic, value
		}
		if a.state.CompareAndSwap(running, ended) {
			close(a.done)
			return
		}
		p := c.policy
		p.abandoned.Add(-1)
		event := hooks.AbandonedEnded{
			Operation: p.name, Ran: time.Since(p.start) - c.begun, Err: a.err, Panic: a.value, At: time.Now(),
		}
		if a.way == byPanic {
			event.Stack = debug.Stack()
		}
		hooks.Emit(context.WithoutCancel(c.parent), p.bus, event)
	}()
	a.err = next.Execute(c, op)
	a.way = byReturn
}

// abandon reports whether the operation is still running, and then counts it.
func (a *attempt) abandon(p *Policy) bool {
	p.abandoned.Add(1) // first, so that the count never falls below zero
	if a.state.CompareAndSwap(running, abandoned) {
		return true
	}
	p.abandoned.Add(-1)
	return false
}
