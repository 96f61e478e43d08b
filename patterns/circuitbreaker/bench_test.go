package circuitbreaker_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns/circuitbreaker"
)

// BenchmarkFloor is what the budget of a closed breaker is measured against: one read of the clock, one addition.
func BenchmarkFloor(b *testing.B) {
	start, n := time.Now(), atomic.Uint64{}
	b.Run("serial", func(b *testing.B) {
		for b.Loop() {
			n.Add(uint64(time.Since(start) & 1))
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				n.Add(uint64(time.Since(start) & 1))
			}
		})
	})
}

func BenchmarkClosed(b *testing.B) {
	br := newBreaker(b, circuitbreaker.Config{})
	ctx := context.Background()
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = br.Execute(ctx, succeed)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_ = br.Execute(ctx, succeed)
			}
		})
	})
}

func BenchmarkOpen(b *testing.B) {
	br := newBreaker(b, circuitbreaker.Config{FailureThreshold: 1})
	ctx := context.Background()
	_ = br.Execute(ctx, fail)
	b.ReportAllocs()
	for b.Loop() {
		_ = br.Execute(ctx, succeed)
	}
}

func BenchmarkClosedByCount(b *testing.B) {
	br := newBreaker(b, circuitbreaker.Config{SlidingWindowCalls: 100})
	ctx := context.Background()
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = br.Execute(ctx, succeed)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_ = br.Execute(ctx, succeed)
			}
		})
	})
}
