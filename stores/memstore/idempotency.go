package memstore

import (
	"bytes"
	"context"
	"math"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/idempotency"
)

// backend is the name that errors carry.
const backend = idempotency.MemoryBackend

// Config says how much an [Idempotency] may hold.
type Config struct {
	// MaxEntries is how many records are kept, pending ones included. When a new key needs room, an expired record
	// goes first, then the result that was stored longest ago. A pending claim is never evicted. Zero: 10,000.
	MaxEntries int
}

// Idempotency is an [idempotency.Store] in memory. Use [NewIdempotency]. All methods are safe for concurrent use.
//
// Keys are spread over shards, each with a lock of its own that is held for a few map and slice operations and never
// while waiting. Of a key only a keyed hash of 128 bits is kept, and records live in flat slices, so the garbage
// collector finds one pointer for each stored result and none for the rest.
//
// A fence is the wall clock in microseconds at the time of the acquisition, or one more than the last one of the
// shard: it grows for as long as the process lives, whatever becomes of the record, and after a restart too unless
// the wall clock was set back.
type Idempotency struct {
	start  time.Time
	epoch  int64 // start in microseconds of Unix time: what fences count from
	max    int64
	secret secret
	bus    *hooks.Bus
	shards []shard // a power of two of them

	// What eviction looks at, by shard, without the locks of the shards, which keep it up to date.
	firstDeadlines []atomic.Int64  // no record has an earlier one; there need not be one that has it
	oldestResults  []atomic.Uint64 // record.order of the oldest result, or noResult

	_       [64]byte      // what changes all the time is on cache lines of its own
	results atomic.Uint64 // results stored so far: their order across shards

	_      [64]byte
	total  atomic.Int64  // records, but not those that were just added and that room is being made for
	told   atomic.Uint64 // results lost before their time that were told of
	tellAt atomic.Int64  // when the next loss may be told of
}

// Option sets what has no useful zero value.
type Option func(*Idempotency)

// WithBus sends hooks.IdempotencyEvicted to bus.
func WithBus(bus *hooks.Bus) Option { return func(m *Idempotency) { m.bus = bus } }

// NewIdempotency returns an empty store, or an [*idempotency.ConfigurationError].
func NewIdempotency(cfg Config, opts ...Option) (*Idempotency, error) {
	if cfg.MaxEntries == 0 {
		cfg.MaxEntries = idempotency.DefaultConfig().MaxEntries
	}
	var checks patterns.Checks
	checks.That(cfg.MaxEntries >= 1, "max_entries", "must be at least 1, got %d", cfg.MaxEntries)
	checks.That(cfg.MaxEntries <= math.MaxInt32, "max_entries", "must be at most %d, got %d", math.MaxInt32, cfg.MaxEntries)
	if err := checks.Err("memory"); err != nil {
		return nil, &idempotency.ConfigurationError{Err: err}
	}
	start, shards := time.Now(), shardsFor(runtime.GOMAXPROCS(0))
	m := &Idempotency{
		start: start, epoch: start.UnixMicro(), max: int64(cfg.MaxEntries), secret: newSecret(),
		shards:         make([]shard, shards),
		firstDeadlines: make([]atomic.Int64, shards), oldestResults: make([]atomic.Uint64, shards),
	}
	for i := range m.shards {
		m.shards[i].init(i, &m.firstDeadlines[i], &m.oldestResults[i])
	}
	for _, opt := range opts {
		opt(m)
	}
	return m, nil
}

// Claim asks to be the one who acts for the key. If the store is full of pending claims, the error is an
// [*idempotency.BackendError].
func (m *Idempotency) Claim(ctx context.Context, req idempotency.ClaimRequest) (idempotency.Claim, error) {
	if err := checkContext(ctx, "claim"); err != nil {
		return idempotency.Claim{}, err
	}
	if err := req.Validate(); err != nil {
		return idempotency.Claim{}, err
	}
	key := m.secret.digest(req.Key)
	c, value, now, added := m.claim(key, &req)
	if added {
		if err := m.makeRoom(ctx, "claim", key, c.Token, now); err != nil {
			return idempotency.Claim{}, err
		}
	}
	if c.Outcome == idempotency.Done {
		c.Value = []byte(value)
	}
	return c, nil
}

