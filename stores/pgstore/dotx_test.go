package pgstore_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/pgstore"
)

func (d *desk) doTx(t *testing.T, tx pgx.Tx, key string, fn action) (receipt, error) {
	t.Helper()
	return pgstore.DoTx(t.Context(), d.guard, tx, ordering(key), fn)
}

func TestDoTxIsDoneWithTheTransactionOfTheCaller(t *testing.T) {
	for _, commit := range []bool{true, false} {
		d := openDesk(t, idempotency.Config{CacheEntries: 10})
		tx := d.begin(t)
		for _, key := range []string{"k", "k", "l"} {
			result, err := d.doTx(t, tx, key, d.placing(key))
			if err != nil || result.Value != "receipt of "+key {
				t.Errorf("got %+v, error %v, want the receipt of %s", result, err, key)
			}
		}
		d.has(t, 0)
		var conflict *idempotency.ConflictError
		if _, err := d.do(t.Context(), "k", never(t)); !errors.As(err, &conflict) {
			t.Errorf("before the commit: got error %v, want a *ConflictError", err)
		}
		if commit {
			must(t, tx.Commit(t.Context()))
			d.replays(t, "k", 2)
			d.replays(t, "l", 2)
			continue
		}
		must(t, tx.Rollback(t.Context()))
		d.free(t, "k")
	}
}

func TestErrorOfDoTxLeavesTheTransactionAsItWas(t *testing.T) {
	d := openDesk(t, idempotency.Config{})
	end := d.hold(t, "held")
	tx := d.begin(t)
	d.order(t, tx, "before")

	_, err := d.doTx(t, tx, "k", func(ctx context.Context, tx pgx.Tx) (string, error) {
		if _, err := d.placing("k")(ctx, tx); err != nil {
			return "", err
		}
		_, err := tx.Exec(ctx, "SELECT 1/0")
		return "", err
	})
	var answer *pgconn.PgError
	if !errors.As(err, &answer) || answer.Code != "22012" {
		t.Errorf("got error %v, want that of the function", err)
	}
	d.told(t, "released")
	func() {
		defer func() {
			if recover() != "boom" {
				t.Error("the panic is lost")
			}
		}()
		_, _ = d.doTx(t, tx, "k", func(ctx context.Context, tx pgx.Tx) (string, error) {
			_, _ = d.placing("k")(ctx, tx)
			panic("boom")
		})
	}()
	d.told(t, "released")
	var conflict *idempotency.ConflictError
	if _, err := d.doTx(t, tx, "held", never(t)); !errors.As(err, &conflict) {
		t.Errorf("got error %v, want a *ConflictError", err)
	}
	d.told(t, "conflict")

	if result, err := d.do(t.Context(), "k", d.placing("k")); err != nil || result.IsDuplicate { // free before tx has ended
		t.Errorf("got %+v, error %v, want a new order", result, err)
	}
	must(t, end(nil))
	if result, err := d.doTx(t, tx, "held", never(t)); err != nil || result.Value != "receipt of held" {
		t.Errorf("got %+v, error %v, want the receipt", result, err)
	}
	must(t, tx.Commit(t.Context()))
	d.has(t, 3) // before, k and held
}

func TestRecordedErrorOfDoTxIsCommittedWithoutItsRows(t *testing.T) {
	d := openDesk(t, idempotency.Config{}, idempotency.WithRecordedErrors(idempotency.ErrorValue("boom", errBoom)))
	tx := d.begin(t)
	d.order(t, tx, "before")
	for range 2 {
		_, err := d.doTx(t, tx, "k", func(ctx context.Context, tx pgx.Tx) (string, error) {
			_, err := d.placing("k")(ctx, tx)
			return "", errors.Join(errBoom, err)
		})
		if !errors.Is(err, errBoom) {
			t.Errorf("got error %v", err)
		}
	}
	must(t, tx.Commit(t.Context()))
	d.told(t, "hit")
	d.has(t, 1)
}

func TestCallsWithinCalls(t *testing.T) {
	for name, tc := range map[string]struct {
		inner, outer error
		want         []string // which are known afterwards
	}{
		"both":  {want: []string{"in", "out"}},
		"inner": {inner: errBoom, want: []string{"out"}},
		"outer": {outer: errBoom},
	} {
		t.Run(name, func(t *testing.T) {
			d := openDesk(t, idempotency.Config{})
			_, err := d.do(t.Context(), "out", func(ctx context.Context, tx pgx.Tx) (string, error) {
				_, err := pgstore.DoTx(ctx, d.guard, tx, ordering("in"), func(ctx context.Context, tx pgx.Tx) (string, error) {
					if of, _ := idempotency.CallOf(ctx); of.Key != "in" {
						t.Errorf("the inner function runs for %q", of.Key)
					}
					text, err := d.placing("in")(ctx, tx)
					return text, errors.Join(err, tc.inner)
				})
				if !errors.Is(err, tc.inner) {
					t.Errorf("inner: got error %v", err)
				}
				text, err := d.placing("out")(ctx, tx)
				return text, errors.Join(err, tc.outer)
			})
			if !errors.Is(err, tc.outer) {
				t.Errorf("outer: got error %v", err)
			}
			for _, key := range tc.want {
				d.replays(t, key, len(tc.want))
			}
			if len(tc.want) < 2 {
				result, err := d.do(t.Context(), "in", d.placing("in"))
				if err != nil || result.IsDuplicate {
					t.Errorf("what was undone: got %+v, error %v, want a new order", result, err)
				}
			}
		})
	}
}

