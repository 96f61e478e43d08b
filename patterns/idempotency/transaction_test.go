package idempotency_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// fakeTx is a transaction on any store: what a database does at once, it does one after the other.
type fakeTx struct {
	store  idempotency.Store
	joined bool

	claimErr, undoErr, commitErr, rollbackErr error // before anything is done

	asked []idempotency.TransactionRequest
	did   []string
	token idempotency.Token
}

func (tx *fakeTx) join(store idempotency.Store) (idempotency.Transaction, error) {
	tx.store = store
	return tx, nil
}

func (tx *fakeTx) Joined() bool { return tx.joined }

func (tx *fakeTx) Claim(ctx context.Context, req idempotency.TransactionRequest) (idempotency.Claim, error) {
	tx.asked = append(tx.asked, req)
	if tx.claimErr != nil {
		return idempotency.Claim{}, tx.claimErr
	}
	c, err := tx.store.Claim(ctx, req.ClaimRequest)
	tx.token = c.Token
	return c, err
}

func (tx *fakeTx) Undo(context.Context) error {
	tx.did = append(tx.did, "undo")
	return tx.undoErr
}

func (tx *fakeTx) Commit(ctx context.Context, value []byte, ttl time.Duration) error {
	tx.did = append(tx.did, "commit")
	if tx.commitErr != nil {
		return tx.commitErr
	}
	return tx.store.Complete(ctx, tx.key(), tx.token, value, ttl)
}

func (tx *fakeTx) Rollback(ctx context.Context) error {
	tx.did = append(tx.did, "rollback")
	if tx.rollbackErr != nil {
		return tx.rollbackErr
	}
	return tx.store.Release(context.WithoutCancel(ctx), tx.key(), tx.token)
}

func (tx *fakeTx) key() string { return tx.asked[len(tx.asked)-1].Key }

