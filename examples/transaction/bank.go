package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/pgstore"
)

// bank keeps accounts. The pool is that of the guard's store.
type bank struct {
	guard *idempotency.Guard
	pool  *pgxpool.Pool
}

// transfer is an order to move money.
type transfer struct {
	ID       string // of the client, the same each time that it is sent
	From, To int    // accounts
	Cents    int64
}

// booking is the result that is kept for duplicates.
type booking struct {
	Balance int64 // of the payer
}

// transfer books t unless it has been booked before. After any error but a refusal it may be called again, and has to be
// with the same ID: what was committed is not done again.
func (b *bank) transfer(ctx context.Context, t transfer) (idempotency.Result[booking], error) {
	call := idempotency.Call{
		Operation:   "transfer",
		Key:         t.ID,
		Fingerprint: idempotency.Fingerprint([]byte(fmt.Sprint(t.From, t.To, t.Cents))), // an ID with another content is an error
	}
	return pgstore.Do(ctx, b.guard, b.pool, call, func(ctx context.Context, tx pgx.Tx) (booking, error) {
		return b.book(ctx, tx, t)
	})
}

var errFunds = errors.New("insufficient funds")

// book moves the money. It does nothing but write to the database, so that a rollback undoes all of it.
func (b *bank) book(ctx context.Context, tx pgx.Tx, t transfer) (booking, error) {
	// In one order for all, so that no two transfers wait for each other.
	if _, err := tx.Exec(ctx, "SELECT FROM accounts WHERE id IN ($1, $2) ORDER BY id FOR UPDATE", t.From, t.To); err != nil {
		return booking{}, err
	}
	var done booking
	err := tx.QueryRow(ctx, "UPDATE accounts SET balance = balance - $2 WHERE id = $1 AND balance >= $2 RETURNING balance",
		t.From, t.Cents).Scan(&done.Balance)
	if errors.Is(err, pgx.ErrNoRows) {
		return booking{}, fmt.Errorf("transfer %s: %w", t.ID, errFunds)
	}
	if err != nil {
		return booking{}, err
	}
	if _, err := tx.Exec(ctx, "UPDATE accounts SET balance = balance + $2 WHERE id = $1", t.To, t.Cents); err != nil {
		return booking{}, err
	}
	_, err = tx.Exec(ctx, "INSERT INTO bookings (transfer, cents) VALUES ($1, $2)", t.ID, t.Cents)
	return done, err
}

const (
	accounts = 10
	funds    = 1_000_000 // of each
)

// open makes the tables. That a transfer is booked once is for the guard to see to, and not for a constraint.
func (b *bank) open(ctx context.Context) error {
	_, err := b.pool.Exec(ctx, `
CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL);
CREATE TABLE bookings (transfer text NOT NULL, cents bigint NOT NULL);
INSERT INTO accounts SELECT id, `+strconv.Itoa(funds)+` FROM generate_series(1, `+strconv.Itoa(accounts)+`) id`)
	return err
}

// audit returns what is in the books, and an error if that is not each of so many transfers once.
func (b *bank) audit(ctx context.Context, transfers int) (state string, err error) {
	var balances int64
	var booked, different int
	err = b.pool.QueryRow(ctx, `SELECT (SELECT sum(balance) FROM accounts), count(*), count(DISTINCT transfer) FROM bookings`).
		Scan(&balances, &booked, &different)
	if err != nil {
		return "", err
	}
	state = fmt.Sprintf("sum of balances: %d before, %d after; %d bookings of %d transfers",
		accounts*funds, balances, booked, different)
	if balances != accounts*funds || booked != transfers || different != transfers {
		return state, errors.New("FAIL: money was lost or made, or a transfer was not booked once")
	}
	return state + ": each was booked once", nil
}
