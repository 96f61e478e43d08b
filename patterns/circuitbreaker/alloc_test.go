//go:build !race

package circuitbreaker_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
)

func TestHotPathsDoNotAllocate(t *testing.T) {
	ctx := context.Background()
	closed := newBreaker(t, circuitbreaker.Config{})
	forced := newBreaker(t, circuitbreaker.Config{})
	forced.ForceOpen()
	bounded := newBreaker(t, circuitbreaker.DefaultConfig())
	for name, b := range map[string]*circuitbreaker.Breaker{
		"closed": closed, "rejecting": forced,
		"closed, by count": newBreaker(t, circuitbreaker.Config{SlidingWindowCalls: 100}),
		"closed, measured": newBreaker(t, circuitbreaker.Config{SlowCallDuration: time.Second}),
	} {
		if n := testing.AllocsPerRun(1000, func() { _ = b.Execute(ctx, succeed) }); n != 0 {
			t.Errorf("%s: %v allocations per call", name, n)
		}
	}
	if n := testing.AllocsPerRun(1000, func() { _ = bounded.Execute(ctx, succeed) }); n > 1 {
		t.Errorf("with a timeout: %v allocations per call, one is allowed", n)
	}
}

func TestHundredThousandBreakersFitIntoMemory(t *testing.T) {
	const breakers, mostBytes = 100_000, 160 << 20
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	r, err := circuitbreaker.NewRegistry(patterns.Instances[circuitbreaker.Config]{})
	if err != nil {
		t.Fatal(err)
	}
	before, goroutines := heap(), runtime.NumGoroutine()
	for i := range breakers {
		b, err := r.GetOrCreate(fmt.Sprintf("tenant-%d", i))
		if err != nil {
			t.Fatal(err)
		}
		_ = b.Execute(t.Context(), fail)
	}
	if used := heap() - before; used > mostBytes {
		t.Errorf("%d bytes for a breaker", used/breakers)
	} else {
		t.Logf("%d bytes for a breaker", used/breakers)
	}
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("%d goroutines more", n-goroutines)
	}
	runtime.KeepAlive(r)
}
