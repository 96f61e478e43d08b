package redisstore

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/ratelimit"
)

// RateLimitConfig says where in Redis a [RateLimit] keeps what it counts.
type RateLimitConfig struct {
	// KeyPrefix comes before the digest of each key. It is at most 64 bytes, without control characters and without
	// braces, which would send all keys to one slot of a cluster. Empty: "ratelimit:".
	KeyPrefix string
}

// RateLimit is a [ratelimit.Store] in Redis. Use [NewRateLimit]. It is safe for concurrent use.
//
// The Redis key is the prefix and the SHA-256 of the algorithm, the period of a window and the key, so that keys of any
// length and content are kept apart and none can be read in Redis. Its value is a few numbers; for ratelimit.Log it is a
// list of one number for each call in the window. Redis forgets a key when that makes no difference any more, so that an
// eviction policy, or a lost master, can only allow more calls, never block them.
//
// Times are those of the server, in microseconds, and everything that is counted is a whole number. A period is rounded up
// to whole microseconds. A client that repeats a command whose answer it has lost (MaxRetries) may count a call twice.
//
// The user of the client must be allowed EVALSHA, EVAL, TIME, GET and SET, and for ratelimit.Log LLEN, LINDEX, LTRIM, RPUSH
// and PEXPIRE.
//
// A call whose context has no deadline gets one of 3 s. See [Idempotency] for what ContextTimeoutEnabled changes.
type RateLimit struct {
	caller
	client redis.UniversalClient
	prefix string
}

// NewRateLimit returns a store on client, which stays the caller's to close. It does not connect. The error lists
// everything that is wrong and satisfies errors.Is(err, [patterns.ErrConfiguration]).
func NewRateLimit(client redis.UniversalClient, cfg RateLimitConfig) (*RateLimit, error) {
	if cfg.KeyPrefix == "" {
		cfg.KeyPrefix = "ratelimit:"
	}
	var checks patterns.Checks
	checkClient(&checks, client, cfg.KeyPrefix)
	if err := checks.Err("rate limits in redis"); err != nil {
		return nil, err
	}
	return &RateLimit{caller: newCaller(client), client: client, prefix: cfg.KeyPrefix}, nil
}

// Take counts calls of a key, in one round trip, if the limit allows them now. If Redis does not answer, the error is a
// [*ratelimit.StoreError].
func (s *RateLimit) Take(ctx context.Context, req ratelimit.Request) (ratelimit.Decision, error) {
	if err := req.Validate(); err != nil {
		return ratelimit.Decision{}, err
	}
	switch req.Algorithm {
	case ratelimit.Log:
		return s.run(ctx, logScript, req, time.Microsecond, req.N, req.Limit, micros(req.Period))
	case ratelimit.Counter:
		return s.run(ctx, counterScript, req, time.Microsecond, req.N, req.Limit, micros(req.Period))
	default:
		interval := int64(req.Interval())
		return s.run(ctx, gcraScript, req, time.Nanosecond, int64(req.N), interval, int64(req.Burst))
	}
}

// Ping reports whether Redis answers.
func (s *RateLimit) Ping(ctx context.Context) error {
	_, err := s.ask(ctx, func(ctx context.Context) (any, error) { return s.client.Ping(ctx).Result() }, nil)
	return asRateLimitError(err)
}

// run runs a script that returns whether the calls are allowed, the wait in a unit of time, and how many remain.
func (s *RateLimit) run(
	ctx context.Context, script *redis.Script, req ratelimit.Request, unit time.Duration, args ...any,
) (ratelimit.Decision, error) {
	keys := []string{s.redisKey(req)}
	reply, err := s.ask(ctx, func(ctx context.Context) (any, error) {
		return script.Run(ctx, s.client, keys, args...).Result()
	}, nil)
	if err != nil {
		return ratelimit.Decision{}, asRateLimitError(err)
	}
	r, ok := reply.([]any)
	if !ok || len(r) != 3 {
		return ratelimit.Decision{}, errRateLimitReply(reply)
	}
	allowed, ok1 := r[0].(int64)
	wait, ok2 := r[1].(int64)
	remaining, ok3 := r[2].(int64)
	if !ok1 || !ok2 || !ok3 || (allowed == 1) != (wait == 0) || wait < 0 || remaining < 0 {
		return ratelimit.Decision{}, errRateLimitReply(reply)
	}
	return ratelimit.Decision{
		Allowed: allowed == 1, RetryAfter: time.Duration(wait) * unit, Remaining: int(remaining),
	}, nil
}

func asRateLimitError(err error) error {
	if err == nil {
		return nil
	}
	return &ratelimit.StoreError{Backend: backend, Err: err}
}

// errRateLimitReply tells the shape of a reply and nothing of its content.
func errRateLimitReply(reply any) error {
	return asRateLimitError(fmt.Errorf("%w, %T: %s", errUnexpected, reply, hint))
}

var errUnexpected = errors.New("unexpected reply")

// redisKey is of a fixed width, so no key is too long, and binary keys cannot end or split it.
func (s *RateLimit) redisKey(req ratelimit.Request) string {
	var text [256]byte // spares keys of the usual length an allocation
	b := append(append(text[:0], req.Algorithm...), 0)
	if req.Algorithm != ratelimit.GCRA { // of which the period does not matter
		b = append(fmt.Append(b, micros(req.Period)), 0)
	}
	digest := sha256.Sum256(append(b, req.Key...))
	var buf [maxPrefix + 43]byte
	return string(base64.RawURLEncoding.AppendEncode(append(buf[:0], s.prefix...), digest[:]))
}
