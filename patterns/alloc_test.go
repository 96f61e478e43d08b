//go:build !race

package patterns_test

import (
	"context"
	"testing"

	"github.com/steadyfx/steady/patterns"
)

func TestComposedPoliciesAllocateNothing(t *testing.T) {
	a, b, c := &layer{sequential: true}, &layer{}, &layer{sequential: true}
	for name, p := range map[string]patterns.Policy{
		"flat":            patterns.Compose(a, b, c),
		"nested left":     patterns.Compose(patterns.Compose(a, b), c),
		"nested right":    patterns.Compose(a, patterns.Compose(b, c)),
		"direct outside":  patterns.Compose(patterns.Direct{}, a, b),
		"direct between":  patterns.Compose(a, patterns.Direct{}, b),
		"direct inside":   patterns.Compose(a, b, patterns.Direct{}),
		"only directs":    patterns.Compose(patterns.Direct{}, patterns.Direct{}),
		"nothing at all":  patterns.Compose(),
		"nils in between": patterns.Compose(nil, a, nil, b),
	} {
		if n := allocations(t, p); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestPolicyThatKnowsOnlyExecuteCostsOneClosure(t *testing.T) {
	foreign := plain(func(ctx context.Context, op patterns.Operation) error { return op(ctx) })
	for name, tt := range map[string]struct {
		p    patterns.Policy
		want float64
	}{
		"outermost":       {patterns.Compose(foreign, &layer{}), 1},
		"in between":      {patterns.Compose(&layer{}, foreign, &layer{}), 1},
		"twice":           {patterns.Compose(foreign, &layer{}, foreign, &layer{}), 2},
		"innermost, none": {patterns.Compose(&layer{}, foreign), 0},
	} {
		if n := allocations(t, tt.p); n != tt.want {
			t.Errorf("%s: %v allocations, want %v", name, n, tt.want)
		}
	}
}

func allocations(t *testing.T, p patterns.Policy) float64 {
	ctx, op := t.Context(), func(context.Context) error { return nil }
	return testing.AllocsPerRun(1000, func() { _ = p.Execute(ctx, op) })
}

func TestWrapUnderASequentialPolicyAllocatesNothing(t *testing.T) {
	type order struct{ id, amount int }
	ctx := t.Context()
	for name, p := range map[string]patterns.Policy{
		"none":     nil,
		"direct":   patterns.Direct{},
		"layer":    &layer{sequential: true},
		"composed": patterns.Compose(&layer{sequential: true}, attempts(3)),
	} {
		fn := patterns.Wrap(p, func(_ context.Context, o order) (order, error) { return o, nil })
		n := testing.AllocsPerRun(1000, func() {
			if got, err := fn(ctx, order{1, 2}); got.amount != 2 || err != nil {
				t.Errorf("%s: got %v, %v", name, got, err)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
