package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/idempotency"
)

// Beginner begins transactions: a *pgxpool.Pool, a *pgxpool.Conn or a *pgx.Conn.
type Beginner interface {
	BeginTx(ctx context.Context, options pgx.TxOptions) (pgx.Tx, error)
}

// WithTxOptions returns a [Beginner] whose transactions have options, for example an isolation level.
func WithTxOptions(db Beginner, options pgx.TxOptions) Beginner { return withOptions{db, options} }

type withOptions struct {
	Beginner
	options pgx.TxOptions
}

func (w withOptions) BeginTx(ctx context.Context, _ pgx.TxOptions) (pgx.Tx, error) {
	return w.Beginner.BeginTx(ctx, w.options)
}

// Do is [idempotency.Do] for a function that does nothing but write to this database: it runs fn in a transaction of db,
// and what fn writes and its result are committed together. A process that dies leaves both or neither, and there is no
// lease to wait for. What fn does elsewhere is not undone by a rollback.
//
// The store of the guard must be an [*Idempotency], or have a method Unwrap() idempotency.Store that leads to one, and db
// must be of the same database. The record is the one that idempotency.Do would make: either replays what the other has
// done.
//
//   - fn runs once at most in a call. The transaction is not its to commit or to roll back. An error, a panic or a
//     runtime.Goexit rolls it back, and the key is free at once. So does the end of ctx before fn returns; a commit that
//     has begun is carried out.
//   - A duplicate waits for the transaction for up to Config.Wait, holding a connection of db, and gets the result, or
//     after a rollback the key, or a [*idempotency.ConflictError]. They come in turn. A duplicate in idempotency.Do waits
//     for Config.Timeout of the store.
//   - Until fn runs, a serialization failure, a deadlock and a dead connection are repeated in a new transaction. After
//     that they are returned, as is any error with which PostgreSQL refuses to commit: as the *pgconn.PgError that they
//     are, with nothing written. Call again, with the same key.
//   - If the connection dies during the commit, PostgreSQL is asked what became of it. Only if it does not say so within
//     Config.Timeout the error is an [idempotency.ErrInDoubt]: call again then too, and never with another key.
//
// All else is as [idempotency.Transact] and idempotency.Do say. A client whose host vanishes in the midst of a transaction
// keeps the key until PostgreSQL notices: set idle_in_transaction_session_timeout, or tcp_keepalives_idle.
//
// An HTTP handler behind an [idempotency.Middleware] that must not write twice even if the process dies before its
// response is stored calls Do with the scope and the key of [idempotency.CallOf], and an operation of its own.
func Do[T any](
	ctx context.Context, g *idempotency.Guard, db Beginner, call idempotency.Call,
	fn func(ctx context.Context, tx pgx.Tx) (T, error),
) (idempotency.Result[T], error) {
	return do(ctx, g, call, &transaction{begin: func(ctx context.Context) (pgx.Tx, error) {
		return db.BeginTx(ctx, pgx.TxOptions{})
	}}, fn)
}

// DoTx is [Do] as a part of the caller's transaction tx: what fn writes and its result are there when tx is committed.
// Until then the key is held, and a rollback gives it back. An error of DoTx takes back what DoTx and fn have written, to a
// savepoint, and leaves tx as it was before, so that tx can go on.
//
// Nothing is repeated: after a serialization failure or a deadlock, which is a *pgconn.PgError in the tree of the error,
// roll back and try the whole of tx again. If the answer to the commit of tx is lost, do the same: DoTx then returns the
// result, and the caller sees by IsDuplicate that all is done. In a transaction of level repeatable read or serializable,
// call DoTx first: a result that was committed after the transaction has begun to read is a serialization failure there.
// Two transactions that call DoTx for more than one key should do so in the same order.
func DoTx[T any](
	ctx context.Context, g *idempotency.Guard, tx pgx.Tx, call idempotency.Call,
	fn func(ctx context.Context, tx pgx.Tx) (T, error),
) (idempotency.Result[T], error) {
	return do(ctx, g, call, &transaction{begin: tx.Begin, joined: true}, fn)
}

func do[T any](
	ctx context.Context, g *idempotency.Guard, call idempotency.Call, t *transaction,
	fn func(ctx context.Context, tx pgx.Tx) (T, error),
) (idempotency.Result[T], error) {
	join := func(store idempotency.Store) (_ idempotency.Transaction, err error) {
		t.store, err = unwrap(store)
		return t, err
	}
	return idempotency.Transact(ctx, g, call, join, func(ctx context.Context) (T, error) {
		return fn(ctx, lent{t.tx})
	})
}

// unwrap returns the store that others may be wrapped around.
func unwrap(store idempotency.Store) (*Idempotency, error) {
	for inner := store; ; {
		if s, ok := inner.(*Idempotency); ok {
			return s, nil
		}
		outer, ok := inner.(interface{ Unwrap() idempotency.Store })
		if !ok {
			return nil, &idempotency.ConfigurationError{Err: &patterns.FieldError{
				Field: "store", Problem: fmt.Sprintf("must be a *pgstore.Idempotency, got a %T", store),
			}}
		}
		inner = outer.Unwrap()
	}
}

// lent is a transaction in the hands of a function that may not end it.
type lent struct{ pgx.Tx }

var errLent = errors.New("pgstore: the transaction is not the function's to end: return, with an error to roll it back")

func (lent) Commit(context.Context) error { return errLent }

// Rollback fails without a harm, so that it may be deferred, as is usual.
func (lent) Rollback(context.Context) error { return errLent }