// The same key in a call within the call cannot be had, and is not waited for in vain for ever.
func TestCallWithinTheSameCallIsRefused(t *testing.T) {
	d := openDesk(t, idempotency.Config{Wait: short})
	_, err := d.do(t.Context(), "k", func(ctx context.Context, tx pgx.Tx) (string, error) {
		var conflict *idempotency.ConflictError
		if _, err := pgstore.DoTx(ctx, d.guard, tx, ordering("k"), never(t)); !errors.As(err, &conflict) {
			t.Errorf("in the transaction: got error %v, want a *ConflictError", err)
		}
		if _, err := d.do(ctx, "k", never(t)); !errors.As(err, &conflict) {
			t.Errorf("in another: got error %v, want a *ConflictError", err)
		}
		return d.placing("k")(ctx, tx)
	})
	must(t, err)
	d.replays(t, "k", 1)
}

// counting counts the savepoints of a transaction.
type counting struct {
	pgx.Tx
	savepoints *int
}

func (c counting) Begin(ctx context.Context) (pgx.Tx, error) {
	*c.savepoints++
	return c.Tx.Begin(ctx)
}

func TestDoTxThatCannotBeSerializedIsTheCallersToRepeat(t *testing.T) {
	for _, level := range []pgx.TxIsoLevel{pgx.RepeatableRead, pgx.Serializable} {
		d := openDesk(t, idempotency.Config{})
		savepoints := 0
		whole := func(read bool) (receipt, error) {
			var result receipt
			savepoints = 0
			err := pgx.BeginTxFunc(t.Context(), d.pool, pgx.TxOptions{IsoLevel: level}, func(tx pgx.Tx) (err error) {
				if read { // takes the snapshot
					if _, err := tx.Exec(t.Context(), "SELECT count(*) FROM "+d.orders); err != nil {
						return err
					}
					_, err = d.do(t.Context(), "k", d.placing("k"))
					must(t, err)
				}
				result, err = d.doTx(t, counting{tx, &savepoints}, "k", never(t))
				return err
			})
			return result, err
		}
		_, err := whole(true)
		var unavailable *idempotency.BackendError
		var serialization *pgconn.PgError
		if !errors.As(err, &unavailable) || !errors.As(err, &serialization) || serialization.Code != "40001" {
			t.Errorf("%s: got error %v, want a *BackendError with code 40001", level, err)
		}
		if savepoints != 1 {
			t.Errorf("%s: asked %d times, want once: the same transaction sees the same again", level, savepoints)
		}
		if result, err := whole(false); err != nil || result.Value != "receipt of k" {
			t.Errorf("%s: tried again: got %+v, error %v, want the receipt", level, result, err)
		}
		d.has(t, 1)
	}
}

// What PostgreSQL refuses at the commit is the caller's to try again, and finds nothing done.
func TestDoThatCannotBeSerializedWritesNothing(t *testing.T) {
	d := openDesk(t, idempotency.Config{})
	serializable := pgstore.WithTxOptions(d.pool, pgx.TxOptions{IsoLevel: pgx.Serializable})
	looking := func(ctx context.Context, tx pgx.Tx) (string, error) {
		if _, err := tx.Exec(ctx, "SELECT count(*) FROM "+d.orders); err != nil {
			return "", err
		}
		return d.placing("k")(ctx, tx)
	}
	must(t, d.EnsureSchema(t.Context()))
	skewed := func(ctx context.Context, tx pgx.Tx) (string, error) {
		text, err := looking(ctx, tx)
		if err == nil { // another one reads what this one writes, and writes what this one has read
			_, err = pgstore.Do(ctx, d.guard, serializable, ordering("other"), looking)
		}
		return text, err
	}
	_, err := pgstore.Do(t.Context(), d.guard, serializable, ordering("k"), skewed)
	var serialization *pgconn.PgError
	if !errors.As(err, &serialization) || serialization.Code != "40001" || errors.Is(err, idempotency.ErrInDoubt) {
		t.Errorf("got error %v, want one with code 40001", err)
	}
	d.told(t, "released")
	d.has(t, 1)
	result, err := pgstore.Do(t.Context(), d.guard, serializable, ordering("k"), looking)
	if err != nil || result.IsDuplicate {
		t.Errorf("tried again: got %+v, error %v, want a new order", result, err)
	}
	d.has(t, 2)
}
