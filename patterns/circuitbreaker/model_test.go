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
	reopened  int
	results   []result
	run       int
	waiting   bool                // a rate is reached, but not the minimum of calls
	probes    map[*call]time.Time // in flight, and when their lease ends
	successes int
	slow      int // of the successes

	total map[string]uint64
}

type result struct {
	bucket       int64
	failed, slow bool
	took         time.Duration
}

// call is a permit that is out.
type call struct {
	permit   *circuitbreaker.Permit
	age      int // -1: let through by a dry run only
	admitted circuitbreaker.State
	slowFrom time.Duration
	begun    time.Time
}

func (m *model) enter(s circuitbreaker.State, at time.Time) {
	switch {
	case s == circuitbreaker.Open && m.state == circuitbreaker.HalfOpen:
		m.reopened++
	case s != circuitbreaker.HalfOpen:
		m.reopened = 0
	}
	m.state, m.since, m.until = s, at, at.Add(m.wait())
	m.age++
	m.results, m.run, m.waiting, m.successes, m.slow = nil, 0, false, 0, 0
	m.probes = map[*call]time.Time{}
}

func (m *model) wait() time.Duration {
	wait, longest := m.cfg.RecoveryTimeout, m.cfg.MaxRecoveryTimeout
	if longest == 0 {
		longest = 10 * wait
	}
	for range m.reopened {
		wait = min(longest, time.Duration(float64(wait)*m.cfg.RecoveryBackoffFactor))
	}
	return wait
}

// settle does what time does: leases and the bound end, and then the wait does.
func (m *model) settle() {
	if m.state != circuitbreaker.HalfOpen {
		return
	}
	ends := slices.Collect(maps.Values(m.probes))
	if m.cfg.HalfOpenTimeout > 0 {
		ends = append(ends, m.since.Add(m.cfg.HalfOpenTimeout))
	}
	if len(ends) == 0 {
		return
	}
	if first := slices.MinFunc(ends, time.Time.Compare); !first.After(time.Now()) {
		m.enter(circuitbreaker.Open, first)
	}
}

func (m *model) derived() circuitbreaker.State {
	m.settle()
	if m.state == circuitbreaker.Open && !time.Now().Before(m.until) {
		return circuitbreaker.HalfOpen
	}
	return m.state
}

func (m *model) shown() circuitbreaker.State {
	s := m.derived()
	if m.cfg.DryRun && s != circuitbreaker.ForcedOpen && s != circuitbreaker.Disabled {
		return circuitbreaker.DryRun
	}
	return s
}

func (m *model) bucket() int64 { return int64(time.Since(m.since) / (m.cfg.SlidingWindow / 30)) }

func (m *model) inWindow() (in []result) {
	for i, r := range m.results {
		n := m.cfg.SlidingWindowCalls
		if n > 0 && i >= len(m.results)-n || n == 0 && r.bucket > m.bucket()-30 {
			in = append(in, r)
		}
	}
	return in
}

func count(results []result, is func(result) bool) (n int) {
	for _, r := range results {
		if is(r) {
			n++
		}
	}
	return n
}

func isFailed(r result) bool { return r.failed }
func isSlow(r result) bool   { return r.slow }

// admits says whether the breaker admits a call, and whether that call goes through.
func (m *model) admits() (admitted, through bool) {
	switch m.derived() {
	case circuitbreaker.ForcedOpen:
		return false, false
	case circuitbreaker.Open:
		return false, m.cfg.DryRun
	case circuitbreaker.HalfOpen:
		if m.state == circuitbreaker.Open {
			m.enter(circuitbreaker.HalfOpen, time.Now())
		}
		admitted := len(m.probes) < m.cfg.HalfOpenMaxCalls
		return admitted, admitted || m.cfg.DryRun
	default:
		return true, true
	}
}

func (m *model) admit(c *call, admitted bool) {
	c.age, c.admitted, c.begun, c.slowFrom = m.age, m.state, time.Now(), m.cfg.SlowCallDuration
	switch {
	case !admitted:
		c.age = -1
	case m.state == circuitbreaker.HalfOpen:
		m.probes[c] = time.Now().Add(m.cfg.Timeout)
	}
}

