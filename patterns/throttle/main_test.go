package throttle_test

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/steadyfx/steady/patterns/throttle"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBoom = errors.New("boom")

func noop(context.Context) error { return nil }

func fail(context.Context) error { return errBoom }

// fataler is a testing.TB or a *rapid.T.
type fataler interface {
	Helper()
	Fatal(args ...any)
}

func newThrottler(tb fataler, cfg throttle.Config, opts ...throttle.Option) *throttle.Throttler {
	tb.Helper()
	t, err := throttle.New("api", cfg, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func newAdaptive(tb fataler, cfg throttle.AdaptiveConfig, opts ...throttle.Option) *throttle.Adaptive {
	tb.Helper()
	a, err := throttle.NewAdaptive("api", cfg, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}
