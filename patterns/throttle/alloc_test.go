//go:build !race

package throttle_test

import (
	"testing"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/throttle"
)

func TestCallThatIsLetThroughCostsNoAllocation(t *testing.T) {
	th := newThrottler(t, throttle.Config{Calls: 1e9, Burst: 1 << 30})
	a := newAdaptive(t, throttle.AdaptiveConfig{})
	for name, p := range map[string]patterns.Policy{"throttler": th, "adaptive": a, "both": patterns.Compose(th, a)} {
		if n := testing.AllocsPerRun(1000, func() { _ = p.Execute(t.Context(), noop) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if n := testing.AllocsPerRun(1000, func() { th.TryAcquire() }); n != 0 {
		t.Errorf("try: %v allocations", n)
	}
}
