package pgstore_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/pgstore"
)

// shop is a store and a table of orders beside it, in the same database.
type shop struct {
	*pgstore.Idempotency
	pool   *pgxpool.Pool
	orders string
	name   string // of the sessions
}

func openShop(t *testing.T, change ...func(*pgxpool.Config)) *shop {
	t.Helper()
	name := newTable()
	s := &shop{orders: newTable(), name: name, pool: connect(t, append(change, with("application_name", name))...)}
	s.Idempotency = open(t, s.pool)
	must(t, s.EnsureSchema(t.Context()))
	exec(t, s.pool, "CREATE TABLE "+s.orders+" (id text)")
	return s
}

func (s *shop) begin(t *testing.T) pgx.Tx {
	t.Helper()
	return begin(t, s.pool)
}

// claimIn claims key in a transaction and wants the outcome.
func (s *shop) claimIn(t *testing.T, tx pgx.Tx, key string, want idempotency.Outcome) idempotency.Claim {
	t.Helper()
	c, err := s.ClaimTx(t.Context(), tx, request(key))
	if err != nil || c.Outcome != want {
		t.Fatalf("claim in a transaction: got %v, error %v, want %v", c.Outcome, err, want)
	}
	return c
}

// place claims key, and completes it together with an order.
func (s *shop) place(t *testing.T, tx pgx.Tx, key string) idempotency.Token {
	t.Helper()
	token := s.claimIn(t, tx, key, idempotency.Acquired).Token
	s.order(t, tx, key)
	must(t, s.CompleteTx(t.Context(), tx, key, token, []byte("placed"), long))
	return token
}

func (s *shop) order(t *testing.T, tx pgx.Tx, id string) {
	t.Helper()
	if _, err := tx.Exec(t.Context(), "INSERT INTO "+s.orders+" VALUES ($1)", id); err != nil {
		t.Fatal(err)
	}
}

// has wants that many orders.
func (s *shop) has(t *testing.T, want int) {
	t.Helper()
	if n := ask[int](t, s.pool, "SELECT count(*) FROM "+s.orders); n != want {
		t.Errorf("%d orders, want %d", n, want)
	}
}

// later runs f in the background and returns when it waits for another session.
func (s *shop) later(t *testing.T, f func() idempotency.Claim) <-chan idempotency.Claim {
	t.Helper()
	answer := make(chan idempotency.Claim, 1)
	before := waiting(t, s.pool, s.name)
	go func() { answer <- f() }()
	await(t, "the claim waits", func() bool { return waiting(t, s.pool, s.name) == before+1 })
	return answer
}

func TestResultAndBusinessRowsAreCommittedTogether(t *testing.T) {
	s := openShop(t)
	tx := s.begin(t)
	token := s.place(t, tx, "k")
	if _, found, err := s.GetRecord(t.Context(), "k"); found || err != nil {
		t.Errorf("before the commit: found %v, error %v", found, err)
	}
	must(t, tx.Commit(t.Context()))
	s.has(t, 1)
	c := claim(t, s.Idempotency, request("k"))
	if c.Outcome != idempotency.Done || string(c.Value) != "placed" || c.Fence != token.Fence {
		t.Errorf("after the commit: got %v with %q and fence %d, want the result", c.Outcome, c.Value, c.Fence)
	}
	tx = s.begin(t)
	if c := s.claimIn(t, tx, "k", idempotency.Done); string(c.Value) != "placed" {
		t.Errorf("in another transaction: got %q", c.Value)
	}
	must(t, tx.Commit(t.Context()))
}

func TestResultAndBusinessRowsAreRolledBackTogether(t *testing.T) {
	s := openShop(t)
	tx := s.begin(t)
	lost := s.place(t, tx, "k")
	must(t, tx.Rollback(t.Context()))
	s.has(t, 0)
	if _, found, err := s.GetRecord(t.Context(), "k"); found || err != nil {
		t.Errorf("after the rollback: found %v, error %v", found, err)
	}
	if err := s.Complete(t.Context(), "k", lost, nil, long); !errors.Is(err, idempotency.ErrClaimLost) {
		t.Errorf("complete with the token of a rollback: got error %v, want ErrClaimLost", err)
	}
	acquire(t, s.Idempotency, "k")
}

