package ratelimit

import (
	"container/list"
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
)

// TokenBucket allows Limit calls per Period, evenly, and up to Burst at once after a quiet time. It is the generic cell
// rate algorithm of ATM networks (ITU-T I.371): one number, the time when the bucket will be full, says all.
type TokenBucket struct {
	name     string
	cfg      Config
	patience time.Duration
	bus      *hooks.Bus
	start    time.Time
	interval int64 // nanoseconds that one token takes to flow in
	burst    int64 // nanoseconds that a full bucket takes

	_ [64]byte // what follows changes all the time: keep it off the cache line of what never does

	// full is when the bucket will be full if nothing more is taken, in nanoseconds since start. While the queue has
	// entries the sign bit is set too: then only the holder of mu changes it.
	full atomic.Int64
	tally

	// last is when the last entry of the queue will have its tokens. It is meaningful while there is a queue.
	last atomic.Int64

	mu    sync.Mutex
	queue list.List
	owed  int64 // the costs of all entries
}

var (
	_ Limiter             = (*TokenBucket)(nil)
	_ patterns.Layer      = (*TokenBucket)(nil)
	_ patterns.Composer   = (*TokenBucket)(nil)
	_ patterns.Sequential = (*TokenBucket)(nil)
)

// queued is the sign bit of TokenBucket.full.
const queued = math.MinInt64

// NewTokenBucket returns a full bucket. The name appears in errors and events. The error lists everything that is wrong
// with name and cfg, in which a zero field takes its default; it satisfies
// errors.Is(err, [patterns.ErrConfiguration]).
func NewTokenBucket(name string, cfg Config, opts ...Option) (*TokenBucket, error) {
	cfg = cfg.withDefaults()
	var checks patterns.Checks
	checks.Name(name)
	checks.Include("", cfg.Validate())
	if err := checks.Err(fmt.Sprintf("rate limiter %q", name)); err != nil {
		return nil, err
	}
	interval := int64(cfg.interval())
	return &TokenBucket{
		name: name, cfg: cfg, patience: patience(cfg.MaxWait), bus: apply(opts).bus,
		start: time.Now(), interval: interval, burst: interval * int64(cfg.Burst),
	}, nil
}

// Name returns the name given to [NewTokenBucket].
func (b *TokenBucket) Name() string { return b.name }

// Config returns the configuration in use, defaults filled in.
func (b *TokenBucket) Config() Config { return b.cfg }

// Execute runs op with a token, for which it waits if it must. Without a token op is not run and the error is that of
// [TokenBucket.Acquire].
func (b *TokenBucket) Execute(ctx context.Context, op patterns.Operation) error {
	if err := b.Acquire(ctx); err != nil {
		return err
	}
	return op(ctx)
}

// Around is Execute with next.Execute(ctx, op) in the place of op(ctx).
func (b *TokenBucket) Around(ctx context.Context, next patterns.Policy, op patterns.Operation) error {
	if err := b.Acquire(ctx); err != nil {
		return err
	}
	return next.Execute(ctx, op)
}

// Compose returns a policy that runs next inside of this bucket.
func (b *TokenBucket) Compose(next patterns.Policy) patterns.Policy { return patterns.Link(b, next) }

// Sequential reports true.
func (b *TokenBucket) Sequential() bool { return true }

// TryAcquire takes a token if there is one and nobody waits.
func (b *TokenBucket) TryAcquire() bool { return b.try(b.interval) }

// TryAcquireN is TryAcquire for n tokens, all of them or none. It reports false if n is less than 1 or more than Burst.
func (b *TokenBucket) TryAcquireN(n int) bool { return b.check(n) == nil && b.try(int64(n)*b.interval) }

func (b *TokenBucket) try(cost int64) bool {
	if b.take(cost) {
		b.allowed.Add(1)
		return true
	}
	b.denied.Add(1)
	announce(context.Background(), b.bus, b.name, func() time.Duration { return b.delay(cost) })
	return false
}

// Acquire takes a token, for which it waits if it must. It returns a [*LimitedError] at once if that would take longer
// than MaxWait or until the deadline of ctx, and a [*CanceledError] if ctx has ended or ends meanwhile: then it has
// taken nothing. A call that has a token at the moment when its context ends keeps it and gets no error.
func (b *TokenBucket) Acquire(ctx context.Context) error { return b.acquire(ctx, b.interval) }

// AcquireN is Acquire for n tokens. If n is less than 1 or more than Burst, the error satisfies
// errors.Is(err, [patterns.ErrConfiguration]).
func (b *TokenBucket) AcquireN(ctx context.Context, n int) error {
	if err := b.check(n); err != nil {
		return err
	}
	return b.acquire(ctx, int64(n)*b.interval)
}

func (b *TokenBucket) check(n int) error { return checkN(b.name, n, "burst", b.cfg.Burst) }

func (b *TokenBucket) acquire(ctx context.Context, cost int64) error {
	if ctx.Err() != nil {
		return b.canceled(ctx, b.name, 0)
	}
	if b.take(cost) {
		b.allowed.Add(1)
		return nil
	}
	a := b.join(cost, budget(ctx, b.patience), true)
	switch {
	case a.entry != nil:
		granted := wait(ctx, b, a.entry)
		waited := b.now() - a.at
		b.waited.Add(waited)
		if !granted {
			return b.canceled(ctx, b.name, time.Duration(waited))
		}
	case a.delay > 0:
		return b.limited(ctx, a.delay)
	}
	b.allowed.Add(1)
	return nil
}

