package circuitbreaker

import "time"

// Metrics is a snapshot of a [Breaker].
type Metrics struct {
	Name        string
	State       State
	DryRunState State     // the state that a breaker with Config.DryRun would be in; of any other, State
	Generation  uint64    // grows with every transition
	Since       time.Time // when the state began

	// TimeUntilReset is how long an open circuit will still reject; 0 in any other state.
	TimeUntilReset time.Duration

	// Reopened is how often the probes have failed since the circuit was last closed.
	Reopened int

	// The window of the rates. It is empty unless the circuit is closed.
	Calls, Successes, Failures, Slow int
	FailureRate, SlowRate            float64 // Failures/Calls and Slow/Calls, or 0 without calls
	ConsecutiveFailures              int

	// How long the calls in the window took, if Config.SlowCallDuration is set: the mean to within a 256th of that.
	MeanDuration, MaxDuration time.Duration

	// The probes of a half-open circuit.
	ProbesInFlight, ProbeSuccesses int

	// Counts since the breaker was made. Ignored calls are in neither of the first two, slow ones in one of them.
	TotalSuccesses, TotalFailures, TotalIgnored, TotalSlow, TotalRejected uint64
}

// Metrics returns a snapshot of one moment: what is out of the window by now is not in it. It only looks: what time has
// brought about is announced when the next call comes.
func (b *Breaker) Metrics() Metrics {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	ph := b.current.Load().settled(now)
	state := ph.stateAt(now)
	m := Metrics{
		Name: b.name, State: ph.shown(state), DryRunState: state, Generation: ph.generation, Since: b.start.Add(ph.since),
		Reopened: ph.reopened, ProbesInFlight: len(ph.probes), ProbeSuccesses: ph.successes,
		TotalIgnored: b.ignored.Load(), TotalRejected: b.rejected.Load(),
	}
	b.countInto(&m)
	switch state {
	case Closed:
		m.show(ph.window.sum(now))
		m.ConsecutiveFailures = ph.alert.inRow()
	case Open:
		m.TimeUntilReset = ph.until - now
	case HalfOpen:
		m.Since = b.start.Add(max(ph.since, ph.until)) // an open circuit is half-open from until on
	case ForcedOpen, Disabled, DryRun:
	}
	return m
}

// countInto sets the totals. While a bucket is emptied its results are on their way to them; they must not go down for
// that.
func (b *Breaker) countInto(m *Metrics) {
	c := b.current.Load().window.counted()
	for kind := range kinds {
		b.shown.results[kind] = max(b.shown.results[kind], c.results[kind]+b.retired.results[kind].Load())
	}
	b.shown.slow = max(b.shown.slow, c.slow+b.retired.slow.Load())
	m.TotalSuccesses, m.TotalFailures = uint64(b.shown.results[succeeded]), uint64(b.shown.results[failed])
	m.TotalSlow = uint64(b.shown.slow)
}

func (m *Metrics) show(t tally) {
	m.Calls, m.Failures, m.Slow, m.MaxDuration = int(t.calls), int(t.failures), int(t.slow), t.longest
	m.Successes = m.Calls - m.Failures
	if m.Calls > 0 {
		m.FailureRate = float64(m.Failures) / float64(m.Calls)
		m.SlowRate = float64(m.Slow) / float64(m.Calls)
		m.MeanDuration = t.took / time.Duration(m.Calls)
	}
}

// State returns the state at this moment. It is half-open as soon as the wait of an open circuit has passed, and open
// again as soon as a probe has outlived its lease. With Config.DryRun it is [DryRun], unless the circuit is forced open
// or disabled.
func (b *Breaker) State() State {
	if ph := b.current.Load(); ph.state == Closed {
		return ph.shown(Closed)
	}
	return b.Metrics().State
}

// IsOpen reports whether every call is rejected now.
func (b *Breaker) IsOpen() bool { s := b.State(); return s == Open || s == ForcedOpen }

// IsClosed reports whether calls go through and are counted.
func (b *Breaker) IsClosed() bool { s := b.State(); return s == Closed || s == DryRun }

// TimeUntilReset returns how long an open circuit will still reject; 0 in any other state.
func (b *Breaker) TimeUntilReset() time.Duration { return b.Metrics().TimeUntilReset }
