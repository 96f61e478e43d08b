package ratelimit

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
)

// Limiter says which calls may be made now. All limiters of this package are safe for concurrent use.
type Limiter interface {
	// TryAcquire reports whether a call may be made at once, and if so counts it.
	TryAcquire() bool

	// Acquire returns nil when the call may be made, after a wait if need be.
	Acquire(ctx context.Context) error

	Stats() Stats
}

// Stats is what a limiter has done since it was made. A call for several tokens counts once.
type Stats struct {
	Name   string
	Limit  int
	Period time.Duration

	Total     uint64 // calls that have an answer: Allowed + Denied
	Allowed   uint64
	Denied    uint64        // refused, or gave up waiting
	TotalWait time.Duration // of all calls that waited, also in vain
}

// Option changes how a limiter is built.
type Option func(*options)

type options struct{ bus *hooks.Bus }

// WithBus sends [hooks.RateLimited] to bus for every call that is refused.
func WithBus(bus *hooks.Bus) Option { return func(o *options) { o.bus = bus } }

func apply(opts []Option) (o options) {
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// tally is what all limiters count.
type tally struct {
	allowed, denied atomic.Uint64
	waited          atomic.Int64 // nanoseconds
}

func (t *tally) stats(name string, limit int, period time.Duration) Stats {
	s := Stats{
		Name: name, Limit: limit, Period: period,
		Allowed: t.allowed.Load(), Denied: t.denied.Load(), TotalWait: time.Duration(t.waited.Load()),
	}
	s.Total = s.Allowed + s.Denied
	return s
}

// checkN returns the error of a call for n where there can be at most so many at once.
func checkN(name string, n int, field string, most int) error {
	if n >= 1 && n <= most {
		return nil
	}
	var checks patterns.Checks
	checks.That(false, "n", "must be from 1 to %s, which is %d, got %d", field, most, n)
	return checks.Err(fmt.Sprintf("rate limiter %q", name))
}

// announce tells of a refused call. The delay is only asked for if somebody listens: refusing must stay cheap.
func announce(ctx context.Context, bus *hooks.Bus, name string, delay func() time.Duration) {
	if bus.Wanted(hooks.RateLimited{}) {
		hooks.Emit(ctx, bus, hooks.RateLimited{Name: name, RetryAfter: delay(), At: time.Now()})
	}
}
