package bulkhead_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/steadyfx/steady/patterns/bulkhead"
)

// model is the bulkhead written down plainly: who holds a slot, who waits, and what became of everybody else.
type model struct {
	cfg     bulkhead.Config
	holders []*party
	line    []*party
	totals  map[bulkhead.Reason]uint64
}

// party is a caller in the model, with the real one beside it.
type party struct {
	*caller
	cancel  context.CancelFunc
	arrived time.Time
	leaves  time.Time // when it will have waited too long
	ends    time.Time // when its context ends
	reason  bulkhead.Reason
	waited  time.Duration
}

func (m *model) arrive(p *party) {
	switch {
	case !p.ends.After(p.arrived):
		m.reject(p, bulkhead.ReasonCanceled, p.arrived)
	case len(m.holders) < m.cfg.MaxConcurrent:
		m.holders = append(m.holders, p)
	case len(m.line) < m.cfg.QueueSize:
		m.line = append(m.line, p)
	default:
		m.reject(p, bulkhead.ReasonFull, p.arrived)
	}
}

func (m *model) reject(p *party, reason bulkhead.Reason, at time.Time) {
	p.reason, p.waited = reason, at.Sub(p.arrived)
	m.totals[reason]++
}

func (m *model) release(p *party) {
	m.holders = without(m.holders, p)
	if len(m.line) > 0 {
		m.holders = append(m.holders, m.line[0])
		m.line = m.line[1:]
	}
}

func (m *model) cancel(p *party) {
	m.line = without(m.line, p)
	m.reject(p, bulkhead.ReasonCanceled, time.Now())
}

// settle does what time does.
func (m *model) settle() {
	for _, p := range slices.Clone(m.line) {
		switch now := time.Now(); {
		case p.ends.Before(p.leaves) && !p.ends.After(now):
			m.line = without(m.line, p)
			m.reject(p, bulkhead.ReasonCanceled, p.ends)
		case !p.leaves.After(now):
			m.line = without(m.line, p)
			m.reject(p, bulkhead.ReasonTimeout, p.leaves)
		}
	}
}

func without(ps []*party, p *party) []*party {
	return slices.DeleteFunc(slices.Clone(ps), func(other *party) bool { return other == p })
}

func TestBulkheadBehavesLikeItsModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Of a *testing.T rapid would ask the Deadline, which is not allowed in a bubble.
		rapid.Check(struct{ rapid.TB }{t}, compareWithModel)
	})
}

func compareWithModel(t *rapid.T) {
	cfg := bulkhead.Config{
		MaxConcurrent: rapid.IntRange(1, 3).Draw(t, "max_concurrent"),
		QueueSize:     rapid.IntRange(0, 4).Draw(t, "queue_size"),
		Timeout:       rapid.SampledFrom([]time.Duration{1, 5}).Draw(t, "timeout") * time.Second,
	}
	b := newBulkhead(t, cfg)
	m := &model{cfg: cfg, totals: map[bulkhead.Reason]uint64{}}
	var everybody []*party
	t.Cleanup(func() { // whatever the outcome, leave nobody waiting in the bubble
		for _, p := range everybody {
			p.cancel()
		}
		synctest.Wait()
	})

	arrive := func(patience time.Duration) {
		// Contexts end at a microsecond of their own, so that nothing else happens at the same moment.
		patience += time.Duration(len(everybody)+1) * time.Microsecond
		p := &party{arrived: time.Now(), leaves: time.Now().Add(cfg.Timeout), ends: time.Now().Add(patience)}
		var ctx context.Context
		ctx, p.cancel = context.WithDeadline(context.Background(), p.ends)
		everybody = append(everybody, p)
		p.caller = call(ctx, b)
		m.arrive(p)
	}
	pick := func(t *rapid.T, ps []*party) *party {
		if len(ps) == 0 {
			t.Skip()
		}
		return rapid.SampledFrom(ps).Draw(t, "who")
	}

	t.Repeat(map[string]func(*rapid.T){
		"arrive": func(*rapid.T) { arrive(time.Hour) },
		"arrive with a deadline": func(t *rapid.T) {
			arrive(time.Duration(rapid.IntRange(1, 6000).Draw(t, "milliseconds")) * time.Millisecond)
		},
		"arrive too late": func(*rapid.T) { arrive(-time.Hour) },
		"try": func(t *rapid.T) {
			free := len(m.holders) < cfg.MaxConcurrent
			permit, ok := b.TryAcquire()
			if ok != free {
				t.Fatalf("got a slot: %v; the model says %v", ok, free)
			}
			if ok {
				permit.Release()
			}
		},
		"execute and panic": func(t *rapid.T) {
			free := len(m.holders) < cfg.MaxConcurrent
			if !free {
				t.Skip()
			}
			violently(context.Background(), b, func() { panic("boom") })
		},
		"release": func(t *rapid.T) {
			p := pick(t, m.holders)
			p.permit.Release()
			m.release(p)
		},
		"release again": func(t *rapid.T) {
			released := slices.DeleteFunc(slices.Clone(everybody), func(p *party) bool {
				return p.reason != "" || slices.Contains(m.holders, p) || slices.Contains(m.line, p)
			})
			pick(t, released).permit.Release()
		},
		"cancel": func(t *rapid.T) {
			p := pick(t, m.line)
			p.cancel()
			m.cancel(p)
		},
		"release and cancel the next": func(t *rapid.T) {
			if len(m.line) == 0 {
				t.Skip()
			}
			p, next := pick(t, m.holders), m.line[0]
			p.permit.Release()
			next.cancel()
			m.release(p)
			if !next.holds() { // it may have seen its slot first, or the cancellation
				m.reject(next, bulkhead.ReasonCanceled, time.Now())
				m.release(next)
			}
		},
		"cancel the next and release": func(t *rapid.T) {
			if len(m.line) == 0 {
				t.Skip()
			}
			p, next := pick(t, m.holders), m.line[0]
			next.cancel()
			p.permit.Release()
			m.cancel(next)
			m.release(p)
		},
		"wait": func(t *rapid.T) {
			time.Sleep(time.Duration(rapid.IntRange(1, 3000).Draw(t, "milliseconds")) * time.Millisecond)
		},
		"": func(t *rapid.T) {
			synctest.Wait()
			m.settle()
			want := bulkhead.Metrics{
				InFlight: len(m.holders), Queued: len(m.line),
				MaxConcurrent: cfg.MaxConcurrent, QueueSize: cfg.QueueSize,
				Rejected: m.totals[bulkhead.ReasonFull] + m.totals[bulkhead.ReasonTimeout] + m.totals[bulkhead.ReasonCanceled],
				TimedOut: m.totals[bulkhead.ReasonTimeout], Canceled: m.totals[bulkhead.ReasonCanceled],
			}
			if got := b.Metrics(); got != want {
				t.Fatalf("metrics %+v, the model says %+v", got, want)
			}
			for i, p := range everybody {
				switch {
				case slices.Contains(m.line, p):
					if !p.waits() {
						t.Fatalf("caller %d does not wait: %v", i, p.err)
					}
				case p.reason != "":
					if e := p.rejection(t); e.Reason != p.reason || e.Waited != p.waited {
						t.Fatalf("caller %d: %q after %v, the model says %q after %v",
							i, e.Reason, e.Waited, p.reason, p.waited)
					}
				case !p.holds():
					t.Fatalf("caller %d was not given its slot: %v", i, p.err)
				}
			}
		},
	})
}
