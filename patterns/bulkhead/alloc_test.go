//go:build !race

package bulkhead_test

import (
	"context"
	"testing"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/bulkhead"
)

// Neither does it set a timer: that would be an allocation.
func TestPitfall31FreeSlotCostsNoAllocation(t *testing.T) {
	b := newBulkhead(t, bulkhead.Config{MaxConcurrent: 2})
	composed := b.Compose(newBulkhead(t, bulkhead.Config{MaxConcurrent: 1}))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	calls := 0
	op := func(context.Context) error { calls++; return nil }
	wrapped := patterns.Wrap(b, func(_ context.Context, n int) (int, error) { return n + 1, nil })
	for name, run := range map[string]func(){
		"execute": func() { _ = b.Execute(ctx, op) },
		"closure": func() { _ = b.Execute(ctx, func(context.Context) error { calls++; return nil }) },
		"compose": func() { _ = composed.Execute(ctx, op) },
		"wrap":    func() { _, _ = wrapped(ctx, 1) },
	} {
		if n := testing.AllocsPerRun(1000, run); n != 0 {
			t.Errorf("%s: %v allocations per call", name, n)
		}
	}
}

func TestFreeSlotOfAnAdaptiveBulkheadCostsNoAllocation(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, algorithm := range []bulkhead.Algorithm{bulkhead.AIMD, bulkhead.Gradient2, bulkhead.Vegas} {
		a := newAdaptive(t, bulkhead.AdaptiveConfig{Algorithm: algorithm})
		composed := a.Compose(newBulkhead(t, bulkhead.Config{MaxConcurrent: 1}))
		for name, run := range map[string]func(){
			"execute": func() { _ = a.Execute(ctx, noop) },
			"error":   func() { _ = a.Execute(ctx, func(context.Context) error { return errBoom }) },
			"compose": func() { _ = composed.Execute(ctx, noop) },
		} {
			if n := testing.AllocsPerRun(1000, run); n != 0 {
				t.Errorf("%s, %s: %v allocations per call", algorithm, name, n)
			}
		}
	}
}

func TestWeightedPermitCostsOneAllocation(t *testing.T) {
	b := newBulkhead(t, bulkhead.Config{MaxConcurrent: 3})
	n := testing.AllocsPerRun(1000, func() {
		permit, err := b.AcquireN(context.Background(), 3)
		if err != nil {
			t.Fatal(err)
		}
		permit.Release()
	})
	if n != 1 {
		t.Errorf("%v allocations, want the permit alone", n)
	}
}

func TestRejectionCostsOneAllocation(t *testing.T) {
	b := newBulkhead(t, bulkhead.Config{MaxConcurrent: 1})
	defer acquire(t, b).Release()
	if n := testing.AllocsPerRun(1000, func() { _ = b.Execute(context.Background(), noop) }); n != 1 {
		t.Errorf("%v allocations per rejection, want the error alone", n)
	}
}
