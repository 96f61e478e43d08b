package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/pgstore"
	"github.com/steadyfx/steady/testkit/faults"
)

// through returns a pool behind a proxy.
func through(t *testing.T, change ...func(*pgxpool.Config)) (*faults.Proxy, *pgxpool.Pool) {
	t.Helper()
	cfg := connect(t).Config().ConnConfig
	proxy := faults.New(t, fmt.Sprintf("%s:%d", cfg.Host, cfg.Port))
	return proxy, connect(t, append(change, func(c *pgxpool.Config) {
		dial := c.ConnConfig.DialFunc
		c.ConnConfig.DialFunc = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dial(ctx, network, proxy.Addr())
		}
	})...)
}

// committing is a database to whose commits something happens.
type committing struct {
	pgstore.Beginner
	commit func(context.Context, pgx.Tx) error
}

func (c committing) BeginTx(ctx context.Context, options pgx.TxOptions) (pgx.Tx, error) {
	tx, err := c.Beginner.BeginTx(ctx, options)
	return committingTx{tx, c.commit}, err
}

type committingTx struct {
	pgx.Tx
	commit func(context.Context, pgx.Tx) error
}

func (c committingTx) Commit(ctx context.Context) error { return c.commit(ctx, c.Tx) }

// The answer to the commit is lost in one way or the other, and the caller is told what has become of it.
func TestLostAnswerOfACommit(t *testing.T) {
	for name, tc := range map[string]struct {
		commit func(context.Context, *faults.Proxy, pgx.Tx) error
		done   bool
		doubt  bool
		events []string
	}{
		"carried out": {
			commit: func(ctx context.Context, proxy *faults.Proxy, tx pgx.Tx) error {
				proxy.Once(faults.CutAnswer, 0)
				return tx.Commit(ctx)
			},
			done: true,
		},
		"carried out, and the session was ended": {
			commit: func(ctx context.Context, _ *faults.Proxy, tx pgx.Tx) error {
				return errors.Join(tx.Commit(ctx), &pgconn.PgError{SeverityUnlocalized: "FATAL", Code: "57P01"})
			},
			done: true,
		},
		"arrives late": {
			commit: func(ctx context.Context, proxy *faults.Proxy, tx pgx.Tx) error {
				proxy.Once(faults.DelayRequest, 200*time.Millisecond)
				ctx, cancel := context.WithTimeout(ctx, short)
				defer cancel()
				return tx.Commit(ctx)
			},
			done: true,
		},
		"never arrived": {
			commit: func(ctx context.Context, proxy *faults.Proxy, tx pgx.Tx) error {
				proxy.Once(faults.CutRequest, 0)
				return tx.Commit(ctx)
			},
			events: []string{"released"},
		},
		"carried out, and nobody answers": {
			commit: func(ctx context.Context, proxy *faults.Proxy, tx pgx.Tx) error {
				proxy.Once(faults.CutAnswer, 0)
				err := tx.Commit(ctx)
				proxy.Refuse()
				return err
			},
			done: true, doubt: true,
			events: []string{"store_failed"},
		},
		"never arrived, and nobody answers": {
			commit: func(ctx context.Context, proxy *faults.Proxy, tx pgx.Tx) error {
				proxy.Refuse()
				return tx.Commit(ctx)
			},
			doubt:  true,
			events: []string{"store_failed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			proxy, pool := through(t)
			d := openDeskOn(t, pool, pgstore.Config{}, idempotency.Config{Wait: long})
			_, err := d.do(t.Context(), "warm", func(context.Context, pgx.Tx) (string, error) { return "", nil })
			must(t, err)
			ctx, goAway := context.WithCancel(t.Context())
			defer goAway()
			db := committing{pool, func(ctx context.Context, tx pgx.Tx) error {
				goAway() // which changes nothing any more
				err := tc.commit(ctx, proxy, tx)
				if err == nil {
					t.Error("no answer was lost")
				}
				return err
			}}
			result, err := pgstore.Do(ctx, d.guard, db, ordering("k"), d.placing("k"))
			switch {
			case tc.done && !tc.doubt:
				if err != nil || result.Value != "receipt of k" || result.IsDuplicate {
					t.Errorf("got %+v, error %v, want the receipt", result, err)
				}
			default:
				var unavailable *idempotency.BackendError
				if !errors.As(err, &unavailable) || unavailable.Op != "commit" || errors.Is(err, idempotency.ErrInDoubt) != tc.doubt {
					t.Errorf("got error %v, want a *BackendError, in doubt: %v", err, tc.doubt)
				}
				if tc.doubt != strings.Contains(err.Error(), "same key") {
					t.Errorf("error %q, of which the remedy must be in doubt: %v", err, tc.doubt)
				}
			}
			d.told(t, tc.events...)
			proxy.Restore()
			if tc.done {
				d.replays(t, "k", 1)
				return
			}
			d.free(t, "k")
		})
	}
}

