package redisstore

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/steadyfx/steady/patterns"
)

// caller makes calls that end in time, whatever the client does.
type caller struct {
	limit    time.Duration // of a call whose context has no deadline
	obedient bool          // the client ends calls with the deadline of their context
}

func newCaller(client redis.UniversalClient) caller {
	return caller{limit: defaultLimit, obedient: obeysDeadlines(client)}
}

// ask makes a call within the time that ctx gives it, or the limit. See aside for abandoned.
func (c caller) ask(
	ctx context.Context, call func(context.Context) (any, error), abandoned func(),
) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.limit)
		defer cancel()
	}
	if !c.obedient {
		call = aside(call, abandoned)
	}
	reply, err := call(ctx)
	return reply, blame(ctx, err)
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

// checkClient checks what every constructor of this package is given.
func checkClient(checks *patterns.Checks, client redis.UniversalClient, prefix string) {
	checks.That(!isNil(client), "client", "must not be nil")
	checks.That(len(prefix) <= maxPrefix, "key_prefix", "must be at most %d bytes, got %d", maxPrefix, len(prefix))
	checks.That(strings.IndexFunc(prefix, isControl) < 0, "key_prefix", "must not hold control characters, got %q", prefix)
	checks.That(!strings.ContainsAny(prefix, "{}"), "key_prefix",
		"must not hold braces, which would send all keys to one slot of a cluster, got %q", prefix)
}

// isNil also finds a nil *redis.Client, which an interface hides.
func isNil(client redis.UniversalClient) bool {
	v := reflect.ValueOf(client)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }
