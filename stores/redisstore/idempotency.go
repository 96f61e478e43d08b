package redisstore

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/idempotency"
)

// Config says where in Redis an [Idempotency] keeps its records.
type Config struct {
	// KeyPrefix comes before the digest of each key. It is at most 64 bytes, without control characters and without
	// braces, which would send all keys to one slot of a cluster. Empty: "idempotency:".
	KeyPrefix string

	// Replicas is how many replicas must have what a Claim, a Complete, an Extend or a Set has written before it
	// succeeds (WAIT), at most 100. With fewer, its error is a BackendError that matches [ErrNotReplicated]: the write
	// is on the master, where it stays unless the master is lost; a claim is released then. It needs a client of a
	// single server or of Sentinel. Zero, the default: writes do not wait for replicas, and a master that is lost before
	// it has sent them on loses them. A failover can still choose a replica that is behind: only min-replicas-to-write
	// and as many replicas as there are here keep that from happening.
	Replicas int

	// ReplicaTimeout bounds the wait for replicas; it should be shorter than the client's ReadTimeout. Zero: 1 s.
	ReplicaTimeout time.Duration
}

const (
	maxPrefix   = 64
	maxReplicas = 100
)

// Idempotency is an [idempotency.Store] in Redis. Use [NewIdempotency]. All methods are safe for concurrent use.
//
// The Redis key of a record is the prefix and the SHA-256 of its key, so that keys of any length and content are kept
// apart and none can be read in Redis. A fence is the server's time of the acquisition in microseconds, or one more
// than the last: it grows for as long as the record lives, and beyond unless the server's clock is set back. Times
// are exact to the microsecond, by the server's clock.
//
// Redis removes a result when its time is up. It keeps a lapsed claim for as long again as its lease or its retention,
// whichever is longer, and at least a minute, so that its owner can still complete it if nobody has taken it over. It
// keeps the trace of a released claim, which for all but its owner is absent, for a minute: a client that has lost the
// answer to a write repeats it, and the owner's repeated Release then succeeds like the first, as its repeated Complete
// does while the result lives.
//
// A call whose context has no deadline gets one of 3 s. How a call ends that gets no answer is up to the client. One
// that obeys deadlines (ContextTimeoutEnabled, which is recommended: it is the faster way) ends it at the deadline, but
// not when the context is merely cancelled. For any other client each call is made in a goroutine of its own, so that it
// ends with its context; if it was a claim, it is released when its answer comes. Either way Redis may have carried out
// what was given up.
type Idempotency struct {
	caller
	client redis.UniversalClient
	prefix string

	replicas       int // that must have a write
	replicaTimeout time.Duration
}

// NewIdempotency returns a store on client, which stays the caller's to close. It does not connect. The error is an
// [*idempotency.ConfigurationError] that lists everything that is wrong.
func NewIdempotency(client redis.UniversalClient, cfg Config) (*Idempotency, error) {
	if cfg.KeyPrefix == "" {
		cfg.KeyPrefix = idempotency.DefaultConfig().KeyPrefix
	}
	var checks patterns.Checks
	checkClient(&checks, client, cfg.KeyPrefix)
	checks.That(cfg.Replicas >= 0 && cfg.Replicas <= maxReplicas, "replicas", "must be from 0 to %d, got %d",
		maxReplicas, cfg.Replicas)
	checks.That(cfg.ReplicaTimeout == 0 || cfg.ReplicaTimeout >= time.Millisecond, "replica_timeout",
		"must be at least a millisecond, got %v", cfg.ReplicaTimeout)
	if _, single := client.(*redis.Client); cfg.Replicas > 0 {
		checks.That(single, "replicas", "needs a *redis.Client, of a single server or of Sentinel, got a %T", client)
	}
	if err := checks.Err("redis"); err != nil {
		return nil, &idempotency.ConfigurationError{Err: err}
	}
	if cfg.ReplicaTimeout == 0 {
		cfg.ReplicaTimeout = defaultReplicaTimeout
	}
	return &Idempotency{
		caller: newCaller(client), client: client, prefix: cfg.KeyPrefix,
		replicas: cfg.Replicas, replicaTimeout: cfg.ReplicaTimeout,
	}, nil
}

// Claim asks, in one round trip, to be the one who acts for the key.
func (s *Idempotency) Claim(ctx context.Context, req idempotency.ClaimRequest) (idempotency.Claim, error) {
	if err := req.Validate(); err != nil {
		return idempotency.Claim{}, err
	}
	owner := newOwner()
	grace := max(req.Lease, req.Retention, minGrace)
	giveUp := func() { s.releaseAbandoned(req.Key, owner) }
	reply, err := s.run(ctx, "claim", claimScript, req.Key, giveUp,
		owner, string(req.Fingerprint), micros(req.Lease), millis(req.Lease)+millis(grace), millis(grace))
	if errors.Is(err, ErrNotReplicated) {
		giveUp()
	}
	if err != nil {
		return idempotency.Claim{}, err
	}
	return parseClaim(reply, owner)
}

