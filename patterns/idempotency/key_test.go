package idempotency_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

func keyOf(t *testing.T, operation string, arguments ...any) string {
	t.Helper()
	key, err := idempotency.KeyOf(operation, arguments...)
	if err != nil {
		t.Fatalf("%v: %v", arguments, err)
	}
	wantEqual(t, "length", len(key), 64)
	return key
}

func TestEqualArgumentsHaveOneKey(t *testing.T) {
	type old struct {
		A int `json:"a"`
		B any `json:"b"`
	}
	type reordered struct { // as a later version of the program has it
		B any `json:"b"`
		A int `json:"a"`
	}
	want := keyOf(t, "charge", old{1, map[string]int{"x": 1, "y": 2}})
	for name, argument := range map[string]any{
		"again": old{1, map[string]int{"y": 2, "x": 1}}, "pointer": &old{1, map[string]int{"x": 1, "y": 2}},
		"reordered": reordered{map[string]int{"x": 1, "y": 2}, 1},
		"raw":       json.RawMessage(` {"b": {"y": 2, "x": 1}, "a": 1} `),
		"map":       map[string]any{"b": json.RawMessage(`{"y":2,"x":1}`), "a": 1},
	} {
		wantEqual(t, name, keyOf(t, "charge", argument), want)
	}
}

func TestDifferentArgumentsHaveDifferentKeys(t *testing.T) {
	huge, _ := new(big.Int).SetString("123456789012345678901234567890", 10)
	huger := new(big.Int).Add(huge, big.NewInt(1))
	seen := map[string]int{}
	for i, call := range []struct {
		operation string
		arguments []any
	}{
		{"charge", nil}, {"refund", nil}, {"charge", []any{nil}}, {"charge", []any{""}}, {"charge", []any{0}},
		{"charge", []any{"a", "b"}}, {"charge", []any{"b", "a"}}, {"charge", []any{[]string{"a", "b"}}},
		{"charge", []any{"ab"}}, {"charge", []any{"AB"}}, {"chargea", []any{"b"}},
		{"charge", []any{int64(1 << 53)}}, {"charge", []any{int64(1<<53 + 1)}}, // one number as a float64
		{"charge", []any{map[string]any{"n": uint64(math.MaxUint64)}}},
		{"charge", []any{map[string]any{"n": uint64(math.MaxUint64 - 1)}}},
		{"charge", []any{map[string]any{"n": huge}}}, {"charge", []any{map[string]any{"n": huger}}},
		{"charge", []any{map[string]any{"n": json.RawMessage("123456789012345678901234567890.1")}}},
		{"charge", []any{map[string]any{"n": json.RawMessage("123456789012345678901234567890.2")}}},
		{"charge", []any{"\ufffd"}}, {"charge", []any{`\ufffd`}}, {"charge", []any{map[string]any{`\\ufffd`: 1}}},
		{"charge", []any{time.Unix(0, 0).UTC()}}, {"charge", []any{time.Unix(0, 1).UTC()}},
	} {
		key := keyOf(t, call.operation, call.arguments...)
		if other, taken := seen[key]; taken {
			t.Errorf("calls %d and %d have one key", other, i)
		}
		seen[key] = i
	}
}

type aContext struct{ context.Context }

type promoted struct{ ID int }

type hiddenInt int

