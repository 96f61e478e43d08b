package sqlitestore

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"

	"github.com/steadyfx/steady/internal/sqlrecord"
	"github.com/steadyfx/steady/patterns/idempotency"
)

const backend = "sqlite" // the name that errors carry

// Result codes of SQLite. The low byte of an extended code is its kind.
const (
	codeBusy         = 5
	codeCorrupt      = 11
	codeTooBig       = 18
	codeNotADatabase = 26
	busySnapshot     = codeBusy | 2<<8 // of a reader that wants to write, but has read what is outdated: no use to wait
)

// isBusy reports whether somebody else holds the lock that was needed.
func isBusy(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == codeBusy && e.Code() != busySnapshot
}

// asError says what an error means, unless it says so itself: what is in the file cannot be right, or the file cannot be
// used.
func asError(op string, err error) error {
	var e *sqlite.Error
	kind := 0
	if errors.As(err, &e) {
		kind = e.Code() & 0xff
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, idempotency.ErrIdempotency):
		return err
	case errors.Is(err, sqlrecord.ErrRow), kind == codeCorrupt, kind == codeNotADatabase:
		return &idempotency.StoreError{Backend: backend, Op: op, Err: err}
	case kind == codeTooBig:
		return &idempotency.StoreError{Backend: backend, Op: op, Err: fmt.Errorf("%w: %w", sqlrecord.ErrTooLarge, err)}
	default:
		return &idempotency.BackendError{Backend: backend, Op: op, Err: err}
	}
}
