package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/pgstore"
)

var errBoom = errors.New("boom")

// desk is a shop that takes orders through a guard.
type desk struct {
	shop
	table string // of the records
	guard *idempotency.Guard

	mu     sync.Mutex
	events []string
}

func openDesk(t *testing.T, cfg idempotency.Config, opts ...idempotency.Option) *desk {
	t.Helper()
	return openDeskOn(t, connect(t), pgstore.Config{}, cfg, opts...)
}

func openDeskOn(
	t *testing.T, pool *pgxpool.Pool, at pgstore.Config, cfg idempotency.Config, opts ...idempotency.Option,
) *desk {
	t.Helper()
	d := &desk{table: newTable(), shop: shop{orders: newTable(), pool: pool}}
	at.Table = d.table
	d.Idempotency = openAt(t, pool, at)
	exec(t, pool, "CREATE TABLE "+d.orders+" (id text)")
	bus := &hooks.Bus{}
	hooks.On(bus, func(_ context.Context, e hooks.Event) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.events = append(d.events, strings.TrimPrefix(e.EventName(), "idempotency."))
	})
	guard, err := idempotency.New(d.Idempotency, cfg, append(opts, idempotency.WithBus(bus))...)
	must(t, err)
	d.guard = guard
	return d
}

// told wants exactly these events since it was last asked.
func (d *desk) told(t *testing.T, want ...string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.events, want) {
		t.Errorf("events: got %q, want %q", d.events, want)
	}
	d.events = nil
}

type (
	receipt = idempotency.Result[string]
	action  = func(ctx context.Context, tx pgx.Tx) (string, error)
)

func ordering(key string) idempotency.Call { return idempotency.Call{Operation: "order", Key: key} }

// placing is a function that writes an order.
func (d *desk) placing(id string) action {
	return func(ctx context.Context, tx pgx.Tx) (string, error) {
		_, err := tx.Exec(ctx, "INSERT INTO "+d.orders+" VALUES ($1)", id)
		return "receipt of " + id, err
	}
}

// never is a function that must not run.
func never(t *testing.T) action {
	return func(context.Context, pgx.Tx) (string, error) {
		t.Error("the function ran")
		return "", nil
	}
}

func (d *desk) do(ctx context.Context, key string, fn action) (receipt, error) {
	return pgstore.Do(ctx, d.guard, d.pool, ordering(key), fn)
}

// replays wants that the order of a key is known to everybody, and n orders in all.
func (d *desk) replays(t *testing.T, key string, n int) {
	t.Helper()
	known := func(how string, result receipt, err error) {
		t.Helper()
		if err != nil || result.Value != "receipt of "+key || !result.IsDuplicate || !result.FromCache || result.Key != key {
			t.Errorf("%s: got %+v, error %v, want the receipt of %s", how, result, err, key)
		}
	}
	result, err := d.do(t.Context(), key, never(t))
	known("Do", result, err)
	fence := result.Fence
	must(t, pgx.BeginFunc(t.Context(), d.pool, func(tx pgx.Tx) error {
		result, err := pgstore.DoTx(t.Context(), d.guard, tx, ordering(key), never(t))
		known("DoTx", result, err)
		return nil
	}))
	result, err = idempotency.Do(t.Context(), d.guard, ordering(key), func(ctx context.Context) (string, error) {
		return never(t)(ctx, nil)
	})
	known("idempotency.Do", result, err)
	if result.Fence != fence || fence == 0 {
		t.Errorf("fences %d and %d, want the one of the claim", fence, result.Fence)
	}
	d.has(t, n)
}

// free wants that the key of an order is free, by placing it, and that there was none.
func (d *desk) free(t *testing.T, key string) {
	t.Helper()
	d.has(t, 0)
	result, err := d.do(t.Context(), key, d.placing(key))
	if err != nil || result.IsDuplicate {
		t.Errorf("afterwards: got %+v, error %v, want a new order", result, err)
	}
	d.has(t, 1)
}