func TestClaimThatIsCommittedWithoutAResultIsALease(t *testing.T) {
	s := openShop(t)
	tx := s.begin(t)
	token := s.claimIn(t, tx, "k", idempotency.Acquired).Token
	must(t, tx.Commit(t.Context()))
	if c := claim(t, s.Idempotency, request("k")); c.Outcome != idempotency.InProgress || c.RetryAfter < long/2 {
		t.Errorf("got %v for %v, want in_progress for %v", c.Outcome, c.RetryAfter, long)
	}
	must(t, s.Complete(t.Context(), "k", token, nil, long))
}

// Duplicates of both kinds wait for the end of the transaction, and then know what it has done.
func TestDuplicatesWaitForTheTransaction(t *testing.T) {
	for _, expired := range []bool{false, true} {
		for _, commit := range []bool{false, true} {
			s := openShop(t)
			if expired { // so that the transaction takes a record over, which is another statement
				must(t, s.Set(t.Context(), "k", []byte("old"), 1))
			}
			tx, duplicate := s.begin(t), s.begin(t)
			token := s.place(t, tx, "k")
			inTx := s.later(t, func() idempotency.Claim {
				c, err := s.ClaimTx(t.Context(), duplicate, request("k"))
				if err != nil {
					t.Error(err)
				}
				return c
			})
			if commit {
				alone := s.later(t, func() idempotency.Claim {
					c, err := s.Claim(t.Context(), request("k"))
					if err != nil {
						t.Error(err)
					}
					return c
				})
				must(t, tx.Commit(t.Context()))
				replayed := func(c idempotency.Claim) {
					t.Helper()
					if c.Outcome != idempotency.Done || string(c.Value) != "placed" {
						t.Errorf("expired %v: got %v with %q, want the result", expired, c.Outcome, c.Value)
					}
				}
				replayed(<-inTx)
				must(t, duplicate.Commit(t.Context()))
				replayed(<-alone)
				s.has(t, 1)
				continue
			}
			must(t, tx.Rollback(t.Context()))
			if c := <-inTx; c.Outcome != idempotency.Acquired || c.Token.Owner == token.Owner {
				t.Errorf("expired %v: after the rollback got %v, want acquired", expired, c.Outcome)
			}
			must(t, duplicate.Rollback(t.Context()))
		}
	}
}

func TestDuplicateIsInProgressAfterTheLockTimeout(t *testing.T) {
	for _, expired := range []bool{false, true} {
		s := openShop(t)
		if expired {
			must(t, s.Set(t.Context(), "k", []byte("old"), 1))
		}
		tx, duplicate := s.begin(t), s.begin(t)
		s.place(t, tx, "k")
		if _, err := duplicate.Exec(t.Context(), "SET LOCAL lock_timeout = '20ms'"); err != nil {
			t.Fatal(err)
		}
		c := s.claimIn(t, duplicate, "k", idempotency.InProgress)
		if c.RetryAfter <= 0 || c.Token != (idempotency.Token{}) {
			t.Errorf("got %+v, want when to come back, and no token", c)
		}
		var aborted *pgconn.PgError
		if _, err := duplicate.Exec(t.Context(), "SELECT 1"); !errors.As(err, &aborted) || aborted.Code != "25P02" {
			t.Errorf("after the lock timeout: got error %v, want that the transaction is aborted", err)
		}
		must(t, duplicate.Rollback(t.Context()))
		must(t, tx.Commit(t.Context()))
	}
}

// A savepoint of the caller keeps what came before the claim.
func TestSavepointSurvivesTheLockTimeout(t *testing.T) {
	s := openShop(t)
	tx, duplicate := s.begin(t), s.begin(t)
	s.place(t, tx, "k")
	s.order(t, duplicate, "another")
	if _, err := duplicate.Exec(t.Context(), "SET LOCAL lock_timeout = '20ms'"); err != nil {
		t.Fatal(err)
	}
	savepoint, err := duplicate.Begin(t.Context())
	must(t, err)
	s.claimIn(t, savepoint, "k", idempotency.InProgress)
	must(t, savepoint.Rollback(t.Context()))
	must(t, duplicate.Commit(t.Context()))
	must(t, tx.Commit(t.Context()))
	s.has(t, 2)
}

