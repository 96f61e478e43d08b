//go:build !race

package hooks_test

import (
	"context"
	"testing"

	"github.com/steadyfx/steady/hooks"
)

func TestEmitWithoutAListenerAllocatesNothing(t *testing.T) {
	ctx := t.Context()
	var silent, other hooks.Bus
	hooks.On(&other, func(context.Context, hooks.CircuitClosed) {})
	removed := new(hooks.Bus)
	hooks.On(removed, func(context.Context, hooks.Event) {})()
	for name, bus := range map[string]*hooks.Bus{
		"no bus": nil, "no listener": &silent, "listener of another event": &other, "listener removed": removed,
	} {
		n := testing.AllocsPerRun(1000, func() {
			hooks.Emit(ctx, bus, hooks.CircuitOpened{Name: "payments", Failures: 5})
			if bus.Wanted(hooks.CircuitOpened{}) {
				t.Errorf("%s: wanted", name)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestEmitAllocatesOnceForAllListeners(t *testing.T) {
	ctx := t.Context()
	var bus hooks.Bus
	heard := 0
	for range 3 {
		hooks.On(&bus, func(_ context.Context, e hooks.CircuitOpened) { heard += e.Failures })
	}
	hooks.On(&bus, func(context.Context, hooks.Event) { heard++ })
	n := testing.AllocsPerRun(1000, func() {
		hooks.Emit(ctx, &bus, hooks.CircuitOpened{Name: "payments", Failures: 5})
	})
	if n != 1 || heard == 0 {
		t.Errorf("%v allocations", n)
	}
}
