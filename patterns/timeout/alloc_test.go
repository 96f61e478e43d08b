//go:build !race

package timeout_test

import (
	"context"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns"
)

// One allocation, the context: so there is no timer, no channel and no entry in the parent.
func TestCallCostsOneAllocation(t *testing.T) {
	p := newPolicy(t, time.Minute)
	composed := p.Compose(patterns.Direct{})
	m := newManager(t, time.Minute)
	configure(t, m, "charge", time.Second)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	noop := func(context.Context) error { return nil }
	wrapped := patterns.Wrap(p, func(ctx context.Context, n int) (int, error) { return n, ctx.Err() })
	for name, run := range map[string]func(){
		"execute":  func() { _ = p.Execute(ctx, noop) },
		"error":    func() { _ = p.Execute(ctx, func(context.Context) error { return errBoom }) },
		"err":      func() { _ = p.Execute(ctx, func(ctx context.Context) error { return ctx.Err() }) },
		"deadline": func() { _ = p.Execute(ctx, func(ctx context.Context) error { ctx.Deadline(); return nil }) },
		"compose":  func() { _ = composed.Execute(ctx, noop) },
		"wrap":     func() { _, _ = wrapped(ctx, 1) },
		"manager":  func() { _ = m.Run(ctx, "charge", noop) },
	} {
		if n := testing.AllocsPerRun(1000, run); n != 1 {
			t.Errorf("%s: %v allocations per call", name, n)
		}
	}
	if n := testing.AllocsPerRun(1000, func() { m.For("charge"); m.For("refund") }); n != 0 {
		t.Errorf("%v allocations to look up a limit", n)
	}
}
