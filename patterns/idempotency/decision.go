package idempotency

import (
	"context"
	"time"
)

// decision is what a handler wants to be done with its response.
type decision uint8

const (
	byStatus decision = iota
	keep
	discard
)

// KeepResponse makes the response of a handler behind a [Middleware] the answer to all later requests with its key,
// whatever its status, for ttl, or for Config.TTL if that is 0 or less. A response that cannot be stored, because it was
// too large, flushed or hijacked, uses the key up all the same.
//
// It takes the context of the request, counts from the moment that the handler returns, and loses to a later
// [DiscardResponse]. Neither may be called by two goroutines at once, or after the handler has returned. Where a request
// is not guarded they do nothing.
func KeepResponse(ctx context.Context, ttl time.Duration) { decide(ctx, keep, ttl) }

// DiscardResponse gives the key back when a handler behind a [Middleware] returns, whatever the status of its response:
// the next request with the key runs the handler again. It is for requests that have changed nothing, for example
// because the client has to correct its right to make them and not the request. It loses to a later [KeepResponse].
func DiscardResponse(ctx context.Context) { decide(ctx, discard, 0) }

type recorderKey struct{}

func decide(ctx context.Context, d decision, ttl time.Duration) {
	if r, ok := ctx.Value(recorderKey{}).(*recorder); ok {
		r.decision, r.ttl = d, ttl
	}
}
