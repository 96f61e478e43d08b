package memstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/memstore"
)

// TestStoreFollowsTheModel runs random calls against the store and against a map that is searched from end to end.
func TestStoreFollowsTheModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(noDeadline{t}, func(rt *rapid.T) {
			m := newModel(t, 1000)
			rt.Repeat(m.actions(true))
		})
	})
}

// TestEvictionFollowsTheModel does so with less room than keys. No time passes: which of several expired records goes
// first is not promised.
func TestEvictionFollowsTheModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(noDeadline{t}, func(rt *rapid.T) {
			m := newModel(t, rapid.IntRange(1, 6).Draw(rt, "entries"))
			rt.Repeat(m.actions(false))
		})
	})
}

// noDeadline hides the Deadline of a test, which may not be asked for in a bubble.
type noDeadline struct{ rapid.TB }

type model struct {
	t       *testing.T
	store   *memstore.Idempotency
	room    int
	keys    *rapid.Generator[string]
	records map[string]*modelRecord
	tokens  map[string][]idempotency.Token // all that a key ever had
	order   []string                       // complete keys, the oldest first
	evicted uint64                         // results lost before their time
}

type modelRecord struct {
	token       idempotency.Token
	fence       int64 // of the record: 0 if the store has not told it yet
	complete    bool
	value       []byte
	fingerprint string
	ends        time.Time // zero: never
}

func newModel(t *testing.T, room int) *model {
	store := open(t, room)
	return &model{
		t: t, store: store, room: room, keys: rapid.SampledFrom(append(neighbours(store, 8), "", "a", "b", "c")),
		records: map[string]*modelRecord{}, tokens: map[string][]idempotency.Token{},
	}
}

func (r *modelRecord) live() bool { return r.ends.IsZero() || time.Now().Before(r.ends) }

func (m *model) forget(key string) {
	delete(m.records, key)
	m.order = slices.DeleteFunc(m.order, func(k string) bool { return k == key })
}

// admit makes room for key and reports whether there is some.
func (m *model) admit(key string) bool {
	if m.records[key] != nil || len(m.records) < m.room {
		return true
	}
	if len(m.order) == 0 {
		return false
	}
	if m.records[m.order[0]].live() { // one that has expired is no loss
		m.evicted++
	}
	m.forget(m.order[0])
	return true
}

func (m *model) keep(key string, r *modelRecord) {
	m.forget(key)
	m.records[key] = r
	if r.complete {
		m.order = append(m.order, key)
	}
}

func ends(ttl time.Duration) time.Time {
	if ttl == 0 {
		return time.Time{}
	}
	return time.Now().Add(ttl)
}

// neighbours returns n keys that share a shard of m.
func neighbours(m *memstore.Idempotency, n int) (keys []string) {
	for i := 0; len(keys) < n; i++ {
		if key := strconv.Itoa(i); m.ShardOf(key) == 0 {
			keys = append(keys, key)
		}
	}
	return keys
}

var modelTimes = rapid.SampledFrom([]time.Duration{time.Millisecond, 10 * time.Millisecond, 13 * time.Millisecond, time.Second})

func (m *model) actions(timePasses bool) map[string]func(*rapid.T) {
	actions := map[string]func(*rapid.T){
		"claim": m.claim, "complete": m.complete, "extend": m.extend, "release": m.release, "set": m.set, "delete": m.delete,
		"": m.check,
	}
	if timePasses {
		actions["sleep"] = func(rt *rapid.T) { time.Sleep(modelTimes.Draw(rt, "sleep")) }
		actions["cleanup"] = m.cleanup
	}
	return actions
}

func (m *model) claim(rt *rapid.T) {
	key, lease := m.keys.Draw(rt, "key"), modelTimes.Draw(rt, "lease")
	fingerprint := rapid.SampledFrom([]string{"", "x", "y"}).Draw(rt, "fingerprint")
	got, err := m.store.Claim(m.t.Context(), idempotency.ClaimRequest{Key: key, Lease: lease, Fingerprint: []byte(fingerprint)})

	r := m.records[key]
	if r == nil || !r.live() {
		if !m.admit(key) {
			if _, full := errors.AsType[*idempotency.BackendError](err); !full {
				rt.Fatalf("claim in a store full of claims: got %v, error %v", got.Outcome, err)
			}
			return
		}
		if err != nil || got.Outcome != idempotency.Acquired {
			rt.Fatalf("claim of an absent key: got %v, error %v", got.Outcome, err)
		}
		for _, old := range m.tokens[key] {
			if got.Token.Owner == old.Owner || got.Fence <= old.Fence {
				rt.Fatalf("token %v after %v", got.Token, old)
			}
		}
		m.tokens[key] = append(m.tokens[key], got.Token)
		m.keep(key, &modelRecord{token: got.Token, fence: got.Fence, fingerprint: fingerprint, ends: ends(lease)})
		return
	}
	want := idempotency.Claim{Fence: r.fence}
	switch {
	case r.fingerprint != "" && fingerprint != "" && r.fingerprint != fingerprint:
		want.Outcome = idempotency.Mismatch
	case r.complete:
		want.Outcome, want.Value = idempotency.Done, r.value
	default:
		want.Outcome, want.RetryAfter = idempotency.InProgress, time.Until(r.ends)
	}
	if err != nil || got.Outcome != want.Outcome || got.RetryAfter != want.RetryAfter || !bytes.Equal(got.Value, want.Value) ||
		r.fence != 0 && got.Fence != r.fence {
		rt.Fatalf("claim: got %+v, error %v, want %+v", got, err, want)
	}
	r.fence = got.Fence
}

