package memstore

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"math"
	"sync"
	"sync/atomic"

	"github.com/steadyfx/steady/patterns/idempotency"
)

const shardCount = 32 // a power of two

// shard is a part of the records behind a lock of its own. Its methods, unless they say otherwise, want the lock held.
type shard struct {
	mu      sync.Mutex
	index   index    // slot of a key
	records []record // by slot
	values  []string // by slot; apart from the records, which are free of pointers
	spare   []int32  // slots to use again

	pending   deadlines
	completed deadlines
	oldest    int32 // the complete records form a list, in the order in which their results were stored
	newest    int32

	fence  int64 // the highest so far
	random [32 * 16]byte
	unread int // bytes of random that no owner has yet

	// What eviction looks at without the lock, kept up to date by unlock.
	firstDeadline atomic.Int64  // of all records; never if there is none
	oldestResult  atomic.Uint64 // record.order of oldest; noResult if there is none

	_ [64]byte // keeps the next shard's lock off this cache line
}

const (
	none     = int32(-1)
	noResult = uint64(math.MaxUint64)
)

// record is what is known of a key, without its result. It holds no pointer.
type record struct {
	key        [sha256.Size]byte
	owner      [16]byte
	fence      int64
	created    int64 // times are those of Idempotency.now
	stored     int64 // if complete
	deadline   int64
	order      uint64 // if complete: its place among all results
	prev, next int32  // if complete: its neighbours in the list
	position   int32  // in pending or completed
	status     idempotency.Status
	printed    uint8 // how much of print is used
	print      [64]byte
}

func (r *record) live(now int64) bool { return r.status != 0 && now < r.deadline }

func (r *record) fingerprint() []byte { return r.print[:r.printed] }

func (r *record) mismatches(fingerprint []byte) bool {
	return len(fingerprint) > 0 && r.printed > 0 && !bytes.Equal(fingerprint, r.fingerprint())
}

// claimedBy says nothing about the lease: a lapsed claim that nobody has taken over is still its owner's.
func (r *record) claimedBy(token idempotency.Token) bool {
	return r.status == idempotency.StatusPending && r.owner == token.Owner
}

func (s *shard) init() {
	s.oldest, s.newest = none, none
	s.publish()
}

// unlock publishes what eviction looks at and gives the lock back.
func (s *shard) unlock() {
	s.publish()
	s.mu.Unlock()
}

func (s *shard) publish() {
	deadline, result := min(s.pending.first(), s.completed.first()), noResult
	if s.oldest != none {
		result = s.records[s.oldest].order
	}
	if s.firstDeadline.Load() != deadline {
		s.firstDeadline.Store(deadline)
	}
	if s.oldestResult.Load() != result {
		s.oldestResult.Store(result)
	}
}

// add makes an empty record, which the caller must acquire before it unlocks.
func (s *shard) add(key *[sha256.Size]byte) int32 {
	var slot int32
	if n := len(s.spare); n > 0 {
		slot = s.spare[n-1]
		s.spare = s.spare[:n-1]
	} else {
		slot = int32(len(s.records))
		s.records = append(s.records, record{})
		s.values = append(s.values, "")
	}
	s.records[slot].key = *key
	s.index.add(key, slot)
	return slot
}

// drop forgets a record.
func (s *shard) drop(slot int32) {
	s.detach(slot)
	s.index.remove(&s.records[slot].key, slot)
	s.records[slot] = record{}
	s.values[slot] = ""
	s.spare = append(s.spare, slot)
}

// detach takes a record out of the list and the heap that its state put it into.
func (s *shard) detach(slot int32) {
	switch s.records[slot].status {
	case idempotency.StatusPending:
		s.pending.remove(s.records, slot)
	case idempotency.StatusComplete:
		s.completed.remove(s.records, slot)
		s.unlink(slot)
	}
}

// acquire makes a record, whatever it was, a claim of a new owner.
func (s *shard) acquire(slot int32, fence, now, deadline int64, fingerprint []byte) idempotency.Token {
	s.detach(slot)
	s.fence = max(s.fence+1, fence)
	r := &s.records[slot]
	r.status = idempotency.StatusPending
	r.owner = s.newOwner()
	r.fence = s.fence
	r.created, r.deadline = now, deadline
	r.printed = uint8(copy(r.print[:], fingerprint))
	s.values[slot] = ""
	s.pending.add(s.records, slot)
	return idempotency.Token{Owner: r.owner, Fence: r.fence}
}

// complete makes a claim a result.
func (s *shard) complete(slot int32, order uint64, now, deadline int64, value string) {
	s.detach(slot)
	r := &s.records[slot]
	r.status = idempotency.StatusComplete
	r.stored, r.deadline, r.order = now, deadline, order
	s.values[slot] = value
	s.completed.add(s.records, slot)
	s.link(slot)
}

func (s *shard) extend(slot int32, deadline int64) {
	s.pending.remove(s.records, slot)
	s.records[slot].deadline = deadline
	s.pending.add(s.records, slot)
}

// link puts a record at the new end of the list.
func (s *shard) link(slot int32) {
	r := &s.records[slot]
	r.prev, r.next = s.newest, none
	if s.newest == none {
		s.oldest = slot
	} else {
		s.records[s.newest].next = slot
	}
	s.newest = slot
}

func (s *shard) unlink(slot int32) {
	r := &s.records[slot]
	if r.prev == none {
		s.oldest = r.next
	} else {
		s.records[r.prev].next = r.next
	}
	if r.next == none {
		s.newest = r.prev
	} else {
		s.records[r.next].prev = r.prev
	}
}

// newOwner takes 16 bytes of crypto/rand, which it reads in batches: a system call for each claim would be most of
// the claim's cost.
func (s *shard) newOwner() (owner [16]byte) {
	if s.unread == 0 {
		rand.Read(s.random[:]) // never fails
		s.unread = len(s.random)
	}
	s.unread -= copy(owner[:], s.random[s.unread-len(owner):s.unread])
	return owner
}

// expired returns a record whose time is up, or none.
func (s *shard) expired(now int64) int32 {
	if s.pending.first() <= now {
		return s.pending.heap[0].slot
	}
	if s.completed.first() <= now {
		return s.completed.heap[0].slot
	}
	return none
}

// size takes the lock.
func (s *shard) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.index.used
}

// count takes the lock.
func (s *shard) count(clock func() int64) (total, expired int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := clock()
	for i := range s.records {
		if r := &s.records[i]; r.status != 0 && !r.live(now) {
			expired++
		}
	}
	return s.index.used, expired
}

// clear takes the lock, forgets everything but the fence, and returns how many records that were.
func (s *shard) clear() int {
	s.mu.Lock()
	defer s.unlock()
	n := s.index.used
	s.index = index{}
	s.records, s.values, s.spare = nil, nil, nil
	s.pending, s.completed = deadlines{}, deadlines{}
	s.oldest, s.newest = none, none
	return n
}
