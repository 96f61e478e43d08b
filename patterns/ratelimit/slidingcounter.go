package ratelimit

import (
	"container/list"
	"context"
	"fmt"
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
)

// SlidingCounter allows about Limit calls in any time of the length Period, in constant memory, however large Limit is.
//
// It counts calls in periods that follow one another and takes them for spread evenly: a call is allowed if those of the
// current period, and of those of the period before the share of it that a window ending now still covers, leave room.
// What that promises is this. Calls that come evenly are limited nearly as by a [SlidingWindow]. Whatever comes, no window
// holds more than twice Limit, less one: a caller that spends Limit at the very end of one period gets nearly as many
// again by the end of the next. Where that is too much, use a SlidingWindow. Where Limit is small the error is on the
// other side: with a Limit of 1, a call at the start of a period is the only one in that and the next.
type SlidingCounter struct {
	name     string
	cfg      WindowConfig
	patience time.Duration
	bus      *hooks.Bus
	start    time.Time
	limit    int64
	period   int64 // nanoseconds

	_ [64]byte // what follows changes all the time: keep it off the cache line of what never does

	counts atomic.Pointer[counts]
	tally

	mu      sync.Mutex
	held    span // the state, while counts is closed
	queue   list.List
	planned span  // the state when all in the queue will have been served
	last    int64 // when that is, in nanoseconds since start
}

// span is what is known at a moment: how many calls were allowed in a period, and in the one before.
type span struct {
	index             int64 // of the period, counted since start
	previous, current int64
}

// counts is a span that calls share without a lock. Its current is also closed, by the sign bit, while the span is in
// held: then only the holder of mu decides. That is so while he does, and while there is a queue.
type counts struct {
	index, previous int64
	current         atomic.Int64
}

// closed is the sign bit of counts.current.
const closed = math.MinInt64

var (
	_ Limiter             = (*SlidingCounter)(nil)
	_ patterns.Layer      = (*SlidingCounter)(nil)
	_ patterns.Composer   = (*SlidingCounter)(nil)
	_ patterns.Sequential = (*SlidingCounter)(nil)
)

// NewSlidingCounter returns a limiter that has allowed nothing yet. The name appears in errors and events. The error
// lists everything that is wrong with name and cfg, in which a zero field takes its default; it satisfies
// errors.Is(err, [patterns.ErrConfiguration]).
func NewSlidingCounter(name string, cfg WindowConfig, opts ...Option) (*SlidingCounter, error) {
	cfg = cfg.withDefaults()
	var checks patterns.Checks
	checks.Name(name)
	checks.Include("", cfg.Validate())
	if err := checks.Err(fmt.Sprintf("rate limiter %q", name)); err != nil {
		return nil, err
	}
	c := &SlidingCounter{
		name: name, cfg: cfg, patience: patience(cfg.MaxWait), bus: apply(opts).bus,
		start: time.Now(), limit: int64(cfg.Limit), period: int64(cfg.Period),
	}
	c.counts.Store(&counts{})
	return c, nil
}

// Name returns the name given to [NewSlidingCounter].
func (c *SlidingCounter) Name() string { return c.name }

// Config returns the configuration in use, defaults filled in.
func (c *SlidingCounter) Config() WindowConfig { return c.cfg }

// Execute runs op when it is allowed, after a wait if need be. If it is not, op is not run and the error is that of
// [SlidingCounter.Acquire].
func (c *SlidingCounter) Execute(ctx context.Context, op patterns.Operation) error {
	if err := c.Acquire(ctx); err != nil {
		return err
	}
	return op(ctx)
}

// Around is Execute with next.Execute(ctx, op) in the place of op(ctx).
func (c *SlidingCounter) Around(ctx context.Context, next patterns.Policy, op patterns.Operation) error {
	if err := c.Acquire(ctx); err != nil {
		return err
	}
	return next.Execute(ctx, op)
}

// Compose returns a policy that runs next inside of this limiter.
func (c *SlidingCounter) Compose(next patterns.Policy) patterns.Policy { return patterns.Link(c, next) }

// Sequential reports true.
func (c *SlidingCounter) Sequential() bool { return true }

// TryAcquire reports whether a call may be made at once, and if so counts it. It does not overtake calls that wait.
func (c *SlidingCounter) TryAcquire() bool { return c.try(1) }