func TestDoCommitsRowsAndResultTogether(t *testing.T) {
	d := openDesk(t, idempotency.Config{})
	call := ordering("k")
	call.Fingerprint = idempotency.Fingerprint([]byte("book"))
	result, err := pgstore.Do(t.Context(), d.guard, d.pool, call, func(ctx context.Context, tx pgx.Tx) (string, error) {
		text, err := d.placing("k")(ctx, tx)
		d.has(t, 0)
		if n := ask[int](t, d.pool, "SELECT count(*) FROM "+d.table); n != 0 {
			t.Errorf("%d records are seen before the commit", n)
		}
		if of, _ := idempotency.CallOf(ctx); of.Key != "k" {
			t.Errorf("the function runs for the key %q", of.Key)
		}
		if fence, ok := idempotency.FenceOf(ctx); !ok || fence == 0 {
			t.Errorf("the function runs under the fence %d, %v", fence, ok)
		}
		return text, err
	})
	if err != nil || result.Value != "receipt of k" || result.IsDuplicate || result.FromCache || result.Key != "k" {
		t.Errorf("got %+v, error %v, want the receipt", result, err)
	}
	d.told(t)
	d.replays(t, "k", 1)
	d.told(t, "hit", "hit", "hit")

	call.Fingerprint = idempotency.Fingerprint([]byte("pen"))
	var mismatch *idempotency.DuplicateRequestError
	if _, err := pgstore.Do(t.Context(), d.guard, d.pool, call, never(t)); !errors.As(err, &mismatch) {
		t.Errorf("another payload: got error %v, want a *DuplicateRequestError", err)
	}
	d.told(t, "mismatch")
}

func TestDoReplaysWhatWasDoneWithoutATransaction(t *testing.T) {
	d := openDesk(t, idempotency.Config{})
	if _, err := idempotency.Do(t.Context(), d.guard, ordering("k"), func(context.Context) (string, error) {
		return "receipt of k", nil
	}); err != nil {
		t.Fatal(err)
	}
	d.replays(t, "k", 0)
}

func TestDoTakesOverWhatHasExpired(t *testing.T) {
	d := openDesk(t, idempotency.Config{})
	call := ordering("k")
	call.TTL = 1 // ns
	must(t, d.EnsureSchema(t.Context()))
	for range 2 {
		await(t, "the result has expired", func() bool {
			return ask[int](t, d.pool, "SELECT count(*) FROM "+d.table+" WHERE expires_at > clock_timestamp()") == 0
		})
		if result, err := pgstore.Do(t.Context(), d.guard, d.pool, call, d.placing("k")); err != nil || result.IsDuplicate {
			t.Errorf("got %+v, error %v, want a new order", result, err)
		}
	}
	d.has(t, 2)
}

