package idempotency_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// A store has a limit of its own, beyond which it keeps nothing: the call would be made again after the lease.
func TestLargeResultIsReturnedAndNotMadeTwice(t *testing.T) {
	const limit = 100
	type run func(g *idempotency.Guard, size int, runs *int) (got int, err error)
	for name, test := range map[string]struct {
		around int // bytes of a result beside its text
		run    run
	}{
		"Do": {len(`""`), func(g *idempotency.Guard, size int, runs *int) (int, error) {
			r, err := idempotency.Do(t.Context(), g, charge("k"), returning(runs, strings.Repeat("x", size)))
			return len(r.Value), err
		}},
		"Process": {0, func(g *idempotency.Guard, size int, runs *int) (int, error) {
			r, err := idempotency.Process(t.Context(), g, charge("k"), returning(runs, make([]byte, size)))
			return len(r.Value), err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			fits := limit - test.around
			g, events := newGuard(t, newStore(t), idempotency.Config{MaxResult: limit})
			runs := 0
			for range 2 {
				if got, err := test.run(g, fits, &runs); err != nil || got != fits {
					t.Errorf("got %d bytes and %v", got, err)
				}
			}
			wantEqual(t, "runs", runs, 1)
			events.want(t, "idempotency.hit")

			g, events = newGuard(t, newStore(t), idempotency.Config{MaxResult: limit})
			runs = 0
			if got, err := test.run(g, fits+1, &runs); err != nil || got != fits+1 {
				t.Errorf("the first caller got %d bytes and %v", got, err)
			}
			_, err := test.run(g, fits+1, &runs)
			wantError[*idempotency.StoreError](t, err)
			wantEqual(t, "runs", runs, 1)
			events.want(t, "idempotency.completion_failed", "idempotency.hit")
		})
	}
}

func TestLargeErrorIsReturnedAndNotMadeTwice(t *testing.T) {
	large := errors.New(strings.Repeat("x", 100))
	g, err := idempotency.New(newStore(t), idempotency.Config{MaxResult: 100},
		idempotency.WithRecordedErrors(idempotency.ErrorValue("large", large)))
	if err != nil {
		t.Fatal(err)
	}
	runs := 0
	fails := func(context.Context) (int, error) { runs++; return 0, large }
	if _, err := idempotency.Do(t.Context(), g, charge("k"), fails); err != large {
		t.Errorf("got %v", err)
	}
	_, err = idempotency.Do(t.Context(), g, charge("k"), fails)
	wantError[*idempotency.StoreError](t, err)
	wantEqual(t, "runs", runs, 1)
}

// In a transaction nothing is done instead.
func TestLargeResultOfATransactionIsRolledBack(t *testing.T) {
	g, events := newGuard(t, newStore(t), idempotency.Config{MaxResult: 100})
	tx := &fakeTx{}
	_, err := idempotency.Transact(t.Context(), g, charge("k"), tx.join, returning(new(int), strings.Repeat("x", 100)))
	wantError[*idempotency.StoreError](t, err)
	events.want(t, "idempotency.released")
}

func TestMaxResultIsChecked(t *testing.T) {
	_, err := idempotency.New(newStore(t), idempotency.Config{MaxResult: -1})
	wantError[*idempotency.ConfigurationError](t, err)
	wantEqual(t, "fields", fieldsOf(err), []string{"max_result"})
}
