package idempotency

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/steadyfx/steady/hooks"
)

// admission says what a call is to do: act, or answer with a stored result.
type admission struct {
	key         string    // of the store
	claim       Claim     // Acquired; or Done, with the value as it was before it was encrypted
	asked       time.Time // when the claim was asked for
	unprotected bool      // act without a claim
}

// admit asks the store for the key of a call. What ends ctx ends the call of the store, and what ends the caller the wait
// for another call: of a claim that was cut short nobody knows whether it reached the store.
func (g *Guard) admit(ctx, caller context.Context, call Call) (admission, error) {
	return g.admitIn(ctx, caller, call, nil)
}

// admitIn is admit in a transaction, if there is one.
func (g *Guard) admitIn(ctx, caller context.Context, call Call, tx Transaction) (admission, error) {
	req := ClaimRequest{
		Key: call.storeKey(g.prefix), Fingerprint: call.Fingerprint, Lease: g.cfg.Lease, Retention: g.retention(call),
	}
	if claim, ok := g.cache.get(req); ok {
		g.publishHit(ctx, call, req.Key, claim.Age)
		return admission{key: req.Key, claim: claim}, nil
	}
	asked := time.Now()
	deadline := asked.Add(g.cfg.Wait)
	claim, err := g.claim(ctx, req, tx, deadline)
	switch {
	case err != nil:
		return g.withoutStore(ctx, call, req.Key, tx, err)
	case claim.Outcome == InProgress && time.Until(deadline) > 0:
		asked, claim, err = g.await(ctx, caller, req, tx, deadline, claim)
	}
	switch {
	case claim.Outcome == InProgress:
		if g.bus.Wanted(hooks.IdempotencyConflict{}) {
			hooks.Emit(ctx, g.bus, hooks.IdempotencyConflict{
				Operation: call.Operation, KeyDigest: digest(req.Key), RetryAfter: claim.RetryAfter, At: time.Now(),
			})
		}
		return admission{}, &ConflictError{Operation: call.Operation, RetryAfter: claim.RetryAfter, Err: err}
	case err != nil:
		return g.withoutStore(ctx, call, req.Key, tx, err)
	case claim.Outcome == Acquired:
		return admission{key: req.Key, claim: claim, asked: asked}, nil
	case claim.Outcome == Done:
		g.publishHit(ctx, call, req.Key, claim.Age)
		if claim.Value, err = g.keys.open(req.Key, claim.Value); err != nil {
			return admission{}, g.storeError(opDecrypt, err)
		}
		if tx == nil || !tx.Joined() { // else the result may be one that is not committed yet
			g.cache.put(req, claim, asked)
		}
		return admission{key: req.Key, claim: claim}, nil
	case claim.Outcome == Mismatch:
		hooks.Emit(ctx, g.bus, hooks.IdempotencyMismatch{
			Operation: call.Operation, KeyDigest: digest(req.Key), At: time.Now(),
		})
		return admission{}, &DuplicateRequestError{Operation: call.Operation}
	default:
		return admission{}, g.storeError("claim", fmt.Errorf("unknown outcome %d", claim.Outcome))
	}
}

// claim asks for a key. A transaction waits for another one until the deadline; a store says at once what it knows.
func (g *Guard) claim(ctx context.Context, req ClaimRequest, tx Transaction, deadline time.Time) (Claim, error) {
	if tx == nil {
		return g.store.Claim(ctx, req)
	}
	return tx.Claim(ctx, TransactionRequest{
		ClaimRequest: req, Wait: max(time.Until(deadline), 0), Savepoint: len(g.errors) > 0,
	})
}

// withoutStore decides about a call whose claim has failed.
func (g *Guard) withoutStore(ctx context.Context, call Call, key string, tx Transaction, err error) (admission, error) {
	if errors.Is(ctx.Err(), context.Canceled) { // the caller went away, which says nothing of the store
		return admission{}, err
	}
	hooks.Emit(ctx, g.bus, hooks.IdempotencyStoreFailed{Operation: call.Operation, Err: err, At: time.Now()})
	_, unavailable := errors.AsType[*BackendError](err)
	if !g.cfg.FailOpen || tx != nil || !unavailable || ctx.Err() != nil {
		return admission{}, err
	}
	hooks.Emit(ctx, g.bus, hooks.IdempotencyUnprotected{
		Operation: call.Operation, KeyDigest: digest(key), Err: err, At: time.Now(),
	})
	return admission{key: key, unprotected: true}, nil
}

// retention is how long the result of a call is kept.
func (g *Guard) retention(call Call) time.Duration {
	if call.TTL > 0 {
		return call.TTL
	}
	return g.cfg.TTL
}

func (g *Guard) publishHit(ctx context.Context, call Call, key string, age time.Duration) {
	if g.bus.Wanted(hooks.IdempotencyKeyHit{}) { // else the digest would be most of the cost of a replay
		hooks.Emit(ctx, g.bus, hooks.IdempotencyKeyHit{
			Operation: call.Operation, KeyDigest: digest(key), Age: age, At: time.Now(),
		})
	}
}
