package pgstore_test

import (
	"context"
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/pgstore"
)

// What is answered by a record that is there makes no transaction id, and so writes nothing, not even to the log.
func TestReplaysWriteNothing(t *testing.T) {
	s := openShop(t)
	fingerprinted := request("other payload")
	fingerprinted.Fingerprint = []byte("one")
	claim(t, s.Idempotency, fingerprinted)
	acquire(t, s.Idempotency, "held")
	must(t, s.Set(t.Context(), "done", []byte("result"), long))

	tx := s.begin(t)
	assigned := func() bool {
		var id *string
		must(t, tx.QueryRow(t.Context(), "SELECT pg_current_xact_id_if_assigned()::text").Scan(&id))
		return id != nil
	}
	s.claimIn(t, tx, "held", idempotency.InProgress)
	s.claimIn(t, tx, "done", idempotency.Done)
	fingerprinted.Fingerprint = []byte("two")
	if c, err := s.ClaimTx(t.Context(), tx, fingerprinted); err != nil || c.Outcome != idempotency.Mismatch {
		t.Errorf("got %v, error %v, want mismatch", c.Outcome, err)
	}
	if assigned() {
		t.Error("claims that acquired nothing made a transaction id")
	}
	s.claimIn(t, tx, "fresh", idempotency.Acquired)
	if !assigned() {
		t.Error("a claim that acquired the key made no transaction id")
	}
	must(t, tx.Rollback(t.Context()))
}

// An update that is heap-only leaves the indexes alone.
func TestCompletesAndExtensionsAreHeapOnly(t *testing.T) {
	admin := connect(t)
	const n = 200
	for name, tc := range map[string]struct {
		lease, retention time.Duration
		heapOnly         bool
	}{
		"kept as long as foreseen":    {long, long, true},
		"kept for ever":               {long, 0, false},
		"complete long after a lease": {time.Millisecond, time.Millisecond, false},
	} {
		t.Run(name, func(t *testing.T) {
			table := newTable()
			pool := connect(t)
			s := openAt(t, pool, pgstore.Config{Table: table})
			for i := range n {
				key := strconv.Itoa(i)
				c := claim(t, s, idempotency.ClaimRequest{Key: key, Lease: tc.lease, Retention: tc.retention})
				must(t, s.Extend(t.Context(), key, c.Token, tc.lease))
				ttl := tc.retention
				if !tc.heapOnly && ttl > 0 {
					ttl = long
				}
				must(t, s.Complete(t.Context(), key, c.Token, make([]byte, 200), ttl))
			}
			pool.Close() // sessions count when they end
			count := func(column string) int {
				return ask[int](t, admin, "SELECT "+column+" FROM pg_stat_user_tables WHERE relname = $1", table)
			}
			await(t, "the updates are counted", func() bool { return count("n_tup_upd") == 2*n })
			want := n // of the extensions
			if tc.heapOnly {
				want = 2 * n
			}
			if got := count("n_tup_hot_upd"); got != want {
				t.Errorf("%d of %d updates were heap-only, want %d", got, 2*n, want)
			}
		})
	}
}

