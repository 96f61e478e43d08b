package ratelimit_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/ratelimit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fataler is a testing.TB or a *rapid.T.
type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func newBucket(tb fataler, cfg ratelimit.Config, opts ...ratelimit.Option) *ratelimit.TokenBucket {
	tb.Helper()
	b, err := ratelimit.NewTokenBucket("api", cfg, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func newWindow(tb fataler, cfg ratelimit.WindowConfig, opts ...ratelimit.Option) *ratelimit.SlidingWindow {
	tb.Helper()
	w, err := ratelimit.NewSlidingWindow("api", cfg, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

func newCounter(tb fataler, cfg ratelimit.WindowConfig, opts ...ratelimit.Option) *ratelimit.SlidingCounter {
	tb.Helper()
	c, err := ratelimit.NewSlidingCounter("api", cfg, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func newKeyed(tb fataler, cfg ratelimit.KeyedConfig, opts ...ratelimit.Option) *ratelimit.Keyed {
	tb.Helper()
	k, err := ratelimit.NewKeyed("api", cfg, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// limiter is what all limiters have in common.
type limiter interface {
	ratelimit.Limiter
	patterns.Layer
	patterns.Composer
	patterns.Sequential
	Name() string
	RateLimit() patterns.RateLimit
}

// several is a limiter that can be asked for several calls at once.
type several interface {
	limiter
	TryAcquireN(n int) bool
	AcquireN(ctx context.Context, n int) error
}

// each runs test in a bubble with all limiters, of so many calls a second and no further burst. A sliding counter has
// forgotten a call after two periods, so one of its periods is half a second.
func each(t *testing.T, limit int, maxWait time.Duration, test func(*testing.T, limiter), opts ...ratelimit.Option) {
	for name, build := range map[string]func(*testing.T) limiter{
		"token bucket": func(t *testing.T) limiter {
			return newBucket(t, ratelimit.Config{Limit: limit, Period: time.Second, MaxWait: maxWait}, opts...)
		},
		"sliding window": func(t *testing.T) limiter {
			return newWindow(t, ratelimit.WindowConfig{Limit: limit, Period: time.Second, MaxWait: maxWait}, opts...)
		},
		"sliding counter": func(t *testing.T) limiter {
			return newCounter(t, ratelimit.WindowConfig{Limit: limit, Period: time.Second / 2, MaxWait: maxWait}, opts...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, build(t)) })
		})
	}
}

// caller is a goroutine that wants tokens. The other fields may be read once it has ended.
type caller struct {
	ended chan struct{}
	err   error
	at    time.Time // when it had its answer
}

// call starts a caller in a bubble and returns when it waits or has its answer.
func call(acquire func() error) *caller {
	c := &caller{ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		c.err = acquire()
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

func limited(tb fataler, err error) *ratelimit.LimitedError {
	tb.Helper()
	var e *ratelimit.LimitedError
	if !errors.As(err, &e) {
		tb.Fatalf("got %v, want a LimitedError", err)
	}
	return e
}

func noop(context.Context) error { return nil }
