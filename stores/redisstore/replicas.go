package redisstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrNotReplicated is matched by the error of a write that the master has carried out and too few replicas have
// received, see [Config]. It is in an [*idempotency.BackendError].
var ErrNotReplicated = errors.New("too few replicas have the write")

const defaultReplicaTimeout = time.Second

// runReplicated runs a script and waits until enough replicas have what it has written. It is one round trip: both
// commands go out together, on one connection, since WAIT is about its own connection. A script that finds its work
// done, by the call before it whose answer was lost, writes nothing, and WAIT then still waits for that work: Redis
// means all that the master had written when the script ended.
func (s *Idempotency) runReplicated(ctx context.Context, script script, keys []string, args []any) (any, error) {
	reply, have, err := s.evalAndWait(ctx, script.EvalSha, keys, args)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		reply, have, err = s.evalAndWait(ctx, script.Eval, keys, args)
	}
	if err != nil {
		return nil, err
	}
	if n, ok := reply.(int64); ok && n != 0 && have < int64(s.replicas) { // anything else has written nothing
		return nil, fmt.Errorf("%w: %d of %d after %v", ErrNotReplicated, have, s.replicas, s.replicaTimeout)
	}
	return reply, nil
}

func (s *Idempotency) evalAndWait(
	ctx context.Context, eval func(context.Context, redis.Scripter, []string, ...any) *redis.Cmd, keys []string, args []any,
) (reply any, have int64, err error) {
	pipe := s.client.Pipeline()
	evaluated := eval(ctx, pipe, keys, args...)
	waited := pipe.Do(ctx, "wait", s.replicas, s.replicaTimeout.Milliseconds())
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, 0, err
	}
	have, err = waited.Int64()
	return evaluated.Val(), have, err
}
