package hooks

import "time"

// Event is one of the event structs of this package.
type Event interface {
	// EventName is the stable, dotted name, for example "circuit_breaker.opened".
	EventName() string

	kind() kind
}

// kind indexes the listeners of an event, so that an event that nobody wants costs one load.
type kind uint8

const (
	circuitOpened kind = iota
	circuitHalfOpened
	circuitClosed
	circuitRejected
	circuitDegraded
	circuitRecovered
	retryAttempted
	retryExhausted
	hedgeStarted
	hedgePanicked
	bulkheadRejected
	rateLimited
	rateLimiterDegraded
	rateLimiterRecovered
	timedOut
	fallbackUsed
	abandonedEnded
	idempotencyKeyHit
	idempotencyConflict
	idempotencyMismatch
	idempotencyReleased
	idempotencyClaimLost
	idempotencyCompletionFailed
	idempotencyStoreFailed
	idempotencyUnprotected
	idempotencyCleaned
	idempotencyEvicted
	listenerPanicked
	kinds
)

// CircuitOpened: a circuit breaker began to reject calls.
type CircuitOpened struct {
	Name        string        // of the breaker
	Consecutive int           // failures in a row when it tripped; the oldest may have left the window
	Failures    int           // failures in the window when it tripped, or of the probe that failed
	Slow        int           // slow calls in the window, or of the probes
	Calls       int           // calls in the window, or probes
	RetryAfter  time.Duration // until it lets a probe through; 0 if it was forced open and waits for a reset
	Forced      bool          // opened by hand
	Shared      bool          // it follows other replicas, and nothing is known of their calls
	DryRun      bool          // it only tries its configuration, and rejects nothing
	At          time.Time
}

// CircuitHalfOpened: an open circuit breaker let its first probe through.
type CircuitHalfOpened struct {
	Name   string
	DryRun bool
	At     time.Time
}

// CircuitClosed: a circuit breaker lets calls through again.
type CircuitClosed struct {
	Name     string
	Reset    bool // closed by hand
	Disabled bool // switched off by hand: calls go through uncounted, and nothing opens the circuit
	Shared   bool // it follows other replicas
	DryRun   bool
	At       time.Time
}

// CircuitRejected: a circuit breaker refused a call.
type CircuitRejected struct {
	Name       string
	State      string        // "open", "half_open" (all probes in flight) or "forced_open"
	RetryAfter time.Duration // 0 when unknown
	DryRun     bool          // it would have refused it, and let it through
	At         time.Time
}

// CircuitDegraded: the store that a circuit breaker shares with other replicas does not answer. Until it does, the
// breaker goes on alone.
type CircuitDegraded struct {
	Name string
	Err  error
	At   time.Time
}

// CircuitRecovered: the store of a circuit breaker answers again.
type CircuitRecovered struct {
	Name  string
	After time.Duration // since it became degraded
	At    time.Time
}

// RetryAttempted: an attempt failed and another one follows after Delay.
type RetryAttempted struct {
	Operation string // name of the retry policy
	Attempt   int    // the attempt that failed, 1-based
	Delay     time.Duration
	Err       error
	At        time.Time
}

// RetryExhausted: the last allowed attempt failed.
type RetryExhausted struct {
	Operation string
	Attempts  int
	Err       error
	At        time.Time
}

// HedgeStarted: a call was slow, and another attempt began beside those that run.
type HedgeStarted struct {
	Operation string        // name of the hedge policy
	Attempt   int           // the attempt that began, 1-based; the first one is not announced
	Delay     time.Duration // since the attempt before it should have begun
	At        time.Time
}

// HedgePanicked: an attempt of a hedged call panicked when the call was over, so that nobody could be told.
type HedgePanicked struct {
	Operation string
	Attempt   int
	Value     any // what it panicked with
	Stack     []byte
	At        time.Time
}

// BulkheadRejected: a bulkhead refused a call.
type BulkheadRejected struct {
	Name   string
	Reason string // "full", "timeout", "canceled" or "weight"
	Waited time.Duration
	At     time.Time
}

