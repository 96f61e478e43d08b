package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/steadyfx/steady/patterns/idempotency"
)

const (
	backend      = "redis"         // the name that errors carry
	defaultLimit = 3 * time.Second // of a call whose context has no deadline
	minGrace     = time.Minute     // well above the time in which a client repeats what it has no answer to
)

// run runs a script on a key. See aside for abandoned.
func (s *Idempotency) run(
	ctx context.Context, op string, script script, key string, abandoned func(), args ...any,
) (any, error) {
	keys := []string{s.redisKey(key)}
	reply, err := s.ask(ctx, func(ctx context.Context) (any, error) {
		if s.replicas > 0 && script.waits {
			return s.runReplicated(ctx, script, keys, args)
		}
		return script.Run(ctx, s.client, keys, args...).Result()
	}, abandoned)
	return reply, asError(op, err)
}

// runOwned runs a script that only the owner of a claim may run.
func (s *Idempotency) runOwned(
	ctx context.Context, op string, script script, key string, token idempotency.Token, args ...any,
) error {
	args = append([]any{string(token.Owner[:])}, args...)
	reply, err := s.run(ctx, op, script, key, nil, args...)
	if err != nil {
		return err
	}
	return parseOwned(op, reply)
}

// releaseAbandoned releases a claim that nobody waits for. If it cannot, the claim lapses.
func (s *Idempotency) releaseAbandoned(key, owner string) {
	ctx, cancel := context.WithTimeout(context.Background(), s.limit)
	defer cancel()
	releaseScript.Run(ctx, s.client, []string{s.redisKey(key)}, owner, millis(minGrace))
}

// asError says what the error of a client means: something that is no record is an answer that cannot be right, and so
// is none; all else is a backend that cannot be asked.
func asError(op string, err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	switch {
	case errors.Is(err, redis.Nil):
		return errReply(op, nil)
	case strings.Contains(text, "WRONGTYPE"), strings.Contains(text, "bad argument"): // to struct.unpack
		return &idempotency.StoreError{Backend: backend, Op: op, Err: fmt.Errorf("%s: %w", hint, err)}
	case strings.Contains(text, "invalid bulk length"):
		return &idempotency.StoreError{Backend: backend, Op: op, Err: fmt.Errorf(
			"the result is too large for the store, whose limit is proto-max-bulk-len: %w", err)}
	}
	// A server without scripts quotes the arguments, of which one may be a result.
	if told, _, quoted := strings.Cut(text, ", with args beginning with"); quoted {
		err = errors.New(told)
	}
	return &idempotency.BackendError{Backend: backend, Op: op, Err: err}
}

// hint is what to do about an answer that cannot be right.
const hint = "see whether something else writes to keys with this prefix"
