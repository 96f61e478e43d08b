package memstore

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns/idempotency"
)

// lock locks the shard of a key and looks for its record. The caller unlocks.
func (m *Idempotency) lock(key *[sha256.Size]byte) (s *shard, slot int32, found bool) {
	s = &m.shards[key[0]%shardCount]
	s.mu.Lock()
	slot, found = s.index.find(s.records, key)
	return s, slot, found
}

// makeRoom forgets a record for the one that was just added under key as a claim of token. If all others are claims in
// progress, it forgets that one and returns an error. The record comes first and the room after it, so that of many who
// claim the same new key only one makes room.
//
// No two shards are ever locked at once, and none when this is called.
func (m *Idempotency) makeRoom(ctx context.Context, op string, key *[sha256.Size]byte, token idempotency.Token) error {
	for {
		n := m.total.Load()
		if n <= m.max {
			return nil
		}
		if !m.total.CompareAndSwap(n, n-1) {
			continue
		}
		// One record has to go and is no longer counted, so that nobody forgets another in its place.
		if m.evict(ctx) {
			return nil
		}
		if m.withdraw(key, token) {
			return &idempotency.StoreError{Backend: backend, Op: op, Err: fmt.Errorf(
				"full: all of the %d records are claims in progress; raise max_entries above the number of operations "+
					"that run at once", m.max)}
		}
		m.total.Add(1) // what was added is no longer a claim of token, so it can be evicted or is gone
	}
}

// withdraw forgets a claim, if it still is that of token.
func (m *Idempotency) withdraw(key *[sha256.Size]byte, token idempotency.Token) bool {
	s, slot, found := m.lock(key)
	defer s.unlock()
	if !found || !s.records[slot].claimedBy(token) {
		return false
	}
	s.drop(slot)
	return true
}

// evict forgets an expired record or else the oldest result, if there is one. Who finds the shard with the oldest busy
// takes the next oldest: of several who make room at once, all but one would wait there to find it gone.
func (m *Idempotency) evict(ctx context.Context) bool {
	for busy, patient := uint32(0), false; ; {
		now, results := m.now(), m.results.Load()
		victim, oldest, expired := none, noResult, false
		for i := range int32(shardCount) {
			s := &m.shards[i]
			if busy&(1<<i) != 0 {
				continue
			}
			if s.firstDeadline.Load() <= now {
				victim, expired = i, true
				break
			}
			if order := s.oldestResult.Load(); order < oldest {
				victim, oldest = i, order
			}
		}
		if victim == none {
			if busy == 0 && m.results.Load() == results {
				return false
			}
			busy, patient = 0, true // all are busy, or a claim became a result behind our back
			continue
		}
		s := &m.shards[victim]
		if patient || expired {
			s.mu.Lock()
		} else if !s.mu.TryLock() {
			busy |= 1 << victim
			continue
		}
		evicted, early := s.evict(now, oldest)
		s.unlock()
		if early {
			m.countEvicted(ctx, now)
		}
		if evicted {
			return true
		}
		// Somebody else was faster: look again.
	}
}

// evict forgets an expired record, or the oldest result if that is still the one in that order: early, because it would
// still have been replayed.
func (s *shard) evict(now int64, order uint64) (evicted, early bool) {
	slot := s.expired(now)
	if slot == none && s.oldest != none && s.records[s.oldest].order == order {
		slot, early = s.oldest, true
	}
	if slot == none {
		return false, false
	}
	s.drop(slot)
	return true, early
}

// countEvicted counts a result that was lost early, and tells of such losses once a minute.
func (m *Idempotency) countEvicted(ctx context.Context, now int64) {
	count, next := m.evicted.Add(1), m.tellAt.Load()
	if m.bus == nil || now < next || !m.tellAt.CompareAndSwap(next, now+int64(time.Minute)) {
		return
	}
	hooks.Emit(ctx, m.bus, hooks.IdempotencyEvicted{
		Evicted: int(count - m.told.Swap(count)), MaxEntries: int(m.max), At: time.Now(),
	})
}

// add makes an empty record in a locked shard, for the caller to acquire before it unlocks and to make room for after.
func (m *Idempotency) add(s *shard, key *[sha256.Size]byte) int32 {
	m.total.Add(1)
	return s.add(key)
}

// remove forgets a record of a locked shard.
func (m *Idempotency) remove(s *shard, slot int32) {
	s.drop(slot)
	m.total.Add(-1)
}

// cleanup locks a shard and forgets at most limit of its expired records.
func (m *Idempotency) cleanup(s *shard, limit int) (removed int) {
	s.mu.Lock()
	defer s.unlock()
	for now := m.now(); removed < limit; removed++ {
		slot := s.expired(now)
		if slot == none {
			break
		}
		m.remove(s, slot)
	}
	return removed
}