// limited counts, announces and returns the refusal of a call.
func (b *TokenBucket) limited(ctx context.Context, delay time.Duration) error {
	b.denied.Add(1)
	announce(ctx, b.bus, b.name, func() time.Duration { return delay })
	return &LimitedError{Name: b.name, Limit: b.cfg.Limit, Period: b.cfg.Period, RetryAfter: delay}
}

// Available returns how many tokens could be taken now. It takes none. While calls wait, there are none for others.
func (b *TokenBucket) Available() int {
	now, full := b.now(), b.full.Load()
	if full < 0 {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.settle(now); b.queue.Len() > 0 {
			return 0
		}
		full = b.full.Load()
	}
	return int(max(0, b.burst-(max(full, now)-now)) / b.interval) // others may have taken some after now was read
}

// Stats returns what the bucket has done. A reservation counts as allowed until it is cancelled.
func (b *TokenBucket) Stats() Stats { return b.stats(b.name, b.cfg.Limit, b.cfg.Period) }

// RateLimit describes the bucket as it is now, for a call for one token.
func (b *TokenBucket) RateLimit() patterns.RateLimit {
	l := patterns.RateLimit{Name: b.name, Quota: b.cfg.Limit, Window: b.cfg.Period, Remaining: b.Available()}
	if l.Remaining == 0 {
		l.Reset = b.delay(b.interval)
	}
	return l
}

func (b *TokenBucket) now() int64 { return int64(time.Since(b.start)) }

// take takes tokens if they are there and nobody waits.
func (b *TokenBucket) take(cost int64) bool {
	// A clock reading that is old when the swap succeeds makes the bucket seem emptier than it is, never fuller.
	now := b.now()
	for {
		full := b.full.Load()
		if full < 0 {
			if now < b.last.Load() || b.waiting(now) {
				return false
			}
			continue
		}
		then := max(full, now) + cost
		if then-now > b.burst {
			return false
		}
		if b.full.CompareAndSwap(full, then) {
			return true
		}
	}
}

// waiting reports whether the queue has entries left whose time has not come.
func (b *TokenBucket) waiting(now int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settle(now)
	return b.queue.Len() > 0
}

// delay returns the time until so many tokens could be taken by who comes now.
func (b *TokenBucket) delay(cost int64) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.settle(now)
	return b.delayAfter(b.full.Load()&math.MaxInt64, now, cost)
}

func (b *TokenBucket) delayAfter(full, now, cost int64) time.Duration {
	return time.Duration(max(0, max(full, now)+b.owed+cost-b.burst-now))
}

// answer is what a call for tokens gets that would wait for them.
type answer struct {
	at     int64         // when it was given
	delay  time.Duration // until the tokens are there; 0: they have been taken
	entry  *entry        // in the queue; nil if the tokens have been taken, or the delay is too long
	before int64         // TokenBucket.full, before the tokens were taken
	after  int64         // and then
}

// join takes tokens if they are there, or else puts an entry in the queue if it takes no longer than most.
func (b *TokenBucket) join(cost int64, most time.Duration, waits bool) answer {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		now := b.now()
		b.settle(now)
		marked := b.full.Load()
		full := marked & math.MaxInt64
		switch a := (answer{at: now, delay: b.delayAfter(full, now, cost)}); {
		case a.delay == 0: // then there is no queue: what is owed to it is part of the delay
			a.before, a.after = full, max(full, now)+cost
			if b.full.CompareAndSwap(marked, a.after) {
				return a
			}
		case a.delay > most:
			return a
		default:
			b.last.Store(now + int64(a.delay))
			if b.full.CompareAndSwap(marked, full|queued) {
				b.owed += cost
				a.entry = enqueue(&b.queue, cost, waits)
				return a
			}
		}
	}
}

// settle serves the entries whose time has come, in order. mu is held. An entry counts from the moment it was due,
// however late that is found out: while there is a queue, the bucket is not full and loses nothing of what flows in.
func (b *TokenBucket) settle(now int64) {
	marked := b.full.Load()
	if marked >= 0 {
		return
	}
	full, served := marked&math.MaxInt64, false
	for b.queue.Len() > 0 {
		first := b.queue.Front().Value.(*entry)
		if full+first.cost-b.burst > now {
			break
		}
		full += first.cost
		b.owed -= first.cost
		first.grant(&b.queue)
		served = true
	}
	if served {
		b.publish(full)
	}
}

// publish stores what has changed under mu.
func (b *TokenBucket) publish(full int64) {
	if b.queue.Len() == 0 {
		b.full.Store(full)
		return
	}
	b.last.Store(full + b.owed - b.burst)
	b.full.Store(full | queued)
	callLeader(&b.queue)
}

func (b *TokenBucket) look(e *entry) (granted bool, after time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if b.settle(now); e.granted || leader(&b.queue) != e {
		return e.granted, 0
	}
	return false, b.due(e, now)
}

// due returns the time until e has its tokens. mu is held, e is in the queue, and the queue is settled.
func (b *TokenBucket) due(e *entry, now int64) time.Duration {
	at := b.full.Load()&math.MaxInt64 - b.burst
	for p := e.place; p != nil; p = p.Prev() {
		at += p.Value.(*entry).cost
	}
	return time.Duration(at - now)
}

func (b *TokenBucket) leave(e *entry) (granted bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.settle(b.now()); e.granted {
		return true
	}
	b.queue.Remove(e.place)
	b.owed -= e.cost
	b.publish(b.full.Load() & math.MaxInt64)
	return false
}
