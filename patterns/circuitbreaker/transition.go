package circuitbreaker

import (
	"context"
	"math/rand/v2"
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
		return b.refuse(ctx, ph, now) // without the lock: an open circuit may see a storm of calls
	}
	a := b.tryAdmit(ctx, now, unasked)
	if m := a.asking; m != nil {
		c := m.lease(a.phase.settings.lease)
		now = b.now()
		a = b.tryAdmit(ctx, now, c)
	}
	told := false
	defer func() {
		if !told && a.probe != 0 { // a listener has ended this goroutine, and there will be no call
			b.probeReturned(ctx, a.phase, a.probe, patterns.Ignored, false)
		}
	}()
	b.deliver()
	told = true
	if !a.admitted {
		return b.refuse(ctx, a.phase, now)
	}
	return a.phase, a.probe, nil
}

// admission is what has been decided about a call.
type admission struct {
	phase    *phase
	probe    uint64 // 0: it is none
	admitted bool
	asking   *member // not nil: it may be a probe as soon as this one has asked for the lease
}

// refuse rejects a call, or lets it through all the same if the circuit only tries what it would do.
func (b *Breaker) refuse(ctx context.Context, ph *phase, now time.Duration) (*phase, uint64, error) {
	err := b.reject(ctx, ph, now)
	if ph.dry() {
		return ph, 0, nil
	}
	return nil, 0, err
}

func (b *Breaker) tryAdmit(ctx context.Context, now time.Duration, c consent) admission {
	b.mu.Lock()
	defer b.mu.Unlock()
	ph := b.settle(ctx, now)
	switch {
	case ph.state == Closed || ph.state == Disabled:
		return admission{phase: ph, admitted: true}
	case ph.state == Open && now >= ph.until, ph.state == HalfOpen && len(ph.probes) < ph.settings.cfg.HalfOpenMaxCalls:
	default:
		return admission{phase: ph}
	}
	if m := b.prober(ph); m != nil && c != alone && now+ph.settings.lease > m.probing.until {
		if c == asked || m.probing.asking || now < m.probing.denied {
			return admission{phase: ph}
		}
		m.probing.asking = true
		return admission{phase: ph, asking: m}
	}
	if ph.state == Open {
		ph = b.enter(now, &phase{state: HalfOpen, reopened: ph.reopened, draw: rand.Float64()})
		b.announce(ctx, hooks.CircuitHalfOpened{Name: b.name, DryRun: ph.dry(), At: time.Now()})
	}
	ph.nextProbe++
	ph.probes = append(ph.probes, probe{id: ph.nextProbe, lease: now + ph.settings.lease})
	return admission{phase: ph, probe: ph.nextProbe, admitted: true}
}

// settle makes the transition that time alone brings. The caller holds the lock and delivers afterwards.
func (b *Breaker) settle(ctx context.Context, now time.Duration) *phase {
	ph := b.current.Load()
	at, ended := ph.failed(now)
	if !ended {
		return ph
	}
	return b.reopen(ctx, ph, at, tally{calls: uint64(ph.successes + 1), failures: 1, slow: uint64(ph.slow)})
}

// probeReturned takes the result of a probe.
func (b *Breaker) probeReturned(ctx context.Context, from *phase, id uint64, outcome patterns.Outcome, slow bool) {
	defer b.deliver()
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	ph := b.settle(ctx, now)
	if ph.generation != from.generation {
		return // the result is of an older generation
	}
	ph.probes = slices.DeleteFunc(ph.probes, func(p probe) bool { return p.id == id })
	switch outcome {
	case patterns.Success:
		ph.successes++
		if slow {
			ph.slow++
		}
		if ph.successes >= ph.settings.cfg.SuccessThreshold {
			b.close(ctx, ph, now)
		}
	case patterns.Failure:
		b.reopen(ctx, ph, now, tally{calls: uint64(ph.successes + 1), failures: 1, slow: uint64(ph.slow)})
	case patterns.Ignored: // its place is free again, and that is all
	}
}

// close ends a half-open phase whose probes have succeeded. If too many of them were slow, it opens the circuit again.
func (b *Breaker) close(ctx context.Context, ph *phase, now time.Duration) {
	calls, slow := uint64(ph.successes), uint64(ph.slow)
	if slow > 0 && atLeast(slow, calls, ph.settings.slowRate) {
		b.reopen(ctx, ph, now, tally{calls: calls, slow: slow})
		return
	}
	b.enter(now, &phase{state: Closed})
	b.announce(ctx, hooks.CircuitClosed{Name: b.name, DryRun: ph.dry(), At: time.Now()})
	b.share(decision{state: Closed})
}

// open trips the circuit, if it is still closed as it was in ph.
func (b *Breaker) open(ctx context.Context, ph *phase) {
	defer b.deliver()
	b.mu.Lock()
	defer b.mu.Unlock()
	last := b.current.Load() // may have been reconfigured
	if last.generation != ph.generation {
		return
	}
	now := b.now()
	next := &phase{state: Open, draw: rand.Float64()}
	next.until = now + last.settings.wait(0, next.draw)
	b.enterOpen(ctx, now, next, last.alert.inRow(), last.window.sum(now))
}

// reopen opens the circuit because of its probes, as of the moment at.
func (b *Breaker) reopen(ctx context.Context, ph *phase, at time.Duration, t tally) *phase {
	return b.enterOpen(ctx, at, ph.reopening(at), int(t.failures), t)
}

// enterOpen makes next, an open phase, the current one. The caller holds the lock and delivers afterwards.
func (b *Breaker) enterOpen(ctx context.Context, at time.Duration, next *phase, consecutive int, t tally) *phase {
	b.enter(at, next)
	b.announce(ctx, hooks.CircuitOpened{
		Name: b.name, Consecutive: consecutive, Failures: int(t.failures), Slow: int(t.slow), Calls: int(t.calls),
		RetryAfter: max(0, next.until-b.now()), DryRun: next.dry(), At: time.Now(),
	})
	b.share(decision{state: Open, until: next.until, reopened: next.reopened})
	return next
}

// enter makes next the current phase. The caller holds the lock.
func (b *Breaker) enter(at time.Duration, next *phase) *phase {
	last := b.current.Load()
	next.generation, next.settings, next.since = last.generation+1, last.settings, at
	if next.state == Closed {
		next.window, next.alert = newWindow(next.settings.cfg, at, &b.retired), &alert{}
	}
	b.current.Store(next)
	last.window.end(at)
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
	b.share(decision{state: next.state, byHand: true})
}

// rejectionStep is how exact RetryAfter is. Within it, rejections share one error value and cost no allocation.
const rejectionStep = 10 * time.Millisecond

func (b *Breaker) reject(ctx context.Context, ph *phase, now time.Duration) error {
	b.rejected.Add(1)
	var wait time.Duration
	state := ph.stateAt(now)
	if state == Open {
		wait = (ph.until - now + rejectionStep - 1).Truncate(rejectionStep)
	}
	err := ph.rejection.Load()
	if err == nil || err.RetryAfter != wait || err.State != state {
		err = &OpenError{Name: b.name, State: state, RetryAfter: wait}
		ph.rejection.Store(err)
	}
	if b.bus.Wanted(hooks.CircuitRejected{}) {
		hooks.Emit(ctx, b.bus, hooks.CircuitRejected{
			Name: b.name, State: state.String(), RetryAfter: wait, DryRun: ph.dry(), At: time.Now(),
		})
	}
	return err
}
