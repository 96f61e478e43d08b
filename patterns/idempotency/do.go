package idempotency

import (
	"context"
	"reflect"
	"time"
)

// Result is the answer to a call.
type Result[T any] struct {
	Value       T
	IsDuplicate bool          // another call with this key acted, not this one
	FromCache   bool          // Value was stored before: it comes from the store, or from what the guard has at hand of it
	Key         string        // as given in the [Call]
	Fence       int64         // of the claim under which Value was made; 0 if it was made without one, see Config.FailOpen
	Age         time.Duration // since the result was stored; 0 if this call acted
}

// Do runs fn unless a call with the same key has succeeded before: then it returns that one's value. Values are stored
// as JSON unless [WithCodec] says otherwise, so that what comes back is what the codec makes of them; nil and zero
// values are results like any other.
//
// The context of fn is derived from ctx; [CallOf] and [FenceOf] say for what it runs. It is also cancelled, with
// [ErrClaimLost] as its cause, when the claim is lost while fn runs. If fn succeeds all the same, its value is returned
// without an error, because the work is done, and hooks.IdempotencyClaimLost says that the result was not stored. A
// result that the store does not take within 5 s, or the lease if that is shorter, is returned likewise, with
// hooks.IdempotencyCompletionFailed: the key stays blocked until the lease ends. A value that the codec cannot hold,
// such as an infinite number in JSON, and one that is larger than Config.MaxResult, is returned with the same event; the
// key is used up, and later calls get a [*StoreError].
//
// If fn fails, its error is returned as it is and the key is free again, unless the error says that something still runs
// ([patterns.ErrAbandoned], of a detached timeout inside of fn): then the key stays blocked until the lease ends, and what
// runs for longer is not protected. A detached timeout belongs around Do. If it panics or calls runtime.Goexit, that
// goes on once the key is free. An error that [WithRecordedErrors] recognizes is returned as it is too, but uses the key
// up: later calls get a [*RecordedError], with a Result that lacks nothing but a value. Storing and releasing go on when
// ctx is cancelled.
//
// The other errors mean that fn was not run: a [*ConfigurationError] for a call that lacks something, and for a T that
// the codec cannot hold in full, for JSON one with unexported fields; a [*ConflictError] while another call is acting, at once or after Config.Wait; a
// [*DuplicateRequestError] for a key that belongs to another payload; a [*BackendError] when the store cannot be asked,
// unless Config.FailOpen says to run fn all the same; a [*StoreError] when the stored result cannot be read as a T. After
// a *BackendError the claim may have reached the store; then the key is blocked until its lease ends.
func Do[T any](ctx context.Context, g *Guard, call Call, fn func(context.Context) (T, error)) (Result[T], error) {
	if err := call.validate(g.cfg.MaxKeyLength); err != nil {
		return Result[T]{}, err
	}
	return do[T, encoded[T]](ctx, g, call, fn)
}

// form is how values of a type are stored.
type form[T any] interface {
	check(g *Guard) error // whether they can be
	encode(g *Guard, v *T) ([]byte, error)
	decode(g *Guard, stored []byte) (T, error)
}

// encoded is the form of what a codec writes.
type encoded[T any] struct{}

func (encoded[T]) check(g *Guard) error { return g.storable(reflect.TypeFor[T]()) }

func (encoded[T]) encode(g *Guard, v *T) ([]byte, error) { return g.codecs.encode(v) }

func (encoded[T]) decode(g *Guard, stored []byte) (T, error) {
	var v T
	err := g.codecs.decode(stored, &v)
	return v, err
}

// do is Do for a valid call.
func do[T any, F form[T]](
	ctx context.Context, g *Guard, call Call, fn func(context.Context) (T, error),
) (Result[T], error) {
	var as F
	if err := as.check(g); err != nil {
		return Result[T]{}, err
	}
	a, err := g.admit(ctx, ctx, call)
	if err != nil {
		return Result[T]{}, err
	}
	if a.claim.Outcome == Done {
		return replay[T, F](g, call, a)
	}
	value, err := perform[T, F](ctx, g, call, a, fn)
	if err != nil {
		return Result[T]{}, err
	}
	return Result[T]{Value: value, Key: call.Key, Fence: a.claim.Fence}, nil
}

// replay answers a call with what another one has stored.
func replay[T any, F form[T]](g *Guard, call Call, a admission) (Result[T], error) {
	result := Result[T]{
		IsDuplicate: true, FromCache: true, Key: call.Key, Fence: a.claim.Fence, Age: a.claim.Age,
	}
	recorded, err := g.recordedIn(a.claim.Value)
	switch {
	case recorded != nil:
		return result, recorded
	case err == nil:
		var as F
		result.Value, err = as.decode(g, a.claim.Value)
	}
	if err != nil {
		return Result[T]{}, g.storeError("decode", err)
	}
	return result, nil
}

// perform runs fn as admitted, and stores its value, or its error if that is to be recorded.
func perform[T any, F form[T]](
	ctx context.Context, g *Guard, call Call, a admission, fn func(context.Context) (T, error),
) (value T, failure error) {
	if a.unprotected {
		return fn(withoutClaim(ctx, call))
	}
	e := g.execution(call, a)
	_ = e.run(ctx, a.asked, func(ctx context.Context) (stored []byte, err error) { // whose error is the failure
		if value, failure = fn(ctx); failure == nil {
			var as F
			stored, err = as.encode(g, &value)
		} else if stored, err = g.record(failure); stored == nil && err == nil {
			return nil, failure
		}
		if err == nil {
			err = g.fits(stored)
		}
		if err != nil { // too late for the caller to do anything about it, and too late to run again
			e.publishCompletionFailed(err)
			stored = tombstone()
		}
		return stored, nil
	})
	return value, failure
}