// claim returns the result, if there is one, apart: it may be long, so it is copied with no lock held. If the record was
// added, room has to be made for it.
func (m *Idempotency) claim(
	key digest, req *idempotency.ClaimRequest,
) (c idempotency.Claim, value string, now int64, added bool) {
	s, slot, found := m.lock(key)
	defer s.mu.Unlock()
	if !found {
		slot = s.add(key)
	}
	now = m.now()
	r := &s.records[slot]
	switch {
	case !r.live(now):
		c.Outcome = idempotency.Acquired
		c.Token = s.acquire(slot, m.fenceAt(now), now, after(now, req.Lease), req.Fingerprint)
	case r.mismatches(req.Fingerprint):
		c.Outcome = idempotency.Mismatch
	case r.status == idempotency.StatusPending:
		c.Outcome, c.RetryAfter = idempotency.InProgress, max(time.Duration(r.deadline-now), time.Millisecond)
	default:
		c.Outcome, c.Age, value = idempotency.Done, time.Duration(now-r.stored), s.values[slot]
		if r.deadline != never {
			c.ExpiresIn = time.Duration(r.deadline - now)
		}
	}
	c.Fence = r.fence
	return c, value, now, !found
}

// Complete stores the result of the claim's owner. Completing again with the same token while the result lives
// changes nothing and is not an error.
func (m *Idempotency) Complete(
	ctx context.Context, key string, token idempotency.Token, value []byte, ttl time.Duration,
) error {
	if err := checkContext(ctx, "complete"); err != nil {
		return err
	}
	if err := idempotency.ValidateTTL(ttl); err != nil {
		return err
	}
	result := string(value) // copied with no lock held
	s, slot, found := m.lock(m.secret.digest(key))
	defer s.mu.Unlock()
	now := m.now()
	if !found || s.records[slot].owner != token.Owner {
		return idempotency.ErrClaimLost
	}
	if r := &s.records[slot]; r.status == idempotency.StatusComplete {
		if !r.live(now) {
			return idempotency.ErrClaimLost
		}
		return nil
	}
	s.complete(slot, m.results.Add(1), now, retained(now, ttl), result)
	return nil
}

// Extend lets the owner's claim last for lease from now.
func (m *Idempotency) Extend(ctx context.Context, key string, token idempotency.Token, lease time.Duration) error {
	if err := checkContext(ctx, "extend"); err != nil {
		return err
	}
	if err := idempotency.ValidateLease(lease); err != nil {
		return err
	}
	s, slot, found := m.lock(m.secret.digest(key))
	defer s.mu.Unlock()
	if !found || !s.records[slot].claimedBy(token) {
		return idempotency.ErrClaimLost
	}
	s.extend(slot, after(m.now(), lease))
	return nil
}

// Release gives the owner's claim back.
func (m *Idempotency) Release(ctx context.Context, key string, token idempotency.Token) error {
	if err := checkContext(ctx, "release"); err != nil {
		return err
	}
	s, slot, found := m.lock(m.secret.digest(key))
	defer s.mu.Unlock()
	if !found || !s.records[slot].claimedBy(token) {
		return idempotency.ErrClaimLost
	}
	m.remove(s, slot)
	return nil
}

// Get returns the result of a complete, unexpired record.
func (m *Idempotency) Get(ctx context.Context, key string) (value []byte, found bool, err error) {
	if err := checkContext(ctx, "get"); err != nil {
		return nil, false, err
	}
	rec, result, found := m.record(key)
	if !found || rec.Status != idempotency.StatusComplete {
		return nil, false, nil
	}
	return []byte(result), true, nil
}

// GetRecord returns the unexpired record of a key.
func (m *Idempotency) GetRecord(ctx context.Context, key string) (rec idempotency.Record, found bool, err error) {
	if err := checkContext(ctx, "get"); err != nil {
		return idempotency.Record{}, false, err
	}
	rec, result, found := m.record(key)
	if rec.Status == idempotency.StatusComplete {
		rec.Value = []byte(result)
	}
	return rec, found, nil
}

// record returns the result, if there is one, apart.
func (m *Idempotency) record(key string) (rec idempotency.Record, result string, found bool) {
	s, slot, found := m.lock(m.secret.digest(key))
	defer s.mu.Unlock()
	if !found || !s.records[slot].live(m.now()) {
		return idempotency.Record{}, "", false
	}
	r := &s.records[slot]
	rec = idempotency.Record{
		Status: r.status, Fence: r.fence, Fingerprint: bytes.Clone(r.fingerprint()), CreatedAt: m.start.Add(time.Duration(r.created)),
	}
	if r.deadline != never {
		rec.ExpiresAt = m.start.Add(time.Duration(r.deadline))
	}
	return rec, s.values[slot], true
}

