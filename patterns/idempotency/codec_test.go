package idempotency_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

func guardWith(t testing.TB, store idempotency.Store, opts ...idempotency.Option) *idempotency.Guard {
	t.Helper()
	g, err := idempotency.New(store, idempotency.Config{}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// shape is what an interface holds in tests of gob.
type shape interface{ Area() float64 }

type square struct{ Side float64 }

func (s square) Area() float64 { return s.Side * s.Side }

func replaysByGob[T any](t *testing.T, v T) {
	t.Helper()
	g := guardWith(t, newStore(t), idempotency.WithCodec(idempotency.GobCodec{}))
	runs := 0
	for range 2 {
		result, err := idempotency.Do(t.Context(), g, charge("k"), returning(&runs, v))
		if err != nil || !reflect.DeepEqual(result.Value, v) {
			t.Errorf("%#v: got %#v and %v", v, result.Value, err)
		}
	}
	wantEqual(t, "runs", runs, 1)
}

func TestGobReplaysWhatItIsGiven(t *testing.T) {
	gob.Register(square{})
	replaysByGob(t, 0)
	replaysByGob(t, "")
	replaysByGob(t, "text")
	replaysByGob(t, struct{}{})
	replaysByGob[*int](t, nil)
	replaysByGob[[]int](t, nil)
	replaysByGob(t, []int{1, 2})
	replaysByGob[map[string]int](t, nil)
	replaysByGob[shape](t, nil)
	replaysByGob[shape](t, square{2})
	replaysByGob(t, &payment{Order: "a", Amount: math.MaxInt64})
	replaysByGob(t, math.Inf(1)) // which JSON cannot hold
	replaysByGob(t, complex(1, 2))
}

func TestTypeThatGobCannotHoldIsRefusedBeforeTheRun(t *testing.T) {
	g := guardWith(t, newStore(t), idempotency.WithCodec(idempotency.GobCodec{}))
	runs := 0
	_, err := idempotency.Do(t.Context(), g, charge("k"), returning(&runs, &struct{ hidden int }{1}))
	wantError[*idempotency.ConfigurationError](t, err)
	_, err = idempotency.Do(t.Context(), g, charge("k"), returning(&runs, make(chan int)))
	wantError[*idempotency.ConfigurationError](t, err)
	wantEqual(t, "runs", runs, 0)
}

// shouting is a codec of a service: it knows texts, and reads those of its own version only.
type shouting struct{ version int }

func (s shouting) Name() string { return fmt.Sprintf("shout/%d", s.version) }

func (s shouting) Marshal(v any) ([]byte, error) {
	text, ok := v.(*string)
	if !ok {
		return nil, errors.New("no text")
	}
	return []byte(strings.ToUpper(*text) + strings.Repeat("!", s.version)), nil
}

func (s shouting) Unmarshal(data []byte, v any) error {
	text, ok := bytes.CutSuffix(data, bytes.Repeat([]byte("!"), s.version))
	if !ok || bytes.HasSuffix(text, []byte("!")) {
		return fmt.Errorf("not of version %d: %s", s.version, data)
	}
	*v.(*string) = string(text)
	return nil
}

func TestResultIsReadByTheCodecThatWroteIt(t *testing.T) {
	store := newStore(t)
	asJSON := guardWith(t, store)
	v1 := guardWith(t, store, idempotency.WithCodec(shouting{1}))
	v2 := guardWith(t, store, idempotency.WithCodec(shouting{2}, shouting{1}))
	forgetful := guardWith(t, store, idempotency.WithCodec(shouting{2}))
	for name, test := range map[string]struct {
		writer *idempotency.Guard
		want   string
		reads  []*idempotency.Guard
		not    []*idempotency.Guard
	}{
		"json": {asJSON, "hey", []*idempotency.Guard{asJSON, v1, v2, forgetful}, nil},
		"v1":   {v1, "HEY", []*idempotency.Guard{v1, v2}, []*idempotency.Guard{asJSON, forgetful}},
		"v2":   {v2, "HEY", []*idempotency.Guard{v2, forgetful}, []*idempotency.Guard{asJSON, v1}},
	} {
		runs := 0
		if _, err := idempotency.Do(t.Context(), test.writer, charge(name), returning(&runs, "hey")); err != nil {
			t.Fatal(err)
		}
		for i, g := range test.reads {
			got, err := idempotency.Do(t.Context(), g, charge(name), returning(&runs, "again"))
			if err != nil || got.Value != test.want {
				t.Errorf("%s, reader %d: got %+v and %v", name, i, got, err)
			}
		}
		for i, g := range test.not {
			_, err := idempotency.Do(t.Context(), g, charge(name), returning(&runs, "again"))
			wantError[*idempotency.StoreError](t, err)
			if strings.Contains(err.Error(), "HEY") {
				t.Errorf("%s, reader %d: the error holds the result: %v", name, i, err)
			}
		}
		wantEqual(t, name+": runs", runs, 1)
	}
}

// clumsy is a codec that panics where it should not.
type clumsy struct{ idempotency.JSONCodec }

func (clumsy) Name() string                { return "clumsy" }
func (clumsy) Unmarshal([]byte, any) error { panic("ouch") }

func TestCodecThatPanicsIsAnError(t *testing.T) {
	g := guardWith(t, newStore(t), idempotency.WithCodec(clumsy{}))
	if _, err := idempotency.Do(t.Context(), g, charge("k"), returning(new(int), 1)); err != nil {
		t.Error(err)
	}
	_, err := idempotency.Do(t.Context(), g, charge("k"), returning(new(int), 1))
	wantError[*idempotency.StoreError](t, err)
}

func TestValueThatACodecCannotHoldUsesTheKeyUp(t *testing.T) {
	g := guardWith(t, newStore(t), idempotency.WithCodec(shouting{1}))
	runs := 0
	if got, err := idempotency.Do(t.Context(), g, charge("k"), returning(&runs, 7)); err != nil || got.Value != 7 {
		t.Errorf("got %+v and %v", got, err)
	}
	_, err := idempotency.Do(t.Context(), g, charge("k"), returning(&runs, 7))
	wantError[*idempotency.StoreError](t, err)
	wantEqual(t, "runs", runs, 1)
}

func TestStoredNonsenseOfACodecIsAnError(t *testing.T) {
	for name, stored := range map[string]string{
		"no name": "\x04", "half a name": "\x04\x09shou", "no data": "\x04\x07shout/1", "name only in part": "\x04\x05shout/1A!",
		"gob without a marker": "\x04\x03gob", "gob with another marker": "\x04\x03gob\x02", "nothing behind the marker": "\x04\x03gob\x01",
	} {
		g := guardWith(t, answering{newStore(t), idempotency.Claim{Outcome: idempotency.Done, Value: []byte(stored)}},
			idempotency.WithCodec(shouting{1}, idempotency.GobCodec{}))
		runs := 0
		_, err := idempotency.Do(t.Context(), g, charge("k"), returning(&runs, "hey"))
		if !errors.As(err, new(*idempotency.StoreError)) || runs != 0 {
			t.Errorf("%s: %d runs, %v", name, runs, err)
		}
	}
}

type nameless struct{ idempotency.JSONCodec }

func (nameless) Name() string { return "" }

func TestCodecsAreChecked(t *testing.T) {
	for _, test := range []struct {
		option idempotency.Option
		fields []string
	}{
		{idempotency.WithCodec(nil), []string{"codec[0]"}},
		{idempotency.WithCodec(nameless{}), []string{"codec[0]"}},
		{idempotency.WithCodec(shouting{1}, shouting{2}, shouting{1}, nil), []string{"codec[2]", "codec[3]"}},
	} {
		_, err := idempotency.New(newStore(t), idempotency.Config{Wait: -1}, test.option)
		wantError[*idempotency.ConfigurationError](t, err)
		wantEqual(t, "fields", fieldsOf(err), append([]string{"wait"}, test.fields...))
	}
}

type sealed struct {
	Order  string
	amount int
}

// Else the first caller would get what no duplicate gets.
func TestResultThatJSONWouldNotHoldInFullIsRefusedBeforeTheRun(t *testing.T) {
	g := guardWith(t, newStore(t))
	_, err := idempotency.Do(t.Context(), g, charge("k"), func(context.Context) (*[]sealed, error) {
		t.Error("was run")
		return nil, nil
	})
	wantError[*idempotency.ConfigurationError](t, err)
	if !strings.Contains(err.Error(), "amount") {
		t.Errorf("error %v, want the field", err)
	}
	_, err = idempotency.Do(t.Context(), guardWith(t, newStore(t), idempotency.WithCodec(shouting{1})), charge("k"),
		returning(new(int), sealed{Order: "a", amount: 1}))
	if err != nil {
		t.Errorf("a codec of one's own knows what it holds: %v", err)
	}
}

type base struct{ Order string }

func TestResultMayHaveFieldsThatAreToBeLeftOut(t *testing.T) {
	type partial struct {
		base

		_      struct{}
		Paid   time.Time
		Cached string `json:"-"`
	}
	g, runs := guardWith(t, newStore(t)), 0
	want := partial{base: base{"a"}, Paid: time.Unix(1, 0).UTC()}
	for range 2 {
		result, err := idempotency.Do(t.Context(), g, charge("k"), returning(&runs, want))
		if err != nil || result.Value != want {
			t.Errorf("got %+v and %v", result.Value, err)
		}
	}
	wantEqual(t, "runs", runs, 1)
}