func TestTransactionCommitsTheResultForAllGuards(t *testing.T) {
	store := newStore(t)
	g, events := newGuard(t, store, idempotency.Config{TTL: time.Minute})
	tx := &fakeTx{}
	call := charge("k")
	call.Fingerprint = idempotency.Fingerprint([]byte("EUR"))
	result, err := idempotency.Transact(t.Context(), g, call, tx.join, func(ctx context.Context) (string, error) {
		fence, _ := idempotency.FenceOf(ctx)
		of, _ := idempotency.CallOf(ctx)
		wantEqual(t, "fence in the function", fence, tx.token.Fence)
		wantEqual(t, "call in the function", of.Key, "k")
		return "receipt", nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "result", result, idempotency.Result[string]{Value: "receipt", Key: "k", Fence: tx.token.Fence})
	wantEqual(t, "steps", tx.did, []string{"commit"})
	req := tx.asked[0]
	wantEqual(t, "retention", req.Retention, time.Minute)
	wantEqual(t, "wait and savepoint", [2]any{req.Wait, req.Savepoint}, [2]any{time.Duration(0), false})
	events.want(t)

	runs := 0
	for name, do := range map[string]func() (idempotency.Result[string], error){
		"Do": func() (idempotency.Result[string], error) {
			return idempotency.Do(t.Context(), g, call, returning(&runs, "again"))
		},
		"Transact": func() (idempotency.Result[string], error) {
			return idempotency.Transact(t.Context(), g, call, new(fakeTx).join, returning(&runs, "again"))
		},
	} {
		result, err := do()
		if err != nil || result.Value != "receipt" || !result.IsDuplicate || !result.FromCache || runs > 0 {
			t.Errorf("%s: got %+v, error %v, after %d runs, want the receipt", name, result, err, runs)
		}
	}
	call.Fingerprint = idempotency.Fingerprint([]byte("USD"))
	_, err = idempotency.Transact(t.Context(), g, call, new(fakeTx).join, returning(&runs, "again"))
	wantError[*idempotency.DuplicateRequestError](t, err)
	events.want(t, "idempotency.hit", "idempotency.hit", "idempotency.mismatch")
}

func TestTransactionThatDoesNotSucceedGivesTheKeyBack(t *testing.T) {
	ends, cancel := context.WithCancelCause(t.Context())
	refused := errors.New("refused")
	for name, tc := range map[string]struct {
		ctx   context.Context
		fn    func(context.Context) (float64, error)
		tx    fakeTx
		steps []string
		want  func(*testing.T, error)
	}{
		"error": {
			fn:    failing(0.0, errBoom),
			steps: []string{"rollback"},
			want:  func(t *testing.T, err error) { wantEqual(t, "error", err, errBoom) },
		},
		"value that cannot be stored": {
			fn:    failing(math.Inf(1), nil),
			steps: []string{"rollback"},
			want: func(t *testing.T, err error) {
				wantEqual(t, "operation", errorAs[*idempotency.StoreError](t, err).Op, "encode")
			},
		},
		"context that has ended": {
			ctx: ends,
			fn: func(context.Context) (float64, error) {
				cancel(errBoom)
				return 1, nil
			},
			steps: []string{"rollback"},
			want: func(t *testing.T, err error) {
				if !errors.Is(err, context.Canceled) || !errors.Is(err, errBoom) {
					t.Errorf("got error %v, want why the context ended", err)
				}
			},
		},
		"refused commit": {
			fn:    failing(1.0, nil),
			tx:    fakeTx{commitErr: refused},
			steps: []string{"commit", "rollback"},
			want:  func(t *testing.T, err error) { wantEqual(t, "error", err, refused) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			g, events := newGuard(t, newStore(t), idempotency.Config{})
			ctx := t.Context()
			if tc.ctx != nil {
				ctx = tc.ctx
			}
			result, err := idempotency.Transact(ctx, g, charge("k"), tc.tx.join, tc.fn)
			tc.want(t, err)
			wantEqual(t, "result", result, idempotency.Result[float64]{})
			wantEqual(t, "steps", tc.tx.did, tc.steps)
			events.want(t, "idempotency.released")
			runs := 0
			if _, err := idempotency.Do(t.Context(), g, charge("k"), returning(&runs, 2.0)); err != nil || runs != 1 {
				t.Errorf("afterwards: %d runs, error %v, want 1", runs, err)
			}
		})
	}
}

func TestTransactionIsRolledBackWhenTheFunctionNeverReturns(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic("boom") }, "goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			g, events := newGuard(t, newStore(t), idempotency.Config{})
			tx := &fakeTx{}
			returned, recovered := false, any(nil)
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer func() { recovered = recover() }()
				_, _ = idempotency.Transact(t.Context(), g, charge("k"), tx.join, func(context.Context) (int, error) {
					end()
					return 0, nil
				})
				returned = true
			}()
			<-done
			if returned || (name == "panic") != (recovered == "boom") {
				t.Errorf("returned %v, recovered %v", returned, recovered)
			}
			wantEqual(t, "steps", tx.did, []string{"rollback"})
			events.want(t, "idempotency.released")
		})
	}
}

func TestTransactionInDoubtIsNotToldAsReleased(t *testing.T) {
	g, events := newGuard(t, newStore(t), idempotency.Config{})
	lost := &idempotency.BackendError{Backend: "test", Op: "commit", Err: idempotency.ErrInDoubt}
	tx := &fakeTx{commitErr: lost}
	runs := 0
	_, err := idempotency.Transact(t.Context(), g, charge("k"), tx.join, returning(&runs, 1))
	if !errors.Is(err, idempotency.ErrInDoubt) || !errors.Is(idempotency.ErrInDoubt, idempotency.ErrIdempotency) {
		t.Errorf("got error %v, want ErrInDoubt", err)
	}
	events.want(t, "idempotency.store_failed")
}

