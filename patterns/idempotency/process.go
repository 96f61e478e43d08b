package idempotency

import (
	"context"
)

// Process is [Do] for what is bytes already: the response of a framework that is not net/http, the answer to a message.
// They are stored as they are, without a codec. That there are none is a result too, and nil and empty are one.
//
// A call without a key, see [ParseKey], runs handler without protection, as a [Middleware] does with a request that has
// none. Who needs a key checks for it first.
func Process(
	ctx context.Context, g *Guard, call Call, handler func(context.Context) ([]byte, error),
) (Result[[]byte], error) {
	if call.Key == "" {
		value, err := handler(ctx)
		return Result[[]byte]{Value: value}, err
	}
	if err := call.validate(g.cfg.MaxKeyLength); err != nil {
		return Result[[]byte]{}, err
	}
	return do[[]byte, verbatim](ctx, g, call, handler)
}

// verbatim is the form of bytes that are stored as they are.
type verbatim struct{}

func (verbatim) check(*Guard) error { return nil }

func (verbatim) encode(_ *Guard, v *[]byte) ([]byte, error) { //nolint:unparam // other forms can fail
	return append(append(make([]byte, 0, 1+len(*v)), formatBytes), *v...), nil
}

func (verbatim) decode(_ *Guard, stored []byte) ([]byte, error) { return payload(stored, formatBytes) }
