package memstore

import "crypto/sha256"

func (m *Idempotency) shardOf(key [sha256.Size]byte) *shard { return &m.shards[key[0]%shardCount] }

// lock locks the shard of a key and looks for its record. The caller unlocks.
func (m *Idempotency) lock(key [sha256.Size]byte) (s *shard, slot int32, found bool) {
	s = m.shardOf(key)
	s.mu.Lock()
	slot, found = s.index[key]
	return s, slot, found
}

// lockOrAdd locks the shard of a key and finds its record, or makes an empty one, for which it makes room where it has
// to. The caller acquires an empty record and unlocks. On error nothing is locked.
//
// No two shards are ever locked at once: room is made with none locked, and the room is this caller's until it is used
// or given back.
func (m *Idempotency) lockOrAdd(key [sha256.Size]byte, op string) (s *shard, slot int32, err error) {
	room := false
	for {
		s, slot, found := m.lock(key)
		if found {
			if room {
				m.total.Add(-1)
			}
			return s, slot, nil
		}
		if room || m.reserve() {
			return s, s.add(key), nil
		}
		s.unlock()
		if room = m.evict(); !room {
			return nil, 0, m.errFull(op)
		}
	}
}

// reserve takes room for a record if there is some.
func (m *Idempotency) reserve() bool {
	for {
		n := m.total.Load()
		if n >= m.max {
			return false
		}
		if m.total.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// evict forgets an expired record or else the oldest result, whose room is then the caller's. It returns false if all
// records are claims in progress.
func (m *Idempotency) evict() bool {
	for {
		now, results := m.now(), m.results.Load()
		victim, oldest := (*shard)(nil), noResult
		for i := range m.shards {
			s := &m.shards[i]
			if s.firstDeadline.Load() <= now {
				victim = s
				break
			}
			if order := s.oldestResult.Load(); order < oldest {
				victim, oldest = s, order
			}
		}
		switch {
		case victim != nil:
			if victim.evict(now, oldest) {
				return true
			}
		case m.reserve():
			return true
		case m.results.Load() == results:
			return false
		}
		// Somebody else was faster, or a claim became a result behind our back: look again.
	}
}

// evict takes the lock and forgets an expired record, or the oldest result if that is still the one in that order.
func (s *shard) evict(now int64, order uint64) bool {
	s.mu.Lock()
	defer s.unlock()
	slot := s.expired(now)
	if slot == none && s.oldest != none && s.records[s.oldest].order == order {
		slot = s.oldest
	}
	if slot == none {
		return false
	}
	s.drop(slot)
	return true
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
