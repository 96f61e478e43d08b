package memstore

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/steadyfx/steady/patterns/idempotency"
)

const maxShards = 32

// shardsFor returns how many shards to have, a power of two: so many that processors seldom meet in one, and no more,
// because each processor works on all of them and its caches are small.
func shardsFor(processors int) int {
	return min(1<<bits.Len(uint(4*processors-1)), maxShards)
}

// shard is a part of the records behind a lock of its own. Its methods, unless they say otherwise, want the lock held.
// Processors take what changes in it from each other all the time: it comes first and close together.
type shard struct {
	mu    sync.Mutex
	spare []int32 // slots to use again
	index index   // slot of a key

	fence   int64  // the highest so far
	evicted uint64 // results lost before their time
	results list   // the complete records, in the order in which their results were stored

	pending   deadlines
	completed deadlines

	records []record // by slot
	values  []string // by slot; apart from the records, which are free of pointers

	// Where eviction looks without the lock: this shard's of Idempotency.firstDeadlines and oldestResults.
	firstDeadline *atomic.Int64
	oldestResult  *atomic.Uint64
	number        uint64

	_ [64]byte // keeps the next shard's lock off this cache line
}

const (
	none     = -1 // not a slot
	noResult = uint64(math.MaxUint64)
)

// record is what is known of a key, without its result. It holds no pointer. What eviction needs of it comes first: by
// then it is in none of the processor's caches, so that each part of it costs time.
type record struct {
	key      digest
	deadline int64  // times are those of Idempotency.now
	order    uint64 // if complete: its place among all results, times maxShards, and the number of the shard
	position int32  // in the heap of deadlines, or none
	status   idempotency.Status
	printed  uint8 // how much of print is used
	owner    [16]byte
	fence    int64
	created  int64
	stored   int64 // if complete
	print    [64]byte
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

func (s *shard) init(number int, firstDeadline *atomic.Int64, oldestResult *atomic.Uint64) {
	s.number, s.firstDeadline, s.oldestResult = uint64(number), firstDeadline, oldestResult
	s.firstDeadline.Store(never)
	s.oldestResult.Store(noResult)
}

// add makes an empty record, which the caller must acquire before it unlocks.
func (s *shard) add(key digest) int32 {
	var slot int32
	if n := len(s.spare); n > 0 {
		slot = s.spare[n-1]
		s.spare = s.spare[:n-1]
	} else {
		slot = int32(len(s.records))
		s.records = append(s.records, record{})
		s.values = append(s.values, "")
	}
	s.records[slot].key = key
	s.index.add(key, slot)
	return slot
}

// drop forgets a record.
func (s *shard) drop(slot int32) {
	oldest := s.results.first()
	s.detach(slot)
	s.index.remove(s.records[slot].key, slot)
	s.records[slot].status = 0 // who uses the slot again writes the rest
	s.values[slot] = ""
	s.spare = append(s.spare, slot)
	s.publishOldest(oldest)
}

// detach takes a record out of the lists and the heap that its state put it into.
func (s *shard) detach(slot int32) {
	switch s.records[slot].status {
	case idempotency.StatusPending:
		s.pending.remove(s.records, slot)
	case idempotency.StatusComplete:
		s.completed.remove(s.records, slot)
		s.results.remove(slot)
	}
}

// acquire makes a record, whatever it was, a claim of a new owner.
func (s *shard) acquire(slot int32, fence, now, deadline int64, fingerprint []byte) idempotency.Token {
	oldest := s.results.first()
	s.detach(slot)
	s.fence = max(s.fence+1, fence)
	r := &s.records[slot]
	r.status = idempotency.StatusPending
	r.owner = newOwner()
	r.fence = s.fence
	r.created, r.deadline = now, deadline
	r.printed = uint8(copy(r.print[:], fingerprint))
	s.values[slot] = ""
	s.wait(&s.pending, slot)
	s.publishOldest(oldest)
	return idempotency.Token{Owner: r.owner, Fence: r.fence}
}

// complete makes a claim a result, the one with that number of all shards' results.
func (s *shard) complete(slot int32, result uint64, now, deadline int64, value string) {
	oldest := s.results.first()
	s.detach(slot)
	r := &s.records[slot]
	r.status = idempotency.StatusComplete
	r.stored, r.deadline, r.order = now, deadline, result*maxShards+s.number
	s.values[slot] = value
	s.wait(&s.completed, slot)
	s.results.add(slot)
	s.publishOldest(oldest)
}

func (s *shard) extend(slot int32, deadline int64) {
	s.pending.remove(s.records, slot)
	s.records[slot].deadline = deadline
	s.wait(&s.pending, slot)
}

// wait adds a record to one of the deadlines.
func (s *shard) wait(kind *deadlines, slot int32) {
	kind.add(s.records, slot)
	if at := s.records[slot].deadline; at < s.firstDeadline.Load() {
		s.firstDeadline.Store(at)
	}
}

// newOwner returns 16 random bytes, of the runtime's ChaCha8: each thread has its own, so that processors need not take
// one from each other.
func newOwner() (owner [16]byte) {
	binary.LittleEndian.PutUint64(owner[:8], rand.Uint64())
	binary.LittleEndian.PutUint64(owner[8:], rand.Uint64())
	return owner
}

// publishOldest tells eviction which result is the oldest, if that has changed.
func (s *shard) publishOldest(was int32) {
	oldest := s.results.first()
	switch oldest {
	case was:
	case none:
		s.oldestResult.Store(noResult)
	default:
		s.oldestResult.Store(s.records[oldest].order)
	}
}

// publishDeadline tells eviction the first deadline, of which it otherwise knows only that there is no earlier one.
func (s *shard) publishDeadline() { s.firstDeadline.Store(s.first().at) }

// first returns the record with the earliest deadline, or none and never.
func (s *shard) first() deadline {
	pending, completed := s.pending.first(s.records), s.completed.first(s.records)
	if pending.at <= completed.at {
		return pending
	}
	return completed
}

// forgetExpired takes the lock and forgets the record that expired first, if there is one.
func (s *shard) forgetExpired(now int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.first()
	expired := first.at <= now
	if expired {
		s.drop(first.slot)
	}
	s.publishDeadline()
	return expired
}

// evict forgets the oldest result, which would still be replayed, if it is the one in that order.
func (s *shard) evict(order uint64) bool {
	if s.oldestResult.Load() != order {
		return false
	}
	s.drop(s.results.first())
	s.evicted++
	return true
}

// size takes the lock.
func (s *shard) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.index.used
}

// lost takes the lock.
func (s *shard) lost() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.evicted
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
	defer s.mu.Unlock()
	n, oldest := s.index.used, s.results.first()
	s.index = index{}
	s.records, s.values, s.spare = nil, nil, nil
	s.pending, s.completed, s.results = deadlines{}, deadlines{}, list{}
	s.publishOldest(oldest)
	return n
}
