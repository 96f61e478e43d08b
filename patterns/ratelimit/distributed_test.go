package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/ratelimit"
	"github.com/steadyfx/steady/stores/memstore"
)

// backend is a store in memory that can be down, slow, and asked how often it was asked.
type backend struct {
	ratelimit.Store
	asked atomic.Int64
	down  atomic.Bool
	slow  atomic.Int64           // nanoseconds that an answer takes
	first atomic.Pointer[func()] // is called before the next answer
}

var errDown = errors.New("down")

func newBackend(tb fataler) *backend {
	tb.Helper()
	s, err := memstore.NewRateLimit(memstore.RateLimitConfig{})
	if err != nil {
		tb.Fatal(err)
	}
	return &backend{Store: s}
}

func (b *backend) Take(ctx context.Context, req ratelimit.Request) (ratelimit.Decision, error) {
	b.asked.Add(1)
	if first := b.first.Swap(nil); first != nil {
		(*first)()
	}
	if slow := time.Duration(b.slow.Load()); slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return ratelimit.Decision{}, ctx.Err()
		}
	}
	if b.down.Load() {
		return ratelimit.Decision{}, errDown
	}
	return b.Store.Take(ctx, req)
}

func newDistributed(
	tb fataler, cfg ratelimit.DistributedConfig, store ratelimit.Store, opts ...ratelimit.Option,
) *ratelimit.Distributed {
	tb.Helper()
	d, err := ratelimit.NewDistributed("api", cfg, store, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

var algorithms = []ratelimit.Algorithm{ratelimit.GCRA, ratelimit.Log, ratelimit.Counter}

func TestReplicasShareOneLimit(t *testing.T) {
	for _, algorithm := range algorithms {
		synctest.Test(t, func(t *testing.T) {
			b := newBackend(t)
			cfg := ratelimit.DistributedConfig{Algorithm: algorithm, Limit: 5, Period: time.Hour}
			first, second := newDistributed(t, cfg, b), newDistributed(t, cfg, b)
			if !first.TryAcquireN(2) || !second.TryAcquireN(2) || second.TryAcquireN(2) || !first.TryAcquire() ||
				second.TryAcquire() {
				t.Errorf("%s: got %+v and %+v", algorithm, first.Stats(), second.Stats())
			}
			want := ratelimit.Stats{Name: "api", Limit: 5, Period: time.Hour, Total: 2, Allowed: 2}
			if s := first.Stats(); s != want {
				t.Errorf("%s: the statistics of one replica are %+v, want %+v", algorithm, s, want)
			}
			other, err := ratelimit.NewDistributed("other", cfg, b)
			if err != nil || !other.TryAcquire() {
				t.Errorf("%s: another name shares the limit, or %v", algorithm, err)
			}
		})
	}
}

func TestWaitIsThatOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t)
		d := newDistributed(t, ratelimit.DistributedConfig{Limit: 1}, b)
		begun := time.Now()
		var callers []*caller
		for range 5 {
			callers = append(callers, call(func() error { return d.Acquire(t.Context()) }))
		}
		if n := b.asked.Load(); n != 2 { // of the second one it is known when it is next, and so of the others
			t.Errorf("the store was asked %d times for five callers", n)
		}
		for i, c := range callers {
			<-c.ended
			if want := time.Duration(i) * time.Second; c.err != nil || c.at.Sub(begun) != want {
				t.Errorf("caller %d: %v after %v, want %v", i, c.err, c.at.Sub(begun), want)
			}
		}
		if n := b.asked.Load(); n > 9 { // once in vain and once more for each
			t.Errorf("the store was asked %d times", n)
		}
		if s := d.Stats(); s.TotalWait != 10*time.Second || s.Allowed != 5 {
			t.Errorf("%+v", s)
		}
	})
}

