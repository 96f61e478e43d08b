package idempotency_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/idempotency"
)

func TestDuplicateGetsTheStoredResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, events := newGuard(t, newStore(t), idempotency.Config{})
		runs := 0
		first, err := idempotency.Do(t.Context(), g, charge("k"), returning(&runs, "receipt"))
		if err != nil {
			t.Fatal(err)
		}
		fence := first.Fence
		wantEqual(t, "first", first, idempotency.Result[string]{Value: "receipt", Key: "k", Fence: fence})
		if fence == 0 {
			t.Error("no fence")
		}
		time.Sleep(time.Minute)
		second, err := idempotency.Do(t.Context(), g, charge("k"), returning(&runs, "another"))
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "second", second, idempotency.Result[string]{
			Value: "receipt", Key: "k", Fence: fence, IsDuplicate: true, FromCache: true, Age: time.Minute,
		})
		wantEqual(t, "runs", runs, 1)
		events.want(t, "idempotency.hit")
		hit := events.all()[0].(hooks.IdempotencyKeyHit)
		wantEqual(t, "operation", hit.Operation, "charge")
		wantEqual(t, "age", hit.Age, time.Minute)
		if len(hit.KeyDigest) != 16 || strings.Trim(hit.KeyDigest, "0123456789abcdef") != "" {
			t.Errorf("digest %q is not 16 hexadecimal digits", hit.KeyDigest)
		}
	})
}

// replayed runs Do twice and returns what the second one, which must not run, gets.
func replayed[T any](t *testing.T, v T) T {
	t.Helper()
	g, _ := newGuard(t, newStore(t), idempotency.Config{})
	runs := 0
	for range 2 {
		result, err := idempotency.Do(t.Context(), g, charge("k"), returning(&runs, v))
		if err != nil {
			t.Fatalf("%v: %v", v, err)
		}
		if result.IsDuplicate {
			wantEqual(t, "runs", runs, 1)
			return result.Value
		}
	}
	t.Fatal("no duplicate")
	return v
}

func wantReplayed[T any](t *testing.T, v T) {
	t.Helper()
	if got := replayed(t, v); !reflect.DeepEqual(got, v) {
		t.Errorf("replayed %#v, want %#v", got, v)
	}
}

// shout has JSON methods on its pointer only.
type shout struct{ s string }

func (s *shout) MarshalJSON() ([]byte, error)    { return json.Marshal(s.s + "!") }
func (s *shout) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &s.s) }

func TestNilAndZeroResultsAreReplayed(t *testing.T) {
	wantReplayed(t, 0)
	wantReplayed(t, "")
	wantReplayed(t, false)
	wantReplayed(t, struct{}{})
	wantReplayed[*int](t, nil)
	wantReplayed[[]int](t, nil)
	wantReplayed(t, []int{})
	wantReplayed[map[string]int](t, nil)
	wantReplayed[any](t, nil)
	wantReplayed(t, time.Time{})
	wantEqual(t, "pointer methods", replayed(t, shout{"hey"}), shout{"hey!"})
}

func TestFailureIsReturnedAsItIsAndFreesTheKey(t *testing.T) {
	g, events := newGuard(t, newStore(t), idempotency.Config{})
	result, err := idempotency.Do(t.Context(), g, charge("k"), failing(7, errBoom))
	if err != errBoom {
		t.Errorf("got %v, want the function's error", err)
	}
	wantEqual(t, "result", result, idempotency.Result[int]{})
	runs := 0
	if result, err = idempotency.Do(t.Context(), g, charge("k"), returning(&runs, 8)); err != nil || result.IsDuplicate {
		t.Errorf("retry: got %+v and %v", result, err)
	}
	wantEqual(t, "runs", runs, 1)
	events.want(t, "idempotency.released")
}

func TestPanicAndGoexitFreeTheKeyAndGoOn(t *testing.T) {
	g, events := newGuard(t, newStore(t), idempotency.Config{})
	func() {
		defer func() { wantEqual(t, "panic", recover(), any("ouch")) }()
		_, err := idempotency.Do(t.Context(), g, charge("k"), func(context.Context) (int, error) { panic("ouch") })
		t.Errorf("returned with %v", err)
	}()

	ended, returned := make(chan struct{}), false
	go func() {
		defer close(ended)
		_, _ = idempotency.Do(t.Context(), g, charge("k"), func(context.Context) (int, error) {
			runtime.Goexit()
			return 0, nil
		})
		returned = true
	}()
	<-ended
	wantEqual(t, "returned", returned, false)

	runs := 0
	if _, err := idempotency.Do(t.Context(), g, charge("k"), returning(&runs, 1)); err != nil || runs != 1 {
		t.Errorf("retry: %d runs, %v", runs, err)
	}
	events.want(t, "idempotency.released", "idempotency.released")
}