// What JSON leaves out, or writes alike for different values, is refused wherever it is.
func TestArgumentsThatJSONDoesNotTellApartAreRefused(t *testing.T) {
	type holder struct{ V any }
	for name, argument := range map[string]any{
		"context":            t.Context(),
		"background":         context.Background(),
		"context in a field": struct{ C context.Context }{},
		"embedded context":   aContext{t.Context()},
		"function":           func() {},
		"no functions":       []func(){},
		"channel":            make(chan int),
		"not UTF-8":          "a\xff",
		"map key":            map[string]int{"\xff": 1},
		"unexported":         struct{ a int }{1},
		"tagged": struct {
			A int `json:"-"`
		}{1},
		"unexported embedded": struct{ hiddenInt }{1},
		"two of a name": struct {
			promoted
			Other string `json:"ID"`
		}{},
		"embedded in itself": ring{},
		"not a number":       math.NaN(),
		"stubborn":           stubborn(true),
	} {
		for where, value := range map[string]any{
			"itself": argument, "pointer": &argument, "interface": holder{argument}, "deep": []any{map[string]any{"x": &holder{argument}}},
		} {
			key, err := idempotency.KeyOf("charge", 1, value)
			if !errors.As(err, new(*idempotency.ConfigurationError)) || key != "" {
				t.Errorf("%s, %s: got %q and %v", name, where, key, err)
				continue
			}
			wantEqual(t, name+": fields", fieldsOf(err), []string{"arguments[1]"})
		}
	}
	for name, argument := range map[string]any{
		"nil pointer": (*payment)(nil), "nil": nil, "embedded": struct{ promoted }{}, "encodes itself": struct{ At *time.Time }{},
		"shared": []*payment{{}, {}}, "recursive": loop{Next: &loop{}},
	} {
		if _, err := idempotency.KeyOf("charge", argument, map[string]any{"x": argument}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// ring holds itself as a part, of which JSON shows no more than one.
type ring struct {
	*ring //nolint:unused // encoding/json looks at it
	A     int
}

type loop struct {
	*inner
	Next *loop
}

type inner struct{ A int }

func TestWrappedFunctionWithAKeyRefusesWhatIsNotData(t *testing.T) {
	type request struct {
		ID   string
		Ctx  any
		note string
	}
	g, _ := newGuard(t, newStore(t), idempotency.Config{})
	runs := 0
	wrapped := idempotency.Wrap(g, "charge", func(r request) string { return r.ID }, counting[request](&runs))
	for _, not := range []any{t.Context(), func() {}, make(chan int), "\xff"} {
		_, err := wrapped(t.Context(), request{ID: "a", Ctx: not})
		wantError[*idempotency.ConfigurationError](t, err)
	}
	wantEqual(t, "runs", runs, 0)
	for _, note := range []string{"first", "second"} { // which is not compared
		if _, err := wrapped(t.Context(), request{ID: "a", Ctx: 1, note: note}); err != nil {
			t.Error(err)
		}
	}
	wantEqual(t, "runs", runs, 1)
}

type tenantKey struct{}

func TestWrappedCallDependsOnTheContextAndTheArgument(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		g, _ := newGuard(t, store, idempotency.Config{})
		runs := 0
		wrapped := idempotency.WrapCall(g, func(ctx context.Context, p payment) (idempotency.Call, error) {
			tenant, ok := ctx.Value(tenantKey{}).(string)
			if !ok {
				return idempotency.Call{}, errBoom
			}
			call := idempotency.Call{Operation: "charge", Scope: tenant, Key: p.Order, TTL: time.Minute}
			if p.Notes != nil {
				call.Fingerprint = []byte("chosen")
			}
			return call, nil
		}, counting[payment](&runs))
		seven := context.WithValue(t.Context(), tenantKey{}, "7")
		eight := context.WithValue(t.Context(), tenantKey{}, "8")
		call := func(ctx context.Context, p payment) int {
			t.Helper()
			got, err := wrapped(ctx, p)
			if err != nil {
				t.Errorf("%+v: %v", p, err)
			}
			return got
		}
		wantEqual(t, "seven", call(seven, payment{Order: "a"}), 1)
		wantEqual(t, "eight", call(eight, payment{Order: "a"}), 2)
		wantEqual(t, "seven again", call(seven, payment{Order: "a"}), 1)
		_, err := wrapped(seven, payment{Order: "a", Amount: 1})
		wantError[*idempotency.DuplicateRequestError](t, err)
		wantEqual(t, "own fingerprint", call(seven, payment{Order: "b", Amount: 1, Notes: map[string]int{}}), 3)
		wantEqual(t, "own fingerprint again", call(seven, payment{Order: "b", Amount: 2, Notes: map[string]int{}}), 3)
		if _, err = wrapped(t.Context(), payment{Order: "a"}); err != errBoom {
			t.Errorf("nobody: got %v", err)
		}
		_, err = wrapped(seven, payment{})
		wantEqual(t, "fields", fieldsOf(err), []string{"key"})
		time.Sleep(time.Minute)
		wantEqual(t, "after its time", call(seven, payment{Order: "a"}), 4)
	})
}

func TestWrappedCallNeedsAnArgumentThatCanBeCompared(t *testing.T) {
	g, _ := newGuard(t, newStore(t), idempotency.Config{})
	runs := 0
	wrapped := idempotency.WrapCall(g, func(_ context.Context, in any) (idempotency.Call, error) {
		call := charge("k")
		if _, own := in.(error); own {
			call.Fingerprint = []byte("own")
		}
		return call, nil
	}, counting[any](&runs))
	_, err := wrapped(t.Context(), t.Context())
	wantEqual(t, "fields", fieldsOf(err), []string{"argument"})
	if _, err = wrapped(t.Context(), &declinedError{}); err != nil {
		t.Error(err)
	}
	wantEqual(t, "runs", runs, 1)
}

func TestFunctionLearnsWhichCallItActsFor(t *testing.T) {
	g, _ := newGuard(t, newStore(t), idempotency.Config{})
	call := idempotency.Call{Operation: "charge", Scope: "7", Key: "k", Fingerprint: []byte("a"), TTL: time.Minute}
	type known struct{}
	ctx := context.WithValue(t.Context(), known{}, "value")
	result, err := idempotency.Do(ctx, g, call, func(ctx context.Context) (int64, error) {
		got, ok := idempotency.CallOf(ctx)
		if !ok {
			t.Error("no call")
		}
		wantEqual(t, "call", got, call)
		wantEqual(t, "outer value", ctx.Value(known{}), any("value"))
		fence, ok := idempotency.FenceOf(ctx)
		if !ok || fence == 0 {
			t.Errorf("fence %d, %t", fence, ok)
		}
		child, cancel := context.WithCancel(ctx)
		cancel()
		wantEqual(t, "context of the function", ctx.Err(), error(nil))
		_, ok = idempotency.FenceOf(child)
		wantEqual(t, "fence of a child", ok, true)
		return fence, nil
	})
	if err != nil || result.Fence != result.Value {
		t.Errorf("got %+v and %v", result, err)
	}
	if fence, ok := idempotency.FenceOf(t.Context()); ok {
		t.Errorf("fence outside of a call: %d", fence)
	}
}

func TestKeysHoldNothingOfTheArguments(t *testing.T) {
	if key := keyOf(t, "charge", "secret"); strings.Trim(key, "0123456789abcdef") != "" {
		t.Errorf("got %q", key)
	}
	_, err := idempotency.KeyOf("charge", map[string]any{"secret": func() {}, "a": "secret"})
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the error holds an argument: %v", err)
	}
}