func (m *model) done(c *call, outcome string) {
	if c.admitted == circuitbreaker.Disabled {
		return
	}
	m.total[outcome]++
	r := result{bucket: m.bucket(), failed: outcome == "failure"}
	if c.slowFrom > 0 && outcome != "ignored" {
		if r.took = time.Since(c.begun); r.took > c.slowFrom {
			r.slow = true
			m.total["slow"]++
		}
	}
	if m.settle(); c.age != m.age {
		return
	}
	delete(m.probes, c)
	switch {
	case outcome == "ignored":
	case m.state == circuitbreaker.HalfOpen && r.failed:
		m.enter(circuitbreaker.Open, time.Now())
	case m.state == circuitbreaker.HalfOpen:
		m.successes++
		if r.slow {
			m.slow++
		}
		switch {
		case m.successes < m.cfg.SuccessThreshold:
		case m.slow > 0 && reaches(m.slow, m.successes, m.cfg.SlowCallRateThreshold):
			m.enter(circuitbreaker.Open, time.Now())
		default:
			m.enter(circuitbreaker.Closed, time.Now())
		}
	default:
		m.results = append(m.results, r)
		if m.run++; !r.failed {
			m.run = 0
		}
		judged := r.failed || r.slow || m.waiting
		in := m.inWindow()
		slow := count(in, isSlow)
		reached := reaches(count(in, isFailed), len(in), m.cfg.FailureRateThreshold) ||
			slow > 0 && reaches(slow, len(in), m.cfg.SlowCallRateThreshold)
		switch {
		case m.run >= m.cfg.FailureThreshold, judged && reached && len(in) >= m.cfg.MinimumCalls:
			m.enter(circuitbreaker.Open, time.Now())
		case judged:
			m.waiting = reached
		}
	}
}

func reaches(part, whole int, rate float64) bool { return part*100 >= whole*int(rate*100) }

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
	cfg := drawConfig(t)
	b, err := circuitbreaker.New("model", cfg)
	if err != nil {
		t.Fatal(err)
	}
	m := &model{cfg: cfg, total: map[string]uint64{}}
	m.enter(circuitbreaker.Closed, time.Now())
	var out []*call

	acquire := func() *call {
		c := &call{}
		admitted, through := m.admits()
		if !admitted {
			m.total["rejected"]++
		}
		permit, err := b.Acquire(ctx)
		if through != (err == nil) {
			t.Fatalf("goes through: %v; the model says %v in %v", err == nil, through, m.state)
		}
		if err != nil {
			return nil
		}
		c.permit = permit
		m.admit(c, admitted)
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
		"slow call": func(t *rapid.T) {
			outcome := outcomes.Draw(t, "outcome")
			if c := acquire(); c != nil {
				time.Sleep(700 * time.Millisecond)
				finish(c, outcome)
			}
		},
		"panic": func(t *rapid.T) {
			admitted, through := m.admits()
			c := &call{}
			if through {
				m.admit(c, admitted)
			}
			if !admitted {
				m.total["rejected"]++
			}
			func() {
				defer func() { _ = recover() }()
				err := b.Execute(ctx, func(context.Context) error { panic("boom") })
				if through || !errors.Is(err, circuitbreaker.ErrOpen) {
					t.Fatalf("got %v", err)
				}
			}()
			if through {
				m.done(c, "failure")
			}
		},
		"reconfigure": func(t *rapid.T) {
			if rapid.IntRange(0, 4).Draw(t, "seldom") != 0 {
				t.Skip()
			}
			m.settle()
			next := drawConfig(t)
			next.SlidingWindow, next.SlowCallDuration = m.cfg.SlidingWindow, m.cfg.SlowCallDuration
			if (next.SlidingWindowCalls == 0) != (m.cfg.SlidingWindowCalls == 0) {
				next.SlidingWindowCalls = m.cfg.SlidingWindowCalls
				next.MinimumCalls = m.cfg.MinimumCalls
			}
			if err := b.Reconfigure(next); err != nil {
				t.Fatal(err)
			}
			if next == m.cfg {
				return
			}
			m.results = m.inWindow()
			m.cfg, m.waiting = next, m.state == circuitbreaker.Closed
			m.until = m.since.Add(m.wait())
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
			if got.State != state || b.State() != state || got.DryRunState != m.derived() {
				t.Fatalf("state is %v, %v, the model says %v, %v", got.State, got.DryRunState, state, m.derived())
			}
			if got.Generation != uint64(m.age-1) { // the model also enters its first state
				t.Fatalf("generation is %d, the model says %d", got.Generation, m.age-1)
			}
			if got.TotalSuccesses != m.total["success"] || got.TotalFailures != m.total["failure"] ||
				got.TotalIgnored != m.total["ignored"] || got.TotalRejected != m.total["rejected"] ||
				got.TotalSlow != m.total["slow"] {
				t.Fatalf("totals %+v, the model says %v", got, m.total)
			}
			if got.ProbesInFlight != len(m.probes) {
				t.Fatalf("%d probes in flight, the model says %d", got.ProbesInFlight, len(m.probes))
			}
			switch m.derived() {
			case circuitbreaker.Closed:
				compareWindow(t, got, m)
			case circuitbreaker.Open:
				if got.TimeUntilReset != time.Until(m.until) {
					t.Fatalf("%v until reset, the model says %v", got.TimeUntilReset, time.Until(m.until))
				}
			}
		},
	})
}

