//go:build !race

package retry_test

import (
	"context"
	"testing"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/retry"
)

func TestFirstTrySuccessAllocatesNothing(t *testing.T) {
	ctx, op := t.Context(), func(context.Context) error { return nil }
	var bus hooks.Bus
	alone := mustNew(t, retry.Config{}, retry.WithBus(&bus))
	for name, p := range map[string]patterns.Policy{
		"alone":    alone,
		"composed": patterns.Compose(alone, mustNew(t, retry.Config{})),
	} {
		if n := testing.AllocsPerRun(1000, func() { _ = p.Execute(ctx, op) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestBudgetAllocatesNothing(t *testing.T) {
	ctx, op := t.Context(), func(context.Context) error { return nil }
	budget := mustBudget(t, retry.BudgetConfig{})
	p := mustNew(t, retry.Config{}, retry.WithBudget(budget))
	for name, f := range map[string]func(){
		"first-try success": func() { _ = p.Execute(ctx, op) },
		"taking":            func() { budget.TryTake() },
	} {
		if n := testing.AllocsPerRun(1000, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
