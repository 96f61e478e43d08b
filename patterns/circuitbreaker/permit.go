package circuitbreaker

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/steadyfx/steady/patterns"
)

// Permit is the right to make one call, for code that cannot be written as an operation. It belongs to the generation
// of the circuit that gave it.
type Permit struct {
	breaker *Breaker
	ctx     context.Context
	phase   *phase
	probe   uint64
	begun   time.Duration
	dead    bool // the context had ended before
	done    atomic.Bool
}

// Acquire asks for the permission to make one call; the caller must report its result with [Permit.Done]. If the
// circuit rejects the call, the error is an [*OpenError]. Neither Config.Timeout nor a fallback applies. A half-open
// circuit takes a permit that is not returned within its lease for a failure.
func (b *Breaker) Acquire(ctx context.Context) (*Permit, error) {
	ph, id := b.current.Load(), uint64(0)
	if ph.state != Closed {
		var err error
		if ph, id, err = b.admit(ctx); err != nil {
			return nil, err
		}
	}
	return &Permit{breaker: b, ctx: ctx, phase: ph, probe: id, begun: b.begin(ph), dead: ctx.Err() != nil}, nil
}

// Done reports the result of the call. Only the first report of a permit counts.
func (p *Permit) Done(err error) {
	if !p.done.CompareAndSwap(false, true) {
		return
	}
	outcome := patterns.Failure // if the classifier panics
	defer func() { p.breaker.record(p.ctx, p.phase, p.probe, p.begun, outcome) }()
	if p.dead {
		outcome = patterns.Ignored
	} else {
		outcome = p.breaker.judge.outcome(p.ctx, err)
	}
}

// RecordSuccess counts a success of a call that the breaker was not asked about. In the closed state it counts like any
// other, as one that took no time; in others it only shows in the totals, and when disabled not even there.
func (b *Breaker) RecordSuccess() {
	b.record(context.Background(), b.current.Load(), 0, unmeasured, patterns.Success)
}

// RecordFailure counts err of a call that the breaker was not asked about, as the breaker judges it; nil is a failure
// that nobody can name. In the closed state it counts like any other, as one that took no time; in others it only shows in
// the totals, and when disabled not even there.
func (b *Breaker) RecordFailure(err error) {
	ctx, outcome := context.Background(), patterns.Failure
	if err != nil {
		outcome = b.judge.outcome(ctx, err)
	}
	b.record(ctx, b.current.Load(), 0, unmeasured, outcome)
}
