package mysqlstore

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/steadyfx/steady/internal/sqlrecord"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/idempotency"
)

// Idempotency is an [idempotency.Store] in MariaDB or MySQL. Use [NewIdempotency]. All methods are safe for concurrent
// use, by any number of processes.
//
// A record is a row with the SHA-256 of its key, so that keys of any length and content are kept apart and none can be
// read in the database. A fence is the server's time of the acquisition in microseconds, or one more than the last: it
// grows for as long as the record lives, and beyond unless the server's clock is set back. Times are exact to the
// microsecond, by the server's clock.
//
// Records stay until [Idempotency.CleanupExpired] removes them. It spares a lapsed claim for as long again as its lease
// or its retention, whichever is longer, and at least a minute, so that its owner can still complete it if nobody has
// taken it over. The trace of a released claim, which for all but its owner is absent, is spared for a minute.
//
// The first call makes the table if there is none, as [Idempotency.EnsureSchema] does.
//
// A result travels as text of twice its length in one statement, which max_allowed_packet of the server and
// maxAllowedPacket of the DSN limit. One that is too large is an [*idempotency.StoreError] and is not stored.
//
// Within its time a call is repeated by itself when the server has rolled it back, for a deadlock or because it waited
// too long for a lock. If a connection dies before the answer is read, it is unknown whether the statement was carried
// out. All calls but Set, Delete and CleanupExpired are repeated even then: each knows its own work by the owner. Set and
// Delete, which could undo what another has done meanwhile, return an [*idempotency.BackendError], as all calls do when
// their time is up. A claim whose caller has got such an error may have been made; it then lasts for its lease.
type Idempotency struct {
	db      *sql.DB
	timeout time.Duration
	table   string
	sql     statements
	schema  *sqlrecord.Lazy[schema]

	met    atomic.Bool  // the last claim that would write met a record or an error: the next one looks first
	packet atomic.Int64 // max_allowed_packet of the server, when it was last looked at
}

// NewIdempotency returns a store on db, which stays the caller's to close. It does not connect. The error is an
// [*idempotency.ConfigurationError] that lists everything that is wrong.
func NewIdempotency(db *sql.DB, cfg Config) (*Idempotency, error) {
	cfg = cfg.withDefaults()
	var checks patterns.Checks
	checks.That(db != nil, "db", "must not be nil")
	cfg.check(&checks)
	if err := misconfigured(&checks); err != nil {
		return nil, err
	}
	s := &Idempotency{db: db, timeout: cfg.Timeout, table: cfg.Table, sql: statementsFor(cfg.Table)}
	s.schema = sqlrecord.NewLazy(s.ensure)
	return s, nil
}

// Claim asks to be the one who acts for the key: in one round trip if it is new or somebody's as that of the last claim was,
// and in two if not, or if it takes over what has expired.
func (s *Idempotency) Claim(ctx context.Context, req idempotency.ClaimRequest) (c idempotency.Claim, err error) {
	if err := req.Validate(); err != nil {
		return idempotency.Claim{}, err
	}
	key, owner := sqlrecord.Digest(req.Key), sqlrecord.NewOwner()
	err = s.call(ctx, "claim", repeatable, func(ctx context.Context) (err error) {
		c, err = s.claim(ctx, key, owner, req)
		return err
	})
	return c, err
}

// claim inserts the record, or looks for it first if there was one the last time: keys that are new come in a row, and so
// do those that are not.
func (s *Idempotency) claim(
	ctx context.Context, key [32]byte, owner [16]byte, req idempotency.ClaimRequest,
) (idempotency.Claim, error) {
	var row sqlrecord.Row
	for attempts := 0; ; attempts++ {
		if attempts > 0 || s.met.Load() {
			var err error
			if row, err = s.look(ctx, key); err != nil {
				return idempotency.Claim{}, err
			}
			if c, found := row.Claim(req, owner); found {
				return c, nil
			}
		}
		fence, err := s.acquire(ctx, key, owner, &row, req)
		s.met.Store(err != nil || fence == 0 || row.Exists()) // a server that refuses to write may still be read
		if err != nil {
			return idempotency.Claim{}, err
		}
		if fence > 0 {
			return sqlrecord.Acquired(owner, fence), nil
		}
		// The next look finds who was faster. Only where reads lag behind writes are there more.
		if attempts > 0 {
			if err := sqlrecord.Pause(ctx, attempts); err != nil {
				return idempotency.Claim{}, err
			}
		}
	}
}