// RateLimited: a rate limiter or a throttle refused a call.
type RateLimited struct {
	Name       string
	RetryAfter time.Duration // 0 when unknown
	At         time.Time
}

// RateLimiterDegraded: the store that a rate limiter shares with others does not answer. Until it does, the limiter goes
// on as it is configured to.
type RateLimiterDegraded struct {
	Name string
	Fail string // "open" (calls go through unlimited), "closed" (they are refused) or "local" (each replica for itself)
	Err  error
	At   time.Time
}

// RateLimiterRecovered: the store of a rate limiter answers again.
type RateLimiterRecovered struct {
	Name  string
	After time.Duration // since it became degraded
	At    time.Time
}

// TimedOut: an operation ran into the limit of a timeout policy.
type TimedOut struct {
	Operation string
	Limit     time.Duration
	At        time.Time
}

// FallbackUsed: an operation failed, and something else answered in its place.
type FallbackUsed struct {
	Name string // of the chain
	Step string // what answered: "handler", "default", or a step with its place, as in "alternative 1"
	Err  error  // of the operation
	At   time.Time
}

// AbandonedEnded: an operation that a detached timeout policy had stopped waiting for came to its end.
type AbandonedEnded struct {
	Operation string
	Ran       time.Duration // since it began
	Err       error         // what it returned
	Panic     any           // what it panicked with, or nil
	Stack     []byte        // of the panic
	At        time.Time
}

// IdempotencyKeyHit: a duplicate was answered with the stored result.
type IdempotencyKeyHit struct {
	Operation string
	KeyDigest string // shortened hash of scope and key; the key itself is never published
	Age       time.Duration
	At        time.Time
}

// IdempotencyConflict: a duplicate was refused, because the first call was still running; if it waited, it waited in vain.
type IdempotencyConflict struct {
	Operation  string
	KeyDigest  string
	RetryAfter time.Duration
	At         time.Time
}

// IdempotencyMismatch: a key came again with another payload.
type IdempotencyMismatch struct {
	Operation string
	KeyDigest string
	At        time.Time
}

// IdempotencyReleased: a call failed and gave its key back, so that a retry runs it again.
type IdempotencyReleased struct {
	Operation string
	KeyDigest string
	At        time.Time
}

// IdempotencyClaimLost: a call that was still running found its claim taken over; its result was not stored.
type IdempotencyClaimLost struct {
	Operation string
	KeyDigest string
	At        time.Time
}

// IdempotencyCompletionFailed: a call succeeded, but its result could not be stored. If the store did not take it, the
// key stays blocked until its lease ends; after that a duplicate runs again. If it could not be encoded, the key stays
// used, and a duplicate gets an error.
type IdempotencyCompletionFailed struct {
	Operation string
	KeyDigest string
	Err       error
	At        time.Time
}

// IdempotencyStoreFailed: the store did not answer a claim, did not take a key back, or has a response that cannot be read.
type IdempotencyStoreFailed struct {
	Operation string
	Err       error
	At        time.Time
}

// IdempotencyUnprotected: the store did not answer a claim, and the call acted all the same, because the guard fails open.
// A duplicate acts too.
type IdempotencyUnprotected struct {
	Operation string
	KeyDigest string
	Err       error
	At        time.Time
}

// IdempotencyCleaned: the janitor removed expired records.
type IdempotencyCleaned struct {
	Removed int
	Elapsed time.Duration
	Err     error // why it stopped early, or nil
	At      time.Time
}

// IdempotencyEvicted: a store that is full gave up results before their time, at most once a minute. A duplicate of
// theirs runs again.
type IdempotencyEvicted struct {
	Evicted    int // since the last such event
	MaxEntries int
	At         time.Time
}

// ListenerPanicked: a listener of the bus panicked while it handled Event.
type ListenerPanicked struct {
	Event string // EventName of the event it was given
	Value any    // what it panicked with
	Stack []byte
	At    time.Time
}

