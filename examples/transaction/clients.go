package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// clients send transfers, and send each again until they have an answer to it.
type clients struct {
	bank      *bank
	transfers []transfer

	sent, crashes, lost, booked, duplicates, early atomic.Int64
}

const (
	atOnce      = 4 // transfers, each of which is sent by two
	maxAttempts = 100
	pause       = 10 * time.Millisecond // before a transfer is sent again
)

func newClients(b *bank, n int) *clients {
	c := &clients{bank: b}
	for i := range n {
		c.transfers = append(c.transfers, transfer{
			ID: fmt.Sprintf("transfer-%d", i), From: 1 + i%accounts, To: 1 + (i*3+1)%accounts, Cents: int64(100 + i),
		})
	}
	return c
}

// send sends every transfer twice at the same time, as a client does that has lost its patience.
func (c *clients) send(ctx context.Context) error {
	var (
		sending sync.WaitGroup
		mu      sync.Mutex
		failed  []error
	)
	slots := make(chan struct{}, 2*atOnce)
	for i, t := range c.transfers {
		for range 2 {
			slots <- struct{}{}
			sending.Go(func() {
				defer func() { <-slots }()
				err := c.untilAnswered(ctx, i, t)
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, err)
			})
		}
	}
	sending.Wait()
	return errors.Join(failed...)
}

// untilAnswered gives up after many attempts. Of some transfers the first attempt crashes, of others its answer is lost.
func (c *clients) untilAnswered(ctx context.Context, number int, t transfer) (err error) {
	for attempt := range maxAttempts {
		c.sent.Add(1)
		crash, lose := attempt == 0 && number%3 == 0, attempt == 0 && number%5 == 1
		if err = c.attempt(ctx, t, crash, lose); err == nil {
			return nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return fmt.Errorf("%s has no answer: %w", t.ID, err)
}

var errNoAnswer = errors.New("no answer")

func (c *clients) attempt(ctx context.Context, t transfer, crash, lose bool) error {
	if crash {
		ctx = context.WithValue(ctx, interruption{}, func() { c.crashes.Add(1) })
	}
	result, err := c.bank.transfer(ctx, t)
	var conflict *idempotency.ConflictError
	switch {
	case errors.As(err, &conflict): // it is being booked: come back later, for its result
		c.early.Add(1)
	case err != nil:
	case result.IsDuplicate:
		c.duplicates.Add(1)
	default:
		c.booked.Add(1)
	}
	if err == nil && lose {
		c.lost.Add(1)
		return errNoAnswer
	}
	return err
}

// interruption is what is to be told when the process crashes in the midst of a transfer.
type interruption struct{}

// crasher sees the statements of the pool, and ends the connection before the last one of a transfer that is to crash:
// that is what PostgreSQL sees of a crash.
type crasher struct{}

func (crasher) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if tell, ok := ctx.Value(interruption{}).(func()); ok && strings.HasPrefix(data.SQL, "INSERT INTO bookings") {
		tell()
		_ = conn.PgConn().Conn().Close() // the statement fails
	}
	return ctx
}

func (crasher) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
