package zaphooks

import (
	"fmt"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/steadyfx/steady/hooks"
)

// entry is what is logged of an event. The first field says which instance it is about.
type entry struct {
	level   zapcore.Level
	message string
	at      time.Time
	fields  []zap.Field
}

func describe(event hooks.Event) entry {
	switch e := event.(type) {
	case hooks.CircuitOpened:
		message := "circuit breaker opened: calls are rejected until probes succeed"
		if e.Forced {
			message = "circuit breaker was forced open: calls are rejected until it is reset"
		}
		return entry{zap.WarnLevel, message, e.At, []zap.Field{
			zap.String("name", e.Name), zap.Int("consecutive", e.Consecutive), zap.Int("failures", e.Failures),
			zap.Int("calls", e.Calls), zap.Duration("retry_after", e.RetryAfter),
		}}
	case hooks.CircuitHalfOpened:
		return entry{zap.InfoLevel, "circuit breaker half-opened: probes go through", e.At, []zap.Field{
			zap.String("name", e.Name),
		}}
	case hooks.CircuitClosed:
		message := "circuit breaker closed: calls go through again"
		level := zap.InfoLevel
		switch {
		case e.Disabled:
			level, message = zap.WarnLevel, "circuit breaker was disabled: calls go through unprotected until it is reset"
		case e.Reset:
			message = "circuit breaker was reset: calls go through again"
		}
		return entry{level, message, e.At, []zap.Field{zap.String("name", e.Name)}}
	case hooks.CircuitRejected:
		return entry{zap.DebugLevel, "circuit breaker rejected a call", e.At, []zap.Field{
			zap.String("name", e.Name), zap.String("state", e.State), zap.Duration("retry_after", e.RetryAfter),
		}}
	case hooks.BulkheadRejected:
		return entry{zap.DebugLevel, "bulkhead rejected a call", e.At, []zap.Field{
			zap.String("name", e.Name), zap.String("reason", e.Reason), zap.Duration("waited", e.Waited),
		}}
	case hooks.RateLimited:
		return entry{zap.DebugLevel, "rate limiter refused a call", e.At, []zap.Field{
			zap.String("name", e.Name), zap.Duration("retry_after", e.RetryAfter),
		}}
	case hooks.RetryAttempted:
		return entry{zap.DebugLevel, "attempt failed: another one follows", e.At, []zap.Field{
			zap.String("operation", e.Operation), zap.Int("attempt", e.Attempt), zap.Duration("delay", e.Delay),
			zap.Error(e.Err),
		}}
	case hooks.RetryExhausted:
		return entry{zap.WarnLevel, "retries exhausted: the last allowed attempt failed", e.At, []zap.Field{
			zap.String("operation", e.Operation), zap.Int("attempts", e.Attempts), zap.Error(e.Err),
		}}
	case hooks.HedgeStarted:
		return entry{zap.DebugLevel, "call is slow: another attempt began beside it", e.At, []zap.Field{
			zap.String("operation", e.Operation), zap.Int("attempt", e.Attempt), zap.Duration("delay", e.Delay),
		}}
	case hooks.HedgePanicked:
		return entry{zap.ErrorLevel, "attempt of a hedged call panicked when the call was over: fix the operation", e.At,
			[]zap.Field{
				zap.String("operation", e.Operation), zap.Int("attempt", e.Attempt),
				zap.String("panic", fmt.Sprint(e.Value)), zap.ByteString("stack", e.Stack),
			}}
	case hooks.TimedOut:
		return entry{zap.DebugLevel, "operation ran into its time limit", e.At, []zap.Field{
			zap.String("operation", e.Operation), zap.Duration("limit", e.Limit),
		}}
	case hooks.FallbackUsed:
		return entry{zap.InfoLevel, "operation failed: a fallback answered in its place", e.At, []zap.Field{
			zap.String("name", e.Name), zap.String("step", e.Step), zap.Error(e.Err),
		}}
	case hooks.AbandonedEnded:
		return describeAbandoned(e)
	case hooks.ListenerPanicked:
		return entry{zap.ErrorLevel, "listener of events panicked: fix it, the event is lost to it", e.At, []zap.Field{
			zap.String("listening_to", e.Event), zap.String("panic", fmt.Sprint(e.Value)),
			zap.ByteString("stack", e.Stack),
		}}
	default:
		return describeIdempotency(event)
	}
}

