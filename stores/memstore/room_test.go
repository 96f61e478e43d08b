package memstore

import (
	"context"
	"testing"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns/idempotency"
)

// A goroutine was stopped for longer than its lease before it could make room, and another took its claim over.
func TestRoomForAClaimThatIsAnothersByNowIsNotWaitedFor(t *testing.T) {
	m, err := NewIdempotency(Config{MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	claim := func(key string) {
		if _, err := m.Claim(t.Context(), idempotency.ClaimRequest{Key: key, Lease: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	claim("a")
	k := m.secret.digest("k")
	_, _, now, added := m.claim(k, &idempotency.ClaimRequest{Key: "k", Lease: time.Hour}) // the other's, in the end
	if err := m.makeRoom(t.Context(), "claim", k, idempotency.Token{}, now); !added || err != nil {
		t.Fatalf("added %v, error %v", added, err)
	}
	for _, key := range []string{"a", "k"} {
		if err := m.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Set(t.Context(), "result", nil, 0); err != nil {
		t.Errorf("the store has lost count: %v", err)
	}
	claim("b")
	if m.Has("result") {
		t.Error("the store has lost count: it holds more than one record")
	}
}

// Others saw a claim that nobody had made, while a store that was full made room for a result.
func TestResultIsNeverSeenAsAClaim(t *testing.T) {
	var bus hooks.Bus
	m, err := NewIdempotency(Config{MaxEntries: 1}, WithBus(&bus))
	if err != nil {
		t.Fatal(err)
	}
	evictions := 0
	hooks.On(&bus, func(ctx context.Context, _ hooks.IdempotencyEvicted) {
		evictions++
		if rec, found, err := m.GetRecord(ctx, "new"); found || err != nil {
			t.Errorf("got %+v and %v, want no record yet", rec, err)
		}
	})
	for _, key := range []string{"old", "new"} {
		if err := m.Set(t.Context(), key, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	if evictions != 1 || !m.Has("new") || m.Has("old") {
		t.Errorf("%d evictions, want one, of the old result", evictions)
	}
}