// Whatever ends the function but success, nothing of it stays, and the key is free at once.
func TestDoRollsRowsAndKeyBackTogether(t *testing.T) {
	type ending struct {
		fn     action
		cancel bool // the context ends with the function
		delete bool // and so does the record
		want   func(error) bool
		events []string
	}
	returning := func(err error) action {
		return func(context.Context, pgx.Tx) (string, error) { return "", err }
	}
	coded := func(code string) func(error) bool {
		return func(err error) bool {
			var answer *pgconn.PgError
			return errors.As(err, &answer) && answer.Code == code
		}
	}
	released, failed := []string{"released"}, []string{"store_failed"}
	for name, e := range map[string]ending{
		"error":  {fn: returning(errBoom), want: func(err error) bool { return err == errBoom }, events: released},
		"panic":  {fn: func(context.Context, pgx.Tx) (string, error) { panic("boom") }, events: released},
		"goexit": {fn: func(context.Context, pgx.Tx) (string, error) { runtime.Goexit(); return "", nil }, events: released},
		"cancelled": {
			fn: returning(nil), cancel: true, events: released,
			want: func(err error) bool { return errors.Is(err, context.Canceled) },
		},
		"both ended": {
			fn: returning(errBoom), cancel: true, events: released,
			want: func(err error) bool { return err == errBoom },
		},
		"statement that fails, not told": {
			fn: func(ctx context.Context, tx pgx.Tx) (string, error) {
				_, _ = tx.Exec(ctx, "SELECT 1/0")
				return "all is well", nil
			},
			want:   func(err error) bool { return coded("25P02")(err) && strings.Contains(err.Error(), "statement") },
			events: released,
		},
		"refused commit": {
			fn: func(ctx context.Context, tx pgx.Tx) (string, error) {
				_, err := tx.Exec(ctx, "CREATE TEMP TABLE unique_at_last (id int UNIQUE DEFERRABLE INITIALLY DEFERRED) ON COMMIT DROP")
				if err == nil {
					_, err = tx.Exec(ctx, "INSERT INTO unique_at_last VALUES (1), (1)")
				}
				return "", err
			},
			want:   func(err error) bool { return coded("23505")(err) && !errors.Is(err, idempotency.ErrIdempotency) },
			events: released,
		},
		"connection killed": {
			fn: func(ctx context.Context, tx pgx.Tx) (string, error) {
				_, _ = tx.Exec(ctx, "SELECT pg_terminate_backend(pg_backend_pid())")
				return "", nil
			},
			want: func(err error) bool {
				var unavailable *idempotency.BackendError
				return errors.As(err, &unavailable) && unavailable.Op == "complete" && !errors.Is(err, idempotency.ErrInDoubt)
			},
			events: failed,
		},
		"claim that is deleted": {
			fn:     returning(nil),
			delete: true,
			want:   func(err error) bool { return errors.Is(err, idempotency.ErrClaimLost) },
			events: released,
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := openDesk(t, idempotency.Config{})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			go func() {
				defer close(ended) // without an error if Do never returns
				defer func() { _ = recover() }()
				_, err := d.do(ctx, "k", func(ctx context.Context, tx pgx.Tx) (string, error) {
					if _, err := d.placing("k")(ctx, tx); err != nil {
						return "", err
					}
					if e.cancel {
						cancel()
					}
					if e.delete {
						if _, err := tx.Exec(ctx, "DELETE FROM "+d.table); err != nil {
							return "", err
						}
					}
					return e.fn(ctx, tx)
				})
				ended <- err
			}()
			err, returned := <-ended
			if returned != (e.want != nil) || returned && !e.want(err) {
				t.Errorf("returned %v, error %v", returned, err)
			}
			d.told(t, e.events...)
			d.free(t, "k")
		})
	}
}

func TestDoRollsBackAResultThatCannotBeStored(t *testing.T) {
	d := openDesk(t, idempotency.Config{})
	_, err := pgstore.Do(t.Context(), d.guard, d.pool, ordering("k"), func(ctx context.Context, tx pgx.Tx) (float64, error) {
		_, err := d.placing("k")(ctx, tx)
		return math.Inf(1), err
	})
	var store *idempotency.StoreError
	if !errors.As(err, &store) || store.Op != "encode" {
		t.Errorf("got error %v, want a *StoreError of encode", err)
	}
	d.free(t, "k")
}

func TestFunctionCannotEndTheTransaction(t *testing.T) {
	d := openDesk(t, idempotency.Config{})
	_, err := d.do(t.Context(), "k", func(ctx context.Context, tx pgx.Tx) (string, error) {
		defer func() {
			if tx.Rollback(ctx) == nil {
				t.Error("the function has rolled back")
			}
		}()
		if tx.Commit(ctx) == nil {
			t.Error("the function has committed")
		}
		must(t, pgx.BeginFunc(ctx, tx, func(nested pgx.Tx) error { // to a savepoint it can
			_, err := d.placing("k")(ctx, nested)
			return err
		}))
		if err := pgx.BeginFunc(ctx, tx, func(nested pgx.Tx) error {
			_, err := d.placing("another")(ctx, nested)
			return errors.Join(err, errBoom)
		}); !errors.Is(err, errBoom) {
			t.Errorf("nested: got error %v", err)
		}
		return "receipt of k", nil
	})
	must(t, err)
	d.replays(t, "k", 1)
}