func TestConcurrentCallGetsConflict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, events := newGuard(t, newStore(t), idempotency.Config{})
		go func() {
			_, _ = idempotency.Do(t.Context(), g, charge("k"), func(context.Context) (int, error) {
				time.Sleep(time.Second)
				return 1, nil
			})
		}()
		synctest.Wait()
		runs := 0
		_, err := idempotency.Do(t.Context(), g, charge("k"), returning(&runs, 2))
		conflict := errorAs[*idempotency.ConflictError](t, err)
		wantEqual(t, "conflict", *conflict, idempotency.ConflictError{Operation: "charge", RetryAfter: 30 * time.Second})
		wantEqual(t, "code", patterns.Code(err), idempotency.CodeConflict)
		wantEqual(t, "runs", runs, 0)
		events.want(t, "idempotency.conflict")
		time.Sleep(time.Second)
	})
}

func TestOf32DuplicatesOneRuns(t *testing.T) {
	g, _ := newGuard(t, newStore(t), idempotency.Config{})
	for round := range 20 {
		call := charge("k" + string(rune('a'+round)))
		var runs, answered, conflicts atomic.Int32
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				result, err := idempotency.Do(t.Context(), g, call, func(context.Context) (int32, error) {
					return runs.Add(1), nil
				})
				switch {
				case err == nil && result.Value == 1:
					answered.Add(1)
				case errors.As(err, new(*idempotency.ConflictError)):
					conflicts.Add(1)
				default:
					t.Errorf("got %+v and %v", result, err)
				}
			})
		}
		wg.Wait()
		wantEqual(t, "runs", runs.Load(), 1)
		wantEqual(t, "answers", answered.Load()+conflicts.Load(), 32)
	}
}

func TestDifferentCallsDoNotMeet(t *testing.T) {
	g, _ := newGuard(t, newStore(t), idempotency.Config{})
	calls := []idempotency.Call{
		{Operation: "a", Scope: "b", Key: "c"},
		{Operation: "a", Scope: "b", Key: "d"},
		{Operation: "a", Scope: "d", Key: "c"},
		{Operation: "d", Scope: "b", Key: "c"},
		{Operation: "a", Scope: "", Key: "bc"},
		{Operation: "ab", Scope: "", Key: "c"},
		{Operation: "a", Scope: "1:b", Key: "c"},
		{Operation: "a", Scope: "", Key: "1:bc"},
		{Operation: "a1:b", Scope: "", Key: "c"},
	}
	for i, call := range calls {
		runs := 0
		result, err := idempotency.Do(t.Context(), g, call, returning(&runs, i))
		if err != nil || runs != 1 || result.Value != i {
			t.Errorf("%+v met another call: %d runs, %+v, %v", call, runs, result, err)
		}
	}
}

// Two services had the same operations and one table, and one answered for the other.
func TestServicesWithPrefixesOfTheirOwnDoNotMeetInAStore(t *testing.T) {
	store := newStore(t)
	calls := []idempotency.Call{{Operation: "a", Key: "c"}, {Operation: "refunds", Scope: "a", Key: "0:c"}}
	for i, prefix := range []string{"", "payments:", "refunds", "p7:refunds"} {
		g, _ := newGuard(t, store, idempotency.Config{KeyPrefix: prefix})
		for _, call := range calls {
			runs := 0
			if _, err := idempotency.Do(t.Context(), g, call, returning(&runs, i)); err != nil || runs != 1 {
				t.Errorf("prefix %q: %+v met another call: %v", prefix, call, err)
			}
		}
	}
	for _, prefix := range []string{"", idempotency.DefaultConfig().KeyPrefix} { // which are the same
		g, _ := newGuard(t, store, idempotency.Config{KeyPrefix: prefix})
		result, err := idempotency.Do(t.Context(), g, calls[0], returning(new(int), -1))
		if err != nil || result.Value != 0 {
			t.Errorf("prefix %q: got %+v and %v, want the result of the first", prefix, result, err)
		}
	}
}

