package circuitbreaker

import (
	"sync/atomic"
	"time"
)

// phase is one stay in one state. A call remembers the phase that admitted it; its result moves the state machine only
// if that phase is still the current one. The fields without a note never change.
type phase struct {
	state      State
	generation uint64
	since      time.Duration // on the breaker's clock
	until      time.Duration // Open: when probes may go through

	// Closed: the window of this phase begins with the bucket firstTick, at since.
	firstTick   uint64
	consecutive atomic.Int64 // failures in a row
	waiting     atomic.Bool  // the failure rate is reached, but not the minimum of calls: a success can open

	// HalfOpen: guarded by Breaker.mu.
	probes    []probe // in flight, the one whose lease ends first at the front
	nextProbe uint64
	successes int

	rejection atomic.Pointer[OpenError] // the last one, for as long as its RetryAfter holds
}

// probe is a call that was admitted half-open.
type probe struct {
	id    uint64 // from 1; 0 stands for a call that is no probe
	lease time.Duration
}

// settled returns the phase as time alone has made it by now: a probe that outlived its lease failed at that moment, and
// the circuit opened. It is p itself if nothing has happened.
func (p *phase) settled(now, recovery time.Duration) *phase {
	if p.state != HalfOpen || len(p.probes) == 0 || p.probes[0].lease > now {
		return p
	}
	at := p.probes[0].lease
	return &phase{state: Open, generation: p.generation + 1, since: at, until: at + recovery, firstTick: p.firstTick}
}

func (p *phase) tick(now, bucket time.Duration) uint64 {
	return p.firstTick + uint64((now-p.since)/bucket)
}

// span is how many buckets up to tick belong to this phase and are in the window.
func (p *phase) span(tick uint64) uint64 { return min(buckets, tick-p.firstTick+1) }