func TestConcurrentDuplicatesActOnce(t *testing.T) {
	for name, options := range map[string]pgx.TxOptions{
		"default": {}, "repeatable read": {IsoLevel: pgx.RepeatableRead}, "serializable": {IsoLevel: pgx.Serializable},
	} {
		t.Run(name, func(t *testing.T) {
			d := openDesk(t, idempotency.Config{Wait: long})
			db := pgstore.WithTxOptions(d.pool, options)
			var runs, duplicates atomic.Int32
			atOnce(32, func(int) {
				result, err := pgstore.Do(t.Context(), d.guard, db, ordering("k"),
					func(ctx context.Context, tx pgx.Tx) (string, error) {
						runs.Add(1)
						if options.IsoLevel != "" {
							var level string
							err := tx.QueryRow(ctx, "SHOW transaction_isolation").Scan(&level)
							if err != nil || level != string(options.IsoLevel) {
								t.Errorf("isolation level %s, error %v", level, err)
							}
						}
						return d.placing("k")(ctx, tx)
					})
				if err != nil || result.Value != "receipt of k" {
					t.Errorf("got %+v, error %v, want the receipt", result, err)
				}
				if result.IsDuplicate {
					duplicates.Add(1)
				}
			})
			if runs.Load() != 1 || duplicates.Load() != 31 {
				t.Errorf("%d runs and %d duplicates, want 1 and 31", runs.Load(), duplicates.Load())
			}
			d.replays(t, "k", 1)
		})
	}
}

// hold runs an order in the background until the returned function lets it end.
func (d *desk) hold(t *testing.T, key string) (end func(failure error) error) {
	t.Helper()
	acting, ending, ended := make(chan struct{}), make(chan error), make(chan error, 1)
	go func() {
		_, err := d.do(t.Context(), key, func(ctx context.Context, tx pgx.Tx) (string, error) {
			close(acting)
			text, err := d.placing(key)(ctx, tx)
			return text, errors.Join(err, <-ending)
		})
		ended <- err
	}()
	<-acting
	return func(failure error) error {
		ending <- failure
		return <-ended
	}
}

func TestDuplicateIsRefusedWhenItsWaitIsOver(t *testing.T) {
	for i, wait := range []time.Duration{0, short, 0, short} {
		d := openDeskOn(t, connect(t), pgstore.Config{Timeout: long}, idempotency.Config{Wait: wait})
		if expired := i > 1; expired { // so that the key is taken over, which is another statement
			call := ordering("k")
			call.TTL = 1
			nothing := func(context.Context, pgx.Tx) (string, error) { return "", nil }
			_, err := pgstore.Do(t.Context(), d.guard, d.pool, call, nothing)
			must(t, err)
		}
		end := d.hold(t, "k")
		_, err := d.do(t.Context(), "k", never(t))
		var conflict *idempotency.ConflictError
		if !errors.As(err, &conflict) || conflict.Operation != "order" {
			t.Errorf("wait %v: got error %v, want a *ConflictError", wait, err)
		}
		if again, known := conflict.RetryIn(); !known || again > time.Second {
			t.Errorf("wait %v: to come again in %v, %v", wait, again, known)
		}
		d.told(t, "conflict")
		must(t, end(nil))
		d.replays(t, "k", 1)
	}
}