// Set stores a result for ttl, whoever holds the key. It makes a new record: with no fingerprint, and with a higher
// fence than any before. If the store is full of pending claims, the error is an [*idempotency.BackendError].
func (m *Idempotency) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	const op = "set"
	if err := checkContext(ctx, op); err != nil {
		return err
	}
	if err := idempotency.ValidateTTL(ttl); err != nil {
		return err
	}
	hash, result := m.secret.digest(key), string(value)
	if m.set(hash, result, ttl, false) {
		return nil
	}
	// A new record is a result as soon as it can be seen, so there must be room for it before.
	if !m.reserve(ctx, m.now()) {
		return m.errFull(op)
	}
	m.set(hash, result, ttl, true)
	return nil
}

// set stores a result in the record of a key. Where there is none, it makes one if room is reserved for it, and reports
// false otherwise.
func (m *Idempotency) set(key digest, result string, ttl time.Duration, reserved bool) bool {
	s, slot, found := m.lock(key)
	defer s.mu.Unlock()
	switch {
	case !found && !reserved:
		return false
	case !found:
		slot = s.add(key)
	case reserved: // somebody was faster
		m.total.Add(-1)
	}
	now := m.now()
	s.acquire(slot, m.fenceAt(now), now, never, nil)
	s.complete(slot, m.results.Add(1), now, retained(now, ttl), result)
	return true
}

// Delete removes the record of a key.
func (m *Idempotency) Delete(ctx context.Context, key string) error {
	if err := checkContext(ctx, "delete"); err != nil {
		return err
	}
	s, slot, found := m.lock(m.secret.digest(key))
	defer s.mu.Unlock()
	if found {
		m.remove(s, slot)
	}
	return nil
}

// Acquire is Claim for callers that finish with Set or Delete. The ttl is a lease: at least a millisecond.
func (m *Idempotency) Acquire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	c, err := m.Claim(ctx, idempotency.ClaimRequest{Key: key, Lease: ttl})
	return c.Outcome == idempotency.Acquired, err
}

// CleanupExpired removes at most limit expired records, those that expired first in their shard first, and returns
// how many it removed.
func (m *Idempotency) CleanupExpired(ctx context.Context, limit int) (int, error) {
	if err := checkContext(ctx, "cleanup"); err != nil {
		return 0, err
	}
	removed := 0
	for i := range m.shards {
		for now := m.now(); removed < limit && m.shards[i].forgetExpired(now); removed++ {
			m.total.Add(-1)
		}
	}
	return removed, nil
}

// Ping reports nothing but the error of its context.
func (m *Idempotency) Ping(ctx context.Context) error { return checkContext(ctx, "ping") }

// Has reports whether key has an unexpired record, pending or complete.
func (m *Idempotency) Has(key string) bool {
	s, slot, found := m.lock(m.secret.digest(key))
	defer s.mu.Unlock()
	return found && s.records[slot].live(m.now())
}

// Size returns the number of records, those that have expired and were not yet removed included.
func (m *Idempotency) Size() int {
	n := 0
	for i := range m.shards {
		n += m.shards[i].size()
	}
	return n
}

// Stats counts the records of a store.
type Stats struct {
	Total   int // Active and Expired
	Active  int // pending or complete
	Expired int // not yet removed

	// Evicted counts the results that were dropped before their time to make room, since the store was made. Their
	// duplicates run again: raise MaxEntries.
	Evicted uint64
}

// Stats counts the records. It looks at each of them, one shard after the other.
func (m *Idempotency) Stats() Stats {
	var st Stats
	for i := range m.shards {
		total, expired := m.shards[i].count(m.now)
		st.Total += total
		st.Expired += expired
	}
	st.Active = st.Total - st.Expired
	st.Evicted = m.evicted()
	return st
}

// Clear removes every record, pending claims included: their owners lose them.
func (m *Idempotency) Clear() {
	for i := range m.shards {
		m.total.Add(-int64(m.shards[i].clear()))
	}
}

// checkContext returns the error of a context that is over already.
func checkContext(ctx context.Context, op string) error {
	if err := ctx.Err(); err != nil {
		return &idempotency.BackendError{Backend: backend, Op: op, Err: err}
	}
	return nil
}

// never is the deadline of a record without expiry, and what a deadline beyond the end of time becomes.
const never = int64(math.MaxInt64)

// now is the time since the store was made, in nanoseconds.
func (m *Idempotency) now() int64 { return int64(time.Since(m.start)) }

func (m *Idempotency) fenceAt(now int64) int64 { return m.epoch + now/int64(time.Microsecond) }

func after(now int64, d time.Duration) int64 {
	if int64(d) > never-now {
		return never
	}
	return now + int64(d)
}

func retained(now int64, ttl time.Duration) int64 {
	if ttl == 0 {
		return never
	}
	return after(now, ttl)
}
