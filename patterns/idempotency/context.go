package idempotency

import "context"

// CallOf returns the call that a function under [Do], [Wrap], [Process] or [Transact], or a handler behind a [Middleware],
// was run for: its Key is the one thing to hand on to systems that know idempotency keys themselves, together with its Scope.
// Unlike the header of a request, it is the same however the client has spelled the key.
func CallOf(ctx context.Context) (Call, bool) {
	call, ok := ctx.Value(callKey{}).(Call)
	return call, ok
}

// FenceOf returns the fence of the claim under which a function or a handler runs, for systems that refuse a lower one
// than they have seen. There is none if it runs without a claim, see Config.FailOpen.
func FenceOf(ctx context.Context) (fence int64, ok bool) {
	fence, ok = ctx.Value(fenceKey{}).(int64)
	return fence, ok
}

type (
	callKey  struct{}
	fenceKey struct{}
)

// withClaim is the context of a function that runs in a [Transaction].
func withClaim(ctx context.Context, call Call, fence int64) context.Context {
	return context.WithValue(context.WithValue(ctx, callKey{}, call), fenceKey{}, fence)
}

// withoutClaim is the context of a function that runs without protection. It hides the fence of a call around this one.
func withoutClaim(ctx context.Context, call Call) context.Context {
	return context.WithValue(context.WithValue(ctx, callKey{}, call), fenceKey{}, nil)
}