// A call that another replica beats is refused as soon as it is known that its time does not suffice.
func TestBeatenCallIsRefusedWhenItsTimeDoesNotSuffice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t)
		d := newDistributed(t, ratelimit.DistributedConfig{Limit: 1, MaxWait: 1500 * time.Millisecond}, b)
		d.TryAcquire()
		c := call(func() error { return d.Acquire(t.Context()) })
		somebody := func() {
			if got, err := b.Store.Take(t.Context(), ratelimit.Request{
				Key: "api", N: 1, Algorithm: ratelimit.GCRA, Limit: 1, Burst: 1, Period: time.Second,
			}); err != nil || !got.Allowed {
				t.Errorf("got %+v, %v", got, err)
			}
		}
		b.first.Store(&somebody)
		<-c.ended
		if e := limited(t, c.err); e.RetryAfter != time.Second || d.Stats().TotalWait != time.Second {
			t.Errorf("got %+v, %+v", e, d.Stats())
		}
	})
}

func TestDenialIsKnownUntilItCanChange(t *testing.T) {
	for _, algorithm := range algorithms {
		synctest.Test(t, func(t *testing.T) {
			b := newBackend(t)
			d := newDistributed(t, ratelimit.DistributedConfig{Algorithm: algorithm, Limit: 10, MaxWait: -1}, b)
			ask := func(n int, allowed, asks bool) time.Duration {
				t.Helper()
				before := b.asked.Load()
				err := d.AcquireN(t.Context(), n)
				if (err == nil) != allowed || (b.asked.Load() > before) != asks {
					t.Errorf("%s: %d calls: %v; the store was asked %d times", algorithm, n, err, b.asked.Load()-before)
				}
				if err == nil {
					return 0
				}
				return limited(t, err).RetryAfter
			}
			ask(8, true, true)
			wait := ask(5, false, true)
			if again := ask(7, false, false); again != wait { // what is not enough for 5 is not enough for 7
				t.Errorf("%s: %v, and then %v", algorithm, wait, again)
			}
			time.Sleep(time.Millisecond)
			if again := ask(5, false, false); again != wait-time.Millisecond {
				t.Errorf("%s: %v, and a millisecond later %v", algorithm, wait, again)
			}
			ask(2, true, true)
			least := ask(1, false, true) // now this one is known
			ask(5, false, false)
			time.Sleep(least - 1)
			ask(1, false, false)
			time.Sleep(time.Nanosecond)
			ask(1, true, true)
		})
	}
}

func TestWaitThatTheStoreMakesTooLongIsRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t)
		d := newDistributed(t, ratelimit.DistributedConfig{Limit: 1}, b)
		d.TryAcquire()
		for _, patience := range []time.Duration{time.Millisecond, time.Second} { // at the deadline is too late
			before := time.Now()
			err := within(t, patience, func(ctx context.Context) error {
				return d.Execute(ctx, func(context.Context) error { t.Error("it ran"); return nil })
			})
			want := ratelimit.LimitedError{Name: "api", Limit: 1, Period: time.Second, RetryAfter: time.Second}
			if e := limited(t, err); *e != want || time.Since(before) != 0 {
				t.Errorf("got %+v after %v", e, time.Since(before))
			}
		}
		if err := within(t, time.Second+1, func(ctx context.Context) error { return d.Execute(ctx, noop) }); err != nil {
			t.Error(err)
		}
		if s := d.Stats(); s.Allowed != 2 || s.Denied != 2 || s.TotalWait != time.Second {
			t.Errorf("%+v", s)
		}
	})
}

func TestNobodyOvertakesWhoWaitsForTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t)
		d := newDistributed(t, ratelimit.DistributedConfig{Limit: 4, Burst: 4}, b)
		d.TryAcquireN(4)
		c := call(func() error { return d.AcquireN(t.Context(), 4) })
		time.Sleep(300 * time.Millisecond) // there is one
		if d.TryAcquire() || !c.waits() {
			t.Error("a small wish overtook a large one")
		}
		hasty := newDistributed(t, ratelimit.DistributedConfig{Limit: 4, Burst: 4, MaxWait: -1}, b)
		if err := hasty.Acquire(t.Context()); err != nil { // of another replica
			t.Error(err)
		}
		<-c.ended
		if c.err != nil {
			t.Error(c.err)
		}
	})
}

