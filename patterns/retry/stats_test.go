package retry_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns/retry"
)

func TestStatsSayHowCallsEnded(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	elapsed := exact(3)
	elapsed.MaxElapsed = 150 * time.Millisecond
	tests := []struct {
		name    string
		ctx     context.Context
		cfg     retry.Config
		opts    []retry.Option
		results []error
		want    retry.Stats
	}{
		{"first try", nil, exact(3), nil, nil, retry.Stats{}},
		{"third try", nil, exact(3), nil, []error{errBoom, errBoom}, retry.Stats{Failures: 2, Retries: 2, Recovered: 1}},
		{"exhausted", nil, exact(2), nil, []error{errBoom, errBoom}, retry.Stats{Failures: 2, Retries: 1, Exhausted: 1}},
		{"not retried", nil, exact(3), nil, []error{openCircuit{}}, retry.Stats{Failures: 1, NotRetried: 1}},
		{"refused on the way", nil, exact(3), nil, []error{errBoom, openCircuit{}},
			retry.Stats{Failures: 2, Retries: 1, Interrupted: 1}},
		{"not run", canceled, exact(3), nil, nil, retry.Stats{Interrupted: 1}},
		{"no time", nil, elapsed, nil, []error{errBoom, errBoom}, retry.Stats{Failures: 2, Retries: 1, Elapsed: 1}},
		{"asked to wait too long", nil, exact(3), nil, []error{busy(time.Hour)}, retry.Stats{Failures: 1, RetryAfter: 1}},
		{"budget spent", nil, exact(3),
			[]retry.Option{retry.WithBudget(mustBudget(t, retry.BudgetConfig{Percent: 1, MinPerSecond: retry.None}))},
			[]error{errBoom}, retry.Stats{Failures: 1, BudgetDenied: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := tt.ctx
				if ctx == nil {
					ctx = t.Context()
				}
				p := mustNew(t, tt.cfg, tt.opts...)
				_ = p.Execute(ctx, newScript(tt.results...).run)
				if got := p.Stats(); got != tt.want {
					t.Errorf("got %+v, want %+v", got, tt.want)
				}
			})
		})
	}
}

func TestStatsCountCallsThatTheirContextEnds(t *testing.T) {
	for during, want := range map[time.Duration]retry.Stats{
		50 * time.Millisecond:  {Failures: 1, Interrupted: 1},             // the first attempt
		150 * time.Millisecond: {Failures: 1, Interrupted: 1},             // the delay
		250 * time.Millisecond: {Failures: 2, Retries: 1, Interrupted: 1}, // the second attempt
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer time.AfterFunc(during, cancel).Stop()
			p := mustNew(t, exact(3))
			_ = p.Execute(ctx, func(ctx context.Context) error {
				select {
				case <-time.After(100 * time.Millisecond):
					return errBoom
				case <-ctx.Done():
					return ctx.Err()
				}
			})
			if got := p.Stats(); got != want {
				t.Errorf("after %v: got %+v, want %+v", during, got, want)
			}
		})
	}
}
