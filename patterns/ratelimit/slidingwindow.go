package ratelimit

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
)

// SlidingWindow never allows more than Limit calls in any time of the length Period, wherever that begins; of two calls
// that are exactly Period apart the first is no longer in it. It keeps the time of each call in the last Period, for
// which it has 8 bytes times Limit.
type SlidingWindow struct {
	name     string
	cfg      WindowConfig
	patience time.Duration
	bus      *hooks.Bus
	start    time.Time
	tally

	mu    sync.Mutex
	times []int64 // a ring: when calls were allowed, in nanoseconds since start
	first int     // index of the oldest in the window
	count int     // of those in the window
	queue list.List
}

var (
	_ Limiter             = (*SlidingWindow)(nil)
	_ patterns.Layer      = (*SlidingWindow)(nil)
	_ patterns.Composer   = (*SlidingWindow)(nil)
	_ patterns.Sequential = (*SlidingWindow)(nil)
)

// NewSlidingWindow returns a limiter that has allowed nothing yet. The name appears in errors and events. The error
// lists everything that is wrong with name and cfg, in which a zero field takes its default; it satisfies
// errors.Is(err, [patterns.ErrConfiguration]).
func NewSlidingWindow(name string, cfg WindowConfig, opts ...Option) (*SlidingWindow, error) {
	cfg = cfg.withDefaults()
	var checks patterns.Checks
	checks.Name(name)
	checks.Include("", cfg.Validate())
	if err := checks.Err(fmt.Sprintf("rate limiter %q", name)); err != nil {
		return nil, err
	}
	return &SlidingWindow{
		name: name, cfg: cfg, patience: patience(cfg.MaxWait), bus: apply(opts).bus,
		start: time.Now(), times: make([]int64, cfg.Limit),
	}, nil
}

// Name returns the name given to [NewSlidingWindow].
func (w *SlidingWindow) Name() string { return w.name }

// Config returns the configuration in use, defaults filled in.
func (w *SlidingWindow) Config() WindowConfig { return w.cfg }

// Execute runs op when it is allowed, after a wait if need be. If it is not, op is not run and the error is that of
// [SlidingWindow.Acquire].
func (w *SlidingWindow) Execute(ctx context.Context, op patterns.Operation) error {
	if err := w.Acquire(ctx); err != nil {
		return err
	}
	return op(ctx)
}

// Around is Execute with next.Execute(ctx, op) in the place of op(ctx).
func (w *SlidingWindow) Around(ctx context.Context, next patterns.Policy, op patterns.Operation) error {
	if err := w.Acquire(ctx); err != nil {
		return err
	}
	return next.Execute(ctx, op)
}

// Compose returns a policy that runs next inside of this limiter.
func (w *SlidingWindow) Compose(next patterns.Policy) patterns.Policy { return patterns.Link(w, next) }

// Sequential reports true.
func (w *SlidingWindow) Sequential() bool { return true }

// TryAcquire reports whether a call may be made at once, and if so counts it. It does not overtake calls that wait.
func (w *SlidingWindow) TryAcquire() bool {
	delay := w.try()
	if delay == 0 {
		w.allowed.Add(1)
		return true
	}
	w.denied.Add(1)
	announce(context.Background(), w.bus, w.name, func() time.Duration { return delay })
	return false
}

func (w *SlidingWindow) try() (delay time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	if w.settle(now); w.count < len(w.times) {
		w.add(now)
		return 0
	}
	return w.delay(now)
}

// Acquire returns nil when the call may be made, after a wait if need be. It returns a [*LimitedError] at once if that
// would take longer than MaxWait or until the deadline of ctx, and a [*CanceledError] if ctx has ended or ends
// meanwhile: then the call does not count in the window. A call that is allowed at the moment when its context ends
// gets no error.
func (w *SlidingWindow) Acquire(ctx context.Context) error {
	if ctx.Err() != nil {
		return w.canceled(ctx, w.name, 0)
	}
	e, begun, delay := w.join(budget(ctx, w.patience))
	switch {
	case e != nil:
		granted := wait(ctx, w, e)
		waited := int64(time.Since(w.start)) - begun
		w.waited.Add(waited)
		if !granted {
			return w.canceled(ctx, w.name, time.Duration(waited))
		}
	case delay > 0:
		w.denied.Add(1)
		announce(ctx, w.bus, w.name, func() time.Duration { return delay })
		return &LimitedError{Name: w.name, Limit: w.cfg.Limit, Period: w.cfg.Period, RetryAfter: delay}
	}
	w.allowed.Add(1)
	return nil
}

// InWindow returns how many calls were allowed in the last Period.
func (w *SlidingWindow) InWindow() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settle(w.now())
	return w.count
}

// Stats returns what the limiter has done.
func (w *SlidingWindow) Stats() Stats { return w.stats(w.name, w.cfg.Limit, w.cfg.Period) }

// RateLimit describes the window as it is now.
func (w *SlidingWindow) RateLimit() patterns.RateLimit {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	w.settle(now)
	l := patterns.RateLimit{Name: w.name, Quota: w.cfg.Limit, Window: w.cfg.Period, Remaining: len(w.times) - w.count}
	if l.Remaining == 0 {
		l.Reset = w.delay(now)
	}
	return l
}

// now is read under mu, so that the times in the ring are in order.
func (w *SlidingWindow) now() int64 { return int64(time.Since(w.start)) }

// add counts a call. mu is held and the window is not full.
func (w *SlidingWindow) add(now int64) {
	w.times[(w.first+w.count)%len(w.times)] = now
	w.count++
}

// join counts a call that is allowed at once, or else puts an entry in the queue if it takes no longer than most.
func (w *SlidingWindow) join(most time.Duration) (e *entry, now int64, delay time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now = w.now()
	w.settle(now)
	if w.count < len(w.times) {
		w.add(now)
		return nil, now, 0
	}
	if delay = w.delay(now); delay > most {
		return nil, now, delay
	}
	return enqueue(&w.queue, 1, true), now, delay
}

// delay returns the time until who comes now is allowed, if all before it are served when they are due. mu is held and
// the window is full: call number n from now on has to wait for call number n in the ring to leave it.
func (w *SlidingWindow) delay(now int64) time.Duration {
	n, limit, period := w.queue.Len(), len(w.times), int64(w.cfg.Period)
	rounds := min(int64(n/limit), int64(longest)/period) // else it could overflow
	return time.Duration(w.times[(w.first+n)%limit] + period + rounds*period - now)
}

// settle forgets the calls that have left the window, and lets in who waits, in order. mu is held.
func (w *SlidingWindow) settle(now int64) {
	for w.count > 0 && w.times[w.first]+int64(w.cfg.Period) <= now {
		w.first = (w.first + 1) % len(w.times)
		w.count--
	}
	served := false
	for w.count < len(w.times) && w.queue.Len() > 0 {
		w.add(now)
		w.queue.Front().Value.(*entry).grant(&w.queue)
		served = true
	}
	if served {
		callLeader(&w.queue)
	}
}

func (w *SlidingWindow) look(e *entry) (granted bool, after time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	if w.settle(now); e.granted || leader(&w.queue) != e {
		return e.granted, 0
	}
	return false, time.Duration(w.times[w.first] + int64(w.cfg.Period) - now)
}

func (w *SlidingWindow) leave(e *entry) (granted bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.settle(w.now()); e.granted {
		return true
	}
	w.queue.Remove(e.place)
	callLeader(&w.queue)
	return false
}
