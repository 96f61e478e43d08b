package circuitbreaker

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"sync"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns/state"
)

// member is a breaker's part in a distributed backend. It follows what others decide and tells them what the breaker
// decides, off the path of calls.
type member struct {
	backend            *distributedBackend
	breaker            *Breaker
	ctx                context.Context // ends when the breaker leaves
	running            sync.WaitGroup
	stateKey, probeKey string
	probing            probing

	// Guarded by Breaker.mu.
	version state.Version // of the store
	shared  record        // as of version

	mu        sync.Mutex // never held while the store is asked; may be taken when Breaker.mu is held, not the other way
	pending   *decision
	telling   bool
	postponed *state.Value
	degraded  time.Time // since when the store does not answer; zero: it does
}

// watch follows what others decide.
func (m *member) watch() {
	for v, err := range m.backend.store.Watch(m.ctx, m.stateKey) {
		if err == nil {
			err = m.follow(v)
		}
		if err != nil {
			m.failed(err)
		}
	}
}

// follow does what a value says if it is newer than what is known. While the breaker has something to tell, that comes
// first: what it says may be newer than v.
func (m *member) follow(v state.Value) error {
	r, err := readRecord(v)
	if err != nil {
		return err
	}
	m.answered()
	m.breaker.follow(m, v.Version, r, func() bool { return m.postpone(v) })
	return nil
}

// postpone keeps v until everything is told, and reports whether there is anything to tell.
func (m *member) postpone(v state.Value) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.telling {
		m.postponed = &v
	}
	return m.telling
}

// tell hands a decision of the breaker to the others, in the background. A later decision replaces one that could not be
// told yet. The caller holds the lock of the breaker.
func (m *member) tell(d decision) {
	d.change = m.shared.Change
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pending = &d
	if !m.telling && m.ctx.Err() == nil {
		m.telling = true
		m.running.Go(m.tellAll)
	}
}

const (
	firstPause   = 50 * time.Millisecond // after a decision could not be told
	longestPause = 5 * time.Second
)

func (m *member) tellAll() {
	pause := firstPause
	for {
		d, postponed := m.next()
		if d == nil {
			m.catchUp(postponed)
			return
		}
		err := m.write(*d)
		if err == nil {
			pause = firstPause
			continue
		}
		m.failed(err)
		m.retry(d)
		select {
		case <-m.ctx.Done():
		case <-time.After(pause):
			pause = min(2*pause, longestPause)
		}
	}
}

// next returns what is to be told, or else what was postponed for it.
func (m *member) next() (d *decision, postponed *state.Value) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d = m.pending; d != nil && m.ctx.Err() == nil {
		m.pending = nil
		return d, nil
	}
	postponed = m.postponed
	m.telling, m.postponed = false, nil
	return nil, postponed
}

// catchUp follows what was postponed.
func (m *member) catchUp(v *state.Value) {
	if v == nil {
		return
	}
	if err := m.follow(*v); err != nil {
		m.failed(err)
	}
}

// retry puts a decision back that could not be told, unless there is a later one.
func (m *member) retry(d *decision) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pending == nil {
		m.pending = d
	}
}

// write changes the shared state by a decision, or follows it if others were faster.
func (m *member) write(d decision) error {
	defer m.giveBack()
	for {
		v, err := m.get(m.stateKey)
		if err != nil {
			return err
		}
		r, err := readRecord(v)
		if err != nil {
			return err
		}
		wait := max(0, d.until-m.breaker.now())
		next, changed := r.apply(d, wait, m.backend.replica, m.backend.cfg.Quorum, rand.Text())
		if !changed {
			m.answered()
			m.breaker.follow(m, v.Version, r, func() bool { return false })
			return nil
		}
		data, err := json.Marshal(next)
		if err != nil {
			return err
		}
		version, swapped, err := m.swap(m.stateKey, v.Version, data, next.ttl(m.backend.cfg.TTL))
		if err != nil {
			return err
		}
		if swapped {
			m.answered()
			m.breaker.told(m, version, next)
			return nil
		}
	}
}

func (m *member) get(key string) (state.Value, error) {
	ctx, cancel := context.WithTimeout(m.ctx, m.backend.cfg.Timeout)
	defer cancel()
	v, _, err := m.backend.store.Get(ctx, key)
	return v, err
}

func (m *member) swap(key string, old state.Version, data []byte, ttl time.Duration) (state.Version, bool, error) {
	ctx, cancel := context.WithTimeout(m.ctx, m.backend.cfg.Timeout)
	defer cancel()
	return m.backend.store.CompareAndSwap(ctx, key, old, data, ttl)
}

func (m *member) remove(key string, version state.Version) {
	ctx, cancel := context.WithTimeout(m.ctx, m.backend.cfg.Timeout)
	defer cancel()
	_, _ = m.backend.store.Delete(ctx, key, version) // what is not removed expires
}

// failed announces once that the store does not answer.
func (m *member) failed(err error) {
	if m.ctx.Err() != nil {
		return
	}
	m.mu.Lock()
	first := m.degraded.IsZero()
	if first {
		m.degraded = time.Now()
	}
	m.mu.Unlock()
	if first {
		hooks.Emit(m.ctx, m.breaker.bus, hooks.CircuitDegraded{Name: m.breaker.name, Err: err, At: time.Now()})
	}
}

// answered announces once that the store answers again.
func (m *member) answered() {
	m.mu.Lock()
	since := m.degraded
	m.degraded = time.Time{}
	m.mu.Unlock()
	if !since.IsZero() {
		hooks.Emit(m.ctx, m.breaker.bus, hooks.CircuitRecovered{
			Name: m.breaker.name, After: time.Since(since), At: time.Now(),
		})
	}
}