func TestCallsThatLackSomethingReachNoStore(t *testing.T) {
	store := newStore(t)
	g, _ := newGuard(t, store, idempotency.Config{MaxKeyLength: 4})
	for _, test := range []struct {
		name   string
		call   idempotency.Call
		fields []string
	}{
		{"no operation", idempotency.Call{Key: "k"}, []string{"operation"}},
		{"no key", idempotency.Call{Operation: "charge"}, []string{"key"}},
		{"long key", charge("secret"), []string{"key"}},
		{"long fingerprint", idempotency.Call{Operation: "charge", Key: "k", Fingerprint: make([]byte, 65)},
			[]string{"fingerprint"}},
		{"negative time", idempotency.Call{Operation: "charge", Key: "k", TTL: -1}, []string{"ttl"}},
		{"all of it", idempotency.Call{Fingerprint: make([]byte, 65)}, []string{"operation", "key", "fingerprint"}},
	} {
		runs := 0
		_, err := idempotency.Do(t.Context(), g, test.call, returning(&runs, 1))
		wantError[*idempotency.ConfigurationError](t, err)
		wantEqual(t, test.name+": fields", fieldsOf(err), test.fields)
		wantEqual(t, test.name+": code", patterns.Code(err), idempotency.CodeConfiguration)
		wantEqual(t, test.name+": runs", runs, 0)
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error holds the key: %v", err)
		}
	}
	wantEqual(t, "claims", store.count("claim"), 0)
	runs := 0
	if _, err := idempotency.Do(t.Context(), g, charge("four"), returning(&runs, 1)); err != nil {
		t.Errorf("a key of the maximal length: %v", err)
	}
}

// fieldsOf returns the fields of all patterns.FieldError in err's tree.
func fieldsOf(err error) (fields []string) {
	switch e := err.(type) { //nolint:errorlint // walks the tree itself
	case *patterns.FieldError:
		return []string{e.Field}
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			fields = append(fields, fieldsOf(err)...)
		}
	case interface{ Unwrap() error }:
		return fieldsOf(e.Unwrap())
	}
	return fields
}

func TestNewReportsEveryMistake(t *testing.T) {
	_, err := idempotency.New(nil, idempotency.Config{
		TTL: -1, Lease: time.Millisecond, CacheTTL: -1, Wait: -1, CacheEntries: -1,
	})
	wantError[*idempotency.ConfigurationError](t, err)
	wantEqual(t, "fields", fieldsOf(err), []string{"store", "ttl", "cache_ttl", "lease", "wait", "cache_entries"})
	_, err = idempotency.NewJanitor(nil, idempotency.Config{CleanupInterval: -1})
	wantEqual(t, "fields", fieldsOf(err), []string{"store", "cleanup_interval"})
}

func TestResultThatCannotBeReadIsAnErrorAndNotRunAgain(t *testing.T) {
	for name, stored := range map[string][]byte{
		"empty": {}, "other format": {9, '1'}, "no JSON": {2, '{'}, "another type": []byte("\x02\"4711\""),
		"response": {3, 0}, "tombstone": {1},
	} {
		g, _ := newGuard(t, answering{newStore(t), idempotency.Claim{Outcome: idempotency.Done, Value: stored}},
			idempotency.Config{Backend: "redis"})
		runs := 0
		result, err := idempotency.Do(t.Context(), g, charge("k"), returning(&runs, 1))
		e := errorAs[*idempotency.StoreError](t, err)
		wantEqual(t, name+": backend", e.Backend+" "+e.Op, "redis decode")
		wantEqual(t, name+": result", result, idempotency.Result[int]{})
		wantEqual(t, name+": runs", runs, 0)
		if strings.Contains(err.Error(), "4711") {
			t.Errorf("the error holds the result: %v", err)
		}
	}
}

// answering is a store that answers every claim alike.
type answering struct {
	idempotency.Store
	claim idempotency.Claim
}

func (a answering) Claim(context.Context, idempotency.ClaimRequest) (idempotency.Claim, error) {
	return a.claim, nil
}

func TestUnknownOutcomeRunsNothing(t *testing.T) {
	g, _ := newGuard(t, answering{newStore(t), idempotency.Claim{}}, idempotency.Config{})
	runs := 0
	_, err := idempotency.Do(t.Context(), g, charge("k"), returning(&runs, 1))
	wantEqual(t, "op", errorAs[*idempotency.StoreError](t, err).Op, "claim")
	wantEqual(t, "runs", runs, 0)
}

func TestTypeThatJSONCannotHoldIsRefusedBeforeTheRun(t *testing.T) {
	store := newStore(t)
	g, events := newGuard(t, store, idempotency.Config{})
	runs := 0
	_, err := idempotency.Do(t.Context(), g, charge("k"), returning(&runs, struct{ C chan int }{}))
	wantError[*idempotency.ConfigurationError](t, err)
	wantEqual(t, "fields", fieldsOf(err), []string{"result"})
	wantEqual(t, "runs", runs, 0)
	wantEqual(t, "claims", store.count("claim"), 0)
	events.want(t)
}

type stubborn bool

