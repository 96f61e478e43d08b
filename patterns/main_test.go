package patterns_test

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/steadyfx/steady/patterns"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBoom = errors.New("boom")

// plain is a policy that knows nothing but Execute.
type plain func(ctx context.Context, op patterns.Operation) error

func (p plain) Execute(ctx context.Context, op patterns.Operation) error { return p(ctx, op) }

// layer is a policy like those of Steady: it can be linked.
type layer struct {
	before     func()
	sequential bool
}

func (l *layer) Execute(ctx context.Context, op patterns.Operation) error {
	return l.Around(ctx, patterns.Direct{}, op)
}

func (l *layer) Around(ctx context.Context, next patterns.Policy, op patterns.Operation) error {
	if l.before != nil {
		l.before()
	}
	return next.Execute(ctx, op)
}

func (l *layer) Compose(next patterns.Policy) patterns.Policy { return patterns.Link(l, next) }
func (l *layer) Sequential() bool                             { return l.sequential }

// attempts is a sequential policy that runs the operation up to n times, until it succeeds.
type attempts int

func (n attempts) Execute(ctx context.Context, op patterns.Operation) (err error) {
	for range n {
		if err = op(ctx); err == nil {
			return nil
		}
	}
	return err
}

func (attempts) Sequential() bool { return true }