func TestLeasedClaimIsCompletedTogetherWithBusinessRows(t *testing.T) {
	s := openShop(t)
	token := acquire(t, s.Idempotency, "k")
	tx := s.begin(t)
	s.order(t, tx, "k")
	must(t, s.CompleteTx(t.Context(), tx, "k", token, []byte("placed"), long))

	// Until the commit the claim is what it was, and nobody who only reads has to wait.
	if c := claim(t, s.Idempotency, request("k")); c.Outcome != idempotency.InProgress {
		t.Errorf("before the commit: got %v, want in_progress", c.Outcome)
	}
	must(t, tx.Commit(t.Context()))
	if c := claim(t, s.Idempotency, request("k")); c.Outcome != idempotency.Done || string(c.Value) != "placed" {
		t.Errorf("after the commit: got %v with %q, want the result", c.Outcome, c.Value)
	}
	s.has(t, 1)

	// A transaction that is tried again does not write again.
	tx = s.begin(t)
	s.order(t, tx, "k")
	if err := s.CompleteTx(t.Context(), tx, "k", token, []byte("again"), long); !errors.Is(err, idempotency.ErrClaimLost) {
		t.Errorf("complete in another transaction: got error %v, want ErrClaimLost", err)
	}
	must(t, tx.Rollback(t.Context()))
	must(t, s.Complete(t.Context(), "k", token, []byte("again"), long))
	s.has(t, 1)
}

func TestLateOwnerCannotCompleteInATransaction(t *testing.T) {
	s := openShop(t)
	c := claim(t, s.Idempotency, idempotency.ClaimRequest{Key: "k", Lease: short})
	await(t, "the lease is over", func() bool {
		_, found, err := s.GetRecord(t.Context(), "k")
		return !found && err == nil
	})
	acquire(t, s.Idempotency, "k")
	tx := s.begin(t)
	s.order(t, tx, "k")
	if err := s.CompleteTx(t.Context(), tx, "k", c.Token, nil, long); !errors.Is(err, idempotency.ErrClaimLost) {
		t.Errorf("got error %v, want ErrClaimLost", err)
	}
	must(t, tx.Rollback(t.Context()))
	s.has(t, 0)
}

func TestTransactionThatCannotBeSerializedIsTheCallersToRepeat(t *testing.T) {
	s := openShop(t, with("default_transaction_isolation", "serializable"))
	tx := s.begin(t)
	if _, err := tx.Exec(t.Context(), "SELECT count(*) FROM "+s.orders); err != nil { // takes the snapshot
		t.Fatal(err)
	}
	acquire(t, s.Idempotency, "k")
	_, err := s.ClaimTx(t.Context(), tx, request("k"))
	var unavailable *idempotency.BackendError
	var serialization *pgconn.PgError
	if !errors.As(err, &unavailable) || !errors.As(err, &serialization) || serialization.Code != "40001" {
		t.Errorf("got error %v, want a *BackendError with code 40001", err)
	}
	must(t, tx.Rollback(t.Context()))
}

func TestArgumentsOfTransactionsAreChecked(t *testing.T) {
	s := openShop(t)
	tx := s.begin(t)
	_, err := s.ClaimTx(t.Context(), tx, idempotency.ClaimRequest{Key: "k"})
	misconfigured(t, err, "lease")
	misconfigured(t, s.CompleteTx(t.Context(), tx, "k", idempotency.Token{}, nil, -1), "ttl")
	must(t, tx.Rollback(t.Context()))
	_, claimErr := s.ClaimTx(t.Context(), tx, request("k"))
	for op, err := range map[string]error{
		"claim": claimErr, "complete": s.CompleteTx(t.Context(), tx, "k", idempotency.Token{}, nil, long),
	} {
		var unavailable *idempotency.BackendError
		if !errors.As(err, &unavailable) || !errors.Is(err, pgx.ErrTxClosed) || unavailable.Op != op {
			t.Errorf("%s in a closed transaction: got error %v, want a *BackendError with ErrTxClosed", op, err)
		}
	}
}

func TestFirstClaimMayBeInATransaction(t *testing.T) {
	pool := connect(t)
	s := open(t, pool)
	must(t, pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		c, err := s.ClaimTx(t.Context(), tx, request("k"))
		if err != nil {
			return err
		}
		return s.CompleteTx(t.Context(), tx, "k", c.Token, nil, long)
	}))
	if c := claim(t, s, request("k")); c.Outcome != idempotency.Done {
		t.Errorf("got %v, want done", c.Outcome)
	}
	missing := open(t, pool)
	must(t, pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		err := missing.CompleteTx(t.Context(), tx, "k", idempotency.Token{}, nil, long)
		if !errors.Is(err, idempotency.ErrClaimLost) {
			t.Errorf("complete before any claim: got error %v, want ErrClaimLost", err)
		}
		return nil
	}))
}