func TestDuplicateIsRefusedWhileAnotherHasALease(t *testing.T) {
	for _, wait := range []time.Duration{0, short} {
		d := openDesk(t, idempotency.Config{Wait: wait})
		_, err := idempotency.Do(t.Context(), d.guard, ordering("k"), func(ctx context.Context) (string, error) {
			_, err := d.do(ctx, "k", never(t))
			var conflict *idempotency.ConflictError
			if !errors.As(err, &conflict) || conflict.RetryAfter < time.Second {
				t.Errorf("wait %v: got error %v, want a *ConflictError for the lease", wait, err)
			}
			return "receipt of k", nil
		})
		must(t, err)
		d.told(t, "conflict")
		d.replays(t, "k", 0)
	}
}

func TestRollbackHandsTheKeyOverToOneWhoWaits(t *testing.T) {
	name := newTable()
	d := openDeskOn(t, connect(t, with("application_name", name)), pgstore.Config{}, idempotency.Config{Wait: long})
	end := d.hold(t, "k")
	const waiters = 4
	var results [waiters]receipt
	var done sync.WaitGroup
	for i := range results {
		done.Go(func() {
			var err error
			if results[i], err = d.do(t.Context(), "k", d.placing("k")); err != nil {
				t.Error(err)
			}
		})
	}
	await(t, "the others wait", func() bool { return waiting(t, d.pool, name) == waiters })
	if err := end(errBoom); !errors.Is(err, errBoom) {
		t.Errorf("got error %v", err)
	}
	done.Wait()
	acted := 0
	for _, result := range results {
		if result.Value != "receipt of k" {
			t.Errorf("got %+v, want the receipt", result)
		}
		if !result.IsDuplicate {
			acted++
		}
	}
	if acted != 1 {
		t.Errorf("%d have acted, want 1", acted)
	}
	d.replays(t, "k", 1)
}

// An insert waits for other locks than that of its key, too.
func TestFreshKeyIsNotRefusedForAnotherLock(t *testing.T) {
	name, admin := newTable(), connect(t)
	d := openDeskOn(t, connect(t, single, with("application_name", name)), pgstore.Config{}, idempotency.Config{})
	if _, err := d.do(t.Context(), "warm", d.placing("warm")); err != nil { // so that the connection knows the statements
		t.Fatal(err)
	}
	other, err := admin.Begin(t.Context())
	must(t, err)
	if _, err := other.Exec(t.Context(), "LOCK TABLE "+d.table+" IN SHARE MODE"); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := d.do(t.Context(), "k", d.placing("k"))
		ended <- err
	}()
	await(t, "the call waits", func() bool { return waiting(t, admin, name) == 1 })
	must(t, other.Commit(t.Context()))
	must(t, <-ended)
	d.has(t, 2)
}

func TestWaitMayBeForEver(t *testing.T) {
	d := openDesk(t, idempotency.Config{Wait: math.MaxInt64})
	_, err := d.do(t.Context(), "k", d.placing("k"))
	must(t, err)
}

