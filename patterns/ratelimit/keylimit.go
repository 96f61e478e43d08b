package ratelimit

import (
	"context"

	"github.com/steadyfx/steady/patterns"
)

// keyLimit is one key of a Keyed. It holds nothing of its own.
type keyLimit struct {
	keyed *Keyed
	hash  uint64 // of the key
}

var (
	_ patterns.Layer      = (*keyLimit)(nil)
	_ patterns.Composer   = (*keyLimit)(nil)
	_ patterns.Sequential = (*keyLimit)(nil)
)

// Execute runs op with a token.
func (l *keyLimit) Execute(ctx context.Context, op patterns.Operation) error {
	if err := l.acquire(ctx); err != nil {
		return err
	}
	return op(ctx)
}

// Around is Execute with next.Execute(ctx, op) in the place of op(ctx).
func (l *keyLimit) Around(ctx context.Context, next patterns.Policy, op patterns.Operation) error {
	if err := l.acquire(ctx); err != nil {
		return err
	}
	return next.Execute(ctx, op)
}

// Compose returns a policy that runs next inside of this one.
func (l *keyLimit) Compose(next patterns.Policy) patterns.Policy { return patterns.Link(l, next) }

// Sequential reports true.
func (l *keyLimit) Sequential() bool { return true }

// RateLimit describes the bucket of the key as it is now.
func (l *keyLimit) RateLimit() patterns.RateLimit {
	k := l.keyed
	limit := patterns.RateLimit{Name: k.name, Quota: k.cfg.Limit, Window: k.cfg.Period}
	limit.Remaining, limit.Reset = k.available(l.hash)
	return limit
}

func (l *keyLimit) acquire(ctx context.Context) error {
	k := l.keyed
	if ctx.Err() != nil {
		return k.canceled(ctx, k.name, 0)
	}
	if delay := k.try(ctx, l.hash); delay > 0 {
		return &LimitedError{Name: k.name, Limit: k.cfg.Limit, Period: k.cfg.Period, RetryAfter: delay}
	}
	return nil
}