// Complete stores the result of the claim's owner. Completing again with the same token while the result lives changes
// nothing and is not an error.
func (s *Idempotency) Complete(
	ctx context.Context, key string, token idempotency.Token, value []byte, ttl time.Duration,
) error {
	if err := idempotency.ValidateTTL(ttl); err != nil {
		return err
	}
	expires := expiry(ttl)
	return s.change(ctx, "complete", s.sql.complete, key, token, sqlrecord.Complete, blob(value), expires, expires)
}

// Extend lets the owner's claim last for lease from now.
func (s *Idempotency) Extend(ctx context.Context, key string, token idempotency.Token, lease time.Duration) error {
	if err := idempotency.ValidateLease(lease); err != nil {
		return err
	}
	micros := number(sqlrecord.Micros(lease))
	return s.change(ctx, "extend", s.sql.extend, key, token, sqlrecord.Pending, micros, micros)
}

// Release gives the owner's claim back. Releasing again with the same token is not an error for a minute, unless
// somebody else has claimed the key.
func (s *Idempotency) Release(ctx context.Context, key string, token idempotency.Token) error {
	return s.change(ctx, "release", s.sql.release, key, token, sqlrecord.Released, number(sqlrecord.TraceKept()))
}

// Get returns the result of a complete, unexpired record.
func (s *Idempotency) Get(ctx context.Context, key string) (value []byte, found bool, err error) {
	rec, found, err := s.record(ctx, "get", key)
	if !found || rec.Status != idempotency.StatusComplete {
		return nil, false, err
	}
	return rec.Value, true, nil
}

// GetRecord returns the unexpired record of a key.
func (s *Idempotency) GetRecord(ctx context.Context, key string) (rec idempotency.Record, found bool, err error) {
	return s.record(ctx, "get record", key)
}

// Set stores a result for ttl, whoever holds the key. It makes a new record: with no fingerprint, and with a higher
// fence.
func (s *Idempotency) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := idempotency.ValidateTTL(ttl); err != nil {
		return err
	}
	digest, owner, expires := sqlrecord.Digest(key), sqlrecord.NewOwner(), expiry(ttl)
	return s.call(ctx, "set", once, func(ctx context.Context) error {
		_, err := s.exec(ctx, fill(s.sql.set, blob(digest[:]), blob(owner[:]), expires, expires, blob(value)))
		return err
	})
}

// Delete removes the record of a key.
func (s *Idempotency) Delete(ctx context.Context, key string) error {
	digest := sqlrecord.Digest(key)
	return s.call(ctx, "delete", once, func(ctx context.Context) error {
		_, err := s.exec(ctx, fill(s.sql.remove, blob(digest[:])))
		return err
	})
}

// Acquire is Claim for callers that finish with Set or Delete. The ttl is a lease: at least a millisecond.
func (s *Idempotency) Acquire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	c, err := s.Claim(ctx, idempotency.ClaimRequest{Key: key, Lease: ttl})
	return c.Outcome == idempotency.Acquired, err
}

// cleanupBatch keeps the statement, which names the keys, short.
const cleanupBatch = 1000

// CleanupExpired removes at most limit expired records, those first that expire first, a thousand in a statement. Any
// number of processes may do so at once.
func (s *Idempotency) CleanupExpired(ctx context.Context, limit int) (removed int, err error) {
	err = s.call(ctx, "cleanup", once, func(ctx context.Context) error {
		for removed < limit {
			batch := min(limit-removed, cleanupBatch)
			keys, err := s.expired(ctx, batch)
			if err != nil || len(keys) == 0 {
				return err
			}
			n, err := s.exec(ctx, fill(s.sql.cleanup, strings.Join(keys, ",")))
			removed += int(n)
			if err != nil || len(keys) < batch {
				return err
			}
		}
		return nil
	})
	return removed, err
}

