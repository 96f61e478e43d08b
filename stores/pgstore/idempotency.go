package pgstore

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/idempotency"
)

// Pool is what a store needs of a *pgxpool.Pool.
type Pool interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	BeginTx(ctx context.Context, options pgx.TxOptions) (pgx.Tx, error)
}

// Idempotency is an [idempotency.Store] in PostgreSQL. Use [NewIdempotency]. All methods are safe for concurrent use.
//
// A record is a row with the SHA-256 of its key, so that keys of any length and content are kept apart and none can be
// read in the database. A fence is the server's time of the acquisition in microseconds, or one more than the last: it
// grows for as long as the record lives, and beyond unless the server's clock is set back. Times are exact to the
// microsecond, by the server's clock. Expired records stay until they are taken over or cleaned up.
//
// The first call makes the table if there is none, as [Idempotency.EnsureSchema] does.
//
// Within its time a call is repeated by itself when PostgreSQL has rolled it back, for a serialization failure or a
// deadlock, and when it met a connection of the pool that was dead. If a connection dies before the answer is read, it
// is unknown whether the statement was carried out. Claim, Complete, Extend and reads are repeated even then: a claim
// knows by its owner the record that it has made itself, and is acquired. Set, Delete and Release, which could undo
// what another has done meanwhile, are not: they return an [*idempotency.BackendError], as all calls do when their time
// is up. A claim whose caller has got such an error may have been made; it then lasts for its lease.
type Idempotency struct {
	pool    Pool
	timeout time.Duration
	table   string // quoted
	ddl     string
	sql     statements

	usable atomic.Bool   // the table was there when it was last looked for
	gate   chan struct{} // holds who looks for it
}

// NewIdempotency returns a store on pool, which stays the caller's to close. It does not connect. The error is an
// [*idempotency.ConfigurationError] that lists everything that is wrong.
func NewIdempotency(pool Pool, cfg Config) (*Idempotency, error) {
	cfg = cfg.withDefaults()
	var checks patterns.Checks
	checks.That(!isNil(pool), "pool", "must not be nil")
	cfg.check(&checks)
	if err := checks.Err(backend); err != nil {
		return nil, &idempotency.ConfigurationError{Err: err}
	}
	ddl, err := DDL(cfg)
	if err != nil {
		return nil, err
	}
	return &Idempotency{
		pool: pool, timeout: cfg.Timeout, table: cfg.quoted(), ddl: ddl, sql: statementsFor(cfg.quoted()),
		gate: make(chan struct{}, 1),
	}, nil
}

// isNil also finds a nil *pgxpool.Pool, which an interface hides.
func isNil(pool Pool) bool {
	v := reflect.ValueOf(pool)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

// Claim asks to be the one who acts for the key: in one round trip, or in two if it takes over what has expired.
//
// While a transaction that has claimed the key by [Idempotency.ClaimTx] is open, Claim waits for its end, and returns an
// [*idempotency.BackendError] if its own time is up before.
func (s *Idempotency) Claim(ctx context.Context, req idempotency.ClaimRequest) (c idempotency.Claim, err error) {
	if err := req.Validate(); err != nil {
		return idempotency.Claim{}, err
	}
	asked := newClaimant(req)
	err = s.call(ctx, "claim", repeatable, func(ctx context.Context) (err error) {
		c, err = s.claim(ctx, s.pool, asked)
		return err
	})
	return c, err
}

// Complete stores the result of the claim's owner. Completing again with the same token while the result lives changes
// nothing and is not an error.
func (s *Idempotency) Complete(
	ctx context.Context, key string, token idempotency.Token, value []byte, ttl time.Duration,
) error {
	if err := idempotency.ValidateTTL(ttl); err != nil {
		return err
	}
	return s.call(ctx, "complete", repeatable, func(ctx context.Context) error {
		id, owner := digest(key), uuid(token.Owner)
		err := owned(s.pool.Exec(ctx, s.sql.complete, id, owner, value, retention(ttl)))
		if !errors.Is(err, idempotency.ErrClaimLost) {
			return err
		}
		var before bool
		if err := s.pool.QueryRow(ctx, s.sql.completed, id, owner).Scan(&before); err != nil {
			return err
		}
		if before {
			return nil
		}
		return idempotency.ErrClaimLost
	})
}

// Extend lets the owner's claim last for lease from now.
func (s *Idempotency) Extend(ctx context.Context, key string, token idempotency.Token, lease time.Duration) error {
	if err := idempotency.ValidateLease(lease); err != nil {
		return err
	}
	return s.call(ctx, "extend", repeatable, func(ctx context.Context) error {
		return owned(s.pool.Exec(ctx, s.sql.extend, digest(key), uuid(token.Owner), interval(lease)))
	})
}

// Release gives the owner's claim back, by removing its record. Released once more, the claim is lost.
func (s *Idempotency) Release(ctx context.Context, key string, token idempotency.Token) error {
	return s.call(ctx, "release", once, func(ctx context.Context) error {
		return owned(s.pool.Exec(ctx, s.sql.release, digest(key), uuid(token.Owner)))
	})
}

// Get returns the result of a complete, unexpired record.
func (s *Idempotency) Get(ctx context.Context, key string) (value []byte, found bool, err error) {
	rec, found, err := s.GetRecord(ctx, key)
	if !found || rec.Status != idempotency.StatusComplete {
		return nil, false, err
	}
	return rec.Value, true, nil
}

// GetRecord returns the unexpired record of a key.
func (s *Idempotency) GetRecord(ctx context.Context, key string) (rec idempotency.Record, found bool, err error) {
	err = s.call(ctx, "get", repeatable, func(ctx context.Context) (err error) {
		rec, err = scanRecord(s.pool.QueryRow(ctx, s.sql.record, digest(key)))
		found = err == nil
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	return rec, found, err
}

// Set stores a result for ttl, whoever holds the key. It makes a new record: with no fingerprint, and with a higher
// fence.
func (s *Idempotency) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := idempotency.ValidateTTL(ttl); err != nil {
		return err
	}
	return s.call(ctx, "set", once, func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, s.sql.set, digest(key), uuid(newOwner()), value, retention(ttl))
		return err
	})
}

