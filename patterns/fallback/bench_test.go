package fallback_test

import (
	"context"
	"testing"

	"github.com/steadyfx/steady/patterns/fallback"
)

func BenchmarkSuccess(b *testing.B) {
	c := mustNew[int](b).Add(fallback.Degrade(1))
	fn := func(context.Context) (int, error) { return 2, nil }
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Execute(b.Context(), fn); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFallback(b *testing.B) {
	c := mustNew[int](b).Add(fallback.Degrade(1))
	fn := func(context.Context) (int, error) { return 0, errBoom }
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Execute(b.Context(), fn); err != nil {
			b.Fatal(err)
		}
	}
}