func compareWindow(t *rapid.T, got circuitbreaker.Metrics, m *model) {
	in := m.inWindow()
	failures, slow := count(in, isFailed), count(in, isSlow)
	if got.Calls != len(in) || got.Failures != failures || got.Slow != slow || got.ConsecutiveFailures != m.run {
		t.Fatalf("window %+v, the model says %d of %d failed, %d slow, %d in a row", got, failures, len(in), slow, m.run)
	}
	var sum, longest time.Duration
	for _, r := range in {
		sum, longest = sum+r.took, max(longest, r.took)
	}
	if len(in) == 0 {
		return
	}
	mean := sum / time.Duration(len(in))
	if off := (got.MeanDuration - mean).Abs(); off > m.cfg.SlowCallDuration/256 || got.MaxDuration != longest {
		t.Fatalf("durations %v and %v, the model says %v and %v", got.MeanDuration, got.MaxDuration, mean, longest)
	}
}

func drawConfig(t *rapid.T) circuitbreaker.Config {
	rates := rapid.SampledFrom([]float64{0.25, 0.5, 0.75, 1})
	cfg := circuitbreaker.Config{
		FailureThreshold:      rapid.IntRange(1, 6).Draw(t, "failure_threshold"),
		FailureRateThreshold:  rates.Draw(t, "failure_rate_threshold"),
		MinimumCalls:          rapid.IntRange(1, 8).Draw(t, "minimum_calls"),
		SlidingWindow:         rapid.SampledFrom([]time.Duration{3, 30, 90}).Draw(t, "window") * time.Second,
		SlowCallDuration:      rapid.SampledFrom([]time.Duration{0, 500}).Draw(t, "slow") * time.Millisecond,
		SlowCallRateThreshold: rates.Draw(t, "slow_call_rate_threshold"),
		RecoveryTimeout:       rapid.SampledFrom([]time.Duration{1, 10}).Draw(t, "recovery") * time.Second,
		RecoveryBackoffFactor: rapid.SampledFrom([]float64{1, 1.5, 2}).Draw(t, "recovery_backoff_factor"),
		MaxRecoveryTimeout:    rapid.SampledFrom([]time.Duration{0, 25}).Draw(t, "max_recovery") * time.Second,
		HalfOpenMaxCalls:      rapid.IntRange(1, 3).Draw(t, "half_open_max_calls"),
		HalfOpenTimeout:       rapid.SampledFrom([]time.Duration{0, 3}).Draw(t, "half_open_timeout") * time.Second,
		SuccessThreshold:      rapid.IntRange(1, 4).Draw(t, "success_threshold"),
		Timeout:               rapid.SampledFrom([]time.Duration{1, 5}).Draw(t, "lease") * time.Second,
		DryRun:                rapid.IntRange(0, 3).Draw(t, "dry_run") == 0,
		Backend:               circuitbreaker.MemoryBackend,
	}
	if rapid.Bool().Draw(t, "by count") {
		cfg.SlidingWindowCalls = rapid.IntRange(1, 10).Draw(t, "sliding_window_calls")
		cfg.MinimumCalls = min(cfg.MinimumCalls, cfg.SlidingWindowCalls)
	}
	return cfg
}
