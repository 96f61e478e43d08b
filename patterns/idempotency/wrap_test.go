package idempotency_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

type payment struct {
	Order  string         `json:"order"`
	Amount int            `json:"amount"`
	Notes  map[string]int `json:"notes,omitempty"`
}

// counting is a function that returns how often it ran.
func counting[In any](runs *int) func(context.Context, In) (int, error) {
	return func(context.Context, In) (int, error) {
		*runs++
		return *runs, nil
	}
}

func TestWrappedFunctionRunsOnceForAnArgument(t *testing.T) {
	g, _ := newGuard(t, newStore(t), idempotency.Config{MaxKeyLength: 8}) // which is not about derived keys
	runs := 0
	wrapped := idempotency.Wrap(g, "charge", nil, counting[payment](&runs))
	for _, test := range []struct {
		in   payment
		want int
	}{
		{payment{Order: "a", Amount: 1}, 1},
		{payment{Order: "a", Amount: 1}, 1},
		{payment{Order: "a", Amount: 2}, 2},
		{payment{Order: "b", Amount: 1}, 3},
		{payment{Order: "a", Amount: 1}, 1},
	} {
		if got, err := wrapped(t.Context(), test.in); err != nil || got != test.want {
			t.Errorf("%+v: got %d and %v, want %d", test.in, got, err, test.want)
		}
	}
	refund := idempotency.Wrap(g, "refund", nil, counting[payment](&runs))
	if got, err := refund(t.Context(), payment{Order: "a", Amount: 1}); err != nil || got != 4 {
		t.Errorf("another operation with an equal argument: got %d and %v", got, err)
	}
}

func TestWrappedFunctionWithItsOwnKeyComparesTheArgument(t *testing.T) {
	g, _ := newGuard(t, newStore(t), idempotency.Config{MaxKeyLength: 8})
	runs := 0
	wrapped := idempotency.Wrap(g, "charge", func(p payment) string { return p.Order }, counting[payment](&runs))
	for range 2 {
		if got, err := wrapped(t.Context(), payment{Order: "a", Amount: 1}); err != nil || got != 1 {
			t.Errorf("got %d and %v", got, err)
		}
	}
	_, err := wrapped(t.Context(), payment{Order: "a", Amount: 2})
	wantError[*idempotency.DuplicateRequestError](t, err)
	for _, key := range []string{"", "much too long"} {
		_, err = wrapped(t.Context(), payment{Order: key})
		wantError[*idempotency.ConfigurationError](t, err)
	}
	wantEqual(t, "runs", runs, 1)
}

func TestWrapWithoutAnOperationRefusesCalls(t *testing.T) {
	g, _ := newGuard(t, newStore(t), idempotency.Config{})
	runs := 0
	_, err := idempotency.Wrap(g, "", nil, counting[int](&runs))(t.Context(), 1)
	wantError[*idempotency.ConfigurationError](t, err)
	wantEqual(t, "runs", runs, 0)
}

// An argument that JSON does not hold in full would pass for another one, whose call would never be made.
func TestDerivedKeyNeedsAllOfTheArgument(t *testing.T) {
	type hidden struct {
		Order string
		card  string
	}
	type tagged struct {
		Order string
		Card  string `json:"-"`
	}
	type nested struct{ Items []map[string]*hidden }
	type recursive struct {
		Order string
		Next  *recursive
	}
	type embedded struct{ recursive }
	type dated struct{ At time.Time } // which has unexported fields and encodes itself

	refused := func(name string, err error) {
		t.Helper()
		if !errors.As(err, new(*idempotency.ConfigurationError)) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	refused("unexported", called(t, hidden{"a", "1"}, nil))
	refused("tagged", called(t, tagged{}, nil))
	refused("nested", called(t, nested{}, nil))
	for name, err := range map[string]error{
		"own key":   called(t, hidden{"a", "1"}, func(h hidden) string { return h.Order + h.card }),
		"recursive": called(t, recursive{}, nil),
		"embedded":  called(t, embedded{}, nil),
		"time":      called(t, dated{}, nil),
		"text":      called(t, "plain", nil),
	} {
		if err != nil {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func called[In any](t *testing.T, in In, key func(In) string) error {
	t.Helper()
	g, _ := newGuard(t, newStore(t), idempotency.Config{})
	runs := 0
	_, err := idempotency.Wrap(g, "charge", key, counting[In](&runs))(t.Context(), in)
	if (err == nil) != (runs == 1) {
		t.Errorf("%d runs with the error %v", runs, err)
	}
	return err
}
