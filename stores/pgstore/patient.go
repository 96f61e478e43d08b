package pgstore

import (
	"context"
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// What goes around the statement of a claim. In between, the lock_timeout that was set before is in a parameter of ours.
const (
	limitLocks = "SELECT set_config('steady.lock_timeout', current_setting('lock_timeout'), true), " +
		"set_config('lock_timeout', $1::text, true)"
	unlimitLocks = "SELECT set_config('lock_timeout', current_setting('steady.lock_timeout'), true), " +
		"coalesce(txid_current_if_assigned(), 0)"
	markClaimed = "SAVEPOINT " + claimed
)

// patient is a transaction in which a claim waits for others, but only for so long. All that this takes goes along with
// the claim, in the one round trip that it takes anyway.
type patient struct {
	pgx.Tx
	wait      time.Duration
	savepoint bool  // after the claim
	id        int64 // of the transaction, if it has written
}

// QueryRow returns a row that is asked for when it is scanned.
func (p *patient) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return question{p, ctx, sql, args}
}

type question struct {
	*patient
	ctx  context.Context
	sql  string
	args []any
}

func (q question) Scan(dest ...any) error {
	const longest = math.MaxInt32 // milliseconds, of which 0 are no limit
	wait := min(max(q.wait.Milliseconds(), 1), longest)
	batch := &pgx.Batch{}
	batch.Queue(limitLocks, strconv.FormatInt(wait, 10))
	batch.Queue(q.sql, q.args...)
	batch.Queue(unlimitLocks)
	if q.savepoint {
		batch.Queue(markClaimed)
	}
	answers := q.SendBatch(q.ctx, batch)
	defer answers.Close() //nolint:errcheck // reported below, unless there is another error
	if _, err := answers.Exec(); err != nil {
		return err
	}
	found := answers.QueryRow().Scan(dest...)
	if found != nil && !errors.Is(found, pgx.ErrNoRows) {
		return found
	}
	if err := answers.QueryRow().Scan(nil, &q.id); err != nil {
		return err
	}
	if err := answers.Close(); err != nil {
		return err
	}
	return found
}
