//go:build !race

package pipeline_test

import (
	"context"
	"testing"

	"github.com/steadyfx/steady/patterns"
)

// Executors that are put together again for every call.
func TestPitfall23CallsThroughAPipelineDoNotAllocate(t *testing.T) {
	ctx := context.Background()
	p := three(t)
	wrapped := patterns.Wrap(p, func(_ context.Context, n int) (int, error) { return n + 1, nil })
	for name, call := range map[string]func(){
		"execute": func() { _ = p.Execute(ctx, succeed) },
		"wrap":    func() { _, _ = wrapped(ctx, 1) },
	} {
		if n := testing.AllocsPerRun(1000, call); n != 0 {
			t.Errorf("%s: %v allocations per call", name, n)
		}
	}
	p = four(t)
	if n := testing.AllocsPerRun(1000, func() { _ = p.Execute(ctx, succeed) }); n > 1 {
		t.Errorf("with a timeout: %v allocations per call, one is allowed", n)
	}
}
