package circuitbreaker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
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
	replica            string          // tells this member from all others
	ctx                context.Context // ends when the breaker leaves
	running            sync.WaitGroup
	stateKey, probeKey string

	// Guarded by Breaker.mu.
	version state.Version // of the store
	shared  record        // as of version
	decided int           // decisions so far
	probing probing

	mu        sync.Mutex // never held while the store is asked; may be taken when Breaker.mu is held, not the other way
	pending   []decision // to be told: one by hand at most, and then one that is not at most
	telling   bool
	postponed *state.Value
	degraded  time.Time // since when the store does not answer; zero: it does
}

// watch follows what others decide.
func (m *member) watch() {
	for m.ctx.Err() == nil {
		m.failed(m.watchOnce())
		m.pause(longestPause)
	}
}

var errWatchEnded = errors.New("the watch of the store has ended of itself")

// watchOnce watches until the breaker leaves or the store gives up, which it should not.
func (m *member) watchOnce() (err error) {
	defer recovered(&err)
	for v, err := range m.backend.store.Watch(m.ctx, m.stateKey) {
		if err == nil {
			err = m.follow(v)
		}
		if err != nil {
			m.failed(err)
		}
	}
	return errWatchEnded
}

// recovered makes an error of a panic of the store: it must not end the process that the breaker protects.
func recovered(err *error) {
	if value := recover(); value != nil {
		*err = fmt.Errorf("the store panicked: %v", value)
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
	if m.breaker.follow(m, v.Version, r, func() bool { return m.postpone(v) }) {
		m.giveBack()
	}
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

// tell hands a decision of the breaker to the others, in the background. The caller holds the lock of the breaker.
func (m *member) tell(d decision) {
	m.decided++
	d.id, d.known = m.replica+"."+strconv.Itoa(m.decided), m.shared
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pending = append(slices.DeleteFunc(m.pending, func(earlier decision) bool { return d.replaces(earlier) }), d)
	if !m.telling && m.ctx.Err() == nil {
		m.telling = true
		m.running.Go(m.tellAll)
	}
}

// replaces reports whether nobody needs to know of an earlier decision any more. What a hand has done is done, also when
// the circuit has gone on from there.
func (d decision) replaces(earlier decision) bool { return d.byHand || !earlier.byHand }

// madeBy reports whether a change is a decision of a replica.
func madeBy(replica, change string) bool { return strings.HasPrefix(change, replica+".") }

const (
	firstPause   = 50 * time.Millisecond // after a decision could not be told
	longestPause = 5 * time.Second
)

func (m *member) tellAll() {
	pause := firstPause
	for {
		d, postponed, done := m.next()
		if done {
			m.catchUp(postponed)
			return
		}
		err := m.write(d)
		if err == nil {
			pause = firstPause
			m.giveBack()
			continue
		}
		m.failed(err)
		m.retry(d)
		m.pause(pause/2 + rand.N(pause/2)) // not all replicas at once
		pause = min(2*pause, longestPause)
	}
}

// pause waits, but not beyond the moment when the breaker leaves.
func (m *member) pause(d time.Duration) {
	select {
	case <-m.ctx.Done():
	case <-time.After(d):
	}
}

// next returns what is to be told, or else what was postponed for it.
func (m *member) next() (d decision, postponed *state.Value, done bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.pending) > 0 && m.ctx.Err() == nil {
		d, m.pending = m.pending[0], m.pending[1:]
		return d, nil, false
	}
	postponed = m.postponed
	m.telling, m.postponed = false, nil
	return decision{}, postponed, true
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

// retry puts a decision back that could not be told, unless a later one replaces it.
func (m *member) retry(d decision) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.ContainsFunc(m.pending, func(later decision) bool { return later.replaces(d) }) {
		m.pending = slices.Insert(m.pending, 0, d)
	}
}

// write changes the shared state by a decision, or follows it if others were faster.
func (m *member) write(d decision) error {
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
		next, changed := r.apply(d, wait, m.replica, m.backend.cfg.Quorum)
		if !changed {
			m.answered()
			if r.Change == d.id { // the reply was lost
				m.breaker.told(m, v.Version, r)
			} else {
				m.breaker.follow(m, v.Version, r, m.hasMore)
			}
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

// hasMore reports whether the breaker has gone on since what is being told.
func (m *member) hasMore() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.pending) > 0
}

func (m *member) get(key string) (v state.Value, err error) {
	ctx, cancel := context.WithTimeout(m.ctx, m.backend.cfg.Timeout)
	defer cancel()
	defer recovered(&err)
	v, _, err = m.backend.store.Get(ctx, key)
	return v, err
}

func (m *member) swap(key string, old state.Version, data []byte, ttl time.Duration) (
	v state.Version, swapped bool, err error,
) {
	ctx, cancel := context.WithTimeout(m.ctx, m.backend.cfg.Timeout)
	defer cancel()
	defer recovered(&err)
	return m.backend.store.CompareAndSwap(ctx, key, old, data, ttl)
}

func (m *member) remove(key string, version state.Version) {
	ctx, cancel := context.WithTimeout(m.ctx, m.backend.cfg.Timeout)
	defer cancel()
	var err error
	defer recovered(&err)
	_, err = m.backend.store.Delete(ctx, key, version) // what is not removed expires
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
