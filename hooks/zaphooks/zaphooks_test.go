package zaphooks_test

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/hooks/zaphooks"
)

var (
	at      = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	errBoom = errors.New("boom")
)

type fields = map[string]any

var tests = []struct {
	name    string
	event   hooks.Event
	level   zapcore.Level
	message string
	first   string // key of the first field
	fields  fields // besides the name of the event
}{
	{
		"opened",
		hooks.CircuitOpened{Name: "payments", Consecutive: 3, Failures: 5, Slow: 2, Calls: 20, RetryAfter: time.Minute, At: at},
		zap.WarnLevel, "circuit breaker opened: calls are rejected until probes succeed", "name",
		fields{"name": "payments", "consecutive": int64(3), "failures": int64(5), "slow": int64(2), "calls": int64(20),
			"retry_after": time.Minute},
	},
	{
		"forced open", hooks.CircuitOpened{Name: "payments", Forced: true, At: at},
		zap.WarnLevel, "circuit breaker was forced open: calls are rejected until it is reset", "name",
		fields{"name": "payments", "consecutive": int64(0), "failures": int64(0), "slow": int64(0),
			"calls": int64(0), "retry_after": time.Duration(0)},
	},
	{
		"half-opened in a dry run", hooks.CircuitHalfOpened{Name: "payments", DryRun: true, At: at},
		zap.InfoLevel, "dry run, nothing is rejected: circuit breaker half-opened: probes go through", "name",
		fields{"name": "payments", "dry_run": true},
	},
	{
		"opened with others", hooks.CircuitOpened{Name: "payments", Shared: true, RetryAfter: time.Minute, At: at},
		zap.WarnLevel, "circuit breaker opened with other replicas: calls are rejected until probes succeed", "name",
		fields{"name": "payments", "consecutive": int64(0), "failures": int64(0), "slow": int64(0),
			"calls": int64(0), "retry_after": time.Minute},
	},
	{
		"alone", hooks.CircuitDegraded{Name: "payments", Err: errBoom, At: at},
		zap.WarnLevel, "circuit breaker lost its store: it goes on alone until that answers", "name",
		fields{"name": "payments", "error": "boom"},
	},
	{
		"shared again", hooks.CircuitRecovered{Name: "payments", After: time.Second, At: at},
		zap.InfoLevel, "circuit breaker has its store again: its state is shared", "name",
		fields{"name": "payments", "after": time.Second},
	},
	{
		"disabled", hooks.CircuitClosed{Name: "payments", Disabled: true, At: at},
		zap.WarnLevel, "circuit breaker was disabled: calls go through unprotected until it is reset", "name",
		fields{"name": "payments"},
	},
	{
		"half-opened", hooks.CircuitHalfOpened{Name: "payments", At: at},
		zap.InfoLevel, "circuit breaker half-opened: probes go through", "name", fields{"name": "payments"},
	},
	{
		"closed", hooks.CircuitClosed{Name: "payments", At: at},
		zap.InfoLevel, "circuit breaker closed: calls go through again", "name", fields{"name": "payments"},
	},
	{
		"reset", hooks.CircuitClosed{Name: "payments", Reset: true, At: at},
		zap.InfoLevel, "circuit breaker was reset: calls go through again", "name", fields{"name": "payments"},
	},
	{
		"rejected by a circuit", hooks.CircuitRejected{Name: "payments", State: "open", RetryAfter: time.Second, At: at},
		zap.DebugLevel, "circuit breaker rejected a call", "name",
		fields{"name": "payments", "state": "open", "retry_after": time.Second},
	},
	{
		"rejected by a bulkhead", hooks.BulkheadRejected{Name: "payments", Reason: "full", Waited: time.Second, At: at},
		zap.DebugLevel, "bulkhead rejected a call", "name",
		fields{"name": "payments", "reason": "full", "waited": time.Second},
	},
	{
		"limited", hooks.RateLimited{Name: "payments", RetryAfter: time.Second, At: at},
		zap.DebugLevel, "rate limiter refused a call", "name",
		fields{"name": "payments", "retry_after": time.Second},
	},
	{
		"limiter alone", hooks.RateLimiterDegraded{Name: "payments", Fail: "local", Err: errBoom, At: at},
		zap.WarnLevel, "rate limiter lost its store: each replica limits by itself until it answers", "name",
		fields{"name": "payments", "fail": "local", "error": "boom"},
	},
	{
		"limiter open", hooks.RateLimiterDegraded{Name: "payments", Fail: "open", Err: errBoom, At: at},
		zap.WarnLevel, "rate limiter lost its store: calls go through unlimited until it answers", "name",
		fields{"name": "payments", "fail": "open", "error": "boom"},
	},
	{
		"limiter closed", hooks.RateLimiterDegraded{Name: "payments", Fail: "closed", Err: errBoom, At: at},
		zap.WarnLevel, "rate limiter lost its store: calls are refused until it answers", "name",
		fields{"name": "payments", "fail": "closed", "error": "boom"},
	},
	{
		"limiter recovered", hooks.RateLimiterRecovered{Name: "payments", After: time.Second, At: at},
		zap.InfoLevel, "rate limiter has its store again: the limit is shared", "name",
		fields{"name": "payments", "after": time.Second},
	},
	{
		"attempt", hooks.RetryAttempted{Operation: "payments", Attempt: 2, Delay: time.Second, Err: errBoom, At: at},
		zap.DebugLevel, "attempt failed: another one follows", "operation",
		fields{"operation": "payments", "attempt": int64(2), "delay": time.Second, "error": "boom"},
	},
	{
		"exhausted", hooks.RetryExhausted{Operation: "payments", Attempts: 3, Err: errBoom, At: at},
		zap.WarnLevel, "retries exhausted: the last allowed attempt failed", "operation",
		fields{"operation": "payments", "attempts": int64(3), "error": "boom"},
	},
	{
		"hedge", hooks.HedgeStarted{Operation: "payments", Attempt: 2, Delay: time.Second, At: at},
		zap.DebugLevel, "call is slow: another attempt began beside it", "operation",
		fields{"operation": "payments", "attempt": int64(2), "delay": time.Second},
	},
	{
		"late panic of a hedge",
		hooks.HedgePanicked{Operation: "payments", Attempt: 2, Value: errBoom, Stack: []byte("main.go:1"), At: at},
		zap.ErrorLevel, "attempt of a hedged call panicked when the call was over: fix the operation", "operation",
		fields{"operation": "payments", "attempt": int64(2), "panic": "boom", "stack": "main.go:1"},
	},
	{
		"timed out", hooks.TimedOut{Operation: "payments", Limit: time.Second, At: at},
		zap.DebugLevel, "operation ran into its time limit", "operation",
		fields{"operation": "payments", "limit": time.Second},
	},
	{
		"abandoned ended", hooks.AbandonedEnded{Operation: "payments", Ran: time.Minute, Err: errBoom, At: at},
		zap.DebugLevel, "abandoned operation has ended: its result is lost", "operation",
		fields{"operation": "payments", "ran": time.Minute, "error": "boom"},
	},
	{
		"abandoned panicked",
		hooks.AbandonedEnded{Operation: "payments", Ran: time.Minute, Panic: "bang", Stack: []byte("main.go:1"), At: at},
		zap.ErrorLevel, "abandoned operation panicked: there was no caller left to tell", "operation",
		fields{"operation": "payments", "ran": time.Minute, "panic": "bang", "stack": "main.go:1"},
	},
	{
		"fallback", hooks.FallbackUsed{Name: "prices", Step: "alternative 1", Err: errBoom, At: at},
		zap.InfoLevel, "operation failed: a fallback answered in its place", "name",
		fields{"name": "prices", "step": "alternative 1", "error": "boom"},
	},
	{
		"hit", hooks.IdempotencyKeyHit{Operation: "pay", KeyDigest: "4f2a", Age: time.Hour, At: at},
		zap.DebugLevel, "duplicate was answered with the stored result", "operation",
		fields{"operation": "pay", "key_digest": "4f2a", "age": time.Hour},
	},
	{
		"conflict", hooks.IdempotencyConflict{Operation: "pay", KeyDigest: "4f2a", RetryAfter: time.Second, At: at},
		zap.DebugLevel, "duplicate was refused: the first call is still running", "operation",
		fields{"operation": "pay", "key_digest": "4f2a", "retry_after": time.Second},
	},
	{
		"mismatch", hooks.IdempotencyMismatch{Operation: "pay", KeyDigest: "4f2a", At: at},
		zap.WarnLevel, "idempotency key was used again with another payload: a client has a bug", "operation",
		fields{"operation": "pay", "key_digest": "4f2a"},
	},
	{
		"released", hooks.IdempotencyReleased{Operation: "pay", KeyDigest: "4f2a", At: at},
		zap.DebugLevel, "call failed and gave its idempotency key back", "operation",
		fields{"operation": "pay", "key_digest": "4f2a"},
	},
	{
		"claim lost", hooks.IdempotencyClaimLost{Operation: "pay", KeyDigest: "4f2a", At: at},
		zap.ErrorLevel, "call outlived its lease and lost its idempotency key: it may have run twice", "operation",
		fields{"operation": "pay", "key_digest": "4f2a"},
	},
	{
		"completion failed", hooks.IdempotencyCompletionFailed{Operation: "pay", KeyDigest: "4f2a", Err: errBoom, At: at},
		zap.ErrorLevel, "result could not be stored: a duplicate gets an error, or runs again once the lease ends", "operation",
		fields{"operation": "pay", "key_digest": "4f2a", "error": "boom"},
	},
	{
		"store failed", hooks.IdempotencyStoreFailed{Operation: "pay", Err: errBoom, At: at},
		zap.ErrorLevel, "idempotency store did not answer", "operation",
		fields{"operation": "pay", "error": "boom"},
	},
	{
		"unprotected", hooks.IdempotencyUnprotected{Operation: "pay", KeyDigest: "4f2a", Err: errBoom, At: at},
		zap.ErrorLevel, "call ran without idempotency, its duplicates run too: the store did not answer and the guard " +
			"fails open", "operation",
		fields{"operation": "pay", "key_digest": "4f2a", "error": "boom"},
	},
	{
		"cleaned", hooks.IdempotencyCleaned{Removed: 7, Elapsed: time.Second, At: at},
		zap.DebugLevel, "expired idempotency records were removed", "removed",
		fields{"removed": int64(7), "elapsed": time.Second},
	},
	{
		"cleaned in part", hooks.IdempotencyCleaned{Removed: 7, Elapsed: time.Second, Err: errBoom, At: at},
		zap.WarnLevel, "removal of expired idempotency records stopped early", "removed",
		fields{"removed": int64(7), "elapsed": time.Second, "error": "boom"},
	},
	{
		"evicted", hooks.IdempotencyEvicted{Evicted: 3, MaxEntries: 10, At: at},
		zap.WarnLevel, "idempotency results were dropped before their time, their duplicates run again: raise max_entries " +
			"or use a durable backend", "evicted",
		fields{"evicted": int64(3), "max_entries": int64(10)},
	},
	{
		"panic", hooks.ListenerPanicked{Event: "timeout.expired", Value: errBoom, Stack: []byte("main.go:1"), At: at},
		zap.ErrorLevel, "listener of events panicked: fix it, the event is lost to it", "listening_to",
		fields{"listening_to": "timeout.expired", "panic": "boom", "stack": "main.go:1"},
	},
}