func describeAbandoned(e hooks.AbandonedEnded) entry {
	fields := []zap.Field{
		zap.String("operation", e.Operation), zap.Duration("ran", e.Ran), zap.Error(e.Err),
	}
	if e.Panic == nil {
		return entry{zap.DebugLevel, "abandoned operation has ended: its result is lost", e.At, fields}
	}
	fields = append(fields, zap.String("panic", fmt.Sprint(e.Panic)), zap.ByteString("stack", e.Stack))
	return entry{zap.ErrorLevel, "abandoned operation panicked: there was no caller left to tell", e.At, fields}
}

func describeIdempotency(event hooks.Event) entry {
	switch e := event.(type) {
	case hooks.IdempotencyKeyHit:
		return entry{zap.DebugLevel, "duplicate was answered with the stored result", e.At, []zap.Field{
			zap.String("operation", e.Operation), zap.String("key_digest", e.KeyDigest), zap.Duration("age", e.Age),
		}}
	case hooks.IdempotencyConflict:
		return entry{zap.DebugLevel, "duplicate was refused: the first call is still running", e.At, []zap.Field{
			zap.String("operation", e.Operation), zap.String("key_digest", e.KeyDigest),
			zap.Duration("retry_after", e.RetryAfter),
		}}
	case hooks.IdempotencyMismatch:
		return entry{zap.WarnLevel, "idempotency key was used again with another payload: a client has a bug", e.At,
			[]zap.Field{zap.String("operation", e.Operation), zap.String("key_digest", e.KeyDigest)}}
	case hooks.IdempotencyReleased:
		return entry{zap.DebugLevel, "call failed and gave its idempotency key back", e.At, []zap.Field{
			zap.String("operation", e.Operation), zap.String("key_digest", e.KeyDigest),
		}}
	case hooks.IdempotencyClaimLost:
		return entry{zap.ErrorLevel, "call outlived its lease and lost its idempotency key: it may have run twice", e.At,
			[]zap.Field{zap.String("operation", e.Operation), zap.String("key_digest", e.KeyDigest)}}
	case hooks.IdempotencyCompletionFailed:
		return entry{zap.ErrorLevel, "result could not be stored: a duplicate gets an error, or runs again once the lease ends", e.At,
			[]zap.Field{
				zap.String("operation", e.Operation), zap.String("key_digest", e.KeyDigest), zap.Error(e.Err),
			}}
	case hooks.IdempotencyStoreFailed:
		return entry{zap.ErrorLevel, "idempotency store did not answer", e.At, []zap.Field{
			zap.String("operation", e.Operation), zap.Error(e.Err),
		}}
	case hooks.IdempotencyCleaned:
		fields := []zap.Field{zap.Int("removed", e.Removed), zap.Duration("elapsed", e.Elapsed), zap.Error(e.Err)}
		if e.Err != nil {
			return entry{zap.WarnLevel, "removal of expired idempotency records stopped early", e.At, fields}
		}
		return entry{zap.DebugLevel, "expired idempotency records were removed", e.At, fields}
	case hooks.IdempotencyEvicted:
		return entry{zap.WarnLevel, "idempotency results were dropped before their time, their duplicates run again: raise " +
			"max_entries or use a durable backend", e.At,
			[]zap.Field{zap.Int("evicted", e.Evicted), zap.Int("max_entries", e.MaxEntries)}}
	default:
		return entry{level: zap.DebugLevel, message: "unknown event"}
	}
}
