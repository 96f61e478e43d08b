package hedge_test

import (
	"context"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns/hedge"
)

func BenchmarkFirstAttemptIsFast(b *testing.B) {
	op := func(context.Context) error { return nil }
	for name, cfg := range map[string]hedge.Config{
		"fixed delay": {Delay: time.Hour}, "quantile": {Delay: time.Hour, Quantile: 0.95},
	} {
		b.Run(name, func(b *testing.B) {
			p := mustNew(b, cfg)
			b.ReportAllocs()
			for b.Loop() {
				if err := p.Execute(context.Background(), op); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
