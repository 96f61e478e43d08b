//go:build !race

package fallback_test

import (
	"context"
	"testing"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/fallback"
)

func TestSuccessAllocatesNothing(t *testing.T) {
	ctx := t.Context()
	chain := mustNew(t, fallback.WithRecover[int]()).Add(fallback.Degrade(1))
	fn := func(context.Context) (int, error) { return 2, nil }
	with := fallback.With(chain, func(_ context.Context, in int) (int, error) { return in, nil })
	policy := patterns.Compose(fallback.NewPolicy(mustNew[struct{}](t).Add(fallback.Degrade(struct{}{}))), times(1))
	op := func(context.Context) error { return nil }
	for name, call := range map[string]func(){
		"Chain":  func() { _, _ = chain.Execute(ctx, fn) },
		"With":   func() { _, _ = with(ctx, 3) },
		"Policy": func() { _ = policy.Execute(ctx, op) },
	} {
		if allocs := testing.AllocsPerRun(100, call); allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}
