package pipeline_test

import (
	"context"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns/pipeline"
)

// three is bulkhead, circuit breaker and retry; four has the timeout as well.
func three(b testing.TB) *pipeline.Pipeline {
	cfg := full()
	cfg.Timeout = nil
	return newPipeline(b, cfg)
}

func four(b testing.TB) *pipeline.Pipeline { return newPipeline(b, full()) }

func BenchmarkPipeline(b *testing.B) {
	ctx := context.Background()
	for name, p := range map[string]*pipeline.Pipeline{"bulkhead+breaker+retry": three(b), "and timeout": four(b)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = p.Execute(ctx, succeed)
			}
		})
	}
	b.Run("one context.WithTimeout", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			_ = succeed(ctx)
			cancel()
		}
	})
}
