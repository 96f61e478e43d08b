package circuitbreaker

import "time"

// Metrics is a snapshot of a [Breaker].
type Metrics struct {
	Name       string
	State      State
	Generation uint64    // grows with every transition
	Since      time.Time // when the state began

	// TimeUntilReset is how long an open circuit will still reject; 0 in any other state.
	TimeUntilReset time.Duration

	// The window of the failure rate. It is empty unless the circuit is closed.
	Calls, Successes, Failures int
	FailureRate                float64 // Failures/Calls, or 0 without calls
	ConsecutiveFailures        int

	// The probes of a half-open circuit.
	ProbesInFlight, ProbeSuccesses int

	// Counts since the breaker was made. Ignored calls are in neither of the first two.
	TotalSuccesses, TotalFailures, TotalIgnored, TotalRejected uint64
}

// Metrics returns a snapshot of one moment: what is out of the window by now is not in it. It only looks: what time has
// brought about is announced when the next call comes.
func (b *Breaker) Metrics() Metrics {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	ph := b.current.Load().settled(now, b.cfg.RecoveryTimeout)
	m := Metrics{
		Name: b.name, State: ph.stateAt(now), Generation: ph.generation, Since: b.start.Add(ph.since),
		ProbesInFlight: len(ph.probes), ProbeSuccesses: ph.successes,
		TotalIgnored: b.ignored.Load(), TotalRejected: b.rejected.Load(),
	}
	// While a bucket is emptied its results are on their way to the totals, which must not go down for that.
	successes, failures := b.window.totals()
	b.shownSuccesses, b.shownFailures = max(b.shownSuccesses, successes), max(b.shownFailures, failures)
	m.TotalSuccesses, m.TotalFailures = b.shownSuccesses, b.shownFailures
	switch m.State {
	case Closed:
		tick := ph.tick(now, b.window.bucket)
		successes, failures := b.window.sum(tick, ph.span(tick))
		m.Successes, m.Failures, m.Calls = int(successes), int(failures), int(successes+failures)
		if m.Calls > 0 {
			m.FailureRate = float64(m.Failures) / float64(m.Calls)
		}
		m.ConsecutiveFailures = int(ph.consecutive.Load())
	case Open:
		m.TimeUntilReset = ph.until - now
	case HalfOpen:
		m.Since = b.start.Add(max(ph.since, ph.until)) // an open circuit is half-open from until on
	case ForcedOpen, Disabled:
	}
	return m
}

// stateAt derives the state from time: an open circuit that has waited long enough is half-open, whether or not a call
// has come.
func (p *phase) stateAt(now time.Duration) State {
	if p.state == Open && now >= p.until {
		return HalfOpen
	}
	return p.state
}

// State returns the state at this moment. It is half-open as soon as the recovery timeout has passed, and open again
// as soon as a probe has outlived its lease.
func (b *Breaker) State() State {
	if ph := b.current.Load(); ph.state == Closed {
		return Closed
	}
	return b.Metrics().State
}

// IsOpen reports whether every call is rejected now.
func (b *Breaker) IsOpen() bool { s := b.State(); return s == Open || s == ForcedOpen }

// IsClosed reports whether calls go through and are counted.
func (b *Breaker) IsClosed() bool { return b.State() == Closed }

// TimeUntilReset returns how long an open circuit will still reject; 0 in any other state.
func (b *Breaker) TimeUntilReset() time.Duration { return b.Metrics().TimeUntilReset }
