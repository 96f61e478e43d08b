package idempotency

import (
	"context"
	"errors"
	"time"

	"github.com/steadyfx/steady/hooks"
)

// maxStoreTime bounds how long a call waits for the store after its function has returned; a lease that is shorter
// bounds it too.
const maxStoreTime = 5 * time.Second

// execution is one run of a function under a claim.
type execution struct {
	guard     *Guard
	operation string
	key       string // of the store
	token     Token
}

// run runs fn and settles the claim, which was asked for at the given time: complete if fn returns without an error,
// released if it returns one, panics or ends the goroutine.
func (e *execution) run(ctx context.Context, asked time.Time, fn func(context.Context) ([]byte, error)) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	beat := startHeartbeat(ctx, e.guard.cfg.Lease, asked, e.extend, func(cause error) {
		cancel(cause)
		e.publishClaimLost(ctx, false)
	})
	var value []byte
	succeeded := false // stays so when fn never returns
	defer func() {
		known := beat.stop()
		if succeeded {
			e.complete(ctx, value, known)
		} else {
			e.release(ctx, known)
		}
		cancel(nil)
	}()
	value, err = fn(ctx)
	succeeded = err == nil
	return err
}

func (e *execution) extend(ctx context.Context) error {
	return e.guard.store.Extend(ctx, e.key, e.token, e.guard.cfg.Lease)
}

// complete stores the result. The work is done whatever becomes of it, so that failures are told by events only.
func (e *execution) complete(ctx context.Context, value []byte, lossKnown bool) {
	g := e.guard
	_, err := e.persist(ctx, func(ctx context.Context) error {
		return g.store.Complete(ctx, e.key, e.token, value, g.cfg.TTL)
	})
	switch {
	case err == nil:
	case errors.Is(err, ErrClaimLost):
		e.publishClaimLost(ctx, lossKnown)
	default:
		publish(ctx, g, e.key, func(digest string) hooks.IdempotencyCompletionFailed {
			return hooks.IdempotencyCompletionFailed{
				Operation: e.operation, KeyDigest: digest, Err: err, At: time.Now(),
			}
		})
	}
}

// release gives the key back after a failure, which is what the caller is told; failures here are told by events only.
func (e *execution) release(ctx context.Context, lossKnown bool) {
	g := e.guard
	attempts, err := e.persist(ctx, func(ctx context.Context) error { return g.store.Release(ctx, e.key, e.token) })
	switch {
	case err == nil,
		errors.Is(err, ErrClaimLost) && attempts > 1: // one before had reached the store, only its answer was lost
		publish(ctx, g, e.key, func(digest string) hooks.IdempotencyReleased {
			return hooks.IdempotencyReleased{Operation: e.operation, KeyDigest: digest, At: time.Now()}
		})
	case errors.Is(err, ErrClaimLost):
		e.publishClaimLost(ctx, lossKnown)
	default:
		hooks.Emit(ctx, g.bus, hooks.IdempotencyStoreFailed{Operation: e.operation, Err: err, At: time.Now()})
	}
}

// persist runs a write detached from the caller's cancellation, and repeats it with growing pauses while the backend
// is not available, until time is up. Both writes may be repeated when it is not known whether they reached the store.
func (e *execution) persist(ctx context.Context, write func(context.Context) error) (attempts int, err error) {
	limit := min(e.guard.cfg.Lease, maxStoreTime)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
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
func (e *execution) publishClaimLost(ctx context.Context, known bool) {
	if known {
		return
	}
	publish(ctx, e.guard, e.key, func(digest string) hooks.IdempotencyClaimLost {
		return hooks.IdempotencyClaimLost{Operation: e.operation, KeyDigest: digest, At: time.Now()}
	})
}