// The client is gone, and PostgreSQL does not know it: the key is held until it does.
func TestSessionOfAVanishedClientHoldsTheKey(t *testing.T) {
	proxy, pool := through(t)
	d := openDeskOn(t, connect(t), pgstore.Config{}, idempotency.Config{Wait: short})
	must(t, d.EnsureSchema(t.Context()))
	ctx, vanish := context.WithCancel(t.Context())
	_, err := pgstore.Do(ctx, d.guard, pool, ordering("k"), func(ctx context.Context, tx pgx.Tx) (string, error) {
		text, err := d.placing("k")(ctx, tx)
		proxy.Blackhole()
		vanish()
		return text, err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want Canceled", err)
	}
	d.told(t, "store_failed") // nobody knows whether the rollback has arrived
	var conflict *idempotency.ConflictError
	if _, err := d.do(t.Context(), "k", never(t)); !errors.As(err, &conflict) {
		t.Errorf("got error %v, want a *ConflictError", err)
	}
	proxy.Restore()
	await(t, "the key is free", func() bool {
		_, err := d.do(t.Context(), "k", d.placing("k"))
		return err == nil
	})
	d.replays(t, "k", 1)
}

// In the simple protocol, pgx reports a lost answer as if nothing had been sent.
func TestLostAnswersAreNotRepeatedInTheSimpleProtocol(t *testing.T) {
	w := &wire{}
	s := open(t, connect(t, w.under, single, func(c *pgxpool.Config) {
		c.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	}))
	must(t, s.EnsureSchema(t.Context()))
	token := acquire(t, s, "k")
	for op, call := range map[string]func() error{
		"set":     func() error { return s.Set(t.Context(), "other", nil, long) },
		"delete":  func() error { return s.Delete(t.Context(), "another") },
		"release": func() error { return s.Release(t.Context(), "k", token) },
	} {
		must(t, s.Ping(t.Context()))
		w.loseAnswer.Store(true)
		var unavailable *idempotency.BackendError
		if err := call(); !errors.As(err, &unavailable) || unavailable.Op != op {
			t.Errorf("%s with its answer lost: got error %v, want a *BackendError", op, err)
		}
	}
}

// Every kind of fault on the wire, and callers who call again with the same key until they have an answer.
func TestEachOrderIsPlacedOnceWhateverHappens(t *testing.T) {
	const keys, callers, deliveries = 40, 8, 3
	proxy, pool := through(t)
	d := openDeskOn(t, pool, pgstore.Config{}, idempotency.Config{Wait: 50 * time.Millisecond})
	must(t, d.EnsureSchema(t.Context()))
	must(t, proxy.Inject(faults.Mix{
		CutRequest: 0.02, CutAnswer: 0.02, DelayRequest: 0.02, DelayAnswer: 0.02, Delay: 20 * time.Millisecond, Seed: 7,
	}))
	var acted, doubts atomic.Int32
	deliver := func(key string) {
		for {
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond) // and some go away
			result, err := d.do(ctx, key, d.placing(key))
			cancel()
			if err != nil {
				if errors.Is(err, idempotency.ErrInDoubt) {
					doubts.Add(1)
				}
				continue
			}
			if result.Value != "receipt of "+key {
				t.Errorf("got %+v, want the receipt of %s", result, key)
			}
			if !result.IsDuplicate {
				acted.Add(1)
			}
			return
		}
	}
	queue := make(chan string)
	var working sync.WaitGroup
	for range callers {
		working.Go(func() {
			for key := range queue {
				deliver(key)
			}
		})
	}
	for i := range keys * deliveries {
		queue <- fmt.Sprint(i / deliveries)
	}
	close(queue)
	working.Wait()
	must(t, proxy.Inject(faults.Mix{}))
	if n := acted.Load(); n > keys || n < keys/2 {
		t.Errorf("%d calls were told that they have acted, of %d keys", n, keys)
	}
	for _, f := range []faults.Fault{faults.CutRequest, faults.CutAnswer, faults.DelayRequest, faults.DelayAnswer} {
		if proxy.Count(f) == 0 {
			t.Errorf("no %v has happened", f)
		}
	}
	d.has(t, keys)
	if n := ask[int](t, d.pool, "SELECT count(DISTINCT id) FROM "+d.orders); n != keys {
		t.Errorf("%d different orders, want %d", n, keys)
	}
	t.Logf("%d acted, %d were in doubt", acted.Load(), doubts.Load())
}

// The process dies when the orders are written and the response is not stored: the middleware runs the handler again when
// the lease is over, and the handler does not write again.
func TestHandlerBehindAMiddlewareWritesOnce(t *testing.T) {
	d := openDesk(t, idempotency.Config{})
	must(t, d.EnsureSchema(t.Context()))
	dying := &forgetful{Store: d.Idempotency}
	outer, err := idempotency.New(dying, idempotency.Config{Lease: 100 * time.Millisecond})
	must(t, err)
	place := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call, _ := idempotency.CallOf(r.Context())
		call.Operation = "order"
		result, err := pgstore.Do(r.Context(), d.guard, d.pool, call, d.placing("k"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, result.Value)
	})
	handler := idempotency.Middleware(outer, idempotency.SharedScope)(place)
	post := func() *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/orders", strings.NewReader("{}"))
		r.Header.Set(idempotency.KeyHeader, "k")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	dying.dead.Store(true)
	post() // whose client hears nothing
	dying.dead.Store(false)
	await(t, "there is a response", func() bool { return post().Code == http.StatusOK })
	w := post()
	if w.Body.String() != "receipt of k" || w.Header().Get("Idempotent-Replayed") != "true" {
		t.Errorf("got %d with %q and %v, want the replayed receipt", w.Code, w.Body, w.Header())
	}
	d.has(t, 1)
	d.told(t, "hit")
}

// forgetful is a store whose process is dead when it should complete.
type forgetful struct {
	idempotency.Store
	dead atomic.Bool
}

func (f *forgetful) Complete(
	ctx context.Context, key string, token idempotency.Token, value []byte, ttl time.Duration,
) error {
	if f.dead.Load() {
		return errBoom
	}
	return f.Store.Complete(ctx, key, token, value, ttl)
}
