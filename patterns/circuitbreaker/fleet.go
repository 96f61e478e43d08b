package circuitbreaker

import (
	"context"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns/state"
)

// join makes m tell others what b decides, and first of all if it is open already.
func (b *Breaker) join(m *member) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.member = m
	switch ph := b.current.Load(); ph.state {
	case Open, HalfOpen:
		b.share(decision{state: Open, until: ph.until})
	case ForcedOpen, Disabled:
		b.share(decision{state: ph.state, byHand: true})
	case Closed, DryRun:
	}
}

func (b *Breaker) leave(m *member) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.member == m {
		b.member = nil
	}
}

// share tells others what b has decided, if it has others. The caller holds the lock.
func (b *Breaker) share(d decision) {
	if b.member != nil && (d.byHand || !b.current.Load().dry()) {
		b.member.tell(d)
	}
}

// told notes that a decision of b has become version v of the shared state.
func (b *Breaker) told(m *member, v state.Version, r record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if v > m.version {
		m.version, m.shared = v, r
	}
}

// follow does what others have decided, if b does not know it and nothing is in the way.
func (b *Breaker) follow(m *member, v state.Version, r record, postponed func() bool) {
	defer b.deliver()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.member != m || v <= m.version || postponed() {
		return
	}
	ctx, now := context.Background(), b.now()
	last := b.settle(ctx, now)
	known := m.shared.Change
	m.version, m.shared = v, r
	if r.Change == known || last.state == r.State && r.State != Open {
		return
	}
	next := &phase{state: r.State}
	switch r.State {
	case Open:
		next.until, next.reopened = now+r.Wait, r.Reopened
	case Closed, ForcedOpen, Disabled, HalfOpen, DryRun:
	}
	b.enter(now, next)
	if r.State == Open || r.State == ForcedOpen {
		b.announce(ctx, hooks.CircuitOpened{
			Name: b.name, RetryAfter: r.Wait, Forced: r.State == ForcedOpen, Shared: true, DryRun: next.dry(), At: time.Now(),
		})
	} else {
		b.announce(ctx, hooks.CircuitClosed{
			Name: b.name, Disabled: r.State == Disabled, Shared: true, DryRun: next.dry(), At: time.Now(),
		})
	}
}

// prober returns the member that must hold the lease for probes, and for how long it is taken, if there is one.
func (b *Breaker) prober() (*member, time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ph := b.current.Load()
	if b.member == nil || b.member.shared.State != Open || ph.dry() || ph.state != Open && ph.state != HalfOpen {
		return nil, 0
	}
	return b.member, ph.settings.lease
}
