package timeout_test

import (
	"context"
	"testing"
	"time"
)

func BenchmarkExecute(b *testing.B) {
	noop := func(context.Context) error { return nil }
	done := func(ctx context.Context) error { _ = ctx.Done(); return nil }
	standardLibrary := func(ctx context.Context, op func(context.Context) error) error {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		return op(ctx)
	}
	p := newPolicy(b, time.Minute)
	canceled, cancel := context.WithCancel(b.Context())
	defer cancel()
	for _, parent := range []struct {
		name string
		ctx  context.Context
	}{{"background", context.Background()}, {"cancelable", canceled}} {
		for _, operation := range []struct {
			name string
			op   func(context.Context) error
		}{{"noop", noop}, {"done", done}} {
			b.Run("steady/"+parent.name+"/"+operation.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					_ = p.Execute(parent.ctx, operation.op)
				}
			})
			b.Run("context/"+parent.name+"/"+operation.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					_ = standardLibrary(parent.ctx, operation.op)
				}
			})
		}
	}
}

func BenchmarkDetached(b *testing.B) {
	p := newDetached(b, time.Minute)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		_ = p.Execute(ctx, func(context.Context) error { return nil })
	}
}
