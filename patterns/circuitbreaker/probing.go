package circuitbreaker

import (
	"sync"
	"time"

	"github.com/steadyfx/steady/patterns/state"
)

// probing is the right of one replica to probe for all, a lease in the store.
type probing struct {
	mu      sync.Mutex    // never held while the store is asked
	until   time.Duration // on the breaker's clock: while the lease is ours for certain
	version state.Version // of the lease, if it was ours; 0: it was given back
	asking  bool
	denied  time.Duration // on the breaker's clock: until when there is no point in asking
}

// askAgain is how long a replica waits before it asks again for a lease that another one holds.
const askAgain = 250 * time.Millisecond

// mayProbe reports whether this replica is the one that probes. It asks the store if it does not know, one caller at a
// time; the others are told no. Where the store does not answer, every replica probes for itself.
func (m *member) mayProbe(lease time.Duration) bool {
	p := &m.probing
	begun := m.breaker.now()
	p.mu.Lock()
	switch {
	case begun < p.until:
		p.mu.Unlock()
		return true
	case p.asking || begun < p.denied:
		p.mu.Unlock()
		return false
	}
	p.asking = true
	p.mu.Unlock()

	version, wait := state.Version(0), askAgain
	defer func() { // also if the store panics
		p.mu.Lock()
		defer p.mu.Unlock()
		p.asking = false
		if version != 0 {
			p.version, p.until = version, begun+lease
		} else {
			p.denied = begun + wait
		}
	}()
	version, wait, err := m.lease(lease)
	if err != nil {
		m.failed(err)
		wait = 0
		return true
	}
	m.answered()
	return version != 0
}

// lease takes or extends the lease. If another replica holds it, version is 0.
func (m *member) lease(ttl time.Duration) (version state.Version, wait time.Duration, err error) {
	v, err := m.get(m.probeKey)
	if err != nil {
		return 0, 0, err
	}
	if v.Version != 0 && string(v.Data) != m.backend.replica {
		return 0, min(v.ExpiresIn, askAgain), nil
	}
	version, swapped, err := m.swap(m.probeKey, v.Version, []byte(m.backend.replica), ttl)
	if err != nil || !swapped {
		return 0, askAgain, err
	}
	return version, 0, nil
}

// giveBack lets another replica probe. If the store does not hear of it, the lease ends by itself.
func (m *member) giveBack() {
	p := &m.probing
	p.mu.Lock()
	version := p.version
	p.version, p.until = 0, 0
	p.mu.Unlock()
	if version != 0 {
		m.remove(m.probeKey, version)
	}
}
