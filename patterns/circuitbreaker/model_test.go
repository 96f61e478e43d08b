package circuitbreaker_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"pgregory.net/rapid"
)

// model is the state machine written down plainly: a list of results and a clock, nothing derived, nothing shared.
type model struct {
	cfg       circuitbreaker.Config
	state     circuitbreaker.State
	since     time.Time // when the state, and with it the buckets of the window, began
	until     time.Time
	age       int // transitions so far
	results   []result
	run       int
	waiting   bool                // the rate is reached, but not the minimum of calls
	probes    map[*call]time.Time // in flight, and when their lease ends
	successes int

	total map[string]uint64
}

type result struct {
	bucket int64
	failed bool
}

// call is a permit that is out.
type call struct {
	permit   *circuitbreaker.Permit
	age      int
	admitted circuitbreaker.State
}

func (m *model) enter(s circuitbreaker.State, at time.Time) {
	m.state, m.since, m.until = s, at, at.Add(m.cfg.RecoveryTimeout)
	m.age++
	m.results, m.run, m.waiting, m.successes = nil, 0, false, 0
	m.probes = map[*call]time.Time{}
}

// settle does what time does: leases end, and then the wait does.
func (m *model) settle() {
	if m.state != circuitbreaker.HalfOpen || len(m.probes) == 0 {
		return
	}
	first := slices.MinFunc(slices.Collect(maps.Values(m.probes)), time.Time.Compare)
	if !first.After(time.Now()) {
		m.enter(circuitbreaker.Open, first)
	}
}

func (m *model) shown() circuitbreaker.State {
	m.settle()
	if m.state == circuitbreaker.Open && !time.Now().Before(m.until) {
		return circuitbreaker.HalfOpen
	}
	return m.state
}

func (m *model) bucket() int64 { return int64(time.Since(m.since) / (m.cfg.SlidingWindow / 30)) }

func (m *model) inWindow() (calls, failures int) {
	for _, r := range m.results {
		if r.bucket > m.bucket()-30 {
			calls++
			if r.failed {
				failures++
			}
		}
	}
	return calls, failures
}

func (m *model) admits() bool {
	switch m.shown() {
	case circuitbreaker.Open, circuitbreaker.ForcedOpen:
		return false
	case circuitbreaker.HalfOpen:
		if m.state == circuitbreaker.Open {
			m.enter(circuitbreaker.HalfOpen, time.Now())
		}
		return len(m.probes) < m.cfg.HalfOpenMaxCalls
	default:
		return true
	}
}

func (m *model) admit(c *call) {
	c.age, c.admitted = m.age, m.state
	if m.state == circuitbreaker.HalfOpen {
		m.probes[c] = time.Now().Add(m.cfg.Timeout)
	}
}

func (m *model) done(c *call, outcome string) {
	if c.admitted == circuitbreaker.Disabled {
		return
	}
	m.total[outcome]++
	if m.settle(); c.age != m.age {
		return
	}
	delete(m.probes, c)
	switch {
	case outcome == "ignored":
	case m.state == circuitbreaker.HalfOpen && outcome == "failure":
		m.enter(circuitbreaker.Open, time.Now())
	case m.state == circuitbreaker.HalfOpen:
		if m.successes++; m.successes == m.cfg.SuccessThreshold {
			m.enter(circuitbreaker.Closed, time.Now())
		}
	default:
		m.results = append(m.results, result{m.bucket(), outcome == "failure"})
		if m.run++; outcome == "success" {
			m.run = 0
		}
		judged := outcome == "failure" || m.waiting
		calls, failures := m.inWindow()
		reached := failures*100 >= calls*int(m.cfg.FailureRateThreshold*100)
		switch {
		case m.run >= m.cfg.FailureThreshold, judged && reached && calls >= m.cfg.MinimumCalls:
			m.enter(circuitbreaker.Open, time.Now())
		case judged:
			m.waiting = reached
		}
	}
}

// TestBreakerFollowsTheModel plays random calls, results, steps of time and commands on a breaker and on the model, and
// compares what can be seen after each.
func TestBreakerFollowsTheModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var verdict any // by which rapid ends a game; it must not end the bubble
		synctest.Test(t, func(t *testing.T) {
			defer func() { verdict = recover() }()
			playModel(t.Context(), rt)
		})
		if verdict != nil {
			panic(verdict)
		}
	})
}

