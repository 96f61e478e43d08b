package redisstore_test

import (
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/redisstore"
	"github.com/steadyfx/steady/testkit/services"
)

// BenchmarkIdempotency has a raw SET beside the operations, at the same number of clients: they should cost no more
// than a quarter more.
func BenchmarkIdempotency(b *testing.B) {
	url := services.Redis(b).URL
	value := make([]byte, 100)
	req := func(key string) idempotency.ClaimRequest {
		return idempotency.ClaimRequest{Key: key, Lease: time.Minute, Retention: time.Minute, Fingerprint: value[:32]}
	}
	type operation = func(b *testing.B, key string)
	operations := []struct {
		name  string
		start func(b *testing.B, client *redis.Client, s *redisstore.Idempotency) operation
	}{
		{"set", func(_ *testing.B, client *redis.Client, _ *redisstore.Idempotency) operation {
			return func(b *testing.B, key string) {
				if err := client.Set(b.Context(), key, value, time.Minute).Err(); err != nil {
					b.Error(err)
				}
			}
		}},
		{"claim", func(_ *testing.B, _ *redis.Client, s *redisstore.Idempotency) operation {
			return func(b *testing.B, key string) {
				if c, err := s.Claim(b.Context(), req(key)); err != nil || c.Outcome != idempotency.Acquired {
					b.Error(c.Outcome, err)
				}
			}
		}},
		{"complete", func(b *testing.B, _ *redis.Client, s *redisstore.Idempotency) operation {
			tokens := make(map[string]idempotency.Token, b.N)
			for i := range b.N {
				key := strconv.Itoa(i)
				c, err := s.Claim(b.Context(), req(key))
				if err != nil {
					b.Fatal(err)
				}
				tokens[key] = c.Token
			}
			return func(b *testing.B, key string) {
				if err := s.Complete(b.Context(), key, tokens[key], value, time.Minute); err != nil {
					b.Error(err)
				}
			}
		}},
		{"replay", func(b *testing.B, _ *redis.Client, s *redisstore.Idempotency) operation {
			if err := s.Set(b.Context(), "k", value, time.Minute); err != nil {
				b.Fatal(err)
			}
			return func(b *testing.B, _ string) {
				if c, err := s.Claim(b.Context(), req("k")); err != nil || c.Outcome != idempotency.Done {
					b.Error(c.Outcome, err)
				}
			}
		}},
	}
	for _, clients := range []int{1, 16, 64} {
		b.Run("clients="+strconv.Itoa(clients), func(b *testing.B) {
			for _, o := range operations {
				b.Run(o.name, func(b *testing.B) {
					client := dial(b, url, func(o *redis.Options) {
						o.PoolSize, o.MinIdleConns, o.ContextTimeoutEnabled = clients, clients, true
					})
					run := o.start(b, client, open(b, client))
					var next atomic.Int64
					b.ReportAllocs()
					b.ResetTimer()
					atOnce(clients, func() {
						for i := int(next.Add(1)); i <= b.N; i = int(next.Add(1)) {
							run(b, strconv.Itoa(i-1))
						}
					})
				})
			}
		})
	}
}
