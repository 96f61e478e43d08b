package sqlitestore

import (
	"context"
	"database/sql"
	"time"

	"github.com/steadyfx/steady/internal/sqlrecord"
	"github.com/steadyfx/steady/patterns/idempotency"
)

// Idempotency is an [idempotency.Store] in a SQLite file. Use [NewIdempotency]. All methods are safe for concurrent use,
// by any number of processes.
//
// Of a key only the SHA-256 is kept, so that keys of any length and content are kept apart. Times are those of the
// machine's clock, in whole milliseconds. A fence is the time of the acquisition in microseconds, or one more than the
// last: it grows for as long as the record lives, and beyond unless the clock is set back.
//
// Records stay until [Idempotency.CleanupExpired] removes them. It spares a lapsed claim for as long again as its lease
// or its retention, whichever is longer, and at least a minute, so that its owner can still complete it if nobody has
// taken it over. The trace of a released claim, which for all but its owner is absent, is spared for a minute.
//
// The first call opens the file and makes the table if there is none, as [Idempotency.EnsureSchema] does. While another
// process writes, a write waits and tries again until its time is up.
type Idempotency struct {
	path    string
	table   string
	timeout time.Duration
	file    *sqlrecord.Lazy[file]
}

// NewIdempotency returns a store that keeps its records in the file at cfg.Path, which it does not open yet. The caller
// closes the store. The error is an [*idempotency.ConfigurationError] that lists everything that is wrong.
func NewIdempotency(cfg Config) (*Idempotency, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	path, err := absolute(cfg.Path)
	if err != nil {
		return nil, err
	}
	return &Idempotency{
		path: path, table: cfg.Table, timeout: cfg.Timeout,
		file: sqlrecord.NewLazy(func(ctx context.Context) (*file, error) { return openFile(ctx, path, cfg.Table) }),
	}, nil
}

// Close closes the file. Calls that are under way may fail, later ones do. It may be called more than once.
func (s *Idempotency) Close() error {
	f := s.file.Close()
	if f == nil {
		return nil
	}
	return asError("close", f.close())
}