func playModel(ctx context.Context, t *rapid.T) {
	cfg := circuitbreaker.Config{
		FailureThreshold:     rapid.IntRange(1, 6).Draw(t, "failure_threshold"),
		FailureRateThreshold: rapid.SampledFrom([]float64{0.25, 0.5, 0.75, 1}).Draw(t, "failure_rate_threshold"),
		MinimumCalls:         rapid.IntRange(1, 8).Draw(t, "minimum_calls"),
		SlidingWindow:        rapid.SampledFrom([]time.Duration{3, 30, 90}).Draw(t, "window") * time.Second,
		RecoveryTimeout:      rapid.SampledFrom([]time.Duration{1, 10}).Draw(t, "recovery") * time.Second,
		HalfOpenMaxCalls:     rapid.IntRange(1, 3).Draw(t, "half_open_max_calls"),
		SuccessThreshold:     rapid.IntRange(1, 4).Draw(t, "success_threshold"),
		Timeout:              rapid.SampledFrom([]time.Duration{1, 5}).Draw(t, "lease") * time.Second,
	}
	b, err := circuitbreaker.New("model", cfg)
	if err != nil {
		t.Fatal(err)
	}
	m := &model{cfg: cfg, total: map[string]uint64{}}
	m.enter(circuitbreaker.Closed, time.Now())
	var out []*call

	acquire := func() *call {
		c, admitted := &call{}, m.admits()
		permit, err := b.Acquire(ctx)
		if admitted != (err == nil) {
			t.Fatalf("admitted: %v; the model says %v in %v", err == nil, admitted, m.state)
		}
		if err != nil {
			m.total["rejected"]++
			return nil
		}
		c.permit = permit
		m.admit(c)
		return c
	}
	finish := func(c *call, outcome string) {
		switch outcome {
		case "success":
			c.permit.Done(nil)
		case "failure":
			c.permit.Done(errDown)
		case "ignored": // as if by another policy
			c.permit.Done(&circuitbreaker.OpenError{})
		}
		m.done(c, outcome)
	}
	outcomes := rapid.SampledFrom([]string{"success", "success", "failure", "failure", "failure", "ignored"})

	t.Repeat(map[string]func(*rapid.T){
		"call": func(t *rapid.T) {
			outcome := outcomes.Draw(t, "outcome")
			if c := acquire(); c != nil {
				finish(c, outcome)
			}
		},
		"panic": func(t *rapid.T) {
			admitted := m.admits()
			c := &call{}
			if admitted {
				m.admit(c)
			}
			func() {
				defer func() { _ = recover() }()
				err := b.Execute(ctx, func(context.Context) error { panic("boom") })
				if admitted || !errors.Is(err, circuitbreaker.ErrOpen) {
					t.Fatalf("got %v", err)
				}
			}()
			if !admitted {
				m.total["rejected"]++
				return
			}
			m.done(c, "failure")
		},
		"begin": func(t *rapid.T) {
			if c := acquire(); c != nil {
				out = append(out, c)
			}
		},
		"end": func(t *rapid.T) {
			if len(out) == 0 {
				t.Skip()
			}
			i := rapid.IntRange(0, len(out)-1).Draw(t, "which")
			finish(out[i], outcomes.Draw(t, "outcome"))
			out = slices.Delete(out, i, i+1)
		},
		"wait": func(t *rapid.T) {
			time.Sleep(time.Duration(rapid.IntRange(1, 4000).Draw(t, "milliseconds")) * time.Millisecond)
		},
		"wait long": func(t *rapid.T) { time.Sleep(30 * time.Second) },
		"reset":     func(t *rapid.T) { m.settle(); m.enter(circuitbreaker.Closed, time.Now()); b.Reset() },
		"force open": func(t *rapid.T) {
			if rapid.IntRange(0, 4).Draw(t, "seldom") == 0 {
				m.settle()
				m.enter(circuitbreaker.ForcedOpen, time.Now())
				b.ForceOpen()
			}
		},
		"disable": func(t *rapid.T) {
			if rapid.IntRange(0, 4).Draw(t, "seldom") == 0 {
				m.settle()
				m.enter(circuitbreaker.Disabled, time.Now())
				b.Disable()
			}
		},
		"": func(t *rapid.T) {
			got, state := b.Metrics(), m.shown()
			if got.State != state || b.State() != state {
				t.Fatalf("state is %v, the model says %v", got.State, state)
			}
			if got.Generation != uint64(m.age-1) { // the model also enters its first state
				t.Fatalf("generation is %d, the model says %d", got.Generation, m.age-1)
			}
			if got.TotalSuccesses != m.total["success"] || got.TotalFailures != m.total["failure"] ||
				got.TotalIgnored != m.total["ignored"] || got.TotalRejected != m.total["rejected"] {
				t.Fatalf("totals %+v, the model says %v", got, m.total)
			}
			if got.ProbesInFlight != len(m.probes) {
				t.Fatalf("%d probes in flight, the model says %d", got.ProbesInFlight, len(m.probes))
			}
			if state == circuitbreaker.Closed {
				calls, failures := m.inWindow()
				if got.Calls != calls || got.Failures != failures || got.ConsecutiveFailures != m.run {
					t.Fatalf("window %+v, the model says %d of %d failed, %d in a row", got, failures, calls, m.run)
				}
			}
			if state == circuitbreaker.Open && got.TimeUntilReset != time.Until(m.until) {
				t.Fatalf("%v until reset, the model says %v", got.TimeUntilReset, time.Until(m.until))
			}
		},
	})
}
