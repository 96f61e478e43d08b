package idempotency

import "context"

// CallOf returns the call that a handler behind a [Middleware] was run for: its Key is the one thing to hand on to
// systems that know idempotency keys themselves, together with its Scope. Unlike the header, it is the same however the
// client has spelled the key.
func CallOf(ctx context.Context) (Call, bool) {
	call, ok := ctx.Value(callKey{}).(Call)
	return call, ok
}

type callKey struct{}

func withCall(ctx context.Context, call Call) context.Context {
	return context.WithValue(ctx, callKey{}, call)
}