// A record whose end was moved is found by the cleanup when it is over, and not sooner.
func TestCleanupFindsWhatWasExtendedOrKeptForLonger(t *testing.T) {
	pool := connect(t)
	table := newTable()
	s := openAt(t, pool, pgstore.Config{Table: table})
	ctx := t.Context()
	brief := func(key string) idempotency.Token {
		return claim(t, s, idempotency.ClaimRequest{Key: key, Lease: time.Millisecond, Retention: time.Millisecond}).Token
	}
	cleaned := func(want int, what string) {
		t.Helper()
		if n, err := s.CleanupExpired(ctx, 100); n != want || err != nil {
			t.Errorf("%s: cleanup removed %d, error %v, want %d", what, n, err, want)
		}
	}
	must(t, s.Extend(ctx, "extended", brief("extended"), long))
	must(t, s.Complete(ctx, "complete", brief("complete"), nil, long))
	must(t, s.Complete(ctx, "for ever", brief("for ever"), nil, 0))
	await(t, "all would be over", func() bool {
		return ask[bool](t, pool, "SELECT max(created_at) < now() - interval '10 ms' FROM "+table)
	})
	cleaned(0, "live")
	must(t, s.Set(ctx, "over", nil, 1))
	if n, err := s.CleanupExpired(ctx, 1); n != 1 || err != nil {
		t.Errorf("cleanup removed %d, error %v, want the one that is over, though it could have looked at others first", n, err)
	}
	exec(t, pool, "UPDATE "+table+" SET expires_at = now() - interval '1 s', purge_after = purge_after - interval '1 h' WHERE state = 1 OR isfinite(expires_at)")
	cleaned(2, "over")
	if _, found, err := s.Get(ctx, "for ever"); !found || err != nil {
		t.Errorf("kept for ever: found %v, error %v", found, err)
	}

	c := claim(t, s, idempotency.ClaimRequest{Key: "forgotten", Lease: time.Millisecond}) // to be kept for ever, if it had a result
	await(t, "a claim without a result is removed", func() bool {
		n, err := s.CleanupExpired(ctx, 100)
		must(t, err)
		return n == 1
	})
	if err := s.Complete(ctx, "forgotten", c.Token, nil, 0); err != idempotency.ErrClaimLost {
		t.Errorf("complete of a claim that was removed: got error %v, want ErrClaimLost", err)
	}
}

// Pitfall 17: a cleanup that looks first and deletes then takes live claims away.
func TestPitfall17CleanupSparesARowThatIsBeingTakenOver(t *testing.T) {
	s := openShop(t)
	for _, key := range []string{"taken over", "expired"} {
		must(t, s.Set(t.Context(), key, []byte("old"), 1))
	}
	tx := s.begin(t)
	token := s.claimIn(t, tx, "taken over", idempotency.Acquired).Token

	// The other session sees the old row, which has expired, and does not wait for it.
	if n, err := s.CleanupExpired(t.Context(), 10); n != 1 || err != nil {
		t.Errorf("cleanup removed %d, error %v, want 1", n, err)
	}
	must(t, tx.Commit(t.Context()))
	if n, err := s.CleanupExpired(t.Context(), 10); n != 0 || err != nil {
		t.Errorf("cleanup removed %d, error %v, want none", n, err)
	}
	must(t, s.Complete(t.Context(), "taken over", token, nil, long))
}

func TestCleanupIsBatched(t *testing.T) {
	s := open(t, connect(t))
	for i := range 10 {
		must(t, s.Set(t.Context(), strconv.Itoa(i), nil, 1))
	}
	for _, tc := range []struct{ limit, want int }{{-1, 0}, {0, 0}, {4, 4}, {5, 5}, {10, 1}, {10, 0}} {
		if n, err := s.CleanupExpired(t.Context(), tc.limit); n != tc.want || err != nil {
			t.Errorf("cleanup with limit %d removed %d, error %v, want %d", tc.limit, n, err, tc.want)
		}
	}
}

