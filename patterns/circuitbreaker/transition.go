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
	ph, id, admitted := b.tryAdmit(ctx, now)
	told := false
	defer func() {
		if !told && id != 0 { // a listener has ended this goroutine, and there will be no call
			b.probeReturned(ctx, ph, id, patterns.Ignored)
		}
	}()
	b.deliver()
	told = true
	if !admitted {
		return nil, 0, b.reject(ctx, ph, now)
	}
	return ph, id, nil
}

func (b *Breaker) tryAdmit(ctx context.Context, now time.Duration) (ph *phase, id uint64, admitted bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ph = b.settle(ctx, now)
	if ph.state == Open && now >= ph.until {
		ph = b.enter(now, &phase{state: HalfOpen})
		b.announce(ctx, hooks.CircuitHalfOpened{Name: b.name, At: time.Now()})
	}
	switch {
	case ph.state == Closed || ph.state == Disabled:
		return ph, 0, true
	case ph.state == HalfOpen && len(ph.probes) < b.cfg.HalfOpenMaxCalls:
		ph.nextProbe++
		ph.probes = append(ph.probes, probe{id: ph.nextProbe, lease: now + b.lease})
		return ph, ph.nextProbe, true
	default:
		return ph, 0, false
	}
}

// settle makes the transition that time alone brings. The caller holds the lock and delivers afterwards.
func (b *Breaker) settle(ctx context.Context, now time.Duration) *phase {
	ph := b.current.Load()
	if settled := ph.settled(now, b.cfg.RecoveryTimeout); settled != ph {
		return b.enterOpen(ctx, settled.since, 1, 1, ph.successes+1)
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
		b.enterOpen(ctx, now, 1, 1, ph.successes+1)
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
	b.enterOpen(ctx, now, int(ph.consecutive.Load()), int(failures), int(successes+failures))
}

// enterOpen opens the circuit as of the moment at. The caller holds the lock and delivers afterwards.
func (b *Breaker) enterOpen(ctx context.Context, at time.Duration, consecutive, failures, calls int) *phase {
	ph := b.enter(at, &phase{state: Open, until: at + b.cfg.RecoveryTimeout})
	b.announce(ctx, hooks.CircuitOpened{
		Name: b.name, Consecutive: consecutive, Failures: failures, Calls: calls,
		RetryAfter: max(0, ph.until-b.now()), At: time.Now(),
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
	b.force(&phase{state: Disabled}, hooks.CircuitClosed{Name: b.name, Disabled: true, At: time.Now()})
}

// force enters next by hand, and announces it if it is another state.
func (b *Breaker) force(next *phase, announced hooks.Event) {
	defer b.deliver()
	b.mu.Lock()
	defer b.mu.Unlock()
	ctx, now := context.Background(), b.now()
	last := b.settle(ctx, now).stateAt(now)
	b.enter(now, next)
	if last != next.state {
		b.announce(ctx, announced)
	}
}

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
