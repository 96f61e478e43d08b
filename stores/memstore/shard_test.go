package memstore

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/steadyfx/steady/patterns/idempotency"
)

func TestShardsForEveryNumberOfProcessors(t *testing.T) {
	for processors, want := range map[int]int{1: 4, 2: 8, 3: 16, 4: 16, 8: 32, 9: 32, 192: 32} {
		if got := shardsFor(processors); got != want {
			t.Errorf("%d processors: got %d shards, want %d", processors, got, want)
		}
	}
}

// TestEvictionIsToldWhatIsThere checks what a shard publishes after each of its steps.
func TestEvictionIsToldWhatIsThere(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m, err := NewIdempotency(Config{})
		if err != nil {
			rt.Fatal(err)
		}
		s := &m.shards[0]
		var now int64
		slotOf := func(rt *rapid.T) (key digest, slot int32, found bool) {
			key = digest{b: rapid.Uint64Range(0, 3).Draw(rt, "key")}
			slot, found = s.index.find(s.records, key)
			return key, slot, found
		}
		later := func(rt *rapid.T) int64 {
			return rapid.OneOf(rapid.Int64Range(now+1, now+20), rapid.Just(never)).Draw(rt, "deadline")
		}
		pending := func(slot int32, found bool) bool {
			return found && s.records[slot].status == idempotency.StatusPending
		}
		rt.Repeat(map[string]func(*rapid.T){
			"time passes": func(rt *rapid.T) { now += rapid.Int64Range(1, 10).Draw(rt, "time") },
			"claim": func(rt *rapid.T) {
				key, slot, found := slotOf(rt)
				if !found {
					slot = s.add(key)
				}
				s.acquire(slot, 0, now, later(rt), nil)
			},
			"extend": func(rt *rapid.T) {
				if _, slot, found := slotOf(rt); pending(slot, found) {
					s.extend(slot, later(rt))
				}
			},
			"complete": func(rt *rapid.T) {
				if _, slot, found := slotOf(rt); pending(slot, found) {
					s.complete(slot, m.results.Add(1), now, later(rt), "")
				}
			},
			"drop": func(rt *rapid.T) {
				if _, slot, found := slotOf(rt); found {
					s.drop(slot)
				}
			},
			"evict": func(rt *rapid.T) {
				order, before := s.oldestResult.Load(), s.index.used
				if s.evict(order-1) || s.index.used != before {
					rt.Fatal("a result that somebody else has evicted took another with it")
				}
				if order != noResult && (!s.evict(order) || s.index.used != before-1) {
					rt.Fatal("the oldest result was not evicted")
				}
			},
			"forget expired": func(rt *rapid.T) {
				expired := s.first().at <= now
				if s.forgetExpired(now) != expired {
					rt.Fatalf("something has expired: %v, but it was forgotten: %v", expired, !expired)
				}
				if s.firstDeadline.Load() != s.first().at {
					rt.Fatalf("the first deadline is %d and not told exactly: %d", s.first().at, s.firstDeadline.Load())
				}
			},
			"clear": func(*rapid.T) { s.clear() },
			"": func(rt *rapid.T) {
				deadline, oldest := never, noResult
				for slot := range s.records {
					r := &s.records[slot]
					if r.status != 0 {
						deadline = min(deadline, r.deadline)
					}
					if r.status == idempotency.StatusComplete {
						oldest = min(oldest, r.order)
					}
				}
				if s.first().at != deadline || s.firstDeadline.Load() > deadline {
					rt.Fatalf("deadlines: got %d, told %d, want %d", s.first().at, s.firstDeadline.Load(), deadline)
				}
				if s.oldestResult.Load() != oldest {
					rt.Fatalf("the oldest result: told %d, want %d", s.oldestResult.Load(), oldest)
				}
			},
		})
	})
}

// An owner that came again would let one caller finish what another has claimed.
func TestOwnersAreAllDifferent(t *testing.T) {
	seen := map[[8]byte]bool{}
	for range 1000 {
		owner := newOwner()
		for _, half := range [][8]byte{[8]byte(owner[:8]), [8]byte(owner[8:])} {
			if seen[half] {
				t.Fatalf("owner %x: half of it again", owner)
			}
			seen[half] = true
		}
	}
}