// token draws one of those the key ever had, or a made-up one.
func (m *model) token(rt *rapid.T, key string) idempotency.Token {
	tokens := append([]idempotency.Token{{Fence: 1}}, m.tokens[key]...)
	return tokens[rapid.IntRange(0, len(tokens)-1).Draw(rt, "token")]
}

// settled compares the error of a call that only the owner may make. It returns the record if the call went through.
func (m *model) settled(rt *rapid.T, key string, token idempotency.Token, err error) *modelRecord {
	r := m.records[key]
	if r == nil || r.complete || r.token != token {
		if !errors.Is(err, idempotency.ErrClaimLost) {
			rt.Fatalf("call of a stranger: got error %v, want ErrClaimLost", err)
		}
		return nil
	}
	if err != nil {
		rt.Fatalf("call of the owner: %v", err)
	}
	return r
}

func (m *model) complete(rt *rapid.T) {
	key, ttl := m.keys.Draw(rt, "key"), m.ttl(rt)
	token, value := m.token(rt, key), rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(rt, "value")
	err := m.store.Complete(m.t.Context(), key, token, value, ttl)
	if r := m.records[key]; r != nil && r.complete && r.live() && r.token == token {
		if err != nil {
			rt.Fatalf("complete again: %v", err)
		}
		return
	}
	if r := m.settled(rt, key, token, err); r != nil {
		r.complete, r.value, r.ends = true, value, ends(ttl)
		m.keep(key, r)
	}
}

func (m *model) ttl(rt *rapid.T) time.Duration {
	if rapid.Bool().Draw(rt, "for ever") {
		return 0
	}
	return modelTimes.Draw(rt, "ttl")
}

func (m *model) extend(rt *rapid.T) {
	key, lease := m.keys.Draw(rt, "key"), modelTimes.Draw(rt, "lease")
	token := m.token(rt, key)
	if r := m.settled(rt, key, token, m.store.Extend(m.t.Context(), key, token, lease)); r != nil {
		r.ends = ends(lease)
	}
}

func (m *model) release(rt *rapid.T) {
	key := m.keys.Draw(rt, "key")
	token := m.token(rt, key)
	if r := m.settled(rt, key, token, m.store.Release(m.t.Context(), key, token)); r != nil {
		m.forget(key)
	}
}

func (m *model) set(rt *rapid.T) {
	key, ttl := m.keys.Draw(rt, "key"), m.ttl(rt)
	value := rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(rt, "value")
	err := m.store.Set(m.t.Context(), key, value, ttl)
	if !m.admit(key) {
		if err == nil {
			rt.Fatal("set in a store full of claims")
		}
		return
	}
	if err != nil {
		rt.Fatalf("set: %v", err)
	}
	m.keep(key, &modelRecord{complete: true, value: value, ends: ends(ttl)})
}

func (m *model) delete(rt *rapid.T) {
	key := m.keys.Draw(rt, "key")
	if err := m.store.Delete(m.t.Context(), key); err != nil {
		rt.Fatalf("delete: %v", err)
	}
	m.forget(key)
}

func (m *model) cleanup(rt *rapid.T) {
	expired := 0
	for key, r := range m.records {
		if !r.live() {
			expired++
			m.forget(key)
		}
	}
	if n, err := m.store.CleanupExpired(m.t.Context(), m.room); n != expired || err != nil {
		rt.Fatalf("cleanup removed %d, error %v, want %d", n, err, expired)
	}
}

// check compares everything that can be seen from outside.
func (m *model) check(rt *rapid.T) {
	active := 0
	for key, r := range m.records {
		if !r.live() {
			continue
		}
		active++
		rec, found, err := m.store.GetRecord(m.t.Context(), key)
		got := fmt.Sprintf("%v %x %q %v", rec.Status, rec.Value, rec.Fingerprint, rec.ExpiresAt.UnixNano())
		status := idempotency.StatusPending
		if r.complete {
			status = idempotency.StatusComplete
		}
		want := fmt.Sprintf("%v %x %q %v", status, r.value, r.fingerprint, r.ends.UnixNano())
		if err != nil || !found || got != want || r.fence != 0 && rec.Fence != r.fence {
			rt.Fatalf("record of %q: got %s, found %v, error %v, want %s", key, got, found, err, want)
		}
		value, found, err := m.store.Get(m.t.Context(), key)
		if err != nil || found != r.complete || !bytes.Equal(value, r.value) {
			rt.Fatalf("get of %q: got %x, found %v, error %v, want %x, %v", key, value, found, err, r.value, r.complete)
		}
	}
	want := memstore.Stats{
		Total: len(m.records), Active: active, Expired: len(m.records) - active, Evicted: m.evicted,
	}
	if got := m.store.Stats(); got != want || m.store.Size() != want.Total {
		rt.Fatalf("got %+v and size %d, want %+v", got, m.store.Size(), want)
	}
}
