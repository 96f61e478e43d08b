package pgstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Statements around that of a claim.
//
// Who would have to wait for a transaction that has the key waits for its advisory lock, unless there is a record that
// says more. The lock_timeout for that is of nothing else: inserts wait for other locks, too, if only for a moment, and
// that must not pass for a key in use. Those who wait have the lock one after the other, and the wait is one, however often
// the key changes hands. What the lock_timeout was before is in a parameter of ours meanwhile.
//
// Who acquires the key is up to the index alone.
const (
	limitWait = "SELECT set_config('steady.lock_timeout', current_setting('lock_timeout'), true), " +
		"set_config('lock_timeout', $1::text, true)"
	waitForKey = "SELECT pg_advisory_xact_lock($2::bigint) WHERE NOT EXISTS " +
		"(SELECT FROM {table} WHERE key = $1::bytea AND expires_at > clock_timestamp())"
	limitClaim = "SELECT set_config('lock_timeout', $1::text, true)"
	endLimit   = "SELECT set_config('lock_timeout', current_setting('steady.lock_timeout'), true), " +
		"coalesce(txid_current_if_assigned(), 0)"
	markClaimed = "SAVEPOINT " + claimed
)

// patient is a transaction in which a claim waits for others, but only for so long. All that this takes goes along with
// the claim, in the one round trip that it takes anyway.
type patient struct {
	pgx.Tx
	store     *Idempotency
	key       []byte
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
	batch := &pgx.Batch{}
	batch.Queue(limitWait, milliseconds(q.wait))
	batch.Queue(strings.ReplaceAll(waitForKey, "{table}", q.store.table), q.key, lockOf(q.store.table, q.key))
	batch.Queue(limitClaim, milliseconds(q.store.timeout))
	batch.Queue(q.sql, q.args...)
	batch.Queue(endLimit)
	if q.savepoint {
		batch.Queue(markClaimed)
	}
	answers := q.SendBatch(q.ctx, batch)
	defer answers.Close() //nolint:errcheck // reported below, unless there is another error
	for range 3 {
		if _, err := answers.Exec(); err != nil {
			return err
		}
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

// milliseconds is a lock_timeout, of which 0 would be none.
func milliseconds(d time.Duration) string {
	return strconv.FormatInt(min(max(d.Milliseconds(), 1), math.MaxInt32), 10)
}

// lockOf returns the number of the advisory lock of a key in a table. Keys that share one would only wait for each other.
func lockOf(table string, key []byte) int64 {
	sum := sha256.Sum256(append([]byte(table), key...))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}
