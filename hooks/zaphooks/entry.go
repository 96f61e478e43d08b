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
	if e, ok := describeCircuit(event); ok {
		return e
	}
	switch e := event.(type) {
	case hooks.BulkheadRejected:
		return entry{zap.DebugLevel, "bulkhead rejected a call", e.At, []zap.Field{
			zap.String("name", e.Name), zap.String("reason", e.Reason), zap.Duration("waited", e.Waited),
		}}
	case hooks.RateLimited:
		return entry{zap.DebugLevel, "rate limiter refused a call", e.At, []zap.Field{
			zap.String("name", e.Name), zap.Duration("retry_after", e.RetryAfter),
		}}
	case hooks.RateLimiterDegraded:
		message := map[string]string{
			"open":   "rate limiter lost its store: calls go through unlimited until it answers",
			"closed": "rate limiter lost its store: calls are refused until it answers",
			"local":  "rate limiter lost its store: each replica limits by itself until it answers",
		}[e.Fail]
		return entry{zap.WarnLevel, message, e.At, []zap.Field{
			zap.String("name", e.Name), zap.String("fail", e.Fail), zap.Error(e.Err),
		}}
	case hooks.RateLimiterRecovered:
		return entry{zap.InfoLevel, "rate limiter has its store again: the limit is shared", e.At, []zap.Field{
			zap.String("name", e.Name), zap.Duration("after", e.After),
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
	case hooks.IdempotencyUnprotected:
		return entry{zap.ErrorLevel, "call ran without idempotency, its duplicates run too: the store did not answer and the " +
			"guard fails open", e.At,
			[]zap.Field{
				zap.String("operation", e.Operation), zap.String("key_digest", e.KeyDigest), zap.Error(e.Err),
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