func TestWhoDoesNotWaitIsRefusedBehindThoseWhoDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDistributed(t, ratelimit.DistributedConfig{Limit: 1, Period: time.Second}, newBackend(t))
		d.TryAcquire()
		first := call(func() error { return d.Acquire(t.Context()) })
		second := call(func() error { return within(t, 1500*time.Millisecond, d.Acquire) })
		begun := time.Now()
		err := within(t, 0, func(ctx context.Context) error { return d.Acquire(ctx) })
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != 0 {
			t.Errorf("got %v after %v", err, time.Since(begun))
		}
		<-first.ended
		<-second.ended // found out that it has to wait for another second, of which it has a half
		if first.err != nil || !errors.Is(second.err, ratelimit.ErrLimited) || second.at.Sub(begun) != time.Second {
			t.Errorf("%v; %v after %v", first.err, second.err, second.at.Sub(begun))
		}
	})
}

func TestTimeRunsOutBehindAnotherCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDistributed(t, ratelimit.DistributedConfig{Limit: 2, Period: 2 * time.Second}, newBackend(t))
		d.TryAcquireN(2)
		first := call(func() error { return d.AcquireN(t.Context(), 2) }) // for 2 s
		begun := time.Now()
		second := call(func() error { return within(t, 1500*time.Millisecond, d.Acquire) }) // could be done in 1 s alone
		ctx, cancel := context.WithCancel(t.Context())
		third := call(func() error { return d.Acquire(ctx) })
		<-second.ended
		if e := limited(t, second.err); second.at.Sub(begun) != 1500*time.Millisecond-1 || e.Name != "api" {
			t.Errorf("%+v after %v", e, second.at.Sub(begun))
		}
		cancel()
		var e *ratelimit.CanceledError
		if third.waits() || !errors.As(third.err, &e) || e.Waited != 1500*time.Millisecond-1 {
			t.Errorf("got %v", third.err)
		}
		<-first.ended
		if first.err != nil {
			t.Error(first.err)
		}
	})
}

// Pitfall 12: whoever gives up must leave nothing behind.
func TestPitfall12CancelledWaitersOfAStoreTakeNothingWithThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDistributed(t, ratelimit.DistributedConfig{Limit: 10}, newBackend(t))
		d.TryAcquireN(10)
		ctx, cancel := context.WithCancel(t.Context())
		var callers []*caller
		for range 50 {
			callers = append(callers, call(func() error { return d.Acquire(ctx) }))
		}
		time.Sleep(time.Millisecond)
		cancel()
		for _, c := range callers {
			if c.waits() || !errors.Is(c.err, context.Canceled) || errors.Is(c.err, ratelimit.ErrLimited) {
				t.Fatalf("got %v", c.err)
			}
		}
		before := time.Now()
		if err := d.Acquire(t.Context()); err != nil || time.Since(before) != 99*time.Millisecond {
			t.Errorf("the next waits %v: %v", time.Since(before), err)
		}
	})
}

func TestPitfall41NumberOfSharedCallsMustBePossible(t *testing.T) {
	for _, algorithm := range algorithms {
		synctest.Test(t, func(t *testing.T) {
			b := newBackend(t)
			d := newDistributed(t, ratelimit.DistributedConfig{Algorithm: algorithm, Limit: 5}, b)
			for _, n := range []int{-1 << 40, -1, 0, 6, 1 << 40} {
				if d.TryAcquireN(n) {
					t.Errorf("%s: %d calls were allowed", algorithm, n)
				}
				if err := d.AcquireN(t.Context(), n); !errors.Is(err, patterns.ErrConfiguration) {
					t.Errorf("%s: %d: got %v", algorithm, n, err)
				}
			}
			if b.asked.Load() != 0 || d.Stats().Total != 0 || !d.TryAcquireN(5) || d.TryAcquire() {
				t.Errorf("%s: asked %d times, %+v", algorithm, b.asked.Load(), d.Stats())
			}
		})
	}
}