func TestEveryEventIsLogged(t *testing.T) {
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				core, logs := observer.New(zap.DebugLevel)
				var bus hooks.Bus
				zaphooks.Attach(&bus, zap.New(core, zap.AddCaller(), zap.AddStacktrace(zap.DebugLevel)))
				hooks.Emit(t.Context(), &bus, tt.event)
				if err := bus.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				if logs.Len() != 1 {
					t.Fatalf("%d entries, want 1", logs.Len())
				}
				got := logs.All()[0]
				if got.Level != tt.level || got.Message != tt.message {
					t.Errorf("got %v %q, want %v %q", got.Level, got.Message, tt.level, tt.message)
				}
				if !got.Time.Equal(at) {
					t.Errorf("the entry is of %v, the event of %v", got.Time, at)
				}
				if got.Caller.Defined || got.Stack != "" {
					t.Errorf("it has the caller %v and the stack %q of this package", got.Caller, got.Stack)
				}
				if got.Context[0].Key != tt.first {
					t.Errorf("the first field is %q, want %q", got.Context[0].Key, tt.first)
				}
				want := maps.Clone(tt.fields)
				want["event"] = tt.event.EventName()
				if !maps.Equal(got.ContextMap(), want) {
					t.Errorf("fields:\ngot  %v\nwant %v", got.ContextMap(), want)
				}
			})
		})
	}
}

