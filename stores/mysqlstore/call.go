package mysqlstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/steadyfx/steady/internal/sqlrecord"
	"github.com/steadyfx/steady/patterns/idempotency"
)

const backend = "mysql" // the name that errors carry

// repeats says whether a call may be made again when nobody knows whether it was carried out.
type repeats bool

const (
	once       repeats = false
	repeatable repeats = true
)

// Numbers of the server's errors.
const (
	recordChanged = 1020 // since it was read; MariaDB
	accessDenied  = 1044 // to the database
	noDatabase    = 1046
	tableExists   = 1050
	unknownColumn = 1054
	duplicateKey  = 1062
	syntaxError   = 1064
	commandDenied = 1142
	noTable       = 1146
	lockTimeout   = 1205
	deadlock      = 1213
	outOfRange    = 1264
	noDefault     = 1364
	wrongValue    = 1366
	tooLong       = 1406
)

// call makes a call on the table, for which it looks first.
func (s *Idempotency) call(ctx context.Context, op string, may repeats, do func(context.Context) error) error {
	return s.ask(ctx, op, may, func(ctx context.Context) error {
		if _, err := s.schema.Get(ctx); err != nil {
			return err
		}
		return do(ctx)
	})
}

// ask makes a call within its time, as often as it takes.
func (s *Idempotency) ask(ctx context.Context, op string, may repeats, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	for attempts := 0; ; attempts++ {
		err := ctx.Err()
		if err == nil {
			err = do(ctx)
		}
		again := undone(err) || bool(may) && errors.Is(err, mysql.ErrInvalidConn)
		if !again || sqlrecord.Pause(ctx, attempts) != nil {
			return asError(op, sqlrecord.Blame(ctx, err))
		}
	}
}

// undone reports that a statement was certainly not carried out, and can be the next time.
func undone(err error) bool {
	switch numberOf(err) {
	case deadlock, lockTimeout, recordChanged:
		return true
	default:
		return false
	}
}

// numberOf returns the number of an error of the server, or 0.
func numberOf(err error) uint16 {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return e.Number
	}
	return 0
}

// asError says what an error of a call means, unless it says so itself: what a table of ours would not answer is no
// answer that can be right, and all else is a backend that cannot be asked.
func asError(op string, err error) error {
	if err == nil || errors.Is(err, idempotency.ErrIdempotency) {
		return err
	}
	switch numberOf(err) {
	case noTable, unknownColumn, outOfRange, noDefault, wrongValue, tooLong:
		return &idempotency.StoreError{Backend: backend, Op: op, Err: fmt.Errorf("%s: %w", hint, err)}
	case syntaxError: // of a proxy, or of a server that is too old, which quote the statement
		e, _ := errors.AsType[*mysql.MySQLError](err)
		told, _, _ := strings.Cut(e.Message, " near ")
		err = &mysql.MySQLError{Number: e.Number, SQLState: e.SQLState, Message: told}
	}
	if errors.Is(err, sqlrecord.ErrRow) {
		return &idempotency.StoreError{Backend: backend, Op: op, Err: err}
	}
	return &idempotency.BackendError{Backend: backend, Op: op, Err: err}
}

// hint is what to do about an answer that cannot be right.
const hint = "see with CheckSchema whether the table is what it should be"
