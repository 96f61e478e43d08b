package idempotency

import (
	"context"
	"time"
)

// Store keeps claims and results. Implementations are safe for concurrent use by any number of processes that share
// the backend; the suite in stores/storetest says in tests what this comment says in words.
//
// A key is any string, empty included; two keys are the same only if their bytes are. Times are measured by the
// clock of the backend, never by that of the caller. Every call is bounded by its context. Errors are a
// [*BackendError] when the backend could not be asked, a [*StoreError] when it answered nonsense, a
// [*ConfigurationError] for an argument out of range, and [ErrClaimLost] where it is documented; no error holds a
// key or a value.
//
// The record of a key goes ∅ → pending → complete → ∅. A pending record whose lease has run out, and a complete one
// whose time is up, is as good as absent: the next claim takes it over under a new owner and a higher fence.
type Store interface {
	// Claim asks, in one round trip, to be the one who acts for the key, and says what to do.
	Claim(ctx context.Context, req ClaimRequest) (Claim, error)

	// Complete stores the result of the claim's owner for ttl (0: without expiry). The fingerprint stays. If the
	// claim is no longer the owner's, nothing is written and the error is ErrClaimLost. A lapsed claim that nobody
	// has taken over is still its owner's. To complete again with the same token changes nothing and is not an
	// error: the first answer may have been lost.
	Complete(ctx context.Context, key string, token Token, value []byte, ttl time.Duration) error

	// Extend lets the owner's claim last for lease from now, or answers ErrClaimLost.
	Extend(ctx context.Context, key string, token Token, lease time.Duration) error

	// Release gives the owner's claim back: the key is absent again. Or it answers ErrClaimLost.
	Release(ctx context.Context, key string, token Token) error

	// Get returns the result of a complete, unexpired record. Of a pending record it finds nothing.
	Get(ctx context.Context, key string) (value []byte, found bool, err error)

	// GetRecord returns the unexpired record of a key.
	GetRecord(ctx context.Context, key string) (rec Record, found bool, err error)

	// Set stores a result for ttl (0: without expiry), whoever holds the key: a pending claim of another owner is
	// lost by it.
	Set(ctx context.Context, key string, value []byte, ttl time.Duration) error

	// Delete removes the record of a key, whatever its state. That there is none is not an error.
	Delete(ctx context.Context, key string) error

	// Acquire is Claim for callers that finish with Set or Delete: true if the key is now theirs for ttl.
	Acquire(ctx context.Context, key string, ttl time.Duration) (bool, error)

	// CleanupExpired removes at most limit expired records and returns how many it removed. Backends that expire
	// records themselves return 0. It never removes a live record, whatever else happens at the same time.
	CleanupExpired(ctx context.Context, limit int) (int, error)

	// Ping reports whether the backend can be asked, and would keep a record as far as that can be told without one.
	Ping(ctx context.Context) error
}

// ClaimRequest is what [Store.Claim] needs to know.
type ClaimRequest struct {
	Key string

	// Fingerprint is a digest of the payload, at most 64 bytes. A claim with another fingerprint than the record's is
	// a [Mismatch]; where either is empty they are not compared.
	Fingerprint []byte

	// Lease is how long an acquired claim lasts unless it is extended; at least a millisecond.
	Lease time.Duration

	// Retention is how long the result will be kept, 0 for without expiry: backends that index records for cleanup
	// want to know it from the start.
	Retention time.Duration
}

// Outcome is what became of a claim.
type Outcome uint8

// The zero Outcome is none of these, so that a forgotten one never lets anybody act.
const (
	Acquired   Outcome = iota + 1 // act, then Complete or Release with the token
	InProgress                    // somebody else is acting
	Done                          // somebody has acted: here is the result
	Mismatch                      // the key is in use for another payload
)

// String returns "acquired", "in_progress", "done" or "mismatch".
func (o Outcome) String() string {
	switch o {
	case Acquired:
		return "acquired"
	case InProgress:
		return "in_progress"
	case Done:
		return "done"
	case Mismatch:
		return "mismatch"
	default:
		return "none"
	}
}

// Claim is the answer to a [ClaimRequest].
type Claim struct {
	Outcome    Outcome
	Token      Token         // if Acquired
	RetryAfter time.Duration // if InProgress: what is left of the lease, at least a millisecond
	Value      []byte        // if Done: the result; nil and empty are not told apart
	Fence      int64         // the fence of the record, whatever the outcome
	Age        time.Duration // if Done: time since the result was stored
	ExpiresIn  time.Duration // if Done: what is left of the retention; 0: it does not expire
}

// Token proves who owns a claim.
type Token struct {
	Owner [16]byte // random for every acquired claim, never reused

	// Fence grows with every acquisition of a key for as long as its record lives. Hand it to downstream systems that
	// can refuse a lower one than they have seen.
	Fence int64
}

// Status is the state of a [Record].
type Status uint8

// The states of a record.
const (
	StatusPending  Status = iota + 1 // claimed; the action is under way
	StatusComplete                   // the result is stored
	StatusExpired                    // as good as absent; backends may keep it until it is cleaned up
)

// String returns "pending", "complete" or "expired".
func (s Status) String() string {
	switch s {
	case StatusPending:
		return "pending"
	case StatusComplete:
		return "complete"
	case StatusExpired:
		return "expired"
	default:
		return "unknown"
	}
}

// Record is a snapshot of what a store knows of a key.
type Record struct {
	Status      Status
	Value       []byte // if complete
	Fingerprint []byte
	Fence       int64
	CreatedAt   time.Time // when the key was acquired, by the backend's clock
	ExpiresAt   time.Time // end of the lease or of the retention, by the backend's clock; zero: never
}

// StatusAt returns the status at time t: [StatusExpired] from ExpiresAt on.
func (r Record) StatusAt(t time.Time) Status {
	if !r.ExpiresAt.IsZero() && !t.Before(r.ExpiresAt) {
		return StatusExpired
	}
	return r.Status
}
