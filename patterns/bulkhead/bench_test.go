package bulkhead_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/steadyfx/steady/patterns/bulkhead"
)

func BenchmarkExecute(b *testing.B) {
	bh := newBulkhead(b, bulkhead.Config{MaxConcurrent: 1 << 20})
	ctx := context.Background()
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = bh.Execute(ctx, noop)
		}
	})
	b.Run("cancelable", func(b *testing.B) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		b.ReportAllocs()
		for b.Loop() {
			_ = bh.Execute(ctx, noop)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_ = bh.Execute(ctx, noop)
			}
		})
	})
}

func BenchmarkAdaptive(b *testing.B) {
	ctx := context.Background()
	for _, algorithm := range []bulkhead.Algorithm{bulkhead.AIMD, bulkhead.Gradient2, bulkhead.Vegas} {
		a := newAdaptive(b, bulkhead.AdaptiveConfig{Algorithm: algorithm})
		b.Run(string(algorithm)+"/serial", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = a.Execute(ctx, noop)
			}
		})
		b.Run(string(algorithm)+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_ = a.Execute(ctx, noop)
				}
			})
		})
	}
}

func BenchmarkAcquireN(b *testing.B) {
	bh := newBulkhead(b, bulkhead.Config{MaxConcurrent: 1 << 20})
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		permit, err := bh.AcquireN(ctx, 3)
		if err != nil {
			b.Fatal(err)
		}
		permit.Release()
	}
}

// BenchmarkQueued has four callers for each slot.
func BenchmarkQueued(b *testing.B) {
	bh := newBulkhead(b, bulkhead.Config{MaxConcurrent: 2, QueueSize: 1 << 20})
	ctx := context.Background()
	b.SetParallelism(4)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := bh.Execute(ctx, func(context.Context) error { runtime.Gosched(); return nil }); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkFull(b *testing.B) {
	bh := newBulkhead(b, bulkhead.Config{MaxConcurrent: 1})
	ctx := context.Background()
	permit, err := bh.Acquire(ctx)
	if err != nil {
		b.Fatal(err)
	}
	defer permit.Release()
	b.ReportAllocs()
	for b.Loop() {
		_ = bh.Execute(ctx, noop)
	}
}