// TryAcquireN is TryAcquire for n calls, all of them or none. It reports false if n is less than 1 or more than Limit.
func (c *SlidingCounter) TryAcquireN(n int) bool {
	return checkN(c.name, n, "limit", c.cfg.Limit) == nil && c.try(int64(n))
}

func (c *SlidingCounter) try(n int64) bool {
	delay, decided := c.decide(n)
	if !decided {
		_, _, delay = c.join(n, 0, false)
	}
	if delay == 0 {
		c.allowed.Add(1)
		return true
	}
	c.denied.Add(1)
	announce(context.Background(), c.bus, c.name, func() time.Duration { return delay })
	return false
}

// Acquire returns nil when the call may be made, after a wait if need be. It returns a [*LimitedError] at once if that
// would take longer than MaxWait or until the deadline of ctx, and a [*CanceledError] if ctx has ended or ends
// meanwhile: then the call does not count. A call that is allowed at the moment when its context ends gets no error.
func (c *SlidingCounter) Acquire(ctx context.Context) error { return c.acquire(ctx, 1) }

// AcquireN is Acquire for n calls. If n is less than 1 or more than Limit, the error satisfies
// errors.Is(err, [patterns.ErrConfiguration]).
func (c *SlidingCounter) AcquireN(ctx context.Context, n int) error {
	if err := checkN(c.name, n, "limit", c.cfg.Limit); err != nil {
		return err
	}
	return c.acquire(ctx, int64(n))
}

func (c *SlidingCounter) acquire(ctx context.Context, n int64) error {
	if ctx.Err() != nil {
		return c.canceled(ctx, c.name, 0)
	}
	if delay, decided := c.decide(n); decided && delay == 0 {
		c.allowed.Add(1)
		return nil
	}
	e, begun, delay := c.join(n, budget(ctx, c.patience), true)
	switch {
	case e != nil:
		granted := wait(ctx, c, e)
		waited := c.now() - begun
		c.waited.Add(waited)
		if !granted {
			return c.canceled(ctx, c.name, time.Duration(waited))
		}
	case delay > 0:
		c.denied.Add(1)
		announce(ctx, c.bus, c.name, func() time.Duration { return delay })
		return &LimitedError{Name: c.name, Limit: c.cfg.Limit, Period: c.cfg.Period, RetryAfter: delay}
	}
	c.allowed.Add(1)
	return nil
}

// Available returns how many calls could be made now. While calls wait, there are none for others.
func (c *SlidingCounter) Available() int { return c.RateLimit().Remaining }

// RateLimit describes the counter as it is now.
func (c *SlidingCounter) RateLimit() patterns.RateLimit {
	l := patterns.RateLimit{Name: c.name, Quota: c.cfg.Limit, Window: c.cfg.Period}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.open()
	defer c.shut()
	if c.queue.Len() == 0 {
		s := c.held.at(now / c.period)
		// What the window still covers of the previous period counts in whole calls, rounded up.
		covered, rest := scaled(s.previous, (s.index+1)*c.period-now, c.period)
		if rest > 0 {
			covered++
		}
		l.Remaining = int(max(0, c.limit-s.current-covered))
	}
	if l.Remaining == 0 {
		_, due := c.next(now, 1)
		l.Reset = time.Duration(due - now)
	}
	return l
}

// Stats returns what the limiter has done.
func (c *SlidingCounter) Stats() Stats { return c.stats(c.name, c.cfg.Limit, c.cfg.Period) }

func (c *SlidingCounter) now() int64 { return int64(time.Since(c.start)) }

// decide answers without a lock, in the middle of a period and while nobody waits. A clock reading that is old when the
// swap succeeds makes the counter seem fuller than it is, never emptier.
func (c *SlidingCounter) decide(n int64) (delay time.Duration, decided bool) {
	now, shared := c.now(), c.counts.Load()
	if now/c.period != shared.index {
		return 0, false
	}
	for {
		current := shared.current.Load()
		if current < 0 {
			return 0, false
		}
		s := span{shared.index, shared.previous, current}
		if due := c.due(s, now, n); due > now {
			return time.Duration(due - now), true
		}
		if shared.current.CompareAndSwap(current, current+n) {
			return 0, true
		}
	}
}