func TestFenceIsTheServersTime(t *testing.T) {
	pool := connect(t)
	table := newTable()
	s := openAt(t, pool, pgstore.Config{Table: table})
	now := func() int64 {
		return ask[int64](t, pool, "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
	}
	last := int64(0)
	next := func(what string) idempotency.Token {
		t.Helper()
		before := now()
		token := acquire(t, s, "k")
		if after := now(); token.Fence <= last || token.Fence < before || token.Fence > after {
			t.Fatalf("%s: got fence %d after %d, want one between %d and %d", what, token.Fence, last, before, after)
		}
		last = token.Fence
		return token
	}
	must(t, s.Release(t.Context(), "k", next("first claim")))
	next("after a release")
	must(t, s.Delete(t.Context(), "k"))
	next("after a delete")

	// While the record lives, its fence grows even if the clock goes back.
	ahead := last + 2*time.Hour.Microseconds()
	exec(t, pool, "UPDATE "+table+" SET fence = $1, expires_at = now()", ahead)
	if token := acquire(t, s, "k"); token.Fence != ahead+1 {
		t.Errorf("take-over: got fence %d, want %d", token.Fence, ahead+1)
	}
	must(t, s.Set(t.Context(), "k", nil, long))
	if rec, _, err := s.GetRecord(t.Context(), "k"); err != nil || rec.Fence != ahead+2 {
		t.Errorf("set: got fence %d, error %v, want %d", rec.Fence, err, ahead+2)
	}
}

// What a row cannot be by our hands.
func TestForeignRowsAreStoreErrors(t *testing.T) {
	pool := connect(t)
	table := newTable()
	s := openAt(t, pool, pgstore.Config{Table: table})
	acquire(t, s, "k")
	exec(t, pool, "UPDATE "+table+" SET state = 7, result = 's3cr3t'")
	_, claimErr := s.Acquire(t.Context(), "k", long)
	_, _, getErr := s.Get(t.Context(), "k")
	for op, err := range map[string]error{"claim": claimErr, "get": getErr} {
		var store *idempotency.StoreError
		if !errors.As(err, &store) || store.Backend != "postgres" || store.Op != op || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: got error %v, want a *StoreError of postgres that hides the data", op, err)
		}
	}
	must(t, s.Delete(t.Context(), "k"))
	acquire(t, s, "k")
}

func TestKeysAreNotInTheDatabase(t *testing.T) {
	pool := connect(t)
	table := newTable()
	s := openAt(t, pool, pgstore.Config{Table: table})
	acquire(t, s, "order-1")
	// As sha256sum says.
	const digest = "0bafe22156d2698c143b86040446d366ead863ba600d5c924f3d15c786ef4057"
	if got := ask[string](t, pool, "SELECT encode(key, 'hex') FROM "+table); got != digest {
		t.Errorf("got key %s, want %s", got, digest)
	}
}

// seen is a pool where a claim finds a record.
type seen struct {
	pgstore.Pool
	outcome   idempotency.Outcome
	age, left float64 // seconds
}

func (p seen) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if strings.Contains(sql, "INSERT INTO") {
		return p
	}
	return p.Pool.QueryRow(ctx, sql, args...)
}

func (p seen) Scan(dest ...any) error {
	*dest[0].(*int32), *dest[1].(*int64), *dest[2].(*float64), *dest[3].(*float64) = int32(p.outcome), 7, p.age, p.left
	return nil
}

func TestSpansAreInRange(t *testing.T) {
	pool := connect(t)
	for _, tc := range []struct {
		outcome                    idempotency.Outcome
		age, left                  float64
		retryAfter, old, expiresIn time.Duration
	}{
		{idempotency.InProgress, 0, 0.25, 250 * time.Millisecond, 0, 0},
		{idempotency.InProgress, 0, 0.0009, time.Millisecond, 0, 0},
		{idempotency.InProgress, 0, -3, time.Millisecond, 0, 0}, // between two looks at the clock
		{idempotency.InProgress, 0, 1e300, math.MaxInt64, 0, 0},
		{idempotency.InProgress, 0, 9223372037, math.MaxInt64, 0, 0},
		{idempotency.InProgress, 0, 9223372035, 9223372035 * time.Second, 0, 0},
		{idempotency.Done, 0.0000015, 0.25, 0, 2 * time.Microsecond, 250 * time.Millisecond},
		{idempotency.Done, -3, 1e300, 0, 0, math.MaxInt64}, // the server's clock was set back
		{idempotency.Done, 0, -3, 0, 0, time.Microsecond},  // between two looks at the clock
		{idempotency.Done, 0, math.Inf(1), 0, 0, 0},
		{idempotency.Mismatch, 3, 3, 0, 0, 0},
	} {
		got := claim(t, open(t, seen{pool, tc.outcome, tc.age, tc.left}), request("k"))
		want := idempotency.Claim{
			Outcome: tc.outcome, Fence: 7, RetryAfter: tc.retryAfter, Age: tc.old, ExpiresIn: tc.expiresIn,
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%v, %v s old, for %v s: got %+v, want %+v", tc.outcome, tc.age, tc.left, got, want)
		}
	}
}
