package idempotency

import (
	"context"
	"errors"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
)

// maxStoreTime bounds how long a call waits for the store after its function has returned; a lease that is shorter
// bounds it too.
const maxStoreTime = 5 * time.Second

// execution is one run of a function under a claim, and the context of that function.
type execution struct {
	lazyContext

	guard    *Guard
	call     Call
	key      string // of the store
	token    Token
	response *recorder // nil: the function is no handler
	beat     heartbeat
	settling lazyContext // of the last write to the store

	retention time.Duration // of the result; fn may change it
}

// Value finds what [CallOf], [FenceOf] and [KeepResponse] ask for.
func (e *execution) Value(key any) any {
	switch key.(type) {
	case callKey:
		return e.call
	case fenceKey:
		return e.token.Fence
	case recorderKey:
		if e.response != nil {
			return e.response
		}
	}
	return e.lazyContext.Value(key)
}

// run runs fn and settles the claim, which was asked for at the given time: complete if fn returns without an error,
// released if it returns one, panics or ends the goroutine, unless it still acts or a part of its response has been sent.
func (e *execution) run(ctx context.Context, asked time.Time, fn func(context.Context) ([]byte, error)) (err error) {
	e.parent = ctx
	defer e.cancel(nil)
	e.beat.start(e, asked)
	var value []byte
	returned, succeeded := false, false // stay so when fn panics or ends the goroutine
	defer func() {
		defer e.guard.waiting.settle(e.key)
		known := e.beat.stop()
		if !returned && e.response != nil && e.response.begun() {
			value, err = e.response.result()
			succeeded = err == nil
		}
		switch {
		case succeeded:
			e.complete(value, known)
		case !errors.Is(err, patterns.ErrAbandoned): // what still runs keeps the key, until the lease ends
			e.release(known)
		}
	}()
	value, err = fn(e)
	returned, succeeded = true, err == nil
	return err
}

// extend lets the claim last for one more lease.
func (e *execution) extend(ctx context.Context) error {
	return e.guard.store.Extend(ctx, e.key, e.token, e.guard.cfg.Lease)
}

// complete stores the result. The work is done whatever becomes of it, so that failures are told by events only.
func (e *execution) complete(value []byte, lossKnown bool) {
	g := e.guard
	stored, asked := g.keys.seal(e.key, value), time.Now()
	_, err := e.persist(asked, func(ctx context.Context) error {
		return g.store.Complete(ctx, e.key, e.token, stored, e.retention)
	})
	switch {
	case err == nil:
		g.cache.put(
			ClaimRequest{Key: e.key, Fingerprint: e.call.Fingerprint, Retention: e.retention},
			Claim{Value: value, Fence: e.token.Fence}, asked,
		)
	case errors.Is(err, ErrClaimLost):
		e.publishClaimLost(lossKnown)
	default:
		e.publishCompletionFailed(err)
	}
}

// release gives the key back after a failure, which is what the caller is told; failures here are told by events only.
func (e *execution) release(lossKnown bool) {
	g := e.guard
	attempts, err := e.persist(time.Now(), func(ctx context.Context) error {
		return g.store.Release(ctx, e.key, e.token)
	})
	switch {
	case err == nil,
		errors.Is(err, ErrClaimLost) && attempts > 1: // one before had reached the store, only its answer was lost
		hooks.Emit(e, g.bus, hooks.IdempotencyReleased{
			Operation: e.call.Operation, KeyDigest: digest(e.key), At: time.Now(),
		})
	case errors.Is(err, ErrClaimLost):
		e.publishClaimLost(lossKnown)
	default:
		hooks.Emit(e, g.bus, hooks.IdempotencyStoreFailed{Operation: e.call.Operation, Err: err, At: time.Now()})
	}
}

// persist runs a write detached from the caller's cancellation, and repeats it with growing pauses while the backend
// is not available, until time is up. Both writes may be repeated when it is not known whether they reached the store.
func (e *execution) persist(now time.Time, write func(context.Context) error) (attempts int, err error) {
	limit := min(e.guard.cfg.Lease, maxStoreTime)
	ctx := &e.settling
	ctx.parent, ctx.deadline = e.parent, now.Add(limit)
	defer ctx.cancel(nil)
	for pause := limit / 50; ; pause = min(2*pause, limit/10) {
		attempts++
		err = write(ctx)
		if _, unavailable := errors.AsType[*BackendError](err); !unavailable {
			return attempts, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return attempts, err
		}
	}
}

// publishClaimLost tells of the loss once.
func (e *execution) publishClaimLost(known bool) {
	if known {
		return
	}
	hooks.Emit(e, e.guard.bus, hooks.IdempotencyClaimLost{
		Operation: e.call.Operation, KeyDigest: digest(e.key), At: time.Now(),
	})
}

func (e *execution) publishCompletionFailed(err error) {
	hooks.Emit(e, e.guard.bus, hooks.IdempotencyCompletionFailed{
		Operation: e.call.Operation, KeyDigest: digest(e.key), Err: err, At: time.Now(),
	})
}
