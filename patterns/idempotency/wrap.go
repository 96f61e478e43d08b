package idempotency

import (
	"context"
	"encoding/hex"
	"reflect"
)

// Wrap is the decorator: it returns fn guarded as by [Do]. The argument, as JSON, is the fingerprint: a duplicate with
// another argument gets a [*DuplicateRequestError].
//
// If key is nil, the key is that of [KeyOf] for the operation and the argument, so that two calls with equal arguments
// are one, and the argument must be what KeyOf asks for. With a key, it may have parts that JSON leaves out, which are
// not compared, but a context, a function and a channel are refused all the same, with a [*ConfigurationError] of every
// call.
func Wrap[In, Out any](
	g *Guard, operation string, key func(In) string, fn func(context.Context, In) (Out, error),
) func(context.Context, In) (Out, error) {
	derived := key == nil
	limit := g.cfg.MaxKeyLength
	if derived {
		limit = 2 * len(Fingerprint()) // the limit is for the keys of callers
	}
	printed := fingerprinter[In](derived)
	return func(ctx context.Context, in In) (Out, error) {
		argument, err := printed(&in)
		if err != nil {
			return *new(Out), err
		}
		call := Call{Operation: operation, Fingerprint: Fingerprint(argument)}
		if derived {
			call.Key = hex.EncodeToString(Fingerprint([]byte(operation), argument))
		} else {
			call.Key = key(in)
		}
		return guarded(ctx, g, call, limit, in, fn)
	}
}

// WrapCall is [Wrap] for calls of which more than the key depends on the argument or the context: the scope, as the
// caller is known from the context, or how long the result is kept. An error of call is returned as it is, and fn is not
// run. If the call comes without a fingerprint, the argument, as JSON, is the fingerprint.
func WrapCall[In, Out any](
	g *Guard, call func(context.Context, In) (Call, error), fn func(context.Context, In) (Out, error),
) func(context.Context, In) (Out, error) {
	printed := fingerprinter[In](false)
	return func(ctx context.Context, in In) (Out, error) {
		c, err := call(ctx, in)
		if err != nil {
			return *new(Out), err
		}
		if len(c.Fingerprint) == 0 {
			argument, err := printed(&in)
			if err != nil {
				return *new(Out), err
			}
			c.Fingerprint = Fingerprint(argument)
		}
		return guarded(ctx, g, c, g.cfg.MaxKeyLength, in, fn)
	}
}

// guarded is [Do] for a function with an argument.
func guarded[In, Out any](
	ctx context.Context, g *Guard, call Call, maxKeyLength int, in In, fn func(context.Context, In) (Out, error),
) (Out, error) {
	if err := call.validate(maxKeyLength); err != nil {
		return *new(Out), err
	}
	result, err := do[Out, encoded[Out]](ctx, g, call, func(ctx context.Context) (Out, error) { return fn(ctx, in) })
	return result.Value, err
}

// fingerprinter returns what makes canonical JSON of an argument. If strict, the argument must be held in full.
func fingerprinter[In any](strict bool) func(*In) ([]byte, error) {
	s, unfitType := newShape(reflect.TypeFor[In](), strict)
	return func(in *In) ([]byte, error) {
		if unfitType != nil {
			return nil, unfit("argument", unfitType)
		}
		data, err := canonical(in)
		if err == nil {
			err = s.check(reflect.ValueOf(in).Elem())
		}
		if err != nil {
			return nil, unfit("argument", err)
		}
		return data, nil
	}
}
