package patterns_test

import (
	"context"
	"testing"

	"github.com/steadyfx/steady/patterns"
)

func TestBoundedWaitsAreThoseThatWereSetLast(t *testing.T) {
	ctx := t.Context()
	if patterns.BoundedWaits(ctx) {
		t.Error("nobody has set it")
	}
	for _, bounded := range []bool{true, false, true} {
		ctx = patterns.WithBoundedWaits(ctx, bounded)
		inside, cancel := context.WithCancel(ctx)
		if patterns.BoundedWaits(inside) != bounded {
			t.Errorf("it is not %v", bounded)
		}
		cancel()
	}
}
