//go:build !race

package circuitbreaker_test

import (
	"context"
	"testing"

	"github.com/steadyfx/steady/patterns/circuitbreaker"
)

func TestHotPathsDoNotAllocate(t *testing.T) {
	ctx := context.Background()
	closed := newBreaker(t, circuitbreaker.Config{})
	forced := newBreaker(t, circuitbreaker.Config{})
	forced.ForceOpen()
	bounded := newBreaker(t, circuitbreaker.DefaultConfig())
	for name, b := range map[string]*circuitbreaker.Breaker{"closed": closed, "rejecting": forced} {
		if n := testing.AllocsPerRun(1000, func() { _ = b.Execute(ctx, succeed) }); n != 0 {
			t.Errorf("%s: %v allocations per call", name, n)
		}
	}
	if n := testing.AllocsPerRun(1000, func() { _ = bounded.Execute(ctx, succeed) }); n > 1 {
		t.Errorf("with a timeout: %v allocations per call, one is allowed", n)
	}
}