// Complete stores the result of the claim's owner. Completing again with the same token while the result lives changes
// nothing and is not an error.
func (s *Idempotency) Complete(
	ctx context.Context, key string, token idempotency.Token, value []byte, ttl time.Duration,
) error {
	if err := idempotency.ValidateTTL(ttl); err != nil {
		return err
	}
	return s.runOwned(ctx, "complete", completeScript, key, token, string(value), micros(ttl), millis(ttl))
}

// Extend lets the owner's claim last for lease from now.
func (s *Idempotency) Extend(ctx context.Context, key string, token idempotency.Token, lease time.Duration) error {
	if err := idempotency.ValidateLease(lease); err != nil {
		return err
	}
	return s.runOwned(ctx, "extend", extendScript, key, token, micros(lease), millis(lease))
}

// Release gives the owner's claim back. Releasing again with the same token is not an error for a minute, unless
// somebody else has claimed the key.
func (s *Idempotency) Release(ctx context.Context, key string, token idempotency.Token) error {
	return s.runOwned(ctx, "release", releaseScript, key, token, millis(minGrace))
}

// Get returns the result of a complete, unexpired record.
func (s *Idempotency) Get(ctx context.Context, key string) (value []byte, found bool, err error) {
	rec, found, err := s.GetRecord(ctx, key)
	if !found || rec.Status != idempotency.StatusComplete {
		return nil, false, err
	}
	return rec.Value, true, nil
}

// GetRecord returns the unexpired record of a key.
func (s *Idempotency) GetRecord(ctx context.Context, key string) (rec idempotency.Record, found bool, err error) {
	reply, err := s.run(ctx, "get", getScript, key, nil)
	if err != nil {
		return idempotency.Record{}, false, err
	}
	return parseRecord(reply)
}

// Set stores a result for ttl, whoever holds the key. It makes a new record: with no fingerprint, and with a higher
// fence.
func (s *Idempotency) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := idempotency.ValidateTTL(ttl); err != nil {
		return err
	}
	_, err := s.run(ctx, "set", setScript, key, nil, newOwner(), string(value), micros(ttl), millis(ttl))
	return err
}

// Delete removes the record of a key.
func (s *Idempotency) Delete(ctx context.Context, key string) error {
	_, err := s.ask(ctx, func(ctx context.Context) (any, error) {
		return s.client.Del(ctx, s.redisKey(key)).Result()
	}, nil)
	return asError("delete", err)
}

// Acquire is Claim for callers that finish with Set or Delete. The ttl is a lease: at least a millisecond.
func (s *Idempotency) Acquire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	c, err := s.Claim(ctx, idempotency.ClaimRequest{Key: key, Lease: ttl})
	return c.Outcome == idempotency.Acquired, err
}

// CleanupExpired returns 0: Redis removes expired records itself.
func (s *Idempotency) CleanupExpired(context.Context, int) (int, error) { return 0, nil }

// Ping reports whether Redis answers and would write: it deletes a key that is of no record. A replica refuses that, and
// so does a master that cannot save or has too few replicas.
func (s *Idempotency) Ping(ctx context.Context) error {
	_, err := s.ask(ctx, func(ctx context.Context) (any, error) {
		return s.client.Del(ctx, s.prefix+"ping").Result()
	}, nil)
	return asError("ping", err)
}

func newOwner() string {
	var owner [16]byte
	rand.Read(owner[:]) // never fails
	return string(owner[:])
}

// redisKey is of a fixed width, so no key is too long, and binary keys cannot end or split it.
func (s *Idempotency) redisKey(key string) string {
	digest := sha256.Sum256([]byte(key))
	var buf [maxPrefix + 43]byte
	return string(base64.RawURLEncoding.AppendEncode(append(buf[:0], s.prefix...), digest[:]))
}

// micros rounds up, so that a positive duration stays positive: none means without expiry.
func micros(d time.Duration) int64 { return roundUp(d, time.Microsecond) }

// millis rounds up and adds one, so that Redis, which counts in milliseconds, never removes a record early.
func millis(d time.Duration) int64 { return roundUp(d, time.Millisecond) + 1 }

func roundUp(d, unit time.Duration) int64 {
	n := int64(d / unit)
	if d%unit > 0 {
		n++
	}
	return n
}
