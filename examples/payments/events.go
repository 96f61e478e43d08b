package main

import (
	"context"
	"sync/atomic"

	"github.com/steadyfx/steady/examples/payments/report"
	"github.com/steadyfx/steady/hooks"
)

// events counts what happens inside of the service.
type events struct {
	retries, circuitRejections, bulkheadRejections, transitions atomic.Int64

	circuit  atomic.Pointer[string] // state of the circuit breaker
	progress *report.Progress
}

func newEvents(progress *report.Progress) *events {
	e := &events{progress: progress}
	closed := "closed"
	e.circuit.Store(&closed)
	return e
}

// listen runs in line with the service, so it only counts and writes a line.
func (e *events) listen(bus *hooks.Bus) {
	hooks.On(bus, func(context.Context, hooks.RetryAttempted) { e.retries.Add(1) })
	hooks.On(bus, func(context.Context, hooks.CircuitRejected) { e.circuitRejections.Add(1) })
	hooks.On(bus, func(context.Context, hooks.BulkheadRejected) { e.bulkheadRejections.Add(1) })
	hooks.On(bus, func(_ context.Context, o hooks.CircuitOpened) { e.transition(o.Name, "open") })
	hooks.On(bus, func(_ context.Context, o hooks.CircuitHalfOpened) { e.transition(o.Name, "half-open") })
	hooks.On(bus, func(_ context.Context, o hooks.CircuitClosed) { e.transition(o.Name, "closed") })
}

func (e *events) transition(name, state string) {
	e.transitions.Add(1)
	e.circuit.Store(&state)
	e.progress.Note("circuit breaker %q: %s", name, state)
}

func (e *events) counts() report.Service {
	return report.Service{
		Retries:            int(e.retries.Load()),
		CircuitRejections:  int(e.circuitRejections.Load()),
		BulkheadRejections: int(e.bulkheadRejections.Load()),
		Transitions:        int(e.transitions.Load()),
	}
}
