package pgstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// backend is the name that errors carry.
const backend = "postgres"

// repeats says whether a statement may be sent again when nobody knows whether it was carried out.
type repeats bool

const (
	once       repeats = false
	repeatable repeats = true
)

// Codes of PostgreSQL, by which an error says what has happened.
const (
	serializationFailure = "40001"
	deadlock             = "40P01"
	lockNotAvailable     = "55P03"
	noPrivilege          = "42501"
	noSchema             = "3F000"
	statementExists      = "42P05" // somebody else's, of the same connection of a proxy
	tableExists          = "42P07"
	uniqueViolation      = "23505"
	tooLarge             = "54" // a class of codes, of limits that no later try gets around
	adminShutdown        = "57P01"
	crashShutdown        = "57P02"
	idleSessionTimeout   = "57P05"
	connectionException  = "08" // a class of codes
)

// call makes a call on the table, which it makes usable first.
func (s *Idempotency) call(ctx context.Context, op string, may repeats, do func(context.Context) error) error {
	return s.ask(ctx, op, may, func(ctx context.Context) error {
		if err := s.ready(ctx); err != nil {
			return err
		}
		return do(ctx)
	})
}

// ask makes a call within its time, as often as it takes.
func (s *Idempotency) ask(ctx context.Context, op string, may repeats, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err := do(ctx)
	for repeated := 0; err != nil && ctx.Err() == nil && (undone(err) || bool(may) && dead(err)); repeated++ {
		if over := pause(ctx, repeated); over != nil {
			err = fmt.Errorf("%w: %w", over, err)
			break
		}
		err = do(ctx)
	}
	return s.asError(op, err)
}

// pause waits longer from time to time, and each time differently long, so that those who were in each other's way part.
func pause(ctx context.Context, repeated int) error {
	const step, longest = time.Millisecond, 50 * time.Millisecond
	d := min(time.Duration(repeated)*step, longest)
	timer := time.NewTimer(d/2 + rand.N(d/2+1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// undone reports that a statement was certainly not carried out, and can be the next time.
func undone(err error) bool {
	switch code := codeOf(err); code {
	case serializationFailure, deadlock:
		return true
	case "": // a lost answer can look as if the connection had been closed before
		return pgconn.SafeToRetry(err) && !errors.Is(err, pgconn.ErrConnClosed)
	default:
		return false
	}
}

// dead reports that a connection of the pool was lost, with an answer or before the question.
func dead(err error) bool {
	switch code := codeOf(err); {
	case connecting(err):
		return false
	case code == "":
		return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
			errors.Is(err, pgconn.ErrConnClosed) || errors.As(err, new(*net.OpError))
	default:
		return code == adminShutdown || code == crashShutdown || code == idleSessionTimeout ||
			code[:2] == connectionException
	}
}

// connecting reports that no connection could be made.
func connecting(err error) bool { return errors.As(err, new(*pgconn.ConnectError)) }

// codeOf returns the code of an error of PostgreSQL, or "".
func codeOf(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && len(e.Code) == 5 {
		return e.Code
	}
	return ""
}

// asError says what an error of a call means: what a table of ours would not answer is no answer that can be right, and
// all else is a backend that cannot be asked. One whose table cannot be used is looked at again by the next call, which
// makes the table if there is none, or says what is wrong with it.
func (s *Idempotency) asError(op string, err error) error {
	switch {
	case err == nil, errors.Is(err, idempotency.ErrIdempotency):
		return err
	case unfit(err):
		s.usable.Store(false)
	case senseless(err):
		return &idempotency.StoreError{Backend: backend, Op: op, Err: fmt.Errorf("%s: %w", hint, err)}
	case strings.HasPrefix(codeOf(err), tooLarge):
		return &idempotency.StoreError{Backend: backend, Op: op, Err: fmt.Errorf("the result is too large for the store: %w", err)}
	}
	return &idempotency.BackendError{Backend: backend, Op: op, Err: err}
}

// unfit reports that the statement was refused as it is: for a table, a column or a privilege that is not there, or one
// that the store does not know of.
func unfit(err error) bool {
	code := codeOf(err)
	names, constraint := strings.HasPrefix(code, "42"), strings.HasPrefix(code, "23")
	return code == noSchema || names && code != statementExists || constraint
}

// senseless reports that there is a row that the store has not written.
func senseless(err error) bool {
	return errors.Is(err, pgx.ErrNoRows) || errors.As(err, new(pgx.ScanArgError)) || strings.HasPrefix(codeOf(err), "22")
}

// hint is what to do about an answer that cannot be right.
const hint = "see with CheckSchema whether the table is what it should be, and whether something else writes to it"

func errState(op string, state int16) error {
	return &idempotency.StoreError{Backend: backend, Op: op, Err: fmt.Errorf("unknown state %d: %s", state, hint)}
}
