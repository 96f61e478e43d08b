package timeout_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/steadyfx/steady/patterns/timeout"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBoom = errors.New("boom")

func newPolicy(tb testing.TB, limit time.Duration, opts ...timeout.Option) *timeout.Policy {
	tb.Helper()
	p, err := timeout.New("charge", timeout.Config{Timeout: limit}, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// untilDone is an operation that honors its context.
func untilDone(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}
