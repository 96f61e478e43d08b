package memstore

import (
	"testing"
	"time"

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
