package ratelimit_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns/ratelimit"
)

func BenchmarkTryAcquire(b *testing.B) {
	empty := newBucket(b, ratelimit.Config{Limit: 1, Period: 24 * time.Hour})
	empty.TryAcquire()
	full := newWindow(b, ratelimit.WindowConfig{Limit: 1, Period: 24 * time.Hour})
	full.TryAcquire()
	over := newCounter(b, ratelimit.WindowConfig{Limit: 1, Period: 24 * time.Hour})
	over.TryAcquire()
	for _, bm := range []struct {
		name string
		l    ratelimit.Limiter
	}{
		{"token/allowed", newBucket(b, ratelimit.Config{Limit: 1e9, Burst: 1 << 30})},
		{"token/denied", empty},
		{"window/allowed", newWindow(b, ratelimit.WindowConfig{Limit: 1000, Period: time.Microsecond})},
		{"window/denied", full},
		{"counter/allowed", newCounter(b, ratelimit.WindowConfig{Limit: 1 << 20, Period: 5 * time.Millisecond})},
		{"counter/denied", over},
	} {
		b.Run(bm.name+"/serial", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bm.l.TryAcquire()
			}
		})
		b.Run(bm.name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					bm.l.TryAcquire()
				}
			})
		})
	}
}

func BenchmarkKeyed(b *testing.B) {
	k := newKeyed(b, ratelimit.KeyedConfig{Limit: 1e6, Burst: 1 << 30})
	keys := make([]string, 1024)
	for i := range keys {
		keys[i] = fmt.Sprintf("tenant-%d", i)
	}
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			k.TryAcquire(keys[i%len(keys)])
		}
	})
	b.Run("policy", func(b *testing.B) {
		ctx := context.Background()
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			_ = k.For(keys[i%len(keys)]).Execute(ctx, noop)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				k.TryAcquire(keys[i%len(keys)])
			}
		})
	})
}

// What a limiter adds to its store, and what a denial costs of which it knows.
func BenchmarkDistributed(b *testing.B) {
	store := newBackend(b).Store
	denied := newDistributed(b, ratelimit.DistributedConfig{Limit: 1, Period: 24 * time.Hour}, store)
	denied.TryAcquireN(1)
	allowed := newDistributed(b, ratelimit.DistributedConfig{Limit: 1e6, Period: time.Millisecond, Burst: 1 << 30},
		newBackend(b).Store)
	for name, d := range map[string]*ratelimit.Distributed{"allowed": allowed, "denied": denied} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				d.TryAcquire()
			}
		})
	}
}

func BenchmarkExecute(b *testing.B) {
	ctx := context.Background()
	l := newBucket(b, ratelimit.Config{Limit: 1e9, Burst: 1 << 30})
	b.ReportAllocs()
	for b.Loop() {
		_ = l.Execute(ctx, noop)
	}
}

func BenchmarkClock(b *testing.B) { // what an answer costs at the least
	start := time.Now()
	for b.Loop() {
		_ = time.Since(start)
	}
}
