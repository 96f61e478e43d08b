package memstore

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// Sets and deletes of the same keys come between the adding of a record and the room that is made for it.
func TestCountIsRightAfterEveryRace(t *testing.T) {
	const maxEntries, workers = 2, 8
	for range 20 {
		m, err := NewIdempotency(Config{MaxEntries: maxEntries})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for range 500 {
					key := strconv.Itoa(rand.IntN(4))
					switch rand.IntN(4) {
					case 0:
						// The only error is that there is no room.
						_ = m.Set(t.Context(), key, nil, 0)
					case 1:
						if err := m.Delete(t.Context(), key); err != nil {
							t.Errorf("delete: %v", err)
						}
					default:
						c, err := m.Claim(t.Context(), idempotency.ClaimRequest{Key: key, Lease: time.Hour})
						if err == nil && c.Outcome == idempotency.Acquired {
							// It may have been lost to one of the others.
							_ = m.Complete(t.Context(), key, c.Token, nil, time.Hour)
						}
					}
				}
			})
		}
		wg.Wait()
		if n := m.Size(); n > maxEntries || m.total.Load() != int64(n) {
			t.Fatalf("the store has %d records and counts %d, want at most %d and the same", n, m.total.Load(), maxEntries)
		}
	}
}

func TestWithdrawSparesWhatOthersMadeOfTheRecord(t *testing.T) {
	m, err := NewIdempotency(Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	c, err := m.Claim(ctx, idempotency.ClaimRequest{Key: "k", Lease: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Set(ctx, "k", nil, 0); err != nil {
		t.Fatal(err)
	}
	held, absent := m.secret.digest("k"), m.secret.digest("absent")
	if m.withdraw(held, c.Token) || !m.Has("k") {
		t.Error("withdraw took the result of another")
	}
	if m.withdraw(absent, c.Token) {
		t.Error("withdraw took a record that is not there")
	}
}
