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
)

// Breaker stops calling a dependency that fails, and tries again later. Make one with [New]; it is safe for concurrent
// use and holds no goroutine or other resource.
type Breaker struct {
	name     string
	judge    judge
	fallback func(context.Context, error) error
	bus      *hooks.Bus
	registry *Registry // that made it; nil: none
	start    time.Time // zero of the breaker's clock, which is monotonic
	current  atomic.Pointer[phase]

	_ [64]byte // what is above is read by every call, what is below is written

	retired  totals // what is in no window
	ignored  atomic.Uint64
	rejected atomic.Uint64

	mu         sync.Mutex // guards transitions, the probes of a half-open phase, and what follows
	pending    []announcement
	announcing bool
	member     *member // nil: shared with nobody

	shown counts // the highest totals that a snapshot has had
}

// New makes a closed breaker. It returns all mistakes in name and cfg at once.
func New(name string, cfg Config, opts ...Option) (*Breaker, error) {
	cfg = cfg.withDefaults()
	var checks patterns.Checks
	checks.Name(name)
	checks.Include("", cfg.Validate())
	if err := checks.Err(fmt.Sprintf("circuit breaker %q", name)); err != nil {
		return nil, err
	}
	b := &Breaker{name: name, start: time.Now()}
	for _, opt := range opts {
		opt(b)
	}
	settings, err := newSettings(name, cfg, b.bus)
	if err != nil {
		return nil, err
	}
	b.current.Store(&phase{settings: settings, window: newWindow(cfg, 0, &b.retired), alert: &alert{}})
	return b, nil
}

// Name returns the name given to [New].
func (b *Breaker) Name() string { return b.name }

// Config returns the configuration, defaults filled in.
func (b *Breaker) Config() Config { return b.current.Load().settings.cfg }

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
	begun := b.begin(ph)
	judged := false
	defer func() {
		if !judged { // a panic or a Goexit, of the operation or of the classifier
			b.record(ctx, ph, id, begun, patterns.Failure)
		}
	}()
	if limit := ph.settings.limit; limit != nil {
		err = limit.Around(ctx, next, op)
	} else if _, direct := next.(patterns.Direct); direct {
		err = op(ctx) // spares a call
	} else {
		err = next.Execute(ctx, op)
	}
	if err == nil && !dead && b.judge.classify == nil && b.succeed(ph) {
		judged = true
		return nil
	}
	outcome := patterns.Ignored
	if !dead {
		outcome = b.judge.outcome(ctx, err)
	}
	judged = true
	b.record(ctx, ph, id, begun, outcome)
	return err
}

// succeed counts a success of a call that ph admitted, if there is nothing more to it, as there mostly is not. It does
// what record would do, and costs less.
func (b *Breaker) succeed(ph *phase) bool {
	w := ph.window.time
	if w == nil || w.durations != nil || b.current.Load() != ph || ph.alert.word.Load() != 0 {
		return false
	}
	tick := w.tick(b.now())
	count(&w.ring[tick%ringSize][succeeded], tick, 1, &b.retired.results[succeeded])
	return true
}

// now reads the breaker's clock.
func (b *Breaker) now() time.Duration { return time.Since(b.start) }

// unmeasured is the beginning of a call whose duration nobody asks for.
const unmeasured time.Duration = -1

// begin reads the clock if durations are measured.
func (b *Breaker) begin(ph *phase) time.Duration {
	if ph.settings.cfg.SlowCallDuration == 0 {
		return unmeasured
	}
	return b.now()
}

// record counts a result of a call that ph admitted, as the probe id if that is not 0.
func (b *Breaker) record(ctx context.Context, ph *phase, id uint64, begun time.Duration, outcome patterns.Outcome) {
	if ph.state == Disabled {
		return
	}
	if outcome == patterns.Ignored {
		b.ignored.Add(1)
		if id != 0 {
			b.probeReturned(ctx, ph, id, outcome, false)
		}
		return
	}
	current := b.current.Load()
	counts := ph.state == Closed && current.generation == ph.generation
	r := result{failed: outcome == patterns.Failure}
	var now time.Duration
	if begun != unmeasured || counts && current.window.time != nil { // a window by count needs no clock
		now = b.now()
	}
	if begun != unmeasured {
		r.took = now - begun
		r.slow = ph.settings.slow(r.took)
	}
	if counts {
		b.recordClosed(ctx, current, now, r)
		return
	}
	b.retired.add(r)
	if id != 0 {
		b.probeReturned(ctx, ph, id, outcome, r.slow)
	}
}

func (b *Breaker) recordClosed(ctx context.Context, ph *phase, now time.Duration, r result) {
	ph.window.add(now, r)
	alerted := false
	if r.failed {
		if ph.alert.failed() >= int64(ph.settings.cfg.FailureThreshold) {
			b.open(ctx, ph)
			return
		}
	} else if ph.alert.word.Load() != 0 {
		alerted = ph.alert.word.And(waiting)&waiting != 0
	}
	if r.failed || r.slow || alerted {
		b.openIfRateReached(ctx, ph, now)
	}
}

func (b *Breaker) openIfRateReached(ctx context.Context, ph *phase, now time.Duration) {
	t, s := ph.window.sum(now), ph.settings
	reached := atLeast(t.failures, t.calls, s.failureRate) || t.slow > 0 && atLeast(t.slow, t.calls, s.slowRate)
	enough := t.calls >= uint64(s.cfg.MinimumCalls)
	if reached && enough {
		b.open(ctx, ph)
		return
	}
	ph.alert.wait(reached && !enough)
}

// atLeast reports whether part/whole >= threshold/rateUnit, exactly.
func atLeast(part, whole, threshold uint64) bool {
	leftHigh, leftLow := bits.Mul64(part, rateUnit)
	rightHigh, rightLow := bits.Mul64(whole, threshold)
	return leftHigh > rightHigh || leftHigh == rightHigh && leftLow >= rightLow
}
