package wiring

import (
	"context"
	"time"
)

// Bounded returns a context for one hook: it ends after limit, or when half of what ctx has left is over. Fx rolls a
// failed start back under the same context and runs no stop hook at all once that has ended, so a hook must leave time
// for the others.
func Bounded(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline)/2)
	}
	return context.WithTimeout(ctx, limit)
}
