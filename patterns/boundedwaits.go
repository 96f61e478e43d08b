package patterns

import "context"

type boundedWaits struct{}

// WithBoundedWaits returns a context under which, if bounded, no rate limiter makes a call wait without a bound: one that
// has no MaxWait refuses at once what it cannot let through, unless the context has a deadline. It is for callers behind
// which others queue up, such as a server: resiliencehttp.Handler sets it for its policies, but not for its handlers.
func WithBoundedWaits(ctx context.Context, bounded bool) context.Context {
	return context.WithValue(ctx, boundedWaits{}, bounded)
}

// BoundedWaits reports what [WithBoundedWaits] has set, or else false.
func BoundedWaits(ctx context.Context) bool {
	bounded, _ := ctx.Value(boundedWaits{}).(bool)
	return bounded
}
