package retry_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/steadyfx/steady/patterns/retry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBoom = errors.New("boom")

// exact has delays of 100 ms, 200 ms, 400 ms and so on, at most 1 s.
func exact(attempts int) retry.Config {
	return retry.Config{
		MaxAttempts: attempts, BaseDelay: 100 * time.Millisecond, MaxDelay: time.Second, BackoffFactor: 2,
		Jitter: retry.NoJitter,
	}
}

func mustNew(t testing.TB, cfg retry.Config, opts ...retry.Option) *retry.Policy {
	t.Helper()
	p, err := retry.New("payments", cfg, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// script is an operation that returns its errors one after the other, and nil when there are no more.
type script struct {
	results []error
	calls   int
	at      []time.Duration // when each attempt began
	start   time.Time
}

func newScript(results ...error) *script { return &script{results: results, start: time.Now()} }

func (s *script) run(context.Context) error {
	s.at = append(s.at, time.Since(s.start))
	s.calls++
	if s.calls > len(s.results) {
		return nil
	}
	return s.results[s.calls-1]
}

func mustBudget(t testing.TB, cfg retry.BudgetConfig) *retry.Budget {
	t.Helper()
	b, err := retry.NewBudget(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
