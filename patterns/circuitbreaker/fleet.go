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
	case Open:
		b.share(decision{state: Open, until: ph.until})
	case ForcedOpen, Disabled:
		b.share(decision{state: ph.state, byHand: true})
	case Closed, HalfOpen, DryRun:
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

// follow does what others have decided, if b does not know it and nothing is in the way. It returns false if something
// is.
func (b *Breaker) follow(m *member, v state.Version, r record, postponed func() bool) bool {
	defer b.deliver()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.member != m || postponed() {
		return false
	}
	if v <= m.version {
		return true
	}
	known := m.shared.Change
	m.version, m.shared = v, r
	now := b.now()
	last := b.current.Load().settled(now) // which nobody needs to be told of any more
	if r.Change == known || last.state == r.State && r.State != Open {
		return true
	}
	next := &phase{state: r.State}
	if r.State == Open {
		next.until, next.reopened = now+r.Wait, r.Reopened
	}
	b.enter(now, next)
	ctx := context.Background()
	if r.State == Open || r.State == ForcedOpen {
		b.announce(ctx, hooks.CircuitOpened{
			Name: b.name, RetryAfter: r.Wait, Forced: r.State == ForcedOpen, Shared: true, DryRun: next.dry(), At: time.Now(),
		})
	} else {
		b.announce(ctx, hooks.CircuitClosed{
			Name: b.name, Disabled: r.State == Disabled, Shared: true, DryRun: next.dry(), At: time.Now(),
		})
	}
	return true
}