func (CircuitOpened) EventName() string               { return "circuit_breaker.opened" }
func (CircuitHalfOpened) EventName() string           { return "circuit_breaker.half_opened" }
func (CircuitClosed) EventName() string               { return "circuit_breaker.closed" }
func (CircuitRejected) EventName() string             { return "circuit_breaker.rejected" }
func (CircuitDegraded) EventName() string             { return "circuit_breaker.degraded" }
func (CircuitRecovered) EventName() string            { return "circuit_breaker.recovered" }
func (RetryAttempted) EventName() string              { return "retry.attempted" }
func (RetryExhausted) EventName() string              { return "retry.exhausted" }
func (HedgeStarted) EventName() string                { return "hedge.started" }
func (HedgePanicked) EventName() string               { return "hedge.panicked" }
func (BulkheadRejected) EventName() string            { return "bulkhead.rejected" }
func (RateLimited) EventName() string                 { return "rate_limiter.limited" }
func (RateLimiterDegraded) EventName() string         { return "rate_limiter.degraded" }
func (RateLimiterRecovered) EventName() string        { return "rate_limiter.recovered" }
func (TimedOut) EventName() string                    { return "timeout.expired" }
func (FallbackUsed) EventName() string                { return "fallback.used" }
func (AbandonedEnded) EventName() string              { return "timeout.abandoned_ended" }
func (IdempotencyKeyHit) EventName() string           { return "idempotency.hit" }
func (IdempotencyConflict) EventName() string         { return "idempotency.conflict" }
func (IdempotencyMismatch) EventName() string         { return "idempotency.mismatch" }
func (IdempotencyReleased) EventName() string         { return "idempotency.released" }
func (IdempotencyClaimLost) EventName() string        { return "idempotency.claim_lost" }
func (IdempotencyCompletionFailed) EventName() string { return "idempotency.completion_failed" }
func (IdempotencyStoreFailed) EventName() string      { return "idempotency.store_failed" }
func (IdempotencyUnprotected) EventName() string      { return "idempotency.unprotected" }
func (IdempotencyCleaned) EventName() string          { return "idempotency.cleaned" }
func (IdempotencyEvicted) EventName() string          { return "idempotency.evicted" }
func (ListenerPanicked) EventName() string            { return "hooks.listener_panicked" }

func (CircuitOpened) kind() kind               { return circuitOpened }
func (CircuitHalfOpened) kind() kind           { return circuitHalfOpened }
func (CircuitClosed) kind() kind               { return circuitClosed }
func (CircuitRejected) kind() kind             { return circuitRejected }
func (CircuitDegraded) kind() kind             { return circuitDegraded }
func (CircuitRecovered) kind() kind            { return circuitRecovered }
func (RetryAttempted) kind() kind              { return retryAttempted }
func (RetryExhausted) kind() kind              { return retryExhausted }
func (HedgeStarted) kind() kind                { return hedgeStarted }
func (HedgePanicked) kind() kind               { return hedgePanicked }
func (BulkheadRejected) kind() kind            { return bulkheadRejected }
func (RateLimited) kind() kind                 { return rateLimited }
func (RateLimiterDegraded) kind() kind         { return rateLimiterDegraded }
func (RateLimiterRecovered) kind() kind        { return rateLimiterRecovered }
func (TimedOut) kind() kind                    { return timedOut }
func (FallbackUsed) kind() kind                { return fallbackUsed }
func (AbandonedEnded) kind() kind              { return abandonedEnded }
func (IdempotencyKeyHit) kind() kind           { return idempotencyKeyHit }
func (IdempotencyConflict) kind() kind         { return idempotencyConflict }
func (IdempotencyMismatch) kind() kind         { return idempotencyMismatch }
func (IdempotencyReleased) kind() kind         { return idempotencyReleased }
func (IdempotencyClaimLost) kind() kind        { return idempotencyClaimLost }
func (IdempotencyCompletionFailed) kind() kind { return idempotencyCompletionFailed }
func (IdempotencyStoreFailed) kind() kind      { return idempotencyStoreFailed }
func (IdempotencyUnprotected) kind() kind      { return idempotencyUnprotected }
func (IdempotencyCleaned) kind() kind          { return idempotencyCleaned }
func (IdempotencyEvicted) kind() kind          { return idempotencyEvicted }
func (ListenerPanicked) kind() kind            { return listenerPanicked }
