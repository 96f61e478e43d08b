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

// model is the bulkhead written down plainly: who holds slots, who waits, and what became of everybody else.
type model struct {
	cfg     bulkhead.Config
	holders []*party
	line    []*party
	totals  map[bulkhead.Reason]uint64
}

// party is a caller in the model, with the real one beside it.
type party struct {
	*caller
	weight  int
	cancel  context.CancelFunc
	arrived time.Time
	leaves  time.Time // when it will have waited too long
	ends    time.Time // when its context ends
	reason  bulkhead.Reason
	waited  time.Duration
}

func (m *model) inUse() (n int) {
	for _, p := range m.holders {
		n += p.weight
	}
	return n
}

func (m *model) free(n int) bool { return len(m.line) == 0 && m.inUse()+n <= m.cfg.MaxConcurrent }

func (m *model) arrive(p *party) {
	switch {
	case !p.ends.After(p.arrived):
		m.reject(p, bulkhead.ReasonCanceled, p.arrived)
	case p.weight < 1 || p.weight > m.cfg.MaxConcurrent:
		m.reject(p, bulkhead.ReasonWeight, p.arrived)
	case m.free(p.weight):
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

// serve lets in who waits, in order, while there is room for the first.
func (m *model) serve() {
	for len(m.line) > 0 && m.inUse()+m.line[0].weight <= m.cfg.MaxConcurrent {
		m.holders = append(m.holders, m.line[0])
		m.line = m.line[1:]
	}
}

func (m *model) release(p *party) {
	m.holders = without(m.holders, p)
	m.serve()
}

func (m *model) leave(p *party, reason bulkhead.Reason, at time.Time) {
	m.line = without(m.line, p)
	m.reject(p, reason, at)
	m.serve()
}

func (m *model) resize(maxConcurrent, queueSize int) {
	m.cfg.MaxConcurrent, m.cfg.QueueSize = maxConcurrent, queueSize
	for _, p := range m.line {
		if p.weight > maxConcurrent {
			m.line = without(m.line, p)
			m.reject(p, bulkhead.ReasonWeight, time.Now())
		}
	}
	m.serve()
}

// settle does what time does, one moment after the other.
func (m *model) settle() {
	for len(m.line) > 0 {
		end := func(p *party) time.Time {
			if p.ends.Before(p.leaves) {
				return p.ends
			}
			return p.leaves
		}
		p := slices.MinFunc(m.line, func(a, b *party) int { return end(a).Compare(end(b)) })
		switch {
		case end(p).After(time.Now()):
			return
		case end(p) == p.ends:
			m.leave(p, bulkhead.ReasonCanceled, p.ends)
		default:
			m.leave(p, bulkhead.ReasonTimeout, p.leaves)
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

	arrive := func(weight int, patience time.Duration) {
		// Everybody comes at a microsecond of their own and contexts end at a nanosecond of their own, so that no two
		// things happen at the same moment.
		time.Sleep(time.Microsecond)
		patience += time.Duration(len(everybody) + 1)
		now := time.Now()
		p := &party{weight: weight, arrived: now, leaves: now.Add(cfg.Timeout), ends: now.Add(patience)}
		var ctx context.Context
		ctx, p.cancel = context.WithDeadline(context.Background(), p.ends)
		everybody = append(everybody, p)
		p.caller = callN(ctx, b, weight)
		m.settle()
		m.arrive(p)
	}
	pick := func(t *rapid.T, ps []*party) *party {
		if len(ps) == 0 {
			t.Skip()
		}
		return rapid.SampledFrom(ps).Draw(t, "who")
	}

	t.Repeat(map[string]func(*rapid.T){
		"arrive": func(*rapid.T) { arrive(1, time.Hour) },
		"arrive with a weight": func(t *rapid.T) {
			arrive(rapid.IntRange(0, 5).Draw(t, "weight"), time.Hour)
		},
		"arrive with a deadline": func(t *rapid.T) {
			arrive(rapid.IntRange(1, 3).Draw(t, "weight"),
				time.Duration(rapid.IntRange(1, 6000).Draw(t, "milliseconds"))*time.Millisecond)
		},
		"arrive too late": func(*rapid.T) { arrive(1, -time.Hour) },
		"resize": func(t *rapid.T) {
			limit, queue := rapid.IntRange(1, 5).Draw(t, "limit"), rapid.IntRange(0, 4).Draw(t, "queue")
			if err := b.Resize(limit, queue); err != nil {
				t.Fatal(err)
			}
			m.resize(limit, queue)
		},
		"try": func(t *rapid.T) {
			n := rapid.IntRange(0, 5).Draw(t, "n")
			free := n > 0 && m.free(n)
			permit, ok := b.TryAcquireN(n)
			if ok != free {
				t.Fatalf("got %d slots: %v; the model says %v", n, ok, free)
			}
			if ok {
				permit.Release()
			}
		},
		"execute and panic": func(t *rapid.T) {
			if !m.free(1) {
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
			m.leave(p, bulkhead.ReasonCanceled, time.Now())
		},
		"release and cancel the next": func(t *rapid.T) {
			if len(m.line) == 0 {
				t.Skip()
			}
			p, next := pick(t, m.holders), m.line[0]
			p.permit.Release()
			next.cancel()
			m.release(p)
			switch {
			case slices.Contains(m.line, next): // there was not room enough
				m.leave(next, bulkhead.ReasonCanceled, time.Now())
			case !next.holds(): // it may have seen its slots first, or the cancellation
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
			m.leave(next, bulkhead.ReasonCanceled, time.Now())
			m.release(p)
		},
		"wait": func(t *rapid.T) {
			time.Sleep(time.Duration(rapid.IntRange(1, 3000).Draw(t, "milliseconds")) * time.Millisecond)
		},
		"": func(t *rapid.T) {
			synctest.Wait()
			m.settle()
			want := bulkhead.Metrics{
				InFlight: m.inUse(), Queued: len(m.line),
				MaxConcurrent: m.cfg.MaxConcurrent, QueueSize: m.cfg.QueueSize,
				TimedOut: m.totals[bulkhead.ReasonTimeout], Canceled: m.totals[bulkhead.ReasonCanceled],
			}
			for _, n := range m.totals {
				want.Rejected += n
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
					t.Fatalf("caller %d was not given its slots: %v", i, p.err)
				}
			}
		},
	})
}
