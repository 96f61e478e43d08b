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
	recordChanged  = 1020 // since it was read; MariaDB
	accessDenied   = 1044 // to the database
	noDatabase     = 1046
	tableExists    = 1050
	unknownColumn  = 1054
	duplicateKey   = 1062
	syntaxError    = 1064
	rowTooLarge    = 1118 // for the log
	commandDenied  = 1142
	noTable        = 1146
	packetTooLarge = 1153
	lockTimeout    = 1205
	deadlock       = 1213
	outOfRange     = 1264
	noDefault      = 1364
	wrongValue     = 1366
	tooLong        = 1406
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
			return s.asError(op, sqlrecord.Blame(ctx, err))
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
// answer that can be right, and all else is a backend that cannot be asked. One whose table cannot be used is looked at
// again by the next call, which makes the table if there is none, or says what is wrong with it.
func (s *Idempotency) asError(op string, err error) error {
	if err == nil || errors.Is(err, idempotency.ErrIdempotency) {
		return err
	}
	switch numberOf(err) {
	case noTable, unknownColumn, noDefault, commandDenied:
		s.schema.Forget()
	case outOfRange, wrongValue, tooLong:
		return &idempotency.StoreError{Backend: backend, Op: op, Err: fmt.Errorf("%s: %w", hint, err)}
	case syntaxError: // of a proxy, or of a server that is too old, which quote the statement
		e, _ := errors.AsType[*mysql.MySQLError](err)
		told, _, _ := strings.Cut(e.Message, " near ")
		err = &mysql.MySQLError{Number: e.Number, SQLState: e.SQLState, Message: told}
	}
	if errors.Is(err, sqlrecord.ErrRow) || errors.Is(err, sqlrecord.ErrTooLarge) {
		return &idempotency.StoreError{Backend: backend, Op: op, Err: err}
	}
	return &idempotency.BackendError{Backend: backend, Op: op, Err: err}
}

// sizedError says of an error of a statement whether it is for its length: the server says so, or the driver, or the
// server just closes the connection while the statement is being sent.
func (s *Idempotency) sizedError(ctx context.Context, statement string, err error) error {
	switch number := numberOf(err); {
	case number == packetTooLarge, number == rowTooLarge, errors.Is(err, mysql.ErrPktTooLarge):
		return fmt.Errorf("%w: %w", sqlrecord.ErrTooLarge, err)
	case number == 0 && ctx.Err() == nil && int64(len(statement)) >= s.packet.Load():
		return fmt.Errorf("%w: its statement of %d bytes is longer than max_allowed_packet of the server",
			sqlrecord.ErrTooLarge, len(statement))
	default:
		return err
	}
}

// hint is what to do about an answer that cannot be right.
const hint = "see with CheckSchema whether the table is what it should be"
