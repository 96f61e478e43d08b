package circuitbreaker

import (
	"sync/atomic"
	"time"
)

// phase is one stay in one state, under one configuration. A call remembers the phase that admitted it; its result moves
// the state machine only if the current phase is of the same generation. The fields without a note never change.
type phase struct {
	state      State
	generation uint64
	settings   *settings
	since      time.Duration // on the breaker's clock
	until      time.Duration // Open: when probes may go through
	reopened   int           // Open, HalfOpen: how often probes have failed since the circuit was closed
	draw       float64       // Open: of its wait. HalfOpen: of the wait that may follow, so that looking draws nothing

	// Closed.
	window window
	alert  *alert // shared by the phases of one generation

	// HalfOpen: guarded by Breaker.mu.
	probes    []probe // in flight
	nextProbe uint64
	successes int
	slow      int // of the successes

	rejection atomic.Pointer[OpenError] // the last one, for as long as its RetryAfter holds
}

// alert is what every success has to look at, in one word: whether a rate is reached, but not the minimum of calls, so
// that a success can open the circuit, and how many calls have failed in a row.
type alert struct{ word atomic.Int64 }

const (
	waiting  = 1
	oneInRow = 2
)

// failed counts a failure and returns how many there have been in a row.
func (a *alert) failed() int64 { return a.word.Add(oneInRow) / oneInRow }

func (a *alert) inRow() int { return int(a.word.Load() / oneInRow) }

// wait notes whether a success can open the circuit.
func (a *alert) wait(can bool) {
	switch has := a.word.Load()&waiting != 0; {
	case can && !has:
		a.word.Or(waiting)
	case !can && has:
		a.word.And(^waiting)
	}
}

// probe is a call that was admitted half-open.
type probe struct {
	id    uint64 // from 1; 0 stands for a call that is no probe
	lease time.Duration
}

// dry reports whether the phase rejects nothing that it would reject.
func (p *phase) dry() bool { return p.settings.cfg.DryRun && p.state != ForcedOpen }

// failed returns when time alone has ended a half-open phase: a probe has outlived its lease, or the phase its bound.
func (p *phase) failed(now time.Duration) (at time.Duration, ended bool) {
	if p.state != HalfOpen {
		return 0, false
	}
	at = now + 1
	if bound := p.settings.cfg.HalfOpenTimeout; bound > 0 {
		at = min(at, p.since+min(bound, longestWait))
	}
	for _, probe := range p.probes {
		at = min(at, probe.lease)
	}
	return at, at <= now
}

// settled returns the phase as time alone has made it by now. It is p itself if nothing has happened.
func (p *phase) settled(now time.Duration) *phase {
	at, ended := p.failed(now)
	if !ended {
		return p
	}
	return p.reopening(at)
}

// reopening returns the open phase that follows when probes have failed.
func (p *phase) reopening(at time.Duration) *phase {
	return &phase{
		state: Open, generation: p.generation + 1, settings: p.settings, since: at, reopened: p.reopened + 1, draw: p.draw,
		until: at + p.settings.wait(p.reopened+1, p.draw),
	}
}

// stateAt derives the state from time: an open circuit that has waited long enough is half-open, whether or not a call
// has come.
func (p *phase) stateAt(now time.Duration) State {
	if p.state == Open && now >= p.until {
		return HalfOpen
	}
	return p.state
}

// shown hides what a dry run would be in.
func (p *phase) shown(s State) State {
	if p.settings.cfg.DryRun && s != ForcedOpen && s != Disabled {
		return DryRun
	}
	return s
}
