package memstore_test

import (
	"context"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/memstore"
)

func BenchmarkClaimComplete(b *testing.B) {
	for _, entries := range []int{10_000, 1_000_000} {
		b.Run("entries="+strconv.Itoa(entries), func(b *testing.B) {
			b.Run("serial", func(b *testing.B) {
				m, keys := filled(b, entries)
				i := entries
				b.ReportAllocs()
				for b.Loop() {
					pair(b, m, keys[i%len(keys)])
					i++
				}
			})
			b.Run("parallel", func(b *testing.B) {
				m, keys := filled(b, entries)
				workers, all := new(atomic.Int64), runtime.GOMAXPROCS(0)
				b.ReportAllocs()
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					// Each has keys of its own, so that every claim is acquired.
					own := int(workers.Add(1) - 1)
					for i := entries + own; pb.Next(); i += all {
						pair(b, m, keys[i%len(keys)])
					}
				})
			})
		})
	}
}

func BenchmarkReplay(b *testing.B) {
	m, keys := filled(b, 10_000)
	req := idempotency.ClaimRequest{Lease: time.Minute}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		req.Key = keys[i%10_000]
		if _, err := m.Claim(context.Background(), req); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// BenchmarkGC is the cost of a garbage collection while the store holds records, and for how long it stops the program.
func BenchmarkGC(b *testing.B) {
	for _, entries := range []int{1, 10_000, 1_000_000} {
		b.Run("entries="+strconv.Itoa(entries), func(b *testing.B) {
			m, _ := filled(b, entries)
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for b.Loop() {
				runtime.GC()
			}
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.PauseTotalNs-before.PauseTotalNs)/float64(after.NumGC-before.NumGC), "pause-ns/op")
			runtime.KeepAlive(m)
		})
	}
}

// filled returns a full store, and keys, of which the store holds the first half.
func filled(b *testing.B, entries int) (*memstore.Idempotency, []string) {
	b.Helper()
	m, err := memstore.NewIdempotency(memstore.Config{MaxEntries: entries})
	if err != nil {
		b.Fatal(err)
	}
	keys := make([]string, 2*entries)
	for i := range keys {
		keys[i] = "order-" + strconv.Itoa(i)
	}
	for _, key := range keys[:entries] {
		pair(b, m, key)
	}
	return m, keys
}

var result = make([]byte, 100)

func pair(b *testing.B, m *memstore.Idempotency, key string) {
	c, err := m.Claim(context.Background(), idempotency.ClaimRequest{Key: key, Lease: 30 * time.Second, Retention: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	if c.Outcome != idempotency.Acquired {
		return
	}
	if err := m.Complete(context.Background(), key, c.Token, result, time.Hour); err != nil {
		b.Fatal(err)
	}
}
