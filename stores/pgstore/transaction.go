package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// claimed is the savepoint after the claim.
const claimed = "steady_claimed"

// failedTransaction is the code of an answer to a statement after another one has failed.
const failedTransaction = "25P02"

// transaction is an [idempotency.Transaction].
type transaction struct {
	begin  func(context.Context) (pgx.Tx, error)
	joined bool // begin makes a savepoint
	store  *Idempotency

	// Of the one that has acquired the key.
	tx    pgx.Tx
	key   string
	token idempotency.Token
	id    int64 // by which PostgreSQL knows it
}

// Joined is for DoTx.
func (t *transaction) Joined() bool { return t.joined }

// Claim repeats what nobody has done anything in, unless it is a part of something.
func (t *transaction) Claim(
	ctx context.Context, req idempotency.TransactionRequest,
) (c idempotency.Claim, err error) {
	deadline := time.Now().Add(req.Wait)
	ctx, cancel := context.WithDeadline(ctx, deadline.Add(t.store.timeout))
	defer cancel()
	for repeated := 0; ; repeated++ {
		c, err = t.claim(ctx, req, time.Until(deadline))
		if err == nil || t.joined || ctx.Err() != nil || !undone(err) && !dead(err) {
			break
		}
		if over := pause(ctx, repeated); over != nil {
			err = fmt.Errorf("%w: %w", over, err)
			break
		}
	}
	return c, t.store.asError("claim", err)
}

func (t *transaction) claim(
	ctx context.Context, req idempotency.TransactionRequest, wait time.Duration,
) (c idempotency.Claim, err error) {
	if err := t.store.readyForTx(ctx); err != nil { // before a connection is taken, of which there may be one
		return c, err
	}
	if t.tx, err = t.begin(ctx); err != nil {
		return c, err
	}
	asking := &patient{Tx: t.tx, store: t.store, key: digest(req.Key), wait: wait, savepoint: req.Savepoint}
	c, err = t.store.ClaimTx(ctx, asking, req.ClaimRequest)
	if err != nil || c.Outcome != idempotency.Acquired {
		_ = t.Rollback(ctx) // fails if the connection is dead, and then there is nothing to roll back
		return c, err
	}
	t.key, t.token, t.id = req.Key, c.Token, asking.id
	return c, nil
}

// Undo goes back to the savepoint that was made after the claim.
func (t *transaction) Undo(ctx context.Context) error {
	_, err := t.tx.Exec(ctx, "ROLLBACK TO SAVEPOINT "+claimed)
	return t.store.asError("undo", err)
}

// Commit is not cut short when ctx ends, because that would put it in doubt.
func (t *transaction) Commit(ctx context.Context, value []byte, ttl time.Duration) error {
	err := t.store.CompleteTx(ctx, t.tx, t.key, t.token, value, ttl)
	switch {
	case codeOf(err) == failedTransaction:
		return fmt.Errorf("pgstore: a statement of the function has failed, but the function has not: %w", err)
	case err != nil:
		return err
	case t.joined:
		return t.store.asError("complete", t.tx.Commit(ctx))
	}
	bounded, cancel := t.store.detached(ctx)
	defer cancel()
	err = t.tx.Commit(bounded)
	if err == nil || refused(err) {
		return err
	}
	return t.store.settle(ctx, t.id, err)
}

// Rollback gives the connection back, too.
func (t *transaction) Rollback(ctx context.Context) error {
	ctx, cancel := t.store.detached(ctx)
	defer cancel()
	err := t.tx.Rollback(ctx)
	if errors.Is(err, pgx.ErrTxClosed) {
		return nil
	}
	return t.store.asError("rollback", err)
}

// detached returns a context for what has to be done whether ctx has ended or not.
func (s *Idempotency) detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
}

// refused reports that PostgreSQL has answered a commit with a rollback. Of a connection that was lost nothing can be
// concluded: to pgconn.SafeToRetry, a lost answer may look like a connection that was closed before.
func refused(err error) bool {
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok {
		return answer.SeverityUnlocalized == "ERROR" // with another, the session ends, perhaps after the commit
	}
	return errors.Is(err, pgx.ErrTxCommitRollback)
}

// settle asks what became of a transaction whose commit had no answer.
func (s *Idempotency) settle(ctx context.Context, id int64, lost error) error {
	var status string
	err := s.ask(context.WithoutCancel(ctx), "commit", repeatable, func(ctx context.Context) error {
		for asked := 0; ; asked++ {
			err := s.pool.QueryRow(ctx, "SELECT coalesce(txid_status($1), '')", id).Scan(&status)
			if err != nil || status != "in progress" {
				return err
			}
			if err := pause(ctx, asked); err != nil {
				return err
			}
		}
	})
	switch {
	case err == nil && status == "committed":
		return nil
	case err == nil && status == "aborted":
		return &idempotency.BackendError{
			Backend: backend, Op: "commit", Err: fmt.Errorf("the transaction was rolled back: %w", lost),
		}
	default:
		return &idempotency.BackendError{
			Backend: backend, Op: "commit", Err: fmt.Errorf("%w: %w", idempotency.ErrInDoubt, lost),
		}
	}
}
