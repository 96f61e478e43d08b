package bulkhead

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/steadyfx/steady/patterns"
)

// Adaptive is a bulkhead that finds out by itself how many operations may run at once: the limit follows an
// [Algorithm], which learns from how long each call took and whether it succeeded ([patterns.Classify]). Calls that were
// rejected or ignored teach it nothing, and while fewer calls run than half the limit, fast ones do not raise it. It is
// safe for concurrent use.
type Adaptive struct {
	bulkhead *Bulkhead
	cfg      AdaptiveConfig
	start    time.Time // what its clock readings count from

	mu        sync.Mutex
	algorithm algorithm
	limit     int
}

var (
	_ patterns.Layer      = (*Adaptive)(nil)
	_ patterns.Composer   = (*Adaptive)(nil)
	_ patterns.Sequential = (*Adaptive)(nil)
)

// NewAdaptive returns an adaptive bulkhead with all its slots free. The name appears in errors and events. The error
// lists everything that is wrong with name and cfg; it satisfies errors.Is(err, [patterns.ErrConfiguration]).
func NewAdaptive(name string, cfg AdaptiveConfig, opts ...Option) (*Adaptive, error) {
	cfg = cfg.withDefaults()
	var checks patterns.Checks
	checks.Name(name)
	checks.Include("", cfg.Validate())
	if err := checks.Err(fmt.Sprintf("bulkhead %q", name)); err != nil {
		return nil, err
	}
	b, err := New(name, Config{MaxConcurrent: cfg.InitialLimit, QueueSize: cfg.QueueSize, Timeout: cfg.Timeout}, opts...)
	if err != nil {
		return nil, err
	}
	b.adaptive = true
	return &Adaptive{
		bulkhead: b, cfg: cfg, start: time.Now(), algorithm: newAlgorithm(cfg), limit: cfg.InitialLimit,
	}, nil
}

// Name returns the name given to [NewAdaptive].
func (a *Adaptive) Name() string { return a.bulkhead.name }

// Config returns the configuration in use, defaults filled in.
func (a *Adaptive) Config() AdaptiveConfig { return a.cfg }

// Execute runs op in a slot as [Bulkhead.Execute] does, and learns from it. A panic or a runtime.Goexit is a failure.
func (a *Adaptive) Execute(ctx context.Context, op patterns.Operation) error {
	return a.Around(ctx, patterns.Direct{}, op)
}

// Around is Execute with next.Execute(ctx, op) in the place of op(ctx).
func (a *Adaptive) Around(ctx context.Context, next patterns.Policy, op patterns.Operation) error {
	if err := a.bulkhead.acquire(ctx, 1); err != nil {
		return err
	}
	inFlight, begun := a.bulkhead.slots.inUse(), time.Since(a.start)
	outcome := patterns.Failure
	defer func() {
		if outcome != patterns.Ignored {
			a.learn(inFlight, begun, outcome)
		}
		a.bulkhead.slots.release(1)
	}()
	err := next.Execute(ctx, op)
	outcome = patterns.Classify(ctx, err)
	return err
}

// Compose returns a policy that runs next inside of this bulkhead.
func (a *Adaptive) Compose(next patterns.Policy) patterns.Policy { return patterns.Link(a, next) }

// Sequential reports true.
func (a *Adaptive) Sequential() bool { return true }

// Metrics returns a snapshot. MaxConcurrent is the limit at present.
func (a *Adaptive) Metrics() Metrics { return a.bulkhead.Metrics() }

func (a *Adaptive) learn(inFlight int, begun time.Duration, outcome patterns.Outcome) {
	now := time.Since(a.start)
	s := sample{at: now, latency: max(now-begun, 1), inFlight: inFlight, failed: outcome == patterns.Failure}
	a.mu.Lock()
	defer a.mu.Unlock()
	if limit := a.algorithm.update(s); limit != a.limit {
		a.limit = limit
		a.bulkhead.slots.resize(uint64(limit), a.bulkhead.slots.places.Load())
	}
}
