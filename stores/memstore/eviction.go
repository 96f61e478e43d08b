package memstore

import (
	"context"
	"fmt"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns/idempotency"
)

// lock locks the shard of a key and looks for its record. The caller unlocks.
func (m *Idempotency) lock(key digest) (s *shard, slot int32, found bool) {
	s = &m.shards[m.shardOf(key)]
	s.mu.Lock()
	slot, found = s.index.find(s.records, key)
	return s, slot, found
}

func (m *Idempotency) shardOf(key digest) uint64 { return key.a & uint64(len(m.shards)-1) }

// makeRoom counts the record that was just added under key as a claim of token, or forgets another in its place. If all
// others are claims in progress, it forgets that one and returns an error. The record comes first and the room after it,
// so that of many who claim the same new key only one makes room.
//
// No two shards are ever locked at once, and none when this is called.
func (m *Idempotency) makeRoom(ctx context.Context, op string, key digest, token idempotency.Token, now int64) error {
	if m.reserve(ctx, now) {
		return nil
	}
	if m.withdraw(key, token) {
		return m.errFull(op)
	}
	// What was added has lapsed, and is gone or the claim of another by now: one more than there should be, at the most.
	if !m.reserve(ctx, now) {
		m.total.Add(1)
	}
	return nil
}

// reserve counts a record more, or forgets one in its place. It reports false if all are claims in progress.
func (m *Idempotency) reserve(ctx context.Context, now int64) bool {
	for {
		n := m.total.Load()
		if n >= m.max {
			return m.evict(ctx, now)
		}
		if m.total.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (m *Idempotency) errFull(op string) error {
	return &idempotency.BackendError{Backend: backend, Op: op, Err: fmt.Errorf("full: all of the %d records are claims in "+
		"progress; raise max_entries above the number of operations that run at once", m.max)}
}

// withdraw forgets a claim, if it still is that of token.
func (m *Idempotency) withdraw(key digest, token idempotency.Token) bool {
	s, slot, found := m.lock(key)
	defer s.mu.Unlock()
	if !found || !s.records[slot].claimedBy(token) {
		return false
	}
	s.drop(slot)
	return true
}

// evict forgets an expired record or else the oldest result, if there is one.
func (m *Idempotency) evict(ctx context.Context, now int64) bool {
	for i := range m.shards {
		if m.firstDeadlines[i].Load() <= now && m.shards[i].forgetExpired(now) {
			return true
		}
	}
	if !m.evictOldest() {
		return false
	}
	m.tellEvicted(ctx, now)
	return true
}

// evictOldest forgets the oldest result, if there is one.
func (m *Idempotency) evictOldest() bool {
	for tries := 1; ; tries++ {
		results := m.results.Load()
		order := m.oldest()
		if order == noResult {
			if m.results.Load() == results {
				return false
			}
			continue // a claim became a result behind our back
		}
		s := &m.shards[order%maxShards]
		switch {
		case s.mu.TryLock():
		case tries%patience != 0:
			continue // who holds it may be evicting the same: by now another is the oldest
		default:
			s.mu.Lock()
		}
		evicted := s.evict(order)
		s.mu.Unlock()
		if evicted {
			return true
		}
		// Somebody else was faster: look again.
	}
}

// patience is how often to look for another oldest result before waiting for a shard that is busy.
const patience = 8

// oldest returns the order of the oldest result, or noResult.
func (m *Idempotency) oldest() uint64 {
	oldest := noResult
	for i := range m.oldestResults {
		oldest = min(oldest, m.oldestResults[i].Load())
	}
	return oldest
}

// tellEvicted tells once a minute of results that were lost early.
func (m *Idempotency) tellEvicted(ctx context.Context, now int64) {
	if m.bus == nil {
		return
	}
	next := m.tellAt.Load()
	if now < next || !m.tellAt.CompareAndSwap(next, now+int64(time.Minute)) {
		return
	}
	count := m.evicted()
	hooks.Emit(ctx, m.bus, hooks.IdempotencyEvicted{
		Evicted: int(count - m.told.Swap(count)), MaxEntries: int(m.max), At: time.Now(),
	})
}

// evicted returns how many results were lost before their time.
func (m *Idempotency) evicted() (count uint64) {
	for i := range m.shards {
		count += m.shards[i].lost()
	}
	return count
}

// remove forgets a record of a locked shard.
func (m *Idempotency) remove(s *shard, slot int32) {
	s.drop(slot)
	m.total.Add(-1)
}
