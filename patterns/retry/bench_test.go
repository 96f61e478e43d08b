package retry_test

import (
	"context"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/retry"
)

// BenchmarkFirstTrySuccess compares a retry around a success with the bare call.
func BenchmarkFirstTrySuccess(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	op := func(context.Context) error { return nil }
	var direct patterns.Policy = patterns.Direct{}
	p := mustNew(b, retry.Config{})
	bench := func(name string, p patterns.Policy) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := p.Execute(ctx, op); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	bench("direct", direct)
	bench("retry", p)
	bench("composed", patterns.Compose(p, p))
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := p.Execute(ctx, op); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

func BenchmarkExhausted(b *testing.B) {
	p := mustNew(b, retry.Config{MaxAttempts: 1})
	op := func(context.Context) error { return errBoom }
	b.ReportAllocs()
	for b.Loop() {
		if p.Execute(context.Background(), op) == nil {
			b.Fatal("no error")
		}
	}
}

func BenchmarkDelay(b *testing.B) {
	cfg := retry.DefaultConfig()
	for b.Loop() {
		if cfg.Delay(3) > time.Minute {
			b.Fatal("too long")
		}
	}
}

func BenchmarkFirstTrySuccessWithBudget(b *testing.B) {
	p := mustNew(b, retry.Config{}, retry.WithBudget(mustBudget(b, retry.BudgetConfig{})))
	op := func(context.Context) error { return nil }
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := p.Execute(context.Background(), op); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := p.Execute(context.Background(), op); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

func BenchmarkBudgetTryTake(b *testing.B) {
	budget := mustBudget(b, retry.BudgetConfig{})
	b.ReportAllocs()
	for b.Loop() {
		budget.TryTake()
	}
}