// Ping reports whether the server answers, has the table, which is made if there is none, and would write to it: it
// removes the record of no key.
func (s *Idempotency) Ping(ctx context.Context) error {
	return s.call(ctx, "ping", repeatable, func(ctx context.Context) error {
		_, err := s.exec(ctx, fill(s.sql.remove, blob(nil)))
		return err
	})
}

// look reads the record of a key.
func (s *Idempotency) look(ctx context.Context, key [32]byte) (sqlrecord.Row, error) {
	var row sqlrecord.Row
	err := s.db.QueryRowContext(ctx, fill(s.sql.read, blob(key[:]))).Scan(&row.State, &row.Owner, &row.Fence,
		&row.Fingerprint, &row.Created, &row.Stored, &row.Expires, &row.Result, &row.Now)
	if errors.Is(err, sql.ErrNoRows) {
		return sqlrecord.Row{}, nil
	}
	if err == nil {
		err = row.Check()
	}
	return row, err
}

// acquire makes the record, or takes it over if it still is what was read, and returns its fence, or 0 if another was
// faster.
func (s *Idempotency) acquire(
	ctx context.Context, key [32]byte, owner [16]byte, read *sqlrecord.Row, req idempotency.ClaimRequest,
) (fence int64, err error) {
	lease := sqlrecord.Micros(req.Lease)
	ends, purged, fingerprint := number(lease), number(lease+sqlrecord.Grace(req)), blob(req.Fingerprint)
	if read.Exists() {
		fence := read.NextFence()
		n, err := s.exec(ctx, fill(s.sql.takeOver,
			blob(owner[:]), number(fence), fingerprint, purged, ends, blob(key[:]), number(read.Fence)))
		if n == 0 || err != nil {
			return 0, err
		}
		return fence, nil
	}
	res, err := s.db.ExecContext(ctx, fill(s.sql.insert, blob(key[:]), blob(owner[:]), fingerprint, ends, purged))
	if numberOf(err) == duplicateKey {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return res.LastInsertId()
}

// change makes a change that only the owner of a claim may make and that brings it into a state. If nothing was changed,
// that may be because it was in the state already.
func (s *Idempotency) change(
	ctx context.Context, op, statement, key string, token idempotency.Token, state int64, values ...string,
) error {
	digest := sqlrecord.Digest(key)
	statement = fill(statement, append(values, blob(digest[:]), blob(token.Owner[:]))...)
	return s.call(ctx, op, repeatable, func(ctx context.Context) error {
		n, err := s.exec(ctx, statement)
		if n > 0 || err != nil {
			return err
		}
		row, err := s.look(ctx, digest)
		if err != nil {
			return err
		}
		if !row.Repeats(token.Owner, state) {
			return idempotency.ErrClaimLost
		}
		return nil
	})
}

func (s *Idempotency) record(ctx context.Context, op, key string) (rec idempotency.Record, found bool, err error) {
	digest := sqlrecord.Digest(key)
	err = s.call(ctx, op, repeatable, func(ctx context.Context) error {
		row, err := s.look(ctx, digest)
		if err == nil {
			rec, found = row.Record()
		}
		return err
	})
	return rec, found, err
}

// expired returns keys of records that may be removed, in an order in which all processes lock them.
func (s *Idempotency) expired(ctx context.Context, limit int) (keys []string, err error) {
	rows, err := s.db.QueryContext(ctx, fill(s.sql.expired, number(int64(limit))))
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // read to the end
	var key sql.RawBytes
	for rows.Next() {
		if err := rows.Scan(&key); err != nil {
			return nil, err
		}
		keys = append(keys, blob(key))
	}
	slices.Sort(keys)
	return keys, rows.Err()
}

// exec returns how many rows have changed. Whether those count that were there to be changed and are as before, the DSN
// says (clientFoundRows), so that none is no proof of anything.
func (s *Idempotency) exec(ctx context.Context, statement string) (int64, error) {
	res, err := s.db.ExecContext(ctx, statement)
	if err != nil {
		return 0, s.sizedError(ctx, statement, err)
	}
	return res.RowsAffected()
}
