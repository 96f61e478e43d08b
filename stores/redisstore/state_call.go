package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/steadyfx/steady/patterns/state"
)

func (s *State) get(ctx context.Context, op, redisKey string) (state.Value, error) {
	reply, err := s.ask(ctx, func(ctx context.Context) (any, error) {
		return getStateScript.Run(ctx, s.client, []string{redisKey}).Result()
	}, nil)
	if err != nil {
		return state.Value{}, asStateError(op, err)
	}
	return parseValue(op, reply)
}

func (s *State) write(ctx context.Context, op string, script *redis.Script, redisKey string, args ...any) (int64, error) {
	reply, err := s.ask(ctx, func(ctx context.Context) (any, error) {
		return script.Run(ctx, once{s.client}, []string{redisKey}, args...).Result()
	}, nil)
	if err != nil {
		return 0, asStateError(op, err)
	}
	n, ok := reply.(int64)
	if !ok || n < 0 {
		return 0, errStateReply(op, reply)
	}
	return n, nil
}

// once is a client that does not run a script again whose answer it has lost.
type once struct{ redis.UniversalClient }

// EvalSha runs a script that the server knows.
func (o once) EvalSha(ctx context.Context, sha1 string, keys []string, args ...any) *redis.Cmd {
	return o.run(ctx, "evalsha", sha1, keys, args)
}

// Eval runs a script.
func (o once) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return o.run(ctx, "eval", script, keys, args)
}

func (o once) run(ctx context.Context, name, script string, keys []string, args []any) *redis.Cmd {
	all := []any{name, script, len(keys)}
	for _, key := range keys {
		all = append(all, key)
	}
	cmd := redis.NewCmd(ctx, append(all, args...)...)
	cmd.SetFirstKeyPos(3)
	_ = o.Process(ctx, onceCmd{cmd}) // the command holds the error
	return cmd
}

type onceCmd struct{ *redis.Cmd }

// NoRetry tells the client.
func (onceCmd) NoRetry() bool { return true }

// asStateError says what the error of a client means: something that is no value is an answer that cannot be right, all
// else is a backend that cannot be asked.
func asStateError(op string, err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	switch {
	case errors.Is(err, redis.Nil):
		return errStateReply(op, nil)
	case strings.Contains(text, "WRONGTYPE"):
		return &state.StoreError{Backend: backend, Op: op, Err: fmt.Errorf("%s: %w", hint, err)}
	}
	// A server without scripts quotes the arguments, of which one is the data.
	if told, _, quoted := strings.Cut(text, ", with args beginning with"); quoted {
		err = errors.New(told)
	}
	return &state.BackendError{Backend: backend, Op: op, Err: err}
}

// parseValue reads what getStateScript returns.
func parseValue(op string, reply any) (state.Value, error) {
	r, ok := reply.([]any)
	if ok && len(r) == 0 {
		return state.Value{}, nil
	}
	if !ok || len(r) != 4 {
		return state.Value{}, errStateReply(op, reply)
	}
	version, ok1 := r[0].(int64)
	age, ok2 := r[1].(int64)
	left, ok3 := r[2].(int64)
	data, ok4 := r[3].(string)
	if !ok1 || !ok2 || !ok3 || !ok4 || version <= 0 {
		return state.Value{}, errStateReply(op, reply)
	}
	return state.Value{
		Data: []byte(data), Version: state.Version(version),
		Age: max(duration(age), 0), ExpiresIn: duration(left), // the server's clock may have been set back
	}, nil
}

// errStateReply tells the shape of a reply and nothing of its content, which may be data.
func errStateReply(op string, reply any) error {
	shape := fmt.Sprintf("%T", reply)
	if r, ok := reply.([]any); ok {
		shape = fmt.Sprintf("%d elements", len(r))
	}
	return &state.StoreError{Backend: backend, Op: op, Err: fmt.Errorf("unexpected reply, %s: %s", shape, hint)}
}
