package hedge_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/hedge"
	"github.com/steadyfx/steady/patterns/retry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ms = time.Millisecond

var (
	errBoom    = errors.New("boom")
	errRefused = refusal{}
)

// refusal is a rejection as another policy makes it.
type refusal struct{}

func (refusal) Error() string        { return "bulkhead full" }
func (refusal) Is(target error) bool { return target == patterns.ErrRejected }

func mustNew(t testing.TB, cfg hedge.Config, opts ...hedge.Option) *hedge.Policy {
	t.Helper()
	p, err := hedge.New("payments", cfg, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// hundred has hedges after 100 ms each.
func hundred(hedges int) hedge.Config { return hedge.Config{Delay: 100 * ms, MaxHedges: hedges} }

func mustBudget(t testing.TB, cfg retry.BudgetConfig) *retry.Budget {
	t.Helper()
	b, err := retry.NewBudget(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// attempt is one attempt of a scripted operation: how long it takes, how it ends, and whether it heeds its context.
type attempt struct {
	takes time.Duration
	end   func() error
	deaf  bool
}

func returns(err error) func() error { return func() error { return err } }

// script is an operation whose attempts are given in the order in which they begin.
type script struct {
	attempts []attempt
	began    atomic.Int32
	lost     atomic.Int32 // attempts whose context ended with hedge.ErrOver
	ended    atomic.Int32
}

func newScript(attempts ...attempt) *script { return &script{attempts: attempts} }

func (s *script) run(ctx context.Context) error {
	_, err := s.value(ctx)
	return err
}

// value returns the index of the attempt.
func (s *script) value(ctx context.Context) (int, error) {
	i := int(s.began.Add(1)) - 1
	defer s.ended.Add(1)
	a := s.attempts[i]
	if a.deaf {
		time.Sleep(a.takes)
		return i, a.end()
	}
	timer := time.NewTimer(a.takes)
	defer timer.Stop()
	select {
	case <-timer.C:
		return i, a.end()
	case <-ctx.Done():
		if errors.Is(context.Cause(ctx), hedge.ErrOver) {
			s.lost.Add(1)
		}
		return i, ctx.Err()
	}
}