func TestNoEventIsMissing(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../events.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	tested := map[string]bool{}
	for _, tt := range tests {
		tested[reflect.TypeOf(tt.event).Name()] = true
	}
	var declared []string
	for _, d := range file.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv != nil && fn.Name.Name == "EventName" {
			declared = append(declared, fn.Recv.List[0].Type.(*ast.Ident).Name)
		}
	}
	if want := slices.Sorted(maps.Keys(tested)); !slices.Equal(slices.Sorted(slices.Values(declared)), want) {
		t.Errorf("hooks declares %v\ntested are  %v", declared, want)
	}
}

func TestOverloadIsNotLoggedAtTheUsualLevel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		var bus hooks.Bus
		sub := zaphooks.Attach(&bus, zap.New(core))
		for range 100 {
			hooks.Emit(t.Context(), &bus, hooks.CircuitRejected{Name: "payments"})
			hooks.Emit(t.Context(), &bus, hooks.BulkheadRejected{Name: "payments"})
			hooks.Emit(t.Context(), &bus, hooks.TimedOut{Operation: "payments"})
		}
		synctest.Wait()
		if logs.Len() != 0 || sub.Dropped() != 0 {
			t.Errorf("%d entries, %d events dropped", logs.Len(), sub.Dropped())
		}
	})
}

