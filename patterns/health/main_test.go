package health_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/steadyfx/steady/patterns/health"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBoom = errors.New("boom at postgres://app:hunter2@db/app")

func newManager(tb testing.TB, opts ...health.Option) *health.Manager {
	tb.Helper()
	m, err := health.New(health.Config{}, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func register(tb testing.TB, m *health.Manager, checks ...health.Check) {
	tb.Helper()
	for _, c := range checks {
		if err := m.Register(c); err != nil {
			tb.Fatal(err)
		}
	}
}

func run(tb testing.TB, m *health.Manager, name string) health.Result {
	tb.Helper()
	r, err := m.Run(tb.Context(), name)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// saying returns a check that always reports status.
func saying(status health.Status) func(context.Context) health.Report {
	return func(context.Context) health.Report { return health.Report{Status: status} }
}

// slow returns a check that is healthy after d, whatever its context says.
func slow(d time.Duration) func(context.Context) health.Report {
	return func(context.Context) health.Report {
		time.Sleep(d)
		return health.Report{Status: health.Healthy}
	}
}

// names returns the names of the results.
func names(results []health.Result) []string {
	var all []string
	for _, r := range results {
		all = append(all, r.Name)
	}
	return all
}
