package main

import (
	"context"
	"strings"
	"sync"

	"github.com/steadyfx/steady/examples/payments/report"
	"github.com/steadyfx/steady/hooks"
)

// happening is something inside of the service that the demonstration counts.
type happening string

const (
	retried          happening = "retry"
	circuitRejected  happening = "circuit rejected"
	bulkheadRejected happening = "bulkhead rejected"
	transition       happening = "circuit is " // and the state
)

// listen tells what happens. It runs in line with the service, and so does tell.
func listen(bus *hooks.Bus, tell func(happening)) {
	hooks.On(bus, func(context.Context, hooks.RetryAttempted) { tell(retried) })
	hooks.On(bus, func(context.Context, hooks.CircuitRejected) { tell(circuitRejected) })
	hooks.On(bus, func(context.Context, hooks.BulkheadRejected) { tell(bulkheadRejected) })
	hooks.On(bus, func(context.Context, hooks.CircuitOpened) { tell(transition + "open") })
	hooks.On(bus, func(context.Context, hooks.CircuitHalfOpened) { tell(transition + "half-open") })
	hooks.On(bus, func(context.Context, hooks.CircuitClosed) { tell(transition + "closed") })
}

// events counts what happens inside of the service.
type events struct {
	progress *report.Progress

	mu      sync.Mutex
	counts  report.Service
	circuit string // state of the breaker that changed last
}

func newEvents(progress *report.Progress) *events {
	return &events{progress: progress, circuit: "closed"}
}

func (e *events) count(h happening) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch h {
	case retried:
		e.counts.Retries++
	case circuitRejected:
		e.counts.CircuitRejections++
	case bulkheadRejected:
		e.counts.BulkheadRejections++
	default:
		if state, ok := strings.CutPrefix(string(h), string(transition)); ok {
			e.counts.Transitions++
			e.circuit = state
			e.progress.Note("circuit breaker \"provider\": %s", state)
		}
	}
}

func (e *events) counted() (report.Service, string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.counts, e.circuit
}