func TestReplaysAreNotInEachOthersWay(t *testing.T) {
	d := openDesk(t, idempotency.Config{})
	_, err := d.do(t.Context(), "k", d.placing("k"))
	must(t, err)
	atOnce(8, func(int) {
		for range 20 {
			if _, err := d.do(t.Context(), "k", never(t)); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestWaitSurvivesTheDeathOfItsConnection(t *testing.T) {
	name, admin := newTable(), connect(t)
	d := openDeskOn(t, connect(t, with("application_name", name)), pgstore.Config{}, idempotency.Config{Wait: long})
	end := d.hold(t, "k")
	ended := make(chan error, 1)
	go func() {
		_, err := d.do(t.Context(), "k", never(t))
		ended <- err
	}()
	await(t, "the duplicate waits", func() bool { return waiting(t, admin, name) == 1 })
	if n := kill(t, admin, name, "wait_event_type = 'Lock'"); n != 1 {
		t.Fatalf("killed %d connections, want 1", n)
	}
	must(t, end(nil))
	must(t, <-ended)
}

// busy is a database that is always in the way of itself.
type busy struct {
	pgstore.Pool
	asked int
}

func (b *busy) QueryRow(context.Context, string, ...any) pgx.Row {
	b.asked++
	return refusing{}
}

type refusing struct{}

func (refusing) Scan(...any) error { return code("40001") }

func TestWhatIsRepeatedBeforeTheFunctionRunsEndsWithTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &busy{}
		guard, err := idempotency.New(openAt(t, db, pgstore.Config{Timeout: time.Second}), idempotency.Config{Wait: time.Minute})
		must(t, err)
		began := time.Now()
		_, err = pgstore.Do(t.Context(), guard, db, ordering("k"), never(t))
		var serialization *pgconn.PgError
		both := errors.Is(err, context.DeadlineExceeded) && errors.As(err, &serialization)
		if !both || patterns.Code(err) != idempotency.CodeBackend {
			t.Errorf("got error %v, want a *BackendError with both reasons", err)
		}
		if took := time.Since(began); took != time.Minute+time.Second {
			t.Errorf("gave up after %v, want 1m1s", took)
		}
		if db.asked < 1000 || db.asked > 3000 { // at most 50 ms apart
			t.Errorf("%d attempts", db.asked)
		}
	})
}

func TestLimitOfTheWaitIsNotThatOfTheFunction(t *testing.T) {
	d := openDeskOn(t, connect(t, with("lock_timeout", "12345ms")), pgstore.Config{}, idempotency.Config{Wait: short})
	limited := func(ctx context.Context, tx pgx.Tx, want string) {
		t.Helper()
		var got string
		if err := tx.QueryRow(ctx, "SHOW lock_timeout").Scan(&got); err != nil || got != want {
			t.Errorf("lock_timeout %s, error %v, want %s", got, err, want)
		}
	}
	for _, key := range []string{"a", "b"} { // the first may have to be asked twice
		_, err := d.do(t.Context(), key, func(ctx context.Context, tx pgx.Tx) (string, error) {
			limited(ctx, tx, "12345ms")
			return "", nil
		})
		must(t, err)
	}
	must(t, pgx.BeginFunc(t.Context(), d.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), "SET LOCAL lock_timeout = '54321ms'"); err != nil {
			return err
		}
		for _, key := range []string{"a", "c"} { // a duplicate, and a new one
			_, err := pgstore.DoTx(t.Context(), d.guard, tx, ordering(key), func(ctx context.Context, tx pgx.Tx) (string, error) {
				limited(ctx, tx, "54321ms")
				return "", nil
			})
			must(t, err)
			limited(t.Context(), tx, "54321ms")
		}
		return nil
	}))
}

func TestDoNeedsNoMoreThanOneConnection(t *testing.T) {
	d := openDeskOn(t, connect(t, single), pgstore.Config{}, idempotency.Config{Wait: long}) // whose table is not there yet
	atOnce(4, func(i int) {
		if _, err := d.do(t.Context(), fmt.Sprint(i%2), d.placing(fmt.Sprint(i%2))); err != nil {
			t.Error(err)
		}
	})
	d.has(t, 2)
}

func TestDoWorksInEveryModeOfQueries(t *testing.T) {
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		t.Run(mode.String(), func(t *testing.T) {
			pool := connect(t, func(c *pgxpool.Config) { c.ConnConfig.DefaultQueryExecMode = mode })
			d := openDeskOn(t, pool, pgstore.Config{}, idempotency.Config{},
				idempotency.WithRecordedErrors(idempotency.ErrorValue("boom", errBoom)))
			_, err := d.do(t.Context(), "k", d.placing("k"))
			must(t, err)
			end := d.hold(t, "held")
			var conflict *idempotency.ConflictError
			if _, err := d.do(t.Context(), "held", never(t)); !errors.As(err, &conflict) {
				t.Errorf("got error %v, want a *ConflictError", err)
			}
			if err := end(errBoom); !errors.Is(err, errBoom) {
				t.Errorf("got error %v", err)
			}
			if _, err := d.do(t.Context(), "held", never(t)); !errors.Is(err, errBoom) {
				t.Errorf("got error %v, want the recorded one", err)
			}
			d.replays(t, "k", 1)
		})
	}
}

