package circuitbreaker

import (
	"context"
	"fmt"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/timeout"
)

// Breaker stops calling a dependency that fails, and tries again later. Make one with [New]; it is safe for concurrent
// use and holds no goroutine or other resource.
type Breaker struct {
	name      string
	cfg       Config
	threshold uint64 // FailureRateThreshold in parts of rateUnit, rounded down so that two thirds reach 2.0/3
	lease     time.Duration
	judge     judge
	fallback  func(context.Context, error) error
	limit     *timeout.Policy // nil: none
	bus       *hooks.Bus
	start     time.Time // zero of the breaker's clock, which is monotonic
	current   atomic.Pointer[phase]

	_ [64]byte // what is above is read by every call, what is below is written

	window   window
	ignored  atomic.Uint64
	rejected atomic.Uint64

	mu         sync.Mutex // guards transitions, the probes of a half-open phase, and what follows
	pending    []announcement
	announcing bool

	shownSuccesses, shownFailures uint64 // the highest totals that a snapshot has had
}

// rateUnit makes a rate an integer, so that 7 of 100 calls are exactly 0.07.
const rateUnit = 1_000_000_000

// New makes a closed breaker. It returns all mistakes in name and cfg at once.
func New(name string, cfg Config, opts ...Option) (*Breaker, error) {
	cfg = cfg.withDefaults()
	var checks patterns.Checks
	checks.Name(name)
	checks.Include("", cfg.Validate())
	if err := checks.Err(fmt.Sprintf("circuit breaker %q", name)); err != nil {
		return nil, err
	}
	b := &Breaker{
		name: name, cfg: cfg, lease: cfg.RecoveryTimeout, start: time.Now(),
		threshold: uint64(cfg.FailureRateThreshold*rateUnit + 1e-6),
		window:    window{bucket: max(1, cfg.SlidingWindow/buckets)},
	}
	for _, opt := range opts {
		opt(b)
	}
	if cfg.Timeout > 0 {
		limit, err := timeout.New(name, timeout.Config{Timeout: cfg.Timeout, Message: "Circuit breaker call timed out"},
			timeout.WithBus(b.bus))
		if err != nil {
			return nil, err
		}
		b.limit, b.lease = limit, cfg.Timeout
	}
	b.current.Store(&phase{})
	return b, nil
}

// Name returns the name given to [New].
func (b *Breaker) Name() string { return b.name }

// Config returns the configuration, defaults filled in.
func (b *Breaker) Config() Config { return b.cfg }

// Execute runs op if the circuit lets it through, and counts the outcome. Otherwise it returns an [*OpenError], or what
// the fallback of [WithFallback] returns, without running op. A call whose context has already ended is not counted:
// the dependency had no chance.
func (b *Breaker) Execute(ctx context.Context, op patterns.Operation) error {
	return b.Around(ctx, patterns.Direct{}, op)
}

// Around is Execute with next.Execute(ctx, op) in the place of op(ctx).
func (b *Breaker) Around(ctx context.Context, next patterns.Policy, op patterns.Operation) error {
	ph := b.current.Load()
	if ph.state == Closed {
		return b.run(ctx, ph, 0, next, op)
	}
	ph, id, err := b.admit(ctx)
	if err != nil {
		if b.fallback != nil {
			return b.fallback(ctx, err)
		}
		return err
	}
	return b.run(ctx, ph, id, next, op)
}

// Compose returns a policy that runs next inside of the breaker.
func (b *Breaker) Compose(next patterns.Policy) patterns.Policy { return patterns.Link(b, next) }

// Sequential reports true: a breaker runs an operation at most once, and to its end.
func (b *Breaker) Sequential() bool { return true }

func (b *Breaker) run(
	ctx context.Context, ph *phase, id uint64, next patterns.Policy, op patterns.Operation,
) (err error) {
	dead := ctx.Err() != nil
	judged := false
	defer func() {
		if !judged { // a panic or a Goexit, of the operation or of the classifier
			b.record(ctx, ph, id, patterns.Failure)
		}
	}()
	if b.limit == nil {
		err = next.Execute(ctx, op)
	} else {
		err = b.limit.Around(ctx, next, op)
	}
	outcome := patterns.Ignored
	if !dead {
		outcome = b.judge.outcome(ctx, err)
	}
	judged = true
	b.record(ctx, ph, id, outcome)
	return err
}

// now reads the breaker's clock.
func (b *Breaker) now() time.Duration { return time.Since(b.start) }

// record counts a result of a call that ph admitted, as the probe id if that is not 0.
func (b *Breaker) record(ctx context.Context, ph *phase, id uint64, outcome patterns.Outcome) {
	if ph.state == Closed && outcome != patterns.Ignored {
		// The clock is read first: what is counted after the phase has ended must not be in a bucket of the next one.
		tick := ph.tick(b.now(), b.window.bucket)
		if b.current.Load() == ph {
			b.recordClosed(ctx, ph, tick, outcome)
			return
		}
	}
	if ph.state == Disabled {
		return
	}
	switch outcome { // counted outside of any window
	case patterns.Success:
		b.window.retiredSuccesses.Add(1)
	case patterns.Failure:
		b.window.retiredFailures.Add(1)
	case patterns.Ignored:
		b.ignored.Add(1)
	}
	if id != 0 {
		b.probeReturned(ctx, ph, id, outcome)
	}
}

func (b *Breaker) recordClosed(ctx context.Context, ph *phase, tick uint64, outcome patterns.Outcome) {
	if outcome == patterns.Success {
		b.window.success(tick)
		if ph.consecutive.Load() != 0 {
			ph.consecutive.Store(0)
		}
		if ph.waiting.Load() {
			b.openIfRateReached(ctx, ph, tick)
		}
		return
	}
	b.window.failure(tick)
	if ph.consecutive.Add(1) >= int64(b.cfg.FailureThreshold) {
		b.open(ctx, ph)
		return
	}
	b.openIfRateReached(ctx, ph, tick)
}

func (b *Breaker) openIfRateReached(ctx context.Context, ph *phase, tick uint64) {
	successes, failures := b.window.sum(tick, ph.span(tick))
	calls := successes + failures
	reached := atLeast(failures, calls, b.threshold)
	enough := calls >= uint64(b.cfg.MinimumCalls)
	if reached && enough {
		b.open(ctx, ph)
		return
	}
	if waiting := reached && !enough; waiting != ph.waiting.Load() {
		ph.waiting.Store(waiting)
	}
}

// atLeast reports whether part/whole >= threshold/rateUnit, exactly.
func atLeast(part, whole, threshold uint64) bool {
	leftHigh, leftLow := bits.Mul64(part, rateUnit)
	rightHigh, rightLow := bits.Mul64(whole, threshold)
	return leftHigh > rightHigh || leftHigh == rightHigh && leftLow >= rightLow
}
