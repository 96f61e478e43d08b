package pgstore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// ClaimTx is [Idempotency.Claim] in a transaction of the caller: the record and what else the transaction writes come
// into being together when it commits, or not at all. Claim first, then write, then [Idempotency.CompleteTx] and
// commit. That is a single commit, and no lease has to be kept: until the end of the transaction, it is PostgreSQL that
// holds the key. It is for actions that are nothing but writes to this database; what goes elsewhere is not undone by a
// rollback.
//
//   - Acquired: nobody else sees the record before the commit, and whoever claims the same key waits. After the commit
//     they learn what it says, after a rollback one of them acquires the key. A transaction that commits without
//     completing leaves a claim that lasts for its lease.
//   - InProgress, Done and Mismatch are answered by what has been committed. End the transaction then: a record that it
//     has waited for may be locked until it ends.
//   - Waiting ends with the lock_timeout of the transaction (SET LOCAL lock_timeout = '200ms'). Then the claim is
//     InProgress with a fence of 0, and PostgreSQL has aborted the transaction: roll it back. Without a lock_timeout it
//     ends with ctx, which costs the connection.
//
// The time limit of the store does not apply, and nothing is repeated: after an error, roll back. A serialization
// failure or a deadlock is an [*idempotency.BackendError] with the *pgconn.PgError, and the whole transaction is to be
// tried again. If the table has not been used before, another connection of the pool looks for it: call
// [Idempotency.EnsureSchema] at the start where the pool may have none to spare.
func (s *Idempotency) ClaimTx(
	ctx context.Context, tx pgx.Tx, req idempotency.ClaimRequest,
) (idempotency.Claim, error) {
	if err := req.Validate(); err != nil {
		return idempotency.Claim{}, err
	}
	if err := s.readyForTx(ctx); err != nil {
		return idempotency.Claim{}, s.asError("claim", err)
	}
	c, err := s.claim(ctx, tx, newClaimant(req))
	if codeOf(err) == lockNotAvailable {
		return idempotency.Claim{Outcome: idempotency.InProgress, RetryAfter: time.Millisecond}, nil
	}
	return c, s.asError("claim", err)
}

// CompleteTx stores the result of the claim's owner in a transaction of the caller: the result and what else the
// transaction writes come into being together when it commits, or not at all. The claim is one of ClaimTx in the same
// transaction, or an earlier one of Claim, whose lease must be kept until the commit.
//
// If the claim is no longer the owner's, the error is [idempotency.ErrClaimLost], and the transaction must be rolled
// back. That is also the answer to completing again, unlike in [Idempotency.Complete]: a transaction that is tried again
// because the answer to its commit was lost must not write twice. Get then has the result.
//
// From CompleteTx until the end of the transaction, calls of others that would change the record wait, and those that
// read it get what was there before.
func (s *Idempotency) CompleteTx(
	ctx context.Context, tx pgx.Tx, key string, token idempotency.Token, value []byte, ttl time.Duration,
) error {
	if err := idempotency.ValidateTTL(ttl); err != nil {
		return err
	}
	if err := s.readyForTx(ctx); err != nil {
		return s.asError("complete", err)
	}
	return s.asError("complete",
		owned(tx.Exec(ctx, s.sql.complete, digest(key), uuid(token.Owner), value, retention(ttl))))
}

// readyForTx looks for the table with the time limit that the transaction itself does not have.
func (s *Idempotency) readyForTx(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.ready(ctx)
}
