package circuitbreaker

import (
	"context"
	"slices"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
)

// admit decides about a call that did not find the circuit closed: the phase that lets it through, and its number if
// it is a probe, or the rejection.
func (b *Breaker) admit(ctx context.Context) (*phase, uint64, error) {
	now := b.now()
	if ph := b.current.Load(); ph.state == ForcedOpen || ph.state == Open && now < ph.until {
		return nil, 0, b.reject(ctx, ph, now) // without the lock: an open circuit may see a storm of calls
	}
	b.mu.Lock()
	ph := b.settle(ctx, now)
	if ph.state == Open && now >= ph.until {
		ph = b.enter(now, &phase{state: HalfOpen})
		b.announce(ctx, hooks.CircuitHalfOpened{Name: b.name, At: time.Now()})
	}
	id, admitted := uint64(0), ph.state == Closed || ph.state == Disabled
	if ph.state == HalfOpen && len(ph.probes) < b.cfg.HalfOpenMaxCalls {
		ph.nextProbe++
		id, admitted = ph.nextProbe, true
		ph.probes = append(ph.probes, probe{id: id, lease: now + b.lease})
	}
	b.mu.Unlock()
	b.deliver()
	if !admitted {
		return nil, 0, b.reject(ctx, ph, now)
	}
	return ph, id, nil
}

// settle makes the transition that time alone brings: a probe that outlived its lease has failed at that moment. The
// caller holds the lock and delivers afterwards.
func (b *Breaker) settle(ctx context.Context, now time.Duration) *phase {
	ph := b.current.Load()
	if ph.state == HalfOpen && len(ph.probes) > 0 && ph.probes[0].lease <= now {
		return b.reopen(ctx, ph, ph.probes[0].lease)
	}
	return ph
}

// probeReturned takes the result of a probe.
func (b *Breaker) probeReturned(ctx context.Context, ph *phase, id uint64, outcome patterns.Outcome) {
	defer b.deliver()
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if b.settle(ctx, now) != ph {
		return // the result is of an older generation
	}
	ph.probes = slices.DeleteFunc(ph.probes, func(p probe) bool { return p.id == id })
	switch outcome {
	case patterns.Success:
		if ph.successes++; ph.successes >= b.cfg.SuccessThreshold {
			b.enter(now, &phase{state: Closed})
			b.announce(ctx, hooks.CircuitClosed{Name: b.name, At: time.Now()})
		}
	case patterns.Failure:
		b.reopen(ctx, ph, now)
	case patterns.Ignored: // its place is free again, and that is all
	}
}

// open trips the circuit, if ph is still the current phase.
func (b *Breaker) open(ctx context.Context, ph *phase) {
	defer b.deliver()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.current.Load() != ph {
		return
	}
	now := b.now()
	tick := ph.tick(now, b.window.bucket)
	successes, failures := b.window.sum(tick, ph.span(tick))
	b.enterOpen(ctx, now, int(failures), int(successes+failures))
}

// reopen goes from half-open ph back to open as of the moment at. The caller holds the lock.
func (b *Breaker) reopen(ctx context.Context, ph *phase, at time.Duration) *phase {
	return b.enterOpen(ctx, at, 1, ph.successes+1)
}

func (b *Breaker) enterOpen(ctx context.Context, at time.Duration, failures, calls int) *phase {
	ph := b.enter(at, &phase{state: Open, until: at + b.cfg.RecoveryTimeout})
	b.announce(ctx, hooks.CircuitOpened{
		Name: b.name, Failures: failures, Calls: calls, RetryAfter: max(0, ph.until-b.now()), At: time.Now(),
	})
	return ph
}

// enter makes next the current phase. The caller holds the lock.
func (b *Breaker) enter(at time.Duration, next *phase) *phase {
	last := b.current.Load()
	next.generation = last.generation + 1
	next.since = at
	next.firstTick = last.firstTick
	if last.state == Closed {
		next.firstTick = last.tick(at, b.window.bucket) + 1 // a bucket that no earlier phase has counted in
	}
	b.current.Store(next)
	return next
}

// Reset closes the circuit with an empty window, whatever its state.
func (b *Breaker) Reset() {
	b.force(&phase{state: Closed}, hooks.CircuitClosed{Name: b.name, Reset: true, At: time.Now()})
}

// ForceOpen rejects all calls until [Breaker.Reset].
func (b *Breaker) ForceOpen() {
	b.force(&phase{state: ForcedOpen}, hooks.CircuitOpened{Name: b.name, Forced: true, At: time.Now()})
}

// Disable lets all calls through, uncounted, until [Breaker.Reset].
func (b *Breaker) Disable() {
	b.force(&phase{state: Disabled}, hooks.CircuitClosed{Name: b.name, Reset: true, At: time.Now()})
}

// force enters next by hand. It is announced only if it changes whether calls go through.
func (b *Breaker) force(next *phase, announced hooks.Event) {
	defer b.deliver()
	b.mu.Lock()
	defer b.mu.Unlock()
	ctx := context.Background()
	last := b.settle(ctx, b.now())
	b.enter(b.now(), next)
	if letsThrough(last.state) != letsThrough(next.state) {
		b.announce(ctx, announced)
	}
}

func letsThrough(s State) bool { return s == Closed || s == Disabled }

// rejectionStep is how exact RetryAfter is. Within it, rejections share one error value and cost no allocation.
const rejectionStep = 10 * time.Millisecond

func (b *Breaker) reject(ctx context.Context, ph *phase, now time.Duration) error {
	b.rejected.Add(1)
	var wait time.Duration
	if ph.state == Open {
		wait = (ph.until - now + rejectionStep - 1).Truncate(rejectionStep)
	}
	err := ph.rejection.Load()
	if err == nil || err.RetryAfter != wait {
		err = &OpenError{Name: b.name, State: ph.state, RetryAfter: wait}
		ph.rejection.Store(err)
	}
	if b.bus.Wanted(hooks.CircuitRejected{}) {
		hooks.Emit(ctx, b.bus, hooks.CircuitRejected{
			Name: b.name, State: ph.state.String(), RetryAfter: wait, At: time.Now(),
		})
	}
	return err
}