// outages records the events of a limiter.
type outages struct {
	bus    hooks.Bus
	events []hooks.Event
}

func newOutages() *outages {
	o := &outages{}
	hooks.On(&o.bus, func(_ context.Context, e hooks.RateLimiterDegraded) { o.events = append(o.events, e) })
	hooks.On(&o.bus, func(_ context.Context, e hooks.RateLimiterRecovered) { o.events = append(o.events, e) })
	return o
}

func TestOutageIsAnnouncedAndSoIsItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, b := newOutages(), newBackend(t)
		d := newDistributed(t, ratelimit.DistributedConfig{Limit: 1, Period: time.Hour}, b, ratelimit.WithBus(&o.bus))
		b.down.Store(true)
		began := time.Now()
		for range 10 {
			d.TryAcquire()
			time.Sleep(500 * time.Millisecond)
		}
		if asked := b.asked.Load(); asked < 5 || asked > 10 {
			t.Errorf("the store was asked %d times in 5 s, want every 0.5 to 1 s", asked)
		}
		b.down.Store(false)
		time.Sleep(time.Second)
		before := b.asked.Load()
		if !d.TryAcquire() || d.TryAcquire() || b.asked.Load() != before+2 {
			t.Errorf("it did not come back to the store: %d questions", b.asked.Load()-before)
		}
		want := []hooks.Event{
			hooks.RateLimiterDegraded{Name: "api", Fail: "local", Err: errDown, At: began},
			hooks.RateLimiterRecovered{Name: "api", After: 6 * time.Second, At: began.Add(6 * time.Second)},
		}
		if len(o.events) != 2 || o.events[0] != want[0] || o.events[1] != want[1] {
			t.Errorf("got %+v", o.events)
		}
	})
}

func TestOutageThatSeveralCallsNoticeIsAnnouncedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, b := newOutages(), newBackend(t)
		d := newDistributed(t, ratelimit.DistributedConfig{}, b, ratelimit.WithBus(&o.bus))
		b.down.Store(true)
		b.slow.Store(int64(time.Millisecond))
		first := call(func() error { return d.Acquire(t.Context()) })
		second := call(func() error { return d.Acquire(t.Context()) })
		<-first.ended
		<-second.ended
		if first.err != nil || second.err != nil || b.asked.Load() != 2 || len(o.events) != 1 {
			t.Errorf("%v, %v; asked %d times, %+v", first.err, second.err, b.asked.Load(), o.events)
		}
	})
}

// Behind a large wish that waits, nothing is known of how long a small one would take.
func TestWhoHasNoTimeAtAllIsRefusedBehindALargeWish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t)
		d := newDistributed(t, ratelimit.DistributedConfig{Limit: 4}, b)
		d.TryAcquireN(4)
		large := call(func() error { return d.AcquireN(t.Context(), 4) })
		asked := b.asked.Load()
		e := limited(t, within(t, 1, func(ctx context.Context) error { return d.Acquire(ctx) }))
		if e.RetryAfter != 0 || b.asked.Load() != asked || !large.waits() {
			t.Errorf("%+v, asked %d times", e, b.asked.Load()-asked)
		}
		<-large.ended
	})
}

func TestFailOpenAllowsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t)
		d := newDistributed(t, ratelimit.DistributedConfig{Limit: 1, Period: time.Hour, Fail: ratelimit.FailOpen}, b)
		b.down.Store(true)
		for i := range 10 {
			if err := d.Acquire(t.Context()); err != nil {
				t.Errorf("call %d: %v", i, err)
			}
		}
		if s := d.Stats(); s.Allowed != 10 || b.asked.Load() != 1 {
			t.Errorf("%+v, asked %d times", s, b.asked.Load())
		}
	})
}

func TestFailClosedRefusesEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus hooks.Bus
		var refused []hooks.RateLimited
		hooks.On(&bus, func(_ context.Context, e hooks.RateLimited) { refused = append(refused, e) })
		b := newBackend(t)
		d := newDistributed(t, ratelimit.DistributedConfig{Fail: ratelimit.FailClosed}, b, ratelimit.WithBus(&bus))
		b.down.Store(true)
		err := d.Execute(t.Context(), func(context.Context) error { t.Error("it ran"); return nil })
		var e *ratelimit.UnavailableError
		for _, target := range []error{errDown, patterns.ErrRejected, patterns.ErrResilience} {
			if !errors.Is(err, target) {
				t.Errorf("%v is not %v", err, target)
			}
		}
		if !errors.As(err, &e) || e.Name != "api" || e.RetryAfter < 500*time.Millisecond || e.RetryAfter > time.Second ||
			errors.Is(err, ratelimit.ErrLimited) || patterns.Code(err) != patterns.CodeResilience {
			t.Fatalf("got %v", err)
		}
		want := fmt.Sprintf(`rate limiter "api": refused, because the store does not answer; retry in %v, or set fail to `+
			`local or open: down`, e.RetryAfter)
		if wait, known := patterns.RetryIn(err); err.Error() != want || wait != e.RetryAfter || !known {
			t.Errorf("got %q, %v", err, wait)
		}
		if d.TryAcquire() || d.Stats().Denied != 2 || len(refused) != 2 || refused[0].RetryAfter != e.RetryAfter {
			t.Errorf("%+v, %+v", d.Stats(), refused)
		}
		b.down.Store(false)
		time.Sleep(e.RetryAfter)
		if err := d.Acquire(t.Context()); err != nil {
			t.Errorf("when it said: %v", err)
		}
	})
}

func TestFailLocalAllowsThePartOfOneReplica(t *testing.T) {
	for _, algorithm := range algorithms {
		synctest.Test(t, func(t *testing.T) {
			b := newBackend(t)
			b.down.Store(true)
			d := newDistributed(t, ratelimit.DistributedConfig{
				Algorithm: algorithm, Limit: 10, Period: 10 * time.Hour, Replicas: 3,
			}, b)
			n := 0
			for d.TryAcquire() {
				n++
			}
			if n != 4 { // a third, rounded up
				t.Errorf("%s: %d calls were allowed", algorithm, n)
			}
			err := within(t, time.Second, func(ctx context.Context) error { return d.Acquire(ctx) })
			if e := limited(t, err); e.RetryAfter != 2*time.Hour+30*time.Minute {
				t.Errorf("%s: got %+v", algorithm, e)
			}
			// More than its part is not for one replica to allow: that has to wait for the store.
			err = within(t, time.Millisecond, func(ctx context.Context) error { return d.AcquireN(ctx, 5) })
			if e := limited(t, err); e.RetryAfter < 500*time.Millisecond || e.RetryAfter > time.Second {
				t.Errorf("%s: got %+v", algorithm, e)
			}
		})
	}
}

func TestWaitGoesOnThroughAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, b := newOutages(), newBackend(t)
		d := newDistributed(t, ratelimit.DistributedConfig{Limit: 4, Replicas: 4}, b, ratelimit.WithBus(&o.bus))
		b.down.Store(true)
		begun := time.Now()
		d.TryAcquire()
		c := call(func() error { return d.Acquire(t.Context()) })
		<-c.ended
		if c.err != nil || c.at.Sub(begun) != time.Second || len(o.events) != 1 {
			t.Errorf("%v after %v, %d events", c.err, c.at.Sub(begun), len(o.events))
		}
	})
}

