package redisstore_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func BenchmarkState(b *testing.B) {
	client := connect(b, func(o *redis.Options) { o.ContextTimeoutEnabled = true })
	s := openState(b, client)
	data := make([]byte, 100)
	version := swap(b, s, "k", 0, string(data), long)
	b.Run("raw SET", func(b *testing.B) {
		for b.Loop() {
			if err := client.Set(b.Context(), "test:raw", data, time.Minute).Err(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("swap", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			version = swap(b, s, "k", version, string(data), long)
		}
	})
	b.Run("get", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, found, err := s.Get(b.Context(), "k"); !found || err != nil {
				b.Fatal(found, err)
			}
		}
	})
}