func TestRollbackThatFailsIsTold(t *testing.T) {
	g, events := newGuard(t, newStore(t), idempotency.Config{})
	tx := &fakeTx{rollbackErr: unavailable("rollback")}
	_, err := idempotency.Transact(t.Context(), g, charge("k"), tx.join, failing(0, errBoom))
	wantEqual(t, "error", err, errBoom)
	events.want(t, "idempotency.store_failed")
}

func TestRecordedErrorIsCommittedWithoutWhatTheFunctionWrote(t *testing.T) {
	kinds := idempotency.WithRecordedErrors(idempotency.ErrorValue("boom", errBoom))
	for name, tc := range map[string]struct {
		tx      fakeTx
		failure error
		steps   []string
		events  []string
		kept    bool
	}{
		"recorded": {failure: errBoom, steps: []string{"undo", "commit"}, kept: true},
		"another": {
			failure: errors.New("another"), steps: []string{"rollback"}, events: []string{"idempotency.released"},
		},
		"undo fails": {
			tx: fakeTx{undoErr: unavailable("undo")}, failure: errBoom, steps: []string{"undo", "rollback"},
			events: []string{"idempotency.completion_failed", "idempotency.released"},
		},
		"commit in doubt": {
			tx: fakeTx{commitErr: idempotency.ErrInDoubt}, failure: errBoom, steps: []string{"undo", "commit", "rollback"},
			events: []string{"idempotency.completion_failed", "idempotency.store_failed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			events := newEventLog()
			g, err := idempotency.New(newStore(t), idempotency.Config{}, idempotency.WithBus(&events.bus), kinds)
			if err != nil {
				t.Fatal(err)
			}
			_, err = idempotency.Transact(t.Context(), g, charge("k"), tc.tx.join, failing(0, tc.failure))
			wantEqual(t, "error", err, tc.failure)
			wantEqual(t, "steps", tc.tx.did, tc.steps)
			wantEqual(t, "savepoint", tc.tx.asked[0].Savepoint, true)
			events.want(t, tc.events...)
			if !tc.kept {
				return
			}
			runs := 0
			result, err := idempotency.Transact(t.Context(), g, charge("k"), new(fakeTx).join, returning(&runs, 1))
			var recorded *idempotency.RecordedError
			if !errors.As(err, &recorded) || !errors.Is(err, errBoom) || !result.IsDuplicate || runs > 0 {
				t.Errorf("duplicate: got %+v, error %v, after %d runs, want the recorded error", result, err, runs)
			}
		})
	}
}

// What another transaction has not committed yet must not be at hand for the rest of the process.
func TestResultsOfJoinedTransactionsAreNotKeptAtHand(t *testing.T) {
	for _, joined := range []bool{false, true} {
		store, runs := newStore(t), 0
		acts := func(g *idempotency.Guard, claims int) {
			t.Helper()
			tx := &fakeTx{joined: joined}
			if _, err := idempotency.Transact(t.Context(), g, charge("k"), tx.join, returning(&runs, 1)); err != nil {
				t.Fatal(err)
			}
			if joined {
				claims = 1
			}
			wantEqual(t, "claims", len(tx.asked), claims)
		}
		first, _ := newGuard(t, store, idempotency.Config{CacheEntries: 1})
		acts(first, 1)
		acts(first, 0) // at hand since the commit
		second, _ := newGuard(t, store, idempotency.Config{CacheEntries: 1})
		acts(second, 1)
		acts(second, 0) // at hand since the replay
		wantEqual(t, "runs", runs, 1)
	}
}

func TestTransactionDoesNotFailOpen(t *testing.T) {
	g, events := newGuard(t, newStore(t), idempotency.Config{FailOpen: true})
	tx := &fakeTx{claimErr: unavailable("claim")}
	runs := 0
	_, err := idempotency.Transact(t.Context(), g, charge("k"), tx.join, returning(&runs, 1))
	wantError[*idempotency.BackendError](t, err)
	wantEqual(t, "runs", runs, 0)
	events.want(t, "idempotency.store_failed")
}

