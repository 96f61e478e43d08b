package redisstore

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/state"
)

// StateConfig says where in Redis a [State] keeps its values.
type StateConfig struct {
	// KeyPrefix comes before the digest of each key. It is at most 64 bytes, without control characters and without
	// braces, which would send all keys to one slot of a cluster. Empty: "state:".
	KeyPrefix string
}

// State is a [state.Store] in Redis. Use [NewState]. All methods are safe for concurrent use.
//
// The Redis key of a value is the prefix and the SHA-256 of its key. A version is the server's time of the write in
// microseconds, or one more than the last. Redis keeps the trace of a deleted or expired value for a minute, so a
// version could only come back if the server's clock, or that of the replica which has taken its place, is set back by
// more than a minute. Times are exact to the microsecond, by the server's clock. Where Redis evicts, a value can be gone
// before its time, and where it fails over to a replica that is behind, the last writes can.
//
// A write whose answer is lost is not sent again, not even by a client that does so with other commands: the second
// answer would be about the first write. Whether it was carried out is then unknown. Calls end with their context or
// after 3 s as those of [Idempotency] do.
//
// Each change is published, as a short message, to the channel that is named by the prefix and "changes". While anybody
// watches, the store listens to it, with one more connection and one goroutine for all watches, and who watches a key of
// which there is word reads it. Messages can get lost, so a watch also reads every 4 to 6 s, and when the connection is
// lost and when it is back. Where the user may not use PUBLISH and SUBSCRIBE on that channel, and on a Ring, which may
// publish on another shard than it listens to, that is how changes are seen. While Redis cannot be read, a watch yields
// the error and tries again about every second.
//
// The user of the client must be allowed EVALSHA, EVAL, TIME, GET, GETRANGE and SET.
type State struct {
	caller
	client redis.UniversalClient
	prefix string
	news   *news
}

const (
	statePoll  = 5 * time.Second
	stateRetry = time.Second
)

// NewState returns a store on client, which stays the caller's to close. It does not connect. The error is a
// [*state.ConfigurationError] that lists everything that is wrong.
func NewState(client redis.UniversalClient, cfg StateConfig) (*State, error) {
	if cfg.KeyPrefix == "" {
		cfg.KeyPrefix = "state:"
	}
	var checks patterns.Checks
	checkClient(&checks, client, cfg.KeyPrefix)
	if err := checks.Err("state in redis"); err != nil {
		return nil, &state.ConfigurationError{Err: err}
	}
	return &State{
		caller: newCaller(client), client: client, prefix: cfg.KeyPrefix,
		news: &news{client: client, channel: cfg.KeyPrefix + "changes", poll: statePoll, retry: stateRetry},
	}, nil
}

// Get returns the value of a key.
func (s *State) Get(ctx context.Context, key string) (v state.Value, found bool, err error) {
	v, err = s.get(ctx, "get", s.redisKey(key))
	return v, v.Version != 0, err
}

// CompareAndSwap stores data for ttl (0: without expiry) if the key is at version old, where 0 is the version of an
// absent key, and returns the new version.
func (s *State) CompareAndSwap(ctx context.Context, key string, old state.Version, data []byte, ttl time.Duration) (
	v state.Version, swapped bool, err error,
) {
	if err := state.Validate(data, ttl); err != nil {
		return 0, false, err
	}
	reply, err := s.write(ctx, "swap", swapScript, s.redisKey(key),
		s.news.channel, int64(old), string(data), micros(ttl), millis(ttl)+millis(minGrace))
	return state.Version(reply), reply != 0, err
}

// Delete removes the value of a key if it is at the given version.
func (s *State) Delete(ctx context.Context, key string, version state.Version) (deleted bool, err error) {
	reply, err := s.write(ctx, "delete", deleteScript, s.redisKey(key), s.news.channel, int64(version), millis(minGrace))
	return reply != 0, err
}

// Watch tells what becomes of a key. It ends with ctx, or with the loop over it.
func (s *State) Watch(ctx context.Context, key string) iter.Seq2[state.Value, error] {
	return func(yield func(state.Value, error) bool) {
		key := s.redisKey(key)
		changed := s.news.join(key)
		defer s.news.leave(key, changed)
		told := unknown
		for {
			v, err := s.get(ctx, "watch", key)
			if ctx.Err() != nil {
				return
			}
			seen, next := v.Version, jitter(s.news.poll)
			switch {
			case err != nil:
				seen, next = unknown, jitter(s.news.retry)
			case v.ExpiresIn != 0:
				next = min(next, v.ExpiresIn)
			}
			due := time.Now().Add(next)
			if seen == unknown || seen != told {
				told = seen
				if !yield(v, err) {
					return
				}
			}
			if !await(ctx, time.Until(due), changed) {
				return
			}
		}
	}
}

// unknown is the version of a key that cannot be read.
const unknown = state.Version(-1)

// await waits for a time, but not beyond a change. It reports whether ctx still lives.
func await(ctx context.Context, d time.Duration, changed <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-changed:
	case <-timer.C:
	}
	return ctx.Err() == nil
}

// jitter returns d, give or take a fifth: those who were woken by the same change need not look again all at once.
func jitter(d time.Duration) time.Duration { return d - d/5 + rand.N(2*d/5+1) }

// redisKey is of a fixed width, so no key is too long, and binary keys cannot end or split it.
func (s *State) redisKey(key string) string {
	digest := sha256.Sum256([]byte(key))
	return s.prefix + base64.RawURLEncoding.EncodeToString(digest[:])
}
