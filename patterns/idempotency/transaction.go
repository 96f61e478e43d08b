package idempotency

import (
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
)

// Transaction is a transaction of a database for one call: the claim, what the function writes and the result come into
// being together, or not at all. Packages of stores implement it for [Transact]; its users call what those make of it,
// such as pgstore.Do.
//
// Its methods are called one at a time: Claim until it is not InProgress any more, and after Acquired first Undo, if at
// all, then Commit, and Rollback unless that succeeds.
type Transaction interface {
	// Claim begins the transaction, and asks in it for the key as [Store.Claim] does. When it returns anything but
	// Acquired, the transaction is over and has left nothing.
	Claim(ctx context.Context, req TransactionRequest) (Claim, error)

	// Undo takes back what was written since the claim, which stays.
	Undo(ctx context.Context) error

	// Commit stores the result as [Store.Complete] does, and commits. After an error nothing has been written, unless
	// that is an [ErrInDoubt].
	Commit(ctx context.Context, value []byte, ttl time.Duration) error

	// Rollback ends the transaction, even if ctx has ended, and leaves nothing. That it is over is not an error.
	Rollback(ctx context.Context) error

	// Joined reports whether this is a part of another transaction, so that what it commits can still be taken back.
	Joined() bool
}

// TransactionRequest is what [Transaction.Claim] needs to know.
type TransactionRequest struct {
	ClaimRequest

	Wait      time.Duration // how long to wait for another transaction that has the key, before it is InProgress
	Savepoint bool          // whether Undo may follow
}

// ErrInDoubt is matched by the error of a call whose transaction may have been committed or not, because the answer was
// lost and the database cannot be asked. The remedy is to call again with the same key: if it was committed, that returns
// its result and does nothing.
var ErrInDoubt error = inDoubt{}

type inDoubt struct{}

func (inDoubt) Error() string {
	return "whether the transaction was committed is not known: call again with the same key, which does nothing if it was"
}
func (inDoubt) Is(target error) bool { return target == ErrIdempotency }
func (inDoubt) Code() string         { return CodeBackend }

// Transact is [Do] in a transaction, which join returns for the store of the guard. The record is the one that Do would
// make, so that all guards on that store know it. What differs:
//
//   - There is no lease to keep: nobody else sees the claim before the commit, and the database gives the key back if the
//     process dies.
//   - If fn succeeds and its result cannot be stored, the error says so and nothing is done: not even what fn has written
//     stays. It is a [*StoreError] when the codec cannot hold the value. Only [ErrInDoubt] leaves that open.
//   - If ctx has ended when fn returns, nothing is done. A commit that has begun is carried out.
//   - An error that [WithRecordedErrors] recognizes is stored and committed without what fn has written.
//   - Config.FailOpen does not count: without the database there is nothing to do.
func Transact[T any](
	ctx context.Context, g *Guard, call Call, join func(Store) (Transaction, error),
	fn func(context.Context) (T, error),
) (Result[T], error) {
	if err := call.validate(g.cfg.MaxKeyLength); err != nil {
		return Result[T]{}, err
	}
	if err := g.storable(reflect.TypeFor[T]()); err != nil {
		return Result[T]{}, err
	}
	tx, err := join(g.store)
	if err != nil {
		return Result[T]{}, err
	}
	a, err := g.admitIn(ctx, ctx, call, tx)
	switch {
	case err != nil:
		return Result[T]{}, err
	case a.claim.Outcome == Done:
		return replay[T, encoded[T]](g, call, a)
	}
	t := &transacted{guard: g, call: call, key: a.key, fence: a.claim.Fence, tx: tx}
	value, err := transact(ctx, t, fn)
	if err != nil {
		return Result[T]{}, err
	}
	return Result[T]{Value: value, Key: call.Key, Fence: a.claim.Fence}, nil
}

// transacted is one run of a function in a transaction that has acquired the key.
type transacted struct {
	guard *Guard
	call  Call
	key   string // of the store
	fence int64
	tx    Transaction
}

func transact[T any](ctx context.Context, t *transacted, fn func(context.Context) (T, error)) (T, error) {
	var (
		value     T
		failure   error
		committed bool  // stays so when fn never returns
		unkept    error // why there was no commit, if not for the failure
	)
	defer func() {
		defer t.guard.waiting.settle(t.key)
		if !committed {
			t.rollBack(ctx, unkept)
		}
	}()
	value, failure = fn(withClaim(ctx, t.call, t.fence))
	if failure != nil {
		committed, unkept = t.record(ctx, failure)
		return value, failure
	}
	unkept = t.keep(ctx, func() ([]byte, error) { return t.guard.codecs.encode(&value) })
	committed = unkept == nil
	return value, unkept
}

// keep stores the result of the call and commits.
func (t *transacted) keep(ctx context.Context, encode func() ([]byte, error)) error {
	if ctx.Err() != nil {
		return patterns.Ended(ctx)
	}
	value, err := encode()
	if err == nil {
		err = t.guard.fits(value)
	}
	if err != nil {
		return t.guard.storeError("encode", err)
	}
	return t.commit(ctx, value)
}

// record makes a failure the result of the call, if it is one that is to be recorded. That it could not be is told by an
// event, because the caller is told of the failure.
func (t *transacted) record(ctx context.Context, failure error) (committed bool, unkept error) {
	stored, err := t.guard.record(failure)
	if stored == nil && err == nil {
		return false, nil
	}
	if err == nil {
		err = t.guard.fits(stored)
	}
	if err == nil {
		err = t.tx.Undo(ctx)
	}
	if err == nil {
		err = t.commit(ctx, stored)
	}
	if err != nil {
		hooks.Emit(ctx, t.guard.bus, hooks.IdempotencyCompletionFailed{
			Operation: t.call.Operation, KeyDigest: digest(t.key), Err: err, At: time.Now(),
		})
	}
	return err == nil, err
}

func (t *transacted) commit(ctx context.Context, value []byte) error {
	g, retention, asked := t.guard, t.guard.retention(t.call), time.Now()
	if err := t.tx.Commit(ctx, g.keys.seal(t.key, value), retention); err != nil {
		return err
	}
	if !t.tx.Joined() {
		g.cache.put(
			ClaimRequest{Key: t.key, Fingerprint: t.call.Fingerprint, Retention: retention},
			Claim{Value: value, Fence: t.fence}, asked,
		)
	}
	return nil
}

// rollBack gives the key back, and tells of it if that is what has happened.
func (t *transacted) rollBack(ctx context.Context, unkept error) {
	err := t.tx.Rollback(ctx)
	if errors.Is(unkept, ErrInDoubt) {
		err = unkept
	}
	if err != nil {
		hooks.Emit(ctx, t.guard.bus, hooks.IdempotencyStoreFailed{Operation: t.call.Operation, Err: err, At: time.Now()})
		return
	}
	hooks.Emit(ctx, t.guard.bus, hooks.IdempotencyReleased{
		Operation: t.call.Operation, KeyDigest: digest(t.key), At: time.Now(),
	})
}
