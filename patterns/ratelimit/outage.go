package ratelimit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
)

// UnavailableError says that a [Distributed] refused a call because its store does not answer. It satisfies
// errors.Is(err, [patterns.ErrRejected]), errors.Is(err, [patterns.ErrResilience]), and errors.Is for what Err is. It is
// not [ErrLimited]: whether there were too many calls is not known.
type UnavailableError struct {
	Name       string        // of the limiter
	RetryAfter time.Duration // until the store is asked again
	Err        error         // of the store, when it began
}

// Error names the limiter and the cause.
func (e *UnavailableError) Error() string {
	return fmt.Sprintf("rate limiter %q: refused, because the store does not answer; retry in %v, or set fail to %s or "+
		"%s: %v", e.Name, e.RetryAfter, FailLocal, FailOpen, e.Err)
}

// Unwrap returns the error of the store.
func (e *UnavailableError) Unwrap() error { return e.Err }

// Is reports whether target is [patterns.ErrRejected] or [patterns.ErrResilience].
func (e *UnavailableError) Is(target error) bool {
	return target == patterns.ErrRejected || target == patterns.ErrResilience
}

// Code returns [patterns.CodeResilience].
func (e *UnavailableError) Code() string { return patterns.CodeResilience }

// RetryIn returns RetryAfter. See [patterns.RetryIn].
func (e *UnavailableError) RetryIn() (wait time.Duration, known bool) { return e.RetryAfter, true }

// outage is a time in which the store does not answer.
type outage struct {
	err   error
	since int64        // nanoseconds since the start of the limiter
	next  atomic.Int64 // when the store is asked again
}

// The store is asked again after a time that is drawn from these, so that replicas do not come together.
const (
	shortestPause = 500 * time.Millisecond
	longestPause  = time.Second
)

func nextQuestion(now int64) int64 {
	return now + int64(shortestPause+rand.N(longestPause-shortestPause))
}

// mayAsk reports whether a call may ask the store whether it answers again. One call may, now and then.
func (o *outage) mayAsk(now int64) bool {
	next := o.next.Load()
	return now >= next && o.next.CompareAndSwap(next, nextQuestion(now))
}

// degraded notes and announces that the store does not answer, if that is news.
func (d *Distributed) degraded(ctx context.Context, err error) *outage {
	now := d.now()
	o := &outage{err: err, since: now}
	o.next.Store(nextQuestion(now))
	if d.outage.CompareAndSwap(nil, o) {
		hooks.Emit(ctx, d.bus, hooks.RateLimiterDegraded{Name: d.name, Fail: string(d.cfg.Fail), Err: err, At: time.Now()})
	}
	return o
}

// recovered notes and announces that the store answers again after o, if that is news. Who asked before the outage began
// does not know of it, and ends none.
func (d *Distributed) recovered(ctx context.Context, o *outage) {
	if o != nil && d.outage.CompareAndSwap(o, nil) {
		after := time.Duration(d.now() - o.since)
		hooks.Emit(ctx, d.bus, hooks.RateLimiterRecovered{Name: d.name, After: after, At: time.Now()})
	}
}

// alone decides in an outage.
func (d *Distributed) alone(n int, o *outage) (wait time.Duration, err error) {
	pause := time.Duration(max(o.next.Load()-d.now(), 1))
	switch d.cfg.Fail {
	case FailOpen:
		return 0, nil
	case FailClosed:
		return 0, &UnavailableError{Name: d.name, RetryAfter: pause, Err: o.err}
	}
	if n > d.local.cfg.Burst { // which is only a part of what the store allows
		return pause, nil
	}
	cost := int64(n) * d.local.interval
	if d.local.take(cost) {
		return 0, nil
	}
	return max(d.local.delay(cost), 1), nil
}
