package bulkhead

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
)

// Bulkhead runs a bounded number of operations at once. It is safe for concurrent use.
type Bulkhead struct {
	name    string
	timeout time.Duration
	bus     *hooks.Bus
	slots   slots

	adaptive bool // an Adaptive resizes it

	full, timedOut, canceled, tooHeavy atomic.Uint64 // rejections
}

var (
	_ patterns.Layer      = (*Bulkhead)(nil)
	_ patterns.Composer   = (*Bulkhead)(nil)
	_ patterns.Sequential = (*Bulkhead)(nil)
)

// Option changes how a [Bulkhead] or an [Adaptive] is built.
type Option func(*Bulkhead)

// WithBus sends [hooks.BulkheadRejected] to bus.
func WithBus(bus *hooks.Bus) Option { return func(b *Bulkhead) { b.bus = bus } }

// New returns a bulkhead with all its slots free. The name appears in errors and events. The error lists everything
// that is wrong with name and cfg; it satisfies errors.Is(err, [patterns.ErrConfiguration]).
func New(name string, cfg Config, opts ...Option) (*Bulkhead, error) {
	cfg = cfg.withDefaults()
	var checks patterns.Checks
	checks.Name(name)
	checks.Include("", cfg.Validate())
	if err := checks.Err(fmt.Sprintf("bulkhead %q", name)); err != nil {
		return nil, err
	}
	b := &Bulkhead{name: name, timeout: cfg.Timeout}
	b.slots.open(uint64(cfg.MaxConcurrent), uint64(cfg.QueueSize))
	for _, opt := range opts {
		opt(b)
	}
	return b, nil
}

// Name returns the name given to [New].
func (b *Bulkhead) Name() string { return b.name }

// Config returns the configuration in use, defaults filled in and as the last [Bulkhead.Resize] left it.
func (b *Bulkhead) Config() Config {
	return Config{
		MaxConcurrent: int(b.slots.limit.Load()), QueueSize: int(b.slots.places.Load()), Timeout: b.timeout,
	}
}

// Execute runs op in a slot, for which it waits in the queue if it must. Without a slot op is not run and the error is
// a [*RejectedError]; that is so from the start if ctx has already ended. The slot becomes free when op returns, panics
// or calls runtime.Goexit.
func (b *Bulkhead) Execute(ctx context.Context, op patterns.Operation) error {
	if err := b.acquire(ctx, 1); err != nil {
		return err
	}
	defer b.slots.release(1)
	return op(ctx)
}

// Around is Execute with next.Execute(ctx, op) in the place of op(ctx).
func (b *Bulkhead) Around(ctx context.Context, next patterns.Policy, op patterns.Operation) error {
	if err := b.acquire(ctx, 1); err != nil {
		return err
	}
	defer b.slots.release(1)
	return next.Execute(ctx, op)
}

// Compose returns a policy that runs next inside of this bulkhead.
func (b *Bulkhead) Compose(next patterns.Policy) patterns.Policy { return patterns.Link(b, next) }

// Sequential reports true.
func (b *Bulkhead) Sequential() bool { return true }

// Resize changes the number of slots and of places in the queue. Slots that are added go to who waits. If there are
// fewer, those in use stay so until they are released, and who waits keeps its place, except a caller of
// [Bulkhead.AcquireN] that wants more slots than there are from now on: that one is rejected. The ranges are those of
// [Config], but zero slots are an error. The error lists everything that is wrong with the numbers and satisfies
// errors.Is(err, [patterns.ErrConfiguration]).
func (b *Bulkhead) Resize(maxConcurrent, queueSize int) error {
	var checks patterns.Checks
	checkSize(&checks, maxConcurrent, queueSize)
	if err := checks.Err(fmt.Sprintf("bulkhead %q", b.name)); err != nil {
		return err
	}
	b.slots.resize(uint64(maxConcurrent), uint64(queueSize))
	return nil
}

// acquire takes n slots, or returns a [*RejectedError].
func (b *Bulkhead) acquire(ctx context.Context, n int) error {
	if ctx.Err() != nil {
		return b.reject(ctx, ReasonCanceled, 0)
	}
	if n > 0 && b.slots.take(uint64(n)) {
		return nil
	}
	return b.wait(ctx, n)
}

func (b *Bulkhead) wait(ctx context.Context, n int) error {
	switch {
	case n < 1 || uint64(n) > b.slots.limit.Load():
		return b.reject(ctx, ReasonWeight, 0)
	case b.slots.full(uint64(n)):
		return b.reject(ctx, ReasonFull, 0)
	}
	done := ctx.Done()
	w, answer := b.slots.join(uint64(n))
	switch answer {
	case granted:
		return nil
	case tooHeavy:
		return b.reject(ctx, ReasonWeight, 0)
	case gone:
		return b.reject(ctx, ReasonFull, 0)
	}
	begun := time.Now()
	timer := time.NewTimer(b.timeout)
	defer timer.Stop()
	select {
	case <-w.called:
	case <-timer.C:
		b.slots.leave(w)
	case <-done:
		b.slots.leave(w)
	}
	waited := time.Since(begun)
	switch {
	case ctx.Err() != nil:
		if w.state == granted {
			b.slots.release(w.n)
		}
		return b.reject(ctx, ReasonCanceled, waited)
	case w.state == granted:
		return nil
	case w.state == tooHeavy:
		return b.reject(ctx, ReasonWeight, waited)
	default:
		return b.reject(ctx, ReasonTimeout, waited)
	}
}

func (b *Bulkhead) reject(ctx context.Context, reason Reason, waited time.Duration) error {
	e := &RejectedError{
		Name: b.name, Reason: reason, Waited: waited,
		MaxConcurrent: int(b.slots.limit.Load()), QueueSize: int(b.slots.places.Load()), Adaptive: b.adaptive,
	}
	switch reason {
	case ReasonFull:
		b.full.Add(1)
	case ReasonTimeout:
		b.timedOut.Add(1)
	case ReasonWeight:
		b.tooHeavy.Add(1)
	case ReasonCanceled:
		b.canceled.Add(1)
		e.Err = patterns.Ended(ctx)
	}
	if b.bus.Wanted(hooks.BulkheadRejected{}) { // else save the clock reading: rejecting must stay cheap under overload
		hooks.Emit(ctx, b.bus, hooks.BulkheadRejected{
			Name: b.name, Reason: string(reason), Waited: waited, At: time.Now(),
		})
	}
	return e
}
