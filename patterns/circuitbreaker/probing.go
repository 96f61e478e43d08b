package circuitbreaker

import (
	"time"

	"github.com/steadyfx/steady/patterns/state"
)

// probing is the right of one replica to probe for all, a lease in the store. It is guarded by Breaker.mu.
type probing struct {
	until   time.Duration // on the breaker's clock: while the lease is ours for certain
	version state.Version // of the lease, if it was ours; 0: it was given back
	asking  bool
	denied  time.Duration // on the breaker's clock: until when there is no point in asking
}

// askAgain is how long a replica waits before it asks again for a lease that another one holds.
const askAgain = 250 * time.Millisecond

// prober returns the member that must hold the lease for a probe of ph, if there is one. The caller holds the lock.
func (b *Breaker) prober(ph *phase) *member {
	if b.member == nil || b.member.shared.State != Open || ph.dry() {
		return nil
	}
	return b.member
}

// consent is what a call that would be a probe knows of the lease.
type consent uint8

const (
	unasked consent = iota // the store may be asked for it
	asked                  // it has been, and whether the lease is there shows
	alone                  // it does not answer: every replica probes for itself
)

// lease asks the store for the lease, for a probe that may take so long. Only who has set probing.asking may call it.
func (m *member) lease(probe time.Duration) consent {
	b := m.breaker
	begun, wait := b.now(), askAgain
	version, until := state.Version(0), time.Duration(0)
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		m.probing.asking = false
		if version != 0 {
			m.probing.version, m.probing.until = version, until
		} else {
			m.probing.denied = begun + wait
		}
	}()
	v, err := m.get(m.probeKey)
	if err == nil && v.Version != 0 && string(v.Data) != m.replica {
		wait = min(wait, max(v.ExpiresIn, time.Millisecond))
		m.answered()
		return asked
	}
	if err == nil {
		// Longer than the probe, so that the store need not be asked for each, and has time to answer.
		ttl := max(time.Millisecond, probe+probe/4+min(m.backend.cfg.Timeout, longestWait))
		until = b.now() + ttl
		version, _, err = m.swap(m.probeKey, v.Version, []byte(m.replica), ttl)
	}
	if err != nil {
		wait = 0
		m.failed(err)
		return alone
	}
	m.answered()
	return asked
}

// giveBack lets another replica probe if this one does not. If the store does not hear of it, the lease ends by itself.
func (m *member) giveBack() {
	if version := m.returned(); version != 0 {
		m.remove(m.probeKey, version)
	}
}

// returned returns the version of the lease if it is not needed any more, once.
func (m *member) returned() state.Version {
	b := m.breaker
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.current.Load().state == HalfOpen {
		return 0
	}
	version := m.probing.version
	m.probing.version, m.probing.until = 0, 0
	return version
}