// A store that hangs costs the first call the timeout, and the others nothing.
func TestStoreThatHangsCostsTheTimeoutOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, b := newOutages(), newBackend(t)
		d := newDistributed(t, ratelimit.DistributedConfig{Limit: 100}, b, ratelimit.WithBus(&o.bus))
		b.slow.Store(int64(time.Hour))
		begun := time.Now()
		for range 10 {
			if !d.TryAcquire() {
				t.Error("refused")
			}
		}
		if time.Since(begun) != 100*time.Millisecond || len(o.events) != 1 {
			t.Errorf("%v, %+v", time.Since(begun), o.events)
		}
		e, ok := o.events[0].(hooks.RateLimiterDegraded)
		if !ok || !errors.Is(e.Err, context.DeadlineExceeded) {
			t.Errorf("got %+v", o.events[0])
		}
	})
}

func TestCallerThatGoesAwayIsNoOutage(t *testing.T) {
	for _, deadline := range []time.Duration{0, 10 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			o, b := newOutages(), newBackend(t)
			d := newDistributed(t, ratelimit.DistributedConfig{}, b, ratelimit.WithBus(&o.bus))
			b.slow.Store(int64(50 * time.Millisecond))
			ctx, cancel := context.WithCancel(t.Context())
			if deadline > 0 {
				ctx, cancel = context.WithTimeout(ctx, deadline)
			} else {
				time.AfterFunc(10*time.Millisecond, cancel)
			}
			defer cancel()
			err := d.Acquire(ctx)
			var e *ratelimit.CanceledError
			if !errors.As(err, &e) || !errors.Is(err, ctx.Err()) || len(o.events) != 0 || d.Stats().Denied != 1 {
				t.Errorf("got %v, %+v", err, o.events)
			}
		})
	}
}

// A store may notice the deadline of a call before its context does.
func TestDeadlineThatTheStoreNoticesFirstIsNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, b := newOutages(), newBackend(t)
		d := newDistributed(t, ratelimit.DistributedConfig{}, b, ratelimit.WithBus(&o.bus))
		ctx := &late{Context: t.Context(), deadline: time.Now().Add(time.Millisecond), done: make(chan struct{})}
		takesTime := func() { time.Sleep(time.Millisecond) }
		b.first.Store(&takesTime)
		b.down.Store(true)
		time.AfterFunc(2*time.Millisecond, func() { close(ctx.done) })
		if err := d.Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) || len(o.events) != 0 {
			t.Errorf("got %v, %+v", err, o.events)
		}
	})
}

// late is a context that ends after its deadline.
type late struct {
	context.Context
	deadline time.Time
	done     chan struct{}
}

func (l *late) Deadline() (time.Time, bool) { return l.deadline, true }
func (l *late) Done() <-chan struct{}       { return l.done }
func (l *late) Err() error {
	select {
	case <-l.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

func TestPanicOfTheStoreLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t)
		d := newDistributed(t, ratelimit.DistributedConfig{Limit: 1}, b)
		d.TryAcquire()
		c := call(func() (err error) {
			defer func() { err = fmt.Errorf("%v", recover()) }()
			return d.Acquire(t.Context())
		})
		bug := func() { panic("bug") }
		b.first.Store(&bug)
		<-c.ended
		if c.err == nil || c.err.Error() != "bug" {
			t.Fatalf("got %v", c.err)
		}
		if err := d.Acquire(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestSharedLimitTellsWhatTheStoreSaidLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDistributed(t, ratelimit.DistributedConfig{Limit: 2, Period: time.Minute}, newBackend(t))
		want := patterns.RateLimit{Name: "api", Quota: 2, Window: time.Minute, Remaining: 2}
		for range 3 {
			if got := d.RateLimit(); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			d.TryAcquire()
			want.Remaining--
		}
		want.Remaining, want.Reset = 0, 30*time.Second
		if got := d.RateLimit(); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

func TestWaitForTheStoreWithoutABoundIsRefusedIfTheContextSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refusesWithoutABound(t, newDistributed(t, ratelimit.DistributedConfig{Limit: 1}, newBackend(t)))
	})
}

func TestDistributedIsAPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDistributed(t, ratelimit.DistributedConfig{Limit: 3, MaxWait: -1}, newBackend(t))
		errBoom := errors.New("boom")
		runs := 0
		op := func(context.Context) error { runs++; return errBoom }
		p := patterns.Compose(d, d)
		if err := p.Execute(t.Context(), op); err != errBoom {
			t.Error(err)
		}
		if err := d.Execute(t.Context(), op); err != errBoom {
			t.Error(err)
		}
		if err := p.Execute(t.Context(), op); !errors.Is(err, ratelimit.ErrLimited) {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := d.Execute(ctx, op); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if runs != 2 || !patterns.IsSequential(p) || d.Name() != "api" || d.Stats().Denied != 2 {
			t.Errorf("%d runs, %+v", runs, d.Stats())
		}
	})
}

// Pitfall 38: zero and nonsense must not become a division by zero when a call comes.
func TestPitfall38ConfigurationOfASharedLimitIsCheckedAndCompleted(t *testing.T) {
	b := newBackend(t)
	for _, tt := range []struct {
		name string
		cfg  ratelimit.DistributedConfig
		want string
	}{
		{"zero", ratelimit.DistributedConfig{}, ""},
		{"default", ratelimit.DefaultDistributedConfig(), ""},
		{"window", ratelimit.DistributedConfig{Algorithm: ratelimit.Log}, ""},
		{"slow", ratelimit.DistributedConfig{Limit: 1, Period: 2400 * time.Hour}, ""},
		{"slow window", ratelimit.DistributedConfig{
			Algorithm: ratelimit.Counter, Limit: 7, Period: 2400 * time.Hour, Replicas: 2,
		}, ""},
		{"fast", ratelimit.DistributedConfig{Limit: 1e6, Period: time.Millisecond, Burst: 1 << 30}, ""},
		{"too fast", ratelimit.DistributedConfig{Limit: 1e6 + 1, Period: time.Millisecond}, "limit"},
		{"algorithm", ratelimit.DistributedConfig{Algorithm: "leaky"},
			`algorithm: must be token_bucket, sliding_window or sliding_counter, got "leaky"`},
		{"limit", ratelimit.DistributedConfig{Limit: -1}, "limit: must be from 1 to"},
		{"limit of a window", ratelimit.DistributedConfig{Algorithm: ratelimit.Log, Limit: 1<<20 + 1}, "limit"},
		{"period", ratelimit.DistributedConfig{Period: time.Millisecond - 1}, "period"},
		{"period too long", ratelimit.DistributedConfig{Period: 2400*time.Hour + 1}, "period"},
		{"burst", ratelimit.DistributedConfig{Burst: -1}, "burst"},
		{"burst takes too long", ratelimit.DistributedConfig{Limit: 1, Period: 2400 * time.Hour, Burst: 2}, "burst"},
		{"burst of a window", ratelimit.DistributedConfig{Algorithm: ratelimit.Counter, Burst: 1}, "burst"},
		{"timeout", ratelimit.DistributedConfig{Timeout: -1}, "timeout"},
		{"fail", ratelimit.DistributedConfig{Fail: "maybe"}, `fail: must be open, closed or local, got "maybe"`},
		{"replicas", ratelimit.DistributedConfig{Replicas: -1}, "replicas"},
	} {
		check(t, tt.name, tt.want, func() error { _, err := ratelimit.NewDistributed("api", tt.cfg, b); return err })
	}
	check(t, "name", "name", func() error {
		_, err := ratelimit.NewDistributed("", ratelimit.DistributedConfig{}, b)
		return err
	})
	check(t, "store", "store", func() error {
		_, err := ratelimit.NewDistributed("api", ratelimit.DistributedConfig{}, nil)
		return err
	})
	if err := ratelimit.DefaultDistributedConfig().Validate(); err != nil {
		t.Error(err)
	}
	if got := newDistributed(t, ratelimit.DistributedConfig{}, b).Config(); got != ratelimit.DefaultDistributedConfig() {
		t.Errorf("got %+v", got)
	}
	_, err := ratelimit.NewDistributed("api", ratelimit.DistributedConfig{Limit: -1, Fail: "maybe", Replicas: -1}, b)
	if got := strings.Count(err.Error(), "\n"); got != 2 || !strings.HasPrefix(err.Error(), `rate limiter "api": limit: `) {
		t.Errorf("not one line for each mistake: %v", err)
	}
}

