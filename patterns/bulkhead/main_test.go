package bulkhead_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/steadyfx/steady/patterns/bulkhead"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBoom = errors.New("boom")

func noop(context.Context) error { return nil }

func newBulkhead(tb fataler, cfg bulkhead.Config, opts ...bulkhead.Option) *bulkhead.Bulkhead {
	tb.Helper()
	b, err := bulkhead.New("db", cfg, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func acquire(tb testing.TB, b *bulkhead.Bulkhead) *bulkhead.Permit {
	tb.Helper()
	permit, err := b.Acquire(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return permit
}

// inUse fails the test unless so many slots are in use and so many callers wait.
func inUse(tb testing.TB, b *bulkhead.Bulkhead, inFlight, queued int) {
	tb.Helper()
	if m := b.Metrics(); m.InFlight != inFlight || m.Queued != queued {
		tb.Errorf("%d in flight and %d queued, want %d and %d", m.InFlight, m.Queued, inFlight, queued)
	}
}

// caller is a goroutine that wants slots. The other fields may be read once it has ended.
type caller struct {
	ended  chan struct{}
	permit *bulkhead.Permit
	err    error
	at     time.Time // when it got a slot or was rejected
}

// call starts a caller in a bubble and returns when it waits or has its answer.
func call(ctx context.Context, b *bulkhead.Bulkhead) *caller { return callN(ctx, b, 1) }

// callN is call for a caller that wants n slots.
func callN(ctx context.Context, b *bulkhead.Bulkhead, n int) *caller {
	c := &caller{ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		c.permit, c.err = b.AcquireN(ctx, n)
		c.at = time.Now()
	}()
	synctest.Wait()
	return c
}

func (c *caller) waits() bool {
	synctest.Wait()
	select {
	case <-c.ended:
		return false
	default:
		return true
	}
}

func (c *caller) holds() bool { return !c.waits() && c.err == nil }

func (c *caller) rejection(tb fataler) *bulkhead.RejectedError {
	tb.Helper()
	if c.waits() {
		tb.Fatal("the caller still waits")
	}
	var rejected *bulkhead.RejectedError
	if !errors.As(c.err, &rejected) {
		tb.Fatalf("got %v, want a rejection", c.err)
	}
	return rejected
}

// fataler is a testing.TB or a *rapid.T.
type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}
