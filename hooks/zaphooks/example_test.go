package zaphooks_test

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/hooks/zaphooks"
)

func Example() {
	cfg := zap.NewProductionConfig()
	cfg.OutputPaths = []string{"stdout"}
	cfg.EncoderConfig.TimeKey = "" // so that the output is the same each time
	log, err := cfg.Build()
	if err != nil {
		fmt.Println(err)
		return
	}
	var bus hooks.Bus
	zaphooks.Attach(&bus, log)

	ctx := context.Background()
	hooks.Emit(ctx, &bus, hooks.CircuitOpened{Name: "payments", Failures: 5, Calls: 5, RetryAfter: time.Minute})
	hooks.Emit(ctx, &bus, hooks.CircuitRejected{Name: "payments", State: "open"}) // below the level of the logger
	hooks.Emit(ctx, &bus, hooks.CircuitClosed{Name: "payments"})
	if err := bus.Close(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// {"level":"warn","msg":"circuit breaker opened: calls are rejected until probes succeed","name":"payments","consecutive":0,"failures":5,"slow":0,"calls":5,"retry_after":60,"event":"circuit_breaker.opened"}
	// {"level":"info","msg":"circuit breaker closed: calls go through again","name":"payments","event":"circuit_breaker.closed"}
}
