package patterns_test

import (
	"context"
	"testing"

	"github.com/steadyfx/steady/patterns"
)

func double(_ context.Context, in int) (int, error) { return 2 * in, nil }

func policies() map[string]patterns.Policy {
	return map[string]patterns.Policy{
		"sequential": patterns.Compose(&layer{sequential: true}, &layer{sequential: true}),
		"guarded":    patterns.Compose(&layer{}, &layer{}),
	}
}

func BenchmarkExecute(b *testing.B) {
	ctx, op := context.Background(), func(context.Context) error { return nil }
	foreign := plain(func(ctx context.Context, op patterns.Operation) error { return op(ctx) })
	for name, p := range map[string]patterns.Policy{
		"direct":  patterns.Direct{},
		"linked":  patterns.Compose(&layer{}, &layer{}, &layer{}),
		"foreign": patterns.Compose(foreign, foreign, foreign),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = p.Execute(ctx, op)
			}
		})
	}
}

func BenchmarkDo(b *testing.B) {
	ctx := context.Background()
	for name, p := range policies() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = patterns.Do(ctx, p, func(ctx context.Context) (int, error) { return double(ctx, 21) })
			}
		})
	}
}

func BenchmarkWrap(b *testing.B) {
	ctx := context.Background()
	for name, p := range policies() {
		fn := patterns.Wrap(p, double)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = fn(ctx, 21)
			}
		})
		b.Run(name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_, _ = fn(ctx, 21)
				}
			})
		})
	}
}
