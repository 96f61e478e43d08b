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
	return s.ask(ctx, op, func(ctx context.Context) (any, error) {
		if s.replicas > 0 && script.waits {
			return s.runReplicated(ctx, script, keys, args)
		}
		return script.Run(ctx, s.client, keys, args...).Result()
	}, abandoned)
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

// ask makes a call within the time that ctx gives it, or the limit of s. See aside for abandoned.
func (s *Idempotency) ask(
	ctx context.Context, op string, call func(context.Context) (any, error), abandoned func(),
) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, asError(op, err)
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.limit)
		defer cancel()
	}
	if !s.obedient {
		call = aside(call, abandoned)
	}
	reply, err := call(ctx)
	return reply, asError(op, blame(ctx, err))
}

// aside makes a call in a goroutine, so that it returns when ctx ends whatever the client does. The goroutine ends when
// the client has given up too; call must not hold a slice of the caller. If nobody waits for the answer when it comes,
// abandoned is called.
func aside(call func(context.Context) (any, error), abandoned func()) func(context.Context) (any, error) {
	type answer struct {
		reply any
		err   error
	}
	return func(ctx context.Context) (any, error) {
		answers := make(chan answer)
		go func() {
			reply, err := call(ctx)
			select {
			case answers <- answer{reply, err}:
			case <-ctx.Done():
				if err == nil && abandoned != nil {
					abandoned()
				}
			}
		}()
		select {
		case a := <-answers:
			return a.reply, a.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// obeysDeadlines reports whether a client ends a call with the deadline of its context. By default it does not.
func obeysDeadlines(client redis.UniversalClient) bool {
	switch c := client.(type) {
	case interface{ Options() *redis.Options }:
		return c.Options().ContextTimeoutEnabled
	case interface{ Options() *redis.ClusterOptions }:
		return c.Options().ContextTimeoutEnabled
	case interface{ Options() *redis.RingOptions }:
		return c.Options().ContextTimeoutEnabled
	default:
		return false
	}
}

// blame names the context where it is the reason for err: a client that obeys a deadline only tells of a timeout, and
// may do so a moment before the context itself is over.
func blame(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	reason := ctx.Err()
	if deadline, _ := ctx.Deadline(); reason == nil && !time.Now().Before(deadline) {
		reason = context.DeadlineExceeded
	}
	if reason == nil || errors.Is(err, reason) {
		return err
	}
	return fmt.Errorf("%w: %w", reason, err)
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
	}
	// A server without scripts quotes the arguments, of which one may be a result.
	if told, _, quoted := strings.Cut(text, ", with args beginning with"); quoted {
		err = errors.New(told)
	}
	return &idempotency.BackendError{Backend: backend, Op: op, Err: err}
}

// hint is what to do about an answer that cannot be right.
const hint = "see whether something else writes to keys with this prefix"