// Whatever happens to the store: while it answers, calls are allowed as one bucket for all allows them; while it does
// not, each replica allows no more than its part; and it is not asked more often than once in half a second.
func TestDistributedKeepsItsBoundsThroughOutages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ rapid.TB }{t}, func(t *rapid.T) {
			limit := rapid.IntRange(1, 6).Draw(t, "limit")
			replicas := rapid.IntRange(1, 3).Draw(t, "replicas")
			b := newBackend(t)
			cfg := ratelimit.DistributedConfig{Limit: limit, Period: time.Minute, Replicas: replicas}
			var all []*ratelimit.Distributed
			var parts []*model
			interval := (time.Minute + time.Duration(limit) - 1) / time.Duration(limit)
			together := newTokens(interval, limit)
			part := (limit + replicas - 1) / replicas
			for range replicas {
				all = append(all, newDistributed(t, cfg, b))
				parts = append(parts, newTokens((time.Minute+time.Duration(part)-1)/time.Duration(part), part))
			}
			lastAsked := make([]time.Time, replicas)
			t.Repeat(map[string]func(*rapid.T){
				"fail":    func(*rapid.T) { b.down.Store(true) },
				"recover": func(*rapid.T) { b.down.Store(false) },
				"time": func(t *rapid.T) {
					time.Sleep(time.Duration(rapid.IntRange(1, 20_000).Draw(t, "milliseconds")) * time.Millisecond)
				},
				"try": func(t *rapid.T) {
					i := rapid.IntRange(0, replicas-1).Draw(t, "who")
					n := rapid.IntRange(1, limit).Draw(t, "n")
					before, down := b.asked.Load(), b.down.Load()
					got := all[i].TryAcquireN(n)
					asked := b.asked.Load() > before
					together.settle(time.Now())
					parts[i].settle(time.Now())
					switch {
					case asked && !down:
						if want := together.try(n); got != want {
							t.Fatalf("%d calls: %v, all together %v", n, got, want)
						}
						lastAsked[i] = time.Time{}
					case asked:
						if !lastAsked[i].IsZero() && time.Since(lastAsked[i]) < 500*time.Millisecond {
							t.Fatalf("asked again after %v", time.Since(lastAsked[i]))
						}
						lastAsked[i] = time.Now()
						fallthrough
					case got: // without the store
						if want := parts[i].room(n) == 0 && n <= part; got != want {
							t.Fatalf("%d calls alone: %v, its part says %v", n, got, want)
						}
						if got {
							parts[i].take(n)
						}
					case together.room(n) == 0 && !down && lastAsked[i].IsZero():
						t.Fatalf("%d calls were denied by what is known, but they are there", n)
					}
				},
			})
		})
	})
}

// The race detector's food.
func TestRacingReplicasGetTheLimitAndNoMore(t *testing.T) {
	const limit = 1000
	b := newBackend(t)
	cfg := ratelimit.DistributedConfig{Limit: limit, Period: time.Hour, MaxWait: 1, Timeout: time.Minute}
	replicas := []*ratelimit.Distributed{newDistributed(t, cfg, b), newDistributed(t, cfg, b)}
	var got atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for k := range 500 {
				d := replicas[i%2]
				if (i+k)%3 == 0 && d.TryAcquire() || (i+k)%3 != 0 && d.Acquire(t.Context()) == nil {
					got.Add(1)
				}
				d.RateLimit()
			}
		})
	}
	wg.Wait()
	total := replicas[0].Stats().Total + replicas[1].Stats().Total
	if got.Load() != limit || total != 4000 {
		t.Errorf("%d calls were allowed, %d were answered", got.Load(), total)
	}
}
