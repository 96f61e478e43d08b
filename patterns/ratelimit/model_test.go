package ratelimit_test

import (
	"context"
	"errors"
	"slices"
	"sort"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/steadyfx/steady/patterns/ratelimit"
)

// model is a limiter written down plainly: what it holds at a moment, and who waits.
type model struct {
	now  time.Time
	room func(n int) time.Duration // until n calls could be made if nobody waited
	take func(n int)
	pass func(time.Duration)
	keep func() (restore func()) // for a look at what would be
	line []*party

	allowed, denied uint64
	waited          time.Duration
}

// party is somebody in the queue of the model, with the real one beside it.
type party struct {
	*caller
	*ratelimit.Reservation
	n       int
	arrived time.Time
	served  time.Time // zero if not
	cancel  context.CancelFunc
	gaveUp  bool
}

// newTokens holds nanoseconds: interval of them are a token.
func newTokens(interval time.Duration, burst int) *model {
	level := interval * time.Duration(burst)
	most := level
	return &model{
		now:  time.Now(),
		room: func(n int) time.Duration { return max(0, time.Duration(n)*interval-level) },
		take: func(n int) { level -= time.Duration(n) * interval },
		pass: func(d time.Duration) { level = min(most, level+d) },
		keep: func() func() { kept := level; return func() { level = kept } },
	}
}

// newTimes holds the age of each call.
func newTimes(limit int, period time.Duration) *model {
	var ages []time.Duration
	return &model{
		now: time.Now(),
		room: func(int) time.Duration {
			if len(ages) < limit {
				return 0
			}
			return period - slices.Max(ages)
		},
		take: func(int) { ages = append(ages, 0) },
		pass: func(d time.Duration) {
			for i := range ages {
				ages[i] += d
			}
			ages = slices.DeleteFunc(ages, func(age time.Duration) bool { return age >= period })
		},
		keep: func() func() { kept := slices.Clone(ages); return func() { ages = kept } },
	}
}

// newCounts holds the time of each call since the start, and looks for the first moment at which there is room.
func newCounts(limit int, period time.Duration) *model {
	var now time.Duration
	var calls []time.Duration
	fits := func(at time.Duration, n int) bool {
		index, previous, current := at/period, 0, n
		for _, call := range calls {
			switch call / period {
			case index - 1:
				previous++
			case index:
				current++
			}
		}
		left := period - at%period
		return time.Duration(previous)*left+time.Duration(current)*period <= time.Duration(limit)*period
	}
	return &model{
		now: time.Now(),
		room: func(n int) time.Duration {
			return time.Duration(sort.Search(int(2*period), func(d int) bool { return fits(now+time.Duration(d), n) }))
		},
		take: func(n int) {
			for range n {
				calls = append(calls, now)
			}
		},
		pass: func(d time.Duration) { now += d },
		keep: func() func() {
			then, kept := now, slices.Clone(calls)
			return func() { now, calls = then, kept }
		},
	}
}

// settle lets time pass, one service after the other.
func (m *model) settle(now time.Time) {
	for len(m.line) > 0 {
		p := m.line[0]
		wait := m.room(p.n)
		if m.now.Add(wait).After(now) {
			break
		}
		m.pass(wait)
		m.now = m.now.Add(wait)
		m.take(p.n)
		p.served = m.now
		m.allowed++
		if p.caller != nil {
			m.waited += p.served.Sub(p.arrived)
		}
		m.line = m.line[1:]
	}
	m.pass(now.Sub(m.now))
	m.now = now
}

func (m *model) leave(p *party) {
	m.settle(time.Now())
	if !slices.Contains(m.line, p) {
		return
	}
	m.line = slices.DeleteFunc(m.line, func(other *party) bool { return other == p })
	p.gaveUp = true
	m.denied++
	if p.caller != nil {
		m.waited += m.now.Sub(p.arrived)
	}
	m.settle(time.Now())
}

func (m *model) try(n int) bool {
	m.settle(time.Now())
	if len(m.line) == 0 && m.room(n) == 0 {
		m.take(n)
		m.allowed++
		return true
	}
	m.denied++
	return false
}

func TestTokenBucketBehavesLikeItsModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Of a *testing.T rapid would ask the Deadline, which is not allowed in a bubble.
		rapid.Check(struct{ rapid.TB }{t}, func(t *rapid.T) {
			limit := rapid.IntRange(1, 4).Draw(t, "limit")
			burst := rapid.IntRange(1, 6).Draw(t, "burst")
			b := newBucket(t, ratelimit.Config{Limit: limit, Period: time.Second, Burst: burst})
			interval := (time.Second + time.Duration(limit) - 1) / time.Duration(limit)
			m := newTokens(interval, burst)
			compare(t, b, m, burst, map[string]func(*rapid.T, *[]*party){
				"reserve": func(t *rapid.T, all *[]*party) {
					p := &party{n: rapid.IntRange(1, burst).Draw(t, "n"), arrived: time.Now()}
					r, err := b.Reserve(p.n)
					if err != nil {
						t.Fatal(err)
					}
					p.Reservation = r
					m.settle(time.Now())
					m.line = append(m.line, p)
					m.settle(time.Now())
					*all = append(*all, p)
				},
				"cancel a reservation": func(t *rapid.T, all *[]*party) {
					p := pick(t, *all, func(p *party) bool {
						return p.Reservation != nil && (p.served.IsZero() || p.served.After(p.arrived))
					})
					p.Cancel()
					m.leave(p)
				},
				"available": func(t *rapid.T, _ *[]*party) {
					m.settle(time.Now())
					want := 0
					for len(m.line) == 0 && want < burst && m.room(want+1) == 0 {
						want++
					}
					if got := b.Available(); got != want {
						t.Fatalf("%d available, the model says %d", got, want)
					}
				},
			})
		})
	})
}

func TestSlidingWindowBehavesLikeItsModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ rapid.TB }{t}, func(t *rapid.T) {
			limit := rapid.IntRange(1, 4).Draw(t, "limit")
			w := newWindow(t, ratelimit.WindowConfig{Limit: limit, Period: time.Second})
			compare(t, w, newTimes(limit, time.Second), 1, nil)
		})
	})
}

func TestSlidingCounterBehavesLikeItsModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ rapid.TB }{t}, func(t *rapid.T) {
			limit := rapid.IntRange(1, 6).Draw(t, "limit")
			c := newCounter(t, ratelimit.WindowConfig{Limit: limit, Period: time.Second})
			m := newCounts(limit, time.Second)
			compare(t, c, m, limit, map[string]func(*rapid.T, *[]*party){
				"available": func(t *rapid.T, _ *[]*party) {
					m.settle(time.Now())
					want := 0
					for len(m.line) == 0 && want < limit && m.room(want+1) == 0 {
						want++
					}
					if got := c.Available(); got != want {
						t.Fatalf("%d available, the model says %d", got, want)
					}
				},
			})
		})
	})
}

func pick(t *rapid.T, all []*party, which func(*party) bool) *party {
	all = slices.DeleteFunc(slices.Clone(all), func(p *party) bool { return !which(p) })
	if len(all) == 0 {
		t.Skip()
	}
	return rapid.SampledFrom(all).Draw(t, "who")
}

