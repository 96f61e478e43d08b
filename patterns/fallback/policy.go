package fallback

import (
	"context"
	"slices"

	"github.com/steadyfx/steady/patterns"
)

// Policy is a [Chain] as a patterns.Policy, for operations without a value: what answers in their place makes the call
// succeed. It knows nothing of the value of patterns.Do or patterns.Wrap, which is the zero value when a fallback
// answered; an operation with a value needs [Chain.Execute] or [With]. It is safe for concurrent use.
type Policy struct {
	chain      *Chain[struct{}]
	sequential bool
}

var (
	_ patterns.Layer      = (*Policy)(nil)
	_ patterns.Composer   = (*Policy)(nil)
	_ patterns.Sequential = (*Policy)(nil)
)

// NewPolicy returns c as a policy. [NoValue] makes steps for it.
func NewPolicy(c *Chain[struct{}]) *Policy {
	overlaps := func(s Step[struct{}]) bool { return s.overlaps }
	return &Policy{chain: c, sequential: !slices.ContainsFunc(c.steps, overlaps)}
}

// NoValue makes of an operation without a value what an [Alternative] takes. It returns nil for nil.
func NoValue(op patterns.Operation) func(context.Context) (struct{}, error) {
	if op == nil {
		return nil
	}
	return func(ctx context.Context) (struct{}, error) { return struct{}{}, op(ctx) }
}

// Name returns the name of the chain.
func (p *Policy) Name() string { return p.chain.name }

// Execute runs op and, if it fails, what the chain has for that. It returns nil if any of them succeeded.
func (p *Policy) Execute(ctx context.Context, op patterns.Operation) error {
	return p.Around(ctx, patterns.Direct{}, op)
}

// Around is Execute with next.Execute(ctx, op) in the place of op(ctx).
func (p *Policy) Around(ctx context.Context, next patterns.Policy, op patterns.Operation) error {
	_, err := p.chain.attempt(ctx, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, next.Execute(ctx, op)
	})
	if err == nil {
		return nil
	}
	return p.fallBack(ctx, next, op, err)
}

// fallBack has the closure that costs an allocation; a call that succeeds makes none.
func (p *Policy) fallBack(ctx context.Context, next patterns.Policy, op patterns.Operation, failure error) error {
	again := func(ctx context.Context) error { return next.Execute(ctx, op) }
	_, err := p.chain.fallBack(ctx, NoValue(again), failure, nil)
	return err
}

// Compose returns a policy that runs next inside of the chain.
func (p *Policy) Compose(next patterns.Policy) patterns.Policy { return patterns.Link(p, next) }

// Sequential reports whether every policy of a [Retry] step promises what patterns.Sequential describes.
func (p *Policy) Sequential() bool { return p.sequential }
