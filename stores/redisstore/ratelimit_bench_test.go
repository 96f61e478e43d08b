package redisstore_test

import (
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/steadyfx/steady/testkit/services"
)

// BenchmarkRateLimit has a raw SET beside the algorithms, at the same number of clients.
func BenchmarkRateLimit(b *testing.B) {
	url := services.Redis(b).URL
	for _, clients := range []int{1, 16} {
		client := dial(b, url, func(o *redis.Options) {
			o.PoolSize, o.MinIdleConns, o.ContextTimeoutEnabled = clients, clients, true
		})
		s, prefix := openRateLimit(b, client)
		run := func(name string, take func(b *testing.B, key string)) {
			b.Run(name+"/clients="+strconv.Itoa(clients), func(b *testing.B) {
				var next atomic.Int64
				b.ReportAllocs()
				b.ResetTimer()
				atOnce(clients, func() {
					for i := int(next.Add(1)); i <= b.N; i = int(next.Add(1)) {
						take(b, strconv.Itoa(i%1000))
					}
				})
			})
		}
		run("set", func(b *testing.B, key string) {
			if err := client.Set(b.Context(), prefix+key, "0123456789abcdef", time.Minute).Err(); err != nil {
				b.Error(err)
			}
		})
		for name, req := range requests(1, 1000, time.Second) {
			run(name, func(b *testing.B, key string) {
				req := req // of this goroutine
				req.Key = key
				if _, err := s.Take(b.Context(), req); err != nil {
					b.Error(err)
				}
			})
		}
	}
}