// Claim asks to be the one who acts for the key. If it is somebody's already, nothing is written.
func (s *Idempotency) Claim(ctx context.Context, req idempotency.ClaimRequest) (c idempotency.Claim, err error) {
	if err := req.Validate(); err != nil {
		return idempotency.Claim{}, err
	}
	key, owner := sqlrecord.Digest(req.Key), sqlrecord.NewOwner()
	err = s.do(ctx, "claim", func(ctx context.Context, f *file) error {
		for {
			row, err := f.look(ctx, key)
			if err != nil {
				return err
			}
			var found bool
			if c, found = row.Claim(req, owner); found {
				return nil
			}
			// Between these two another may have come.
			fence, acquired, err := f.acquire(ctx, key, owner, req)
			if err != nil {
				return err
			}
			if acquired {
				c = sqlrecord.Acquired(owner, fence)
				return nil
			}
		}
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
	return s.doOwned(ctx, "complete", key, token, sqlrecord.Complete, func(f *file) (*sql.Stmt, []any) {
		return f.complete, []any{value, expiry(ttl)}
	})
}

// Extend lets the owner's claim last for lease from now.
func (s *Idempotency) Extend(ctx context.Context, key string, token idempotency.Token, lease time.Duration) error {
	if err := idempotency.ValidateLease(lease); err != nil {
		return err
	}
	return s.doOwned(ctx, "extend", key, token, sqlrecord.Pending, func(f *file) (*sql.Stmt, []any) {
		return f.extend, []any{sqlrecord.Micros(lease)}
	})
}

// Release gives the owner's claim back. Releasing again with the same token is not an error for a minute, unless
// somebody else has claimed the key.
func (s *Idempotency) Release(ctx context.Context, key string, token idempotency.Token) error {
	return s.doOwned(ctx, "release", key, token, sqlrecord.Released, func(f *file) (*sql.Stmt, []any) {
		return f.release, []any{sqlrecord.TraceKept()}
	})
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
	digest, owner := sqlrecord.Digest(key), sqlrecord.NewOwner()
	return s.do(ctx, "set", func(ctx context.Context, f *file) error {
		_, err := f.change(ctx, f.set, digest[:], owner[:], value, expiry(ttl))
		return err
	})
}

// Delete removes the record of a key.
func (s *Idempotency) Delete(ctx context.Context, key string) error {
	digest := sqlrecord.Digest(key)
	return s.do(ctx, "delete", func(ctx context.Context, f *file) error {
		_, err := f.change(ctx, f.remove, digest[:])
		return err
	})
}

// Acquire is Claim for callers that finish with Set or Delete. The ttl is a lease: at least a millisecond.
func (s *Idempotency) Acquire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	c, err := s.Claim(ctx, idempotency.ClaimRequest{Key: key, Lease: ttl})
	return c.Outcome == idempotency.Acquired, err
}

// CleanupExpired removes at most limit expired records, those first that expired first.
func (s *Idempotency) CleanupExpired(ctx context.Context, limit int) (removed int, err error) {
	if limit <= 0 {
		return 0, nil
	}
	err = s.do(ctx, "cleanup", func(ctx context.Context, f *file) error {
		n, err := f.change(ctx, f.cleanup, limit)
		removed = int(n)
		return err
	})
	return removed, err
}

// EnsureSchema opens the file and makes the table and its index if there is no table. If there is one that is not what
// the store needs, the error is an [*idempotency.ConfigurationError]. Any number of processes may do so at once.
func (s *Idempotency) EnsureSchema(ctx context.Context) error {
	return s.do(ctx, "schema", func(context.Context, *file) error { return nil })
}

// CheckSchema reports whether the table is there and what the store needs, and changes nothing. The error is an
// [*idempotency.ConfigurationError] that says what is wrong, or an [*idempotency.BackendError].
func (s *Idempotency) CheckSchema(ctx context.Context) error {
	return s.bounded(ctx, "schema", func(ctx context.Context) error { return checkSchema(ctx, s.path, s.table) })
}

// Ping reports whether the file, which it opens if need be, and the table in it can be read. Whether they can be written
// to only a write would tell, for which it would have to wait for others.
func (s *Idempotency) Ping(ctx context.Context) error {
	return s.do(ctx, "ping", func(ctx context.Context, f *file) error {
		_, err := f.look(ctx, [32]byte{})
		return err
	})
}

func (s *Idempotency) record(ctx context.Context, op, key string) (rec idempotency.Record, found bool, err error) {
	digest := sqlrecord.Digest(key)
	err = s.do(ctx, op, func(ctx context.Context, f *file) error {
		row, err := f.look(ctx, digest)
		if err == nil {
			rec, found = row.Record()
		}
		return err
	})
	return rec, found, err
}

// do makes a call on the file, which it opens first.
func (s *Idempotency) do(ctx context.Context, op string, call func(context.Context, *file) error) error {
	return s.bounded(ctx, op, func(ctx context.Context) error {
		f, err := s.file.Get(ctx)
		if err != nil {
			return err
		}
		return call(ctx, f)
	})
}

// bounded makes a call within its time, as often as the file is locked.
func (s *Idempotency) bounded(ctx context.Context, op string, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	for attempts := 0; ; attempts++ {
		err := ctx.Err()
		if err == nil {
			err = call(ctx)
		}
		if !isBusy(err) || sqlrecord.Pause(ctx, attempts) != nil {
			return asError(op, sqlrecord.Blame(ctx, err))
		}
	}
}

// doOwned makes a change that only the owner of a claim may make and that brings it into a state. If nothing was changed,
// that may be because it was in the state already.
func (s *Idempotency) doOwned(
	ctx context.Context, op, key string, token idempotency.Token, state int64, change func(*file) (*sql.Stmt, []any),
) error {
	digest := sqlrecord.Digest(key)
	return s.do(ctx, op, func(ctx context.Context, f *file) error {
		stmt, args := change(f)
		n, err := f.change(ctx, stmt, append([]any{digest[:], token.Owner[:]}, args...)...)
		if n > 0 || err != nil {
			return err
		}
		row, err := f.look(ctx, digest)
		if err != nil {
			return err
		}
		if !row.Repeats(token.Owner, state) {
			return idempotency.ErrClaimLost
		}
		return nil
	})
}

// expiry is NULL for what does not expire.
func expiry(ttl time.Duration) any {
	if ttl == 0 {
		return nil
	}
	return sqlrecord.Micros(ttl)
}