// join counts calls that are allowed at once, or else puts an entry in the queue if it takes no longer than most.
func (c *SlidingCounter) join(n int64, most time.Duration, waits bool) (e *entry, now int64, delay time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now = c.open()
	defer c.shut()
	s, due := c.next(now, n)
	if due == now { // then there is no queue: what is in one is due later
		s.current += n
		c.held = s
		return nil, now, 0
	}
	if delay = time.Duration(due - now); delay > most || !waits {
		return nil, now, delay
	}
	e = enqueue(&c.queue, n, true)
	e.due = due
	c.plan(s, e)
	return e, now, delay
}

// next returns when n calls could be made by who comes now, and the state at that time, without them. mu is held and the
// queue settled.
func (c *SlidingCounter) next(now, n int64) (s span, due int64) {
	s, from := c.held, now
	if c.queue.Len() > 0 {
		s, from = c.planned, c.last
	}
	s = s.at(from / c.period)
	due = c.due(s, from, n)
	return s.at(due / c.period), due
}

// plan notes that e, which is due, will be the last to be served, and the state before that.
func (c *SlidingCounter) plan(s span, e *entry) {
	s.current += e.cost
	c.planned, c.last = s, e.due
}

// at returns s in a later period, or s itself.
func (s span) at(index int64) span {
	switch index - s.index {
	case 0:
		return s
	case 1:
		return span{index: index, previous: s.current}
	default:
		return span{index: index}
	}
}

// due returns the earliest time, from a time in the period of s on, at which s leaves room for n calls.
//
// With e of the period gone, the window covers the share (period-e)/period of the previous one. So there is room for n if
// previous*(period-e) <= (limit-current-n)*period, which is so when period-e is at most what is computed here.
func (c *SlidingCounter) due(s span, from, n int64) int64 {
	room := c.limit - s.current - n
	if room < 0 { // not in this period any more; in the next one, what is current now is previous
		s = s.at(s.index + 1)
		from, room = s.index*c.period, c.limit-n
	}
	if room >= s.previous {
		return from
	}
	covered, _ := scaled(room, c.period, s.previous)
	return max(from, (s.index+1)*c.period-covered)
}

// scaled returns a*b/c and the remainder. None is negative, and a or b is less than c, or the same.
func scaled(a, b, c int64) (quotient, remainder int64) {
	high, low := bits.Mul64(uint64(a), uint64(b))
	q, r := bits.Div64(high, low, uint64(c))
	return int64(q), int64(r)
}

// open closes counts to others, puts the state into held, and serves the entries whose time has come. mu is held, and
// shut must follow.
func (c *SlidingCounter) open() (now int64) {
	shared := c.counts.Load()
	if current := shared.current.Or(closed); current >= 0 {
		c.held = span{shared.index, shared.previous, current}
	}
	now = c.now() // the time of nobody who has been let in can be later
	c.settle(now)
	return now
}

// shut lets others in again if nobody waits.
func (c *SlidingCounter) shut() {
	if c.queue.Len() > 0 {
		return
	}
	shared := c.counts.Load()
	if shared.index == c.held.index {
		shared.current.Store(c.held.current)
		return
	}
	fresh := &counts{index: c.held.index, previous: c.held.previous}
	fresh.current.Store(c.held.current)
	c.counts.Store(fresh)
}

// settle serves the entries whose time has come, in order. An entry counts from the moment it was due, however late that
// is found out.
func (c *SlidingCounter) settle(now int64) {
	served := false
	for c.queue.Len() > 0 {
		first := c.queue.Front().Value.(*entry)
		if first.due > now {
			break
		}
		c.held = c.held.at(first.due / c.period)
		c.held.current += first.cost
		first.grant(&c.queue)
		served = true
	}
	if c.queue.Len() == 0 {
		c.held = c.held.at(now / c.period)
	}
	if served {
		callLeader(&c.queue)
	}
}

func (c *SlidingCounter) look(e *entry) (granted bool, after time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.open()
	defer c.shut()
	if e.granted || leader(&c.queue) != e {
		return e.granted, 0
	}
	return false, time.Duration(e.due - now)
}

func (c *SlidingCounter) leave(e *entry) (granted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.open()
	defer c.shut()
	if e.granted {
		return true
	}
	c.queue.Remove(e.place)
	c.planned, c.last = c.held, now
	for at := c.queue.Front(); at != nil; at = at.Next() { // those behind move up
		behind := at.Value.(*entry)
		s := c.planned.at(c.last / c.period)
		behind.due = c.due(s, c.last, behind.cost)
		c.plan(s.at(behind.due/c.period), behind)
	}
	c.settle(now)
	callLeader(&c.queue)
	return false
}