func compare(t *rapid.T, l ratelimit.Limiter, m *model, most int, more map[string]func(*rapid.T, *[]*party)) {
	var all []*party
	t.Cleanup(func() { // whatever the outcome, leave nobody waiting in the bubble
		for _, p := range all {
			if p.cancel != nil {
				p.cancel()
			}
		}
		synctest.Wait()
	})
	acquire := func(ctx context.Context, n int) error {
		if s, ok := l.(several); ok {
			return s.AcquireN(ctx, n)
		}
		return l.Acquire(ctx)
	}
	actions := map[string]func(*rapid.T){
		"try": func(t *rapid.T) {
			n := rapid.IntRange(1, most).Draw(t, "n")
			var got bool
			if s, ok := l.(several); ok {
				got = s.TryAcquireN(n)
			} else {
				got = l.TryAcquire()
			}
			if want := m.try(n); got != want {
				t.Fatalf("try %d: %v, the model says %v", n, got, want)
			}
		},
		"acquire": func(t *rapid.T) {
			p := &party{n: rapid.IntRange(1, most).Draw(t, "n"), arrived: time.Now()}
			var ctx context.Context
			ctx, p.cancel = context.WithCancel(context.Background())
			p.caller = call(func() error { return acquire(ctx, p.n) })
			m.settle(time.Now())
			m.line = append(m.line, p)
			m.settle(time.Now())
			all = append(all, p)
		},
		"acquire with a deadline": func(t *rapid.T) {
			n := rapid.IntRange(1, most).Draw(t, "n")
			patience := time.Duration(rapid.IntRange(1, 3000).Draw(t, "milliseconds")) * time.Millisecond
			m.settle(time.Now())
			p := &party{n: n, arrived: time.Now()}
			var ctx context.Context
			ctx, p.cancel = context.WithTimeout(context.Background(), patience)
			p.caller = call(func() error { return acquire(ctx, n) })
			all = append(all, p)
			if p.waits() || p.err == nil {
				m.line = append(m.line, p)
				m.settle(time.Now())
				return
			}
			p.gaveUp = true
			m.denied++
			e := limited(t, p.err)
			if e.RetryAfter < patience {
				t.Fatalf("refused with %v of patience, although it would take only %v", patience, e.RetryAfter)
			}
			if want := m.delayOf(append(slices.Clone(m.line), p)); e.RetryAfter != want {
				t.Fatalf("it would take %v, the model says %v", e.RetryAfter, want)
			}
		},
		"cancel": func(t *rapid.T) {
			p := pick(t, m.line, func(p *party) bool { return p.caller != nil })
			p.cancel()
			m.leave(p)
			if p.waits() || p.gaveUp != errors.Is(p.err, context.Canceled) {
				t.Fatalf("gave up: %v, got %v", p.gaveUp, p.err)
			}
		},
		"time": func(t *rapid.T) {
			time.Sleep(time.Duration(rapid.IntRange(1, 2_000_000).Draw(t, "microseconds")) * time.Microsecond)
		},
		"": func(t *rapid.T) {
			synctest.Wait()
			m.settle(time.Now())
			for i, p := range all {
				switch {
				case p.caller != nil && p.served.IsZero() && !p.gaveUp:
					if !p.waits() {
						t.Fatalf("caller %d got %v, the model says that it waits", i, p.err)
					}
				case p.caller != nil && !p.gaveUp:
					if p.waits() || p.err != nil || !p.at.Equal(p.served) {
						t.Fatalf("caller %d: %v at %v, the model says nil at %v", i, p.err, p.at, p.served)
					}
				case p.Reservation != nil:
					want := time.Duration(0)
					if k := slices.Index(m.line, p); k >= 0 {
						want = m.delayOf(m.line[:k+1])
					}
					if got := p.Delay(); got != want {
						t.Fatalf("reservation %d: %v, the model says %v", i, got, want)
					}
				}
			}
			s := l.Stats()
			// A reservation counts when it is made, in the model when it is served.
			reserved := uint64(0)
			for _, p := range m.line {
				if p.Reservation != nil {
					reserved++
				}
			}
			if s.Allowed != m.allowed+reserved || s.Denied != m.denied || s.TotalWait != m.waited {
				t.Fatalf("%+v, the model says %d + %d, %d, %v", s, m.allowed, reserved, m.denied, m.waited)
			}
		},
	}
	for name, action := range more {
		actions[name] = func(t *rapid.T) { action(t, &all) }
	}
	t.Repeat(actions)
}

// delayOf returns how long the last of those in a line has to wait.
func (m *model) delayOf(line []*party) (delay time.Duration) {
	restore := m.keep()
	defer restore()
	for _, p := range line {
		wait := m.room(p.n)
		m.pass(wait)
		m.take(p.n)
		delay += wait
	}
	return delay
}