func (s stubborn) MarshalJSON() ([]byte, error) {
	if s {
		panic("no JSON of me")
	}
	return []byte("false"), nil
}

func TestValueThatJSONCannotHoldIsReturnedAndNotRunAgain(t *testing.T) {
	g, events := newGuard(t, newStore(t), idempotency.Config{})
	runs := 0
	result, err := idempotency.Do(t.Context(), g, charge("k"), returning(&runs, math.Inf(1)))
	if err != nil || !math.IsInf(result.Value, 1) {
		t.Errorf("first: got %+v and %v", result, err)
	}
	_, err = idempotency.Do(t.Context(), g, charge("k"), returning(&runs, 1.0))
	wantError[*idempotency.StoreError](t, err)

	_, err = idempotency.Do(t.Context(), g, charge("panics"), returning(&runs, stubborn(true)))
	if err != nil {
		t.Errorf("panic of MarshalJSON: %v", err)
	}
	_, err = idempotency.Do(t.Context(), g, charge("panics"), returning(&runs, stubborn(true)))
	wantError[*idempotency.StoreError](t, err)
	wantEqual(t, "runs", runs, 2)
	events.want(t, "idempotency.completion_failed", "idempotency.hit", "idempotency.completion_failed", "idempotency.hit")
}

func TestStoreThatFailsAtTheClaimStopsTheCall(t *testing.T) {
	g, events := newGuard(t, newStore(t).failing("claim"), idempotency.Config{})
	runs := 0
	_, err := idempotency.Do(t.Context(), g, charge("k"), returning(&runs, 1))
	wantError[*idempotency.BackendError](t, err)
	wantEqual(t, "code", patterns.Code(err), idempotency.CodeBackend)
	wantEqual(t, "runs", runs, 0)
	events.want(t, "idempotency.store_failed")
}

func TestCallerThatWentAwayIsNotAStoreFailure(t *testing.T) {
	g, events := newGuard(t, newStore(t), idempotency.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	runs := 0
	_, err := idempotency.Do(ctx, g, charge("k"), returning(&runs, 1))
	if !errors.Is(err, context.Canceled) || runs != 0 {
		t.Errorf("%d runs, %v", runs, err)
	}
	events.want(t)
}

func TestCancelledCallerStillStoresAndReleases(t *testing.T) {
	g, events := newGuard(t, newStore(t), idempotency.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	runs := 0
	_, err := idempotency.Do(ctx, g, charge("done"), func(ctx context.Context) (int, error) {
		cancel()
		<-ctx.Done()
		return 1, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	result, err := idempotency.Do(t.Context(), g, charge("done"), returning(&runs, 2))
	if err != nil || result.Value != 1 {
		t.Errorf("replay: got %+v and %v", result, err)
	}

	ctx, cancel = context.WithCancel(t.Context())
	_, err = idempotency.Do(ctx, g, charge("failed"), func(ctx context.Context) (int, error) {
		cancel()
		<-ctx.Done()
		return 0, ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := idempotency.Do(t.Context(), g, charge("failed"), returning(&runs, 2)); err != nil {
		t.Errorf("retry: %v", err)
	}
	wantEqual(t, "runs", runs, 1)
	events.want(t, "idempotency.hit", "idempotency.released")
}

func TestStoreThatFailsForAMomentIsAskedAgain(t *testing.T) {
	for _, op := range []string{"complete", "release"} {
		for _, where := range []string{"before", "after"} {
			t.Run(op+" "+where, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store := newStore(t)
					fail := func(_ context.Context, called string, n int) error {
						if called == op && n <= 2 {
							return unavailable(op)
						}
						return nil
					}
					if where == "before" {
						store.before = fail
					} else {
						store.after = fail
					}
					g, events := newGuard(t, store, idempotency.Config{})
					var failure error
					if op == "release" {
						failure = errBoom
					}
					_, err := idempotency.Do(t.Context(), g, charge("k"), failing(1, failure))
					wantEqual(t, "error", err, failure)
					runs := 0
					result, err := idempotency.Do(t.Context(), g, charge("k"), returning(&runs, 2))
					if err != nil || result.IsDuplicate != (op == "complete") {
						t.Errorf("next call: got %+v and %v", result, err)
					}
					if op == "complete" {
						events.want(t, "idempotency.hit")
					} else {
						events.want(t, "idempotency.released")
					}
				})
			})
		}
	}
}

func TestStoreThatFailsAtTheEndBlocksTheKeyForTheLease(t *testing.T) {
	for op, event := range map[string]string{
		"complete": "idempotency.completion_failed", "release": "idempotency.store_failed",
	} {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newStore(t).failing(op)
				g, events := newGuard(t, store, idempotency.Config{Lease: 30 * time.Second})
				var failure error
				if op == "release" {
					failure = errBoom
				}
				began := time.Now()
				result, err := idempotency.Do(t.Context(), g, charge("k"), failing(7, failure))
				wantEqual(t, "error", err, failure)
				if failure == nil {
					wantEqual(t, "value", result.Value, 7)
				}
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("the caller waited for %v", took)
				}
				if n := store.count(op); n < 3 {
					t.Errorf("the store was asked %d times", n)
				}
				events.want(t, event)

				time.Sleep(time.Until(began.Add(30*time.Second - time.Millisecond)))
				_, err = idempotency.Do(t.Context(), g, charge("k"), returning(new(int), 8))
				wantError[*idempotency.ConflictError](t, err)
				time.Sleep(time.Millisecond)
				store.before = nil
				result, err = idempotency.Do(t.Context(), g, charge("k"), returning(new(int), 8))
				if err != nil || result.Value != 8 {
					t.Errorf("after the lease: got %+v and %v", result, err)
				}
			})
		})
	}
}

func TestStoreThatHangsAtTheEndIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		store.before = func(ctx context.Context, op string, _ int) error {
			if op != "complete" {
				return nil
			}
			<-ctx.Done()
			return &idempotency.BackendError{Backend: "test", Op: op, Err: ctx.Err()}
		}
		g, events := newGuard(t, store, idempotency.Config{Lease: 2 * time.Second})
		began := time.Now()
		if _, err := idempotency.Do(t.Context(), g, charge("k"), returning(new(int), 1)); err != nil {
			t.Error(err)
		}
		wantEqual(t, "time", time.Since(began), 2*time.Second)
		events.want(t, "idempotency.completion_failed")
	})
}

func TestOtherErrorAtTheEndIsNotRepeated(t *testing.T) {
	store := newStore(t)
	store.before = func(_ context.Context, op string, _ int) error {
		if op == "complete" {
			return &idempotency.StoreError{Backend: "test", Op: op, Err: errBoom}
		}
		return nil
	}
	g, events := newGuard(t, store, idempotency.Config{})
	if _, err := idempotency.Do(t.Context(), g, charge("k"), returning(new(int), 1)); err != nil {
		t.Error(err)
	}
	wantEqual(t, "attempts", store.count("complete"), 1)
	events.want(t, "idempotency.completion_failed")
}

func TestEventsHoldNoKeys(t *testing.T) {
	g, events := newGuard(t, newStore(t), idempotency.Config{})
	call := idempotency.Call{Operation: "charge", Scope: "tenant-secret", Key: "key-secret", Fingerprint: []byte("a")}
	_, _ = idempotency.Do(t.Context(), g, call, failing(0, errBoom))
	_, _ = idempotency.Do(t.Context(), g, call, returning(new(int), 1))
	_, _ = idempotency.Do(t.Context(), g, call, returning(new(int), 1))
	call.Fingerprint = []byte("b")
	_, err := idempotency.Do(t.Context(), g, call, returning(new(int), 1))
	events.want(t, "idempotency.released", "idempotency.hit", "idempotency.mismatch")
	text, _ := json.Marshal(events.all())
	if strings.Contains(string(text)+err.Error(), "secret") {
		t.Errorf("a key is published: %s, %v", text, err)
	}
}

func TestGuardWithoutABusWorks(t *testing.T) {
	g, err := idempotency.New(newStore(t), idempotency.Config{})
	if err != nil {
		t.Fatal(err)
	}
	runs := 0
	for range 2 {
		if _, err := idempotency.Do(t.Context(), g, charge("k"), returning(&runs, 1)); err != nil {
			t.Fatal(err)
		}
	}
	wantEqual(t, "runs", runs, 1)
}

func TestFingerprintTellsWhereAPartEnds(t *testing.T) {
	bytes := func(parts ...string) (all [][]byte) {
		for _, p := range parts {
			all = append(all, []byte(p))
		}
		return all
	}
	seen := map[string][]string{}
	for _, parts := range [][]string{{}, {""}, {"", ""}, {"ab"}, {"a", "b"}, {"", "ab"}, {"ab", ""}, {"b", "a"}} {
		f := string(idempotency.Fingerprint(bytes(parts...)...))
		wantEqual(t, "length", len(f), 32)
		if other, taken := seen[f]; taken {
			t.Errorf("%q and %q have the same fingerprint", parts, other)
		}
		seen[f] = parts
		wantEqual(t, "again", string(idempotency.Fingerprint(bytes(parts...)...)), f)
	}
}
