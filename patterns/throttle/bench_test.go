package throttle_test

import (
	"context"
	"testing"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/throttle"
)

func BenchmarkExecute(b *testing.B) {
	ctx := context.Background()
	failing := newAdaptive(b, throttle.AdaptiveConfig{})
	for range 1000 {
		_ = failing.Execute(ctx, fail)
	}
	for _, bm := range []struct {
		name string
		p    patterns.Policy
		op   patterns.Operation
	}{
		{"throttler", newThrottler(b, throttle.Config{Calls: 1e9, Burst: 1 << 30}), noop},
		{"adaptive", newAdaptive(b, throttle.AdaptiveConfig{}), noop},
		{"adaptive/rejecting", failing, fail},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = bm.p.Execute(ctx, bm.op)
			}
		})
		b.Run(bm.name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_ = bm.p.Execute(ctx, bm.op)
				}
			})
		})
	}
}