// Delete removes the record of a key.
func (s *Idempotency) Delete(ctx context.Context, key string) error {
	return s.call(ctx, "delete", once, func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, s.sql.remove, digest(key))
		return err
	})
}

// Acquire is Claim for callers that finish with Set or Delete. The ttl is a lease: at least a millisecond.
func (s *Idempotency) Acquire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	c, err := s.Claim(ctx, idempotency.ClaimRequest{Key: key, Lease: ttl})
	return c.Outcome == idempotency.Acquired, err
}

// CleanupExpired removes at most limit expired records, those first that expire first. Any number of processes may do
// so at once: they share the work, and none waits for another. A record that was completed for a shorter time than its
// claim had foreseen is removed when the time of the claim is up.
func (s *Idempotency) CleanupExpired(ctx context.Context, limit int) (removed int, err error) {
	if limit <= 0 {
		return 0, nil
	}
	err = s.call(ctx, "cleanup", once, func(ctx context.Context) error {
		tag, err := s.pool.Exec(ctx, s.sql.cleanup, limit)
		removed = int(tag.RowsAffected())
		return err
	})
	return removed, err
}

// Ping reports whether PostgreSQL answers, has the table, which is made if there is none, and would write to it: it
// removes the record of no key.
func (s *Idempotency) Ping(ctx context.Context) error {
	return s.call(ctx, "ping", repeatable, func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, s.sql.remove, []byte{})
		return err
	})
}

// owned says what it means for an owner's claim how many rows its statement has met.
func owned(tag pgconn.CommandTag, err error) error {
	if err == nil && tag.RowsAffected() == 0 {
		return idempotency.ErrClaimLost
	}
	return err
}

func scanRecord(row pgx.Row) (idempotency.Record, error) {
	var (
		rec     idempotency.Record
		state   int16
		expires pgtype.Timestamptz
	)
	if err := row.Scan(&state, &rec.Fence, &rec.Fingerprint, &rec.CreatedAt, &expires, &rec.Value); err != nil {
		return idempotency.Record{}, err
	}
	if expires.InfinityModifier == pgtype.Finite {
		rec.ExpiresAt = expires.Time
	}
	switch state {
	case pending:
		rec.Status = idempotency.StatusPending
	case complete:
		rec.Status = idempotency.StatusComplete
	default:
		return idempotency.Record{}, errState("get", state)
	}
	return rec, nil
}

// digest is of a fixed width, so that no key is too long for the index, and all bytes count.
func digest(key string) []byte {
	sum := sha256.Sum256([]byte(key))
	return sum[:]
}

func newOwner() (owner [16]byte) {
	rand.Read(owner[:]) // never fails
	return owner
}

func uuid(owner [16]byte) pgtype.UUID { return pgtype.UUID{Bytes: owner, Valid: true} }

// interval drops what is less than PostgreSQL has, a microsecond.
func interval(d time.Duration) pgtype.Interval {
	return pgtype.Interval{Microseconds: d.Microseconds(), Valid: true}
}

// retention is NULL for without expiry.
func retention(ttl time.Duration) pgtype.Interval {
	if ttl == 0 {
		return pgtype.Interval{}
	}
	return interval(ttl)
}