func TestTransactionIsNotBegunInVain(t *testing.T) {
	g, _ := newGuard(t, newStore(t), idempotency.Config{})
	runs := 0
	tx := &fakeTx{}
	_, err := idempotency.Transact(t.Context(), g, charge(""), tx.join, returning(&runs, 1))
	wantError[*idempotency.ConfigurationError](t, err)
	_, err = idempotency.Transact(t.Context(), g, charge("k"), tx.join, func(context.Context) (chan int, error) {
		runs++
		return nil, nil
	})
	wantError[*idempotency.ConfigurationError](t, err)
	misfit := func(idempotency.Store) (idempotency.Transaction, error) { return nil, errBoom }
	_, err = idempotency.Transact(t.Context(), g, charge("k"), misfit, returning(&runs, 1))
	wantEqual(t, "error of join", err, errBoom)
	wantEqual(t, "runs and claims", [2]int{runs, len(tx.asked)}, [2]int{0, 0})
}

// A transaction waits by itself for another transaction; for a claim with a lease it is asked again. The time is one.
func TestTransactionWaitsForALeaseWithinTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		g, events := newGuard(t, store, idempotency.Config{Wait: time.Second})
		release, acting := make(chan struct{}), make(chan struct{})
		go func() {
			_, _ = idempotency.Do(t.Context(), g, charge("k"), func(context.Context) (string, error) {
				close(acting)
				<-release
				return "receipt", nil
			})
		}()
		<-acting
		tx, runs, began := &fakeTx{}, 0, time.Now()
		_, err := idempotency.Transact(t.Context(), g, charge("k"), tx.join, returning(&runs, "again"))
		wantError[*idempotency.ConflictError](t, err)
		wantEqual(t, "time", time.Since(began), time.Second)
		wantEqual(t, "first wait", tx.asked[0].Wait, time.Second)
		for i, req := range tx.asked[1:] {
			if req.Wait > tx.asked[i].Wait || req.Wait < 0 {
				t.Errorf("look %d waits for %v after one for %v", i+1, req.Wait, tx.asked[i].Wait)
			}
		}
		wantEqual(t, "last wait", tx.asked[len(tx.asked)-1].Wait, time.Duration(0))
		events.want(t, "idempotency.conflict")

		time.AfterFunc(300*time.Millisecond, func() { close(release) })
		began = time.Now()
		result, err := idempotency.Transact(t.Context(), g, charge("k"), new(fakeTx).join, returning(&runs, "again"))
		if err != nil || result.Value != "receipt" || runs > 0 || time.Since(began) != 300*time.Millisecond {
			t.Errorf("got %+v, error %v, after %v and %d runs, want the receipt after 300 ms", result, err, time.Since(began), runs)
		}
	})
}

// Who waits in the same process is woken when the transaction has ended.
func TestEndOfATransactionWakesThoseWhoWait(t *testing.T) {
	for name, failure := range map[string]error{"commit": nil, "rollback": errBoom} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, _ := newGuard(t, newStore(t), idempotency.Config{Wait: time.Minute})
				acting := make(chan struct{})
				go func() {
					_, _ = idempotency.Transact(t.Context(), g, charge("k"), new(fakeTx).join, func(context.Context) (int, error) {
						close(acting)
						time.Sleep(10*time.Second + time.Nanosecond) // when no look is due
						return 1, failure
					})
				}()
				<-acting
				began, runs := time.Now(), 0
				result, err := idempotency.Do(t.Context(), g, charge("k"), returning(&runs, 2))
				if err != nil || time.Since(began) != 10*time.Second+time.Nanosecond || (runs == 1) != (failure != nil) {
					t.Errorf("got %+v, error %v, after %v and %d runs", result, err, time.Since(began), runs)
				}
			})
		})
	}
}
