package ratelimit

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/steadyfx/steady/patterns"
)

// Store decides about calls for all who share it: see [Distributed]. Suite storetest.RateLimit checks an implementation.
type Store interface {
	// Take counts req.N calls of a key if the limit allows them now, all of them or none. It decides by its own clock, in
	// one atomic step: however many ask at once, they get what one after the other would have got. What is denied changes
	// nothing. Limits of different algorithms, and windows of different periods, are apart even if their key is the same.
	//
	// It returns by the deadline of ctx, then with an error that matches context.DeadlineExceeded, and takes nothing if ctx
	// has ended already. An argument out of range (see [Request.Validate]) is an error that matches
	// [patterns.ErrConfiguration]. No error holds the key. After any other error it is unknown whether the calls count.
	Take(ctx context.Context, req Request) (Decision, error)
}

// Algorithm says how a [Store] limits calls.
type Algorithm string

// The algorithms there are.
const (
	// GCRA limits as [TokenBucket] does: an even rate, and bursts after a quiet time.
	GCRA Algorithm = "token_bucket"

	// Log limits as [SlidingWindow] does, exactly. It keeps the time of each call.
	Log Algorithm = "sliding_window"

	// Counter limits as [SlidingCounter] does, nearly exactly and in constant memory. Periods follow one another on the
	// clock of the store, and need not begin with the first call.
	Counter Algorithm = "sliding_counter"
)

// Request asks a [Store] for calls.
type Request struct {
	Key       string // what is limited
	N         int    // calls, all or none
	Algorithm Algorithm
	Limit     int           // calls per Period
	Period    time.Duration // of a millisecond to 100 days
	Burst     int           // calls at once after a quiet time, for GCRA; 0 for the others
}

// Decision is what a [Store] answers.
type Decision struct {
	Allowed    bool
	RetryAfter time.Duration // if not allowed: until it would be if nobody else took any, positive; else 0
	Remaining  int           // calls that a request which comes next would find
}

// maxStorePeriod bounds periods, and the time in which a bucket fills, so that stores can count nanoseconds in a float64.
const maxStorePeriod = 100 * 24 * time.Hour

// Validate reports everything that is wrong with r.
func (r Request) Validate() error {
	var checks patterns.Checks
	checks.That(r.Key != "", "key", "must not be empty")
	r.checkLimit(&checks)
	if most := cmp.Or(r.Burst, r.Limit); most >= 1 { // else it is said already
		checks.That(r.N >= 1 && r.N <= most, "n", "must be from 1 to %d, which is all that there can be at once, got %d",
			most, r.N)
	}
	return checks.Err("rate limit")
}

func (r Request) checkLimit(checks *patterns.Checks) {
	checks.That(r.Period >= time.Millisecond && r.Period <= maxStorePeriod, "period", "must be from 1ms to %v, got %v",
		maxStorePeriod, r.Period)
	switch r.Algorithm {
	case GCRA:
		most := min(maxLimit, max(int64(r.Period), 1)) // one a nanosecond
		checks.That(r.Limit >= 1 && int64(r.Limit) <= most, "limit", "must be from 1 to %d, got %d", most, r.Limit)
		checks.That(r.Burst >= 1 || r.Limit < 1, "burst", "must be at least 1, got %d", r.Burst)
		if checks.Err("") == nil {
			most = int64(maxStorePeriod / r.Interval())
			checks.That(int64(r.Burst) <= most, "burst", "must be refilled in %v, which at this rate are %d; got %d",
				maxStorePeriod, most, r.Burst)
		}
	case Log, Counter:
		most := min(maxWindowLimit, max(int64(r.Period), 1))
		checks.That(r.Limit >= 1 && int64(r.Limit) <= most, "limit", "must be from 1 to %d, got %d", most, r.Limit)
		checks.That(r.Burst == 0, "burst", "is for the algorithm %s, leave it out; got %d", GCRA, r.Burst)
	default:
		checks.That(false, "algorithm", "must be %s, %s or %s, got %q", GCRA, Log, Counter, r.Algorithm)
	}
}

// Interval returns the time between two tokens, for GCRA, rounded up to whole nanoseconds.
func (r Request) Interval() time.Duration { return Config{Limit: r.Limit, Period: r.Period}.interval() }

// StoreError says that a [Store] did not answer, or not with what can be right. It satisfies
// errors.Is(err, [patterns.ErrResilience]), and errors.Is for what Err is.
type StoreError struct {
	Backend string // "memory", "redis" …
	Err     error
}

// Error names the backend and the cause.
func (e *StoreError) Error() string { return fmt.Sprintf("rate limits in %s: %v", e.Backend, e.Err) }

// Unwrap returns the cause.
func (e *StoreError) Unwrap() error { return e.Err }

// Is reports whether target is [patterns.ErrResilience].
func (e *StoreError) Is(target error) bool { return target == patterns.ErrResilience }

// Code returns [patterns.CodeResilience].
func (e *StoreError) Code() string { return patterns.CodeResilience }
