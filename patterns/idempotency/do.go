package idempotency

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
)

// Result is the answer to a call.
type Result[T any] struct {
	Value       T
	IsDuplicate bool          // another call with this key acted, not this one
	FromCache   bool          // Value was read from the store
	Key         string        // as given in the [Call]
	Fence       int64         // of the claim under which Value was made
	Age         time.Duration // since the result was stored; 0 if this call acted
}

// Do runs fn unless a call with the same key has succeeded before: then it returns that one's value. Values are stored
// as JSON, so that what comes back is what JSON makes of them; nil and zero values are results like any other.
//
// The context of fn is derived from ctx. It is also cancelled, with [ErrClaimLost] as its cause, when the claim is lost
// while fn runs. If fn succeeds all the same, its value is returned without an error, because the work is done, and
// hooks.IdempotencyClaimLost says that the result was not stored. A result that the store does not take within 5 s, or
// the lease if that is shorter, is returned likewise, with hooks.IdempotencyCompletionFailed: the key stays blocked
// until the lease ends. A value that JSON cannot hold, such as an infinite number, is returned with the same event; the
// key is used up, and later calls get a [*StoreError].
//
// If fn fails, its error is returned as it is and the key is free again; if it panics or calls runtime.Goexit, that
// goes on once the key is free. Storing and releasing go on when ctx is cancelled.
//
// The other errors mean that fn was not run: a [*ConfigurationError] for a call that lacks something, and for a T that
// JSON cannot hold; a [*ConflictError] while another call is acting; a [*DuplicateRequestError] for a key that belongs
// to another payload; a [*BackendError] when the store cannot be asked; a [*StoreError] when the stored result cannot
// be read as a T. After a *BackendError the claim may have reached the store; then the key is blocked until its lease
// ends.
func Do[T any](ctx context.Context, g *Guard, call Call, fn func(context.Context) (T, error)) (Result[T], error) {
	if err := call.validate(g.cfg.MaxKeyLength); err != nil {
		return Result[T]{}, err
	}
	return do(ctx, g, call, fn)
}

// do is Do for a valid call.
func do[T any](ctx context.Context, g *Guard, call Call, fn func(context.Context) (T, error)) (Result[T], error) {
	result := Result[T]{Key: call.Key}
	claim, err := g.run(ctx, call, func(ctx context.Context) ([]byte, error) {
		if err := storable[T](); err != nil {
			return nil, err
		}
		value, err := fn(ctx)
		if err != nil {
			return nil, err
		}
		result.Value = value
		stored, err := encode(&value)
		if err != nil { // too late for the caller to do anything about it, and too late to run again
			publish(ctx, g, call.storeKey(), func(digest string) hooks.IdempotencyCompletionFailed {
				return hooks.IdempotencyCompletionFailed{
					Operation: call.Operation, KeyDigest: digest, Err: err, At: time.Now(),
				}
			})
			stored = tombstone()
		}
		return stored, nil
	})
	if err != nil {
		return Result[T]{}, err
	}
	result.Fence = claim.Fence
	if claim.Outcome == Done {
		result.IsDuplicate, result.FromCache, result.Age = true, true, claim.Age
		if result.Value, err = decode[T](claim.Value); err != nil {
			return Result[T]{}, g.storeError("decode", err)
		}
	}
	return result, nil
}

// storable returns a *ConfigurationError for a type that JSON cannot hold.
func storable[T any]() error {
	_, err := encode(new(T))
	if _, unsupported := errors.AsType[*json.UnsupportedTypeError](err); !unsupported {
		return nil // a zero value that cannot be encoded says nothing of the others
	}
	return &ConfigurationError{Err: &patterns.FieldError{
		Field: "result", Problem: fmt.Sprintf("must be something that JSON can hold: %v", err),
	}}
}

// Wrap is the decorator: it returns fn guarded as by [Do]. The argument, as JSON, is the fingerprint: a duplicate with
// another argument gets a [*DuplicateRequestError].
//
// If key is nil, the key is made of the operation and the argument as JSON, so that two calls with equal arguments are
// one. Then the argument must be plain data that JSON holds in full: a type with functions, channels, unexported fields
// or fields tagged "-", unless it encodes itself, is a [*ConfigurationError] of every call, because two arguments that
// differ could pass for one.
func Wrap[In, Out any](
	g *Guard, operation string, key func(In) string, fn func(context.Context, In) (Out, error),
) func(context.Context, In) (Out, error) {
	var incomplete error
	if key == nil {
		incomplete = heldInFull(reflect.TypeFor[In]())
	}
	return func(ctx context.Context, in In) (Out, error) {
		argument, err := marshal(&in)
		if err = errors.Join(incomplete, err); err != nil {
			return *new(Out), &ConfigurationError{Err: &patterns.FieldError{
				Field: "argument", Problem: fmt.Sprintf("must be something that JSON can hold: %v; or give Wrap a key function", err),
			}}
		}
		call := Call{Operation: operation, Fingerprint: Fingerprint(argument)}
		limit := g.cfg.MaxKeyLength
		if key != nil {
			call.Key = key(in)
		} else {
			call.Key = hex.EncodeToString(Fingerprint([]byte(operation), argument))
			limit = len(call.Key) // the limit is for the keys of callers
		}
		if err := call.validate(limit); err != nil {
			return *new(Out), err
		}
		result, err := do(ctx, g, call, func(ctx context.Context) (Out, error) { return fn(ctx, in) })
		return result.Value, err
	}
}
