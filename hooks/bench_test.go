package hooks_test

import (
	"context"
	"testing"

	"github.com/steadyfx/steady/hooks"
)

func BenchmarkEmit(b *testing.B) {
	var silent, inLine hooks.Bus
	heard := 0
	hooks.On(&inLine, func(_ context.Context, e hooks.CircuitRejected) { heard += len(e.Name) })
	buses := []struct {
		name string
		bus  *hooks.Bus
	}{{"no bus", nil}, {"no listener", &silent}, {"one listener", &inLine}}
	for _, bb := range buses {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				hooks.Emit(context.Background(), bb.bus, hooks.CircuitRejected{Name: "payments", State: "open"})
			}
		})
	}
	b.Run("subscription", func(b *testing.B) {
		var bus hooks.Bus
		hooks.Subscribe(&bus, 0, func(hooks.CircuitRejected) {})
		b.ReportAllocs()
		for b.Loop() {
			hooks.Emit(context.Background(), &bus, hooks.CircuitRejected{Name: "payments", State: "open"})
		}
		if err := bus.Close(context.Background()); err != nil {
			b.Fatal(err)
		}
	})
}
