package hooks_test

import (
	"context"
	"fmt"

	"github.com/steadyfx/steady/hooks"
)

// A listener in line counts, a subscriber off the caller's path may take its time.
func Example() {
	var bus hooks.Bus
	trips := 0
	remove := hooks.On(&bus, func(context.Context, hooks.CircuitOpened) { trips++ })
	defer remove()
	hooks.Subscribe(&bus, 0, func(e hooks.Event) { fmt.Println("page:", e.EventName()) })

	ctx := context.Background()
	hooks.Emit(ctx, &bus, hooks.CircuitOpened{Name: "payments", Failures: 5})
	hooks.Emit(ctx, &bus, hooks.CircuitClosed{Name: "payments"})

	if err := bus.Close(ctx); err != nil { // waits for the subscriber
		fmt.Println(err)
	}
	fmt.Println("trips:", trips)
	// Output:
	// page: circuit_breaker.opened
	// page: circuit_breaker.closed
	// trips: 1
}

func ExampleBus_Stats() {
	var bus hooks.Bus
	hooks.On(&bus, func(_ context.Context, e hooks.TimedOut) { panic("no handler for " + e.Operation) })
	hooks.On(&bus, func(_ context.Context, e hooks.ListenerPanicked) { fmt.Println(e.Event, e.Value) })
	hooks.Emit(context.Background(), &bus, hooks.TimedOut{Operation: "payments"})
	fmt.Println(bus.Stats().Panics)
	// Output:
	// timeout.expired no handler for payments
	// 1
}