func TestEventWithoutATimeIsLoggedWithTheTimeOfLogging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.DebugLevel)
		var bus hooks.Bus
		zaphooks.Attach(&bus, zap.New(core))
		hooks.Emit(t.Context(), &bus, hooks.TimedOut{})
		synctest.Wait()
		if got := logs.All()[0].Time; !got.Equal(time.Now()) {
			t.Errorf("the entry is of %v", got)
		}
	})
}

func TestClosedSubscriptionLogsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.DebugLevel)
		var bus hooks.Bus
		sub := zaphooks.Attach(&bus, zap.New(core))
		hooks.Emit(t.Context(), &bus, hooks.TimedOut{})
		if err := sub.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		hooks.Emit(t.Context(), &bus, hooks.TimedOut{})
		synctest.Wait()
		if logs.Len() != 1 {
			t.Errorf("%d entries, want 1", logs.Len())
		}
	})
}

// broken is a core that panics on every entry.
type broken struct{ zapcore.Core }

func (b broken) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	return c.AddCore(e, b)
}
func (broken) Write(zapcore.Entry, []zapcore.Field) error { panic("disk on fire") }

func TestLoggerThatPanicsComesToRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, _ := observer.New(zap.DebugLevel)
		var bus hooks.Bus
		announced := 0
		hooks.On(&bus, func(context.Context, hooks.ListenerPanicked) { announced++ })
		zaphooks.Attach(&bus, zap.New(broken{core}))
		hooks.Emit(t.Context(), &bus, hooks.TimedOut{})
		synctest.Wait()
		// One for the event, which is announced, and one for the announcement, which is not.
		if panics := bus.Stats().Panics; panics != 2 || announced != 1 {
			t.Errorf("%d panics, %d announced", panics, announced)
		}
	})
}
