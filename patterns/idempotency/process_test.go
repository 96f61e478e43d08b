package idempotency_test

import (
	"context"
	"testing"

	"github.com/steadyfx/steady/patterns/idempotency"
)

func TestProcessedBytesAreReplayedAsTheyAre(t *testing.T) {
	for name, value := range map[string][]byte{
		"text": []byte("receipt"), "no JSON": {0xff, 0, '{'}, "long": make([]byte, 1<<20),
		"looks like a tombstone": {1}, "empty": {}, "nil": nil,
	} {
		g, events := newGuard(t, newStore(t), idempotency.Config{CacheEntries: 1})
		call := idempotency.Call{Operation: "consume", Scope: "orders", Key: "message-1", Fingerprint: []byte("a")}
		runs := 0
		handle := func(context.Context) ([]byte, error) { runs++; return value, nil }
		for i := range 3 {
			result, err := idempotency.Process(t.Context(), g, call, handle)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			wantEqual(t, name, string(result.Value), string(value))
			wantEqual(t, name+": duplicate", result.IsDuplicate, i > 0)
			if len(result.Value) > 0 && i > 0 {
				result.Value[0]++ // which is the caller's own
			}
		}
		wantEqual(t, name+": runs", runs, 1)
		call.Fingerprint = []byte("b")
		_, err := idempotency.Process(t.Context(), g, call, handle)
		wantError[*idempotency.DuplicateRequestError](t, err)
		events.want(t, "idempotency.hit", "idempotency.hit", "idempotency.mismatch")
	}
}

func TestProcessWithoutAKeyPassesThrough(t *testing.T) {
	store := newStore(t)
	g, events := newGuard(t, store, idempotency.Config{})
	runs := 0
	for range 2 {
		result, err := idempotency.Process(t.Context(), g, idempotency.Call{Operation: "consume"},
			returning(&runs, []byte("answer")))
		if err != nil {
			t.Error(err)
		}
		wantEqual(t, "result", result, idempotency.Result[[]byte]{Value: []byte("answer")})
	}
	wantEqual(t, "runs", runs, 2)
	wantEqual(t, "claims", store.count("claim"), 0)
	events.want(t)
}

func TestProcessThatFailsFreesTheKey(t *testing.T) {
	g, events := newGuard(t, newStore(t), idempotency.Config{})
	_, err := idempotency.Process(t.Context(), g, charge("k"), failing([]byte("half"), errBoom))
	wantEqual(t, "error", err, errBoom)
	runs := 0
	if _, err = idempotency.Process(t.Context(), g, charge("k"), returning(&runs, []byte("all"))); err != nil {
		t.Error(err)
	}
	wantEqual(t, "runs", runs, 1)
	events.want(t, "idempotency.released")
}

func TestProcessAndDoDoNotReadEachOther(t *testing.T) {
	g, _ := newGuard(t, newStore(t), idempotency.Config{})
	if _, err := idempotency.Process(t.Context(), g, charge("k"), returning(new(int), []byte("1"))); err != nil {
		t.Error(err)
	}
	_, err := idempotency.Do(t.Context(), g, charge("k"), returning(new(int), 1))
	wantError[*idempotency.StoreError](t, err)
	_, err = idempotency.Process(t.Context(), g, idempotency.Call{Key: "k"}, returning(new(int), []byte("1")))
	wantError[*idempotency.ConfigurationError](t, err)
}