func TestRecordedErrorIsCommittedWithoutRows(t *testing.T) {
	d := openDesk(t, idempotency.Config{}, idempotency.WithRecordedErrors(idempotency.ErrorValue("boom", errBoom)))
	for key, fail := range map[string]action{
		"error": func(context.Context, pgx.Tx) (string, error) { return "", errBoom },
		"after statement": func(ctx context.Context, tx pgx.Tx) (string, error) {
			_, err := tx.Exec(ctx, "SELECT 1/0")
			return "", errors.Join(errBoom, err)
		},
	} {
		_, err := d.do(t.Context(), key, func(ctx context.Context, tx pgx.Tx) (string, error) {
			if _, err := d.placing(key)(ctx, tx); err != nil {
				return "", err
			}
			return fail(ctx, tx)
		})
		if !errors.Is(err, errBoom) {
			t.Errorf("%s: got error %v", key, err)
		}
		d.told(t)
		result, err := d.do(t.Context(), key, never(t))
		var recorded *idempotency.RecordedError
		if !errors.As(err, &recorded) || !errors.Is(err, errBoom) || !result.IsDuplicate {
			t.Errorf("%s again: got %+v, error %v, want the recorded error", key, result, err)
		}
		d.told(t, "hit")
	}
	d.has(t, 0)
	if _, err := d.do(t.Context(), "k", func(ctx context.Context, tx pgx.Tx) (string, error) {
		_, err := d.placing("k")(ctx, tx)
		return "", errors.Join(err, errors.New("another"))
	}); err == nil {
		t.Error("got no error")
	}
	d.told(t, "released")
	d.free(t, "k")
}

func TestDoUsesWhatTheGuardHas(t *testing.T) {
	secret := idempotency.EncryptionKey{ID: "1", Secret: make([]byte, 32)}
	d := openDesk(t, idempotency.Config{CacheEntries: 1},
		idempotency.WithEncryption(secret), idempotency.WithCodec(idempotency.GobCodec{}))
	_, err := d.do(t.Context(), "k", d.placing("k"))
	must(t, err)
	if stored := ask[[]byte](t, d.pool, "SELECT result FROM "+d.table); strings.Contains(string(stored), "receipt") {
		t.Errorf("stored %q, want it encrypted", stored)
	}
	exec(t, d.pool, "UPDATE "+d.table+" SET result = NULL") // unreadable, if it were asked
	if result, err := d.do(t.Context(), "k", never(t)); err != nil || result.Value != "receipt of k" {
		t.Errorf("got %+v, error %v, want the receipt that is at hand", result, err)
	}
}

// wrapped is a store of a user around another.
type wrapped struct{ idempotency.Store }

func (w wrapped) Unwrap() idempotency.Store { return w.Store }

func TestDoFindsTheStoreOfTheGuard(t *testing.T) {
	d := openDesk(t, idempotency.Config{})
	guard, err := idempotency.New(wrapped{wrapped{d.Idempotency}}, idempotency.Config{})
	must(t, err)
	_, err = pgstore.Do(t.Context(), guard, d.pool, ordering("k"), d.placing("k"))
	must(t, err)
	d.replays(t, "k", 1)

	other, err := idempotency.New(struct{ idempotency.Store }{d.Idempotency}, idempotency.Config{})
	must(t, err)
	_, err = pgstore.Do(t.Context(), other, d.pool, ordering("k"), never(t))
	misconfigured(t, err, "store")
	must(t, pgx.BeginFunc(t.Context(), d.pool, func(tx pgx.Tx) error {
		_, err := pgstore.DoTx(t.Context(), other, tx, ordering("k"), never(t))
		misconfigured(t, err, "store")
		return nil
	}))
}
