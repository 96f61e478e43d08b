package throttle

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/ratelimit"
)

// AdaptiveConfig bounds an [Adaptive].
type AdaptiveConfig struct {
	// K is how many times as many calls as succeed are sent; zero: 2. The lower, the less a dependency that is
	// overloaded gets beyond what it can take, and the longer it takes to see that it has recovered.
	K            float64       `koanf:"k"`
	Window       time.Duration `koanf:"window"`        // for how long a call is remembered; zero: 30 s
	MaxRejection float64       `koanf:"max_rejection"` // share of calls that is rejected at most; zero: 0.9
	MinRequests  int           `koanf:"min_requests"`  // calls in the window before any is rejected; zero: 20
}

// DefaultAdaptiveConfig returns K 2, a window of 30 s, at most 90 % rejections, and these after 20 calls.
func DefaultAdaptiveConfig() AdaptiveConfig {
	return AdaptiveConfig{K: 2, Window: 30 * time.Second, MaxRejection: 0.9, MinRequests: 20}
}

// Validate reports everything that is wrong with c, zero fields included: it judges a complete configuration.
func (c AdaptiveConfig) Validate() error {
	var checks patterns.Checks
	checks.That(c.K >= 1 && c.K <= 1000, "k", "must be from 1 to 1000, got %v", c.K)
	checks.That(c.Window >= time.Millisecond, "window", "must be at least 1ms, got %v", c.Window)
	checks.That(c.MaxRejection > 0 && c.MaxRejection < 1, "max_rejection",
		"must be above 0 and below 1, or a recovery would never be seen; got %v", c.MaxRejection)
	checks.That(c.MinRequests >= 1, "min_requests", "must be at least 1, got %d", c.MinRequests)
	return checks.Err("")
}

func (c AdaptiveConfig) withDefaults() AdaptiveConfig {
	d := DefaultAdaptiveConfig()
	return AdaptiveConfig{
		K: cmp.Or(c.K, d.K), Window: cmp.Or(c.Window, d.Window),
		MaxRejection: cmp.Or(c.MaxRejection, d.MaxRejection), MinRequests: cmp.Or(c.MinRequests, d.MinRequests),
	}
}

// Adaptive rejects calls with the probability max(0, (requests - K * accepts) / (requests + 1)), where accepts are the
// calls in the window that succeeded and requests are all, with those that were rejected here: so the dependency gets
// about K times what it can take, however much is wanted. This is the client-side throttling of the book "Site
// Reliability Engineering", chapter "Handling Overload", with an upper bound to the probability, since without one a
// client would take many windows to see a recovery. It is safe for concurrent use.
type Adaptive struct {
	name     string
	cfg      AdaptiveConfig
	start    time.Time
	width    time.Duration // of a slot
	bus      *hooks.Bus
	classify func(context.Context, error) patterns.Outcome

	rejecting atomic.Bool   // the probability was above 0 when it was last looked at
	rejected  atomic.Uint64 // since the start

	mu    sync.Mutex
	slots [slots]counts
	total counts // of all slots
	slot  int64  // the current one, counted since start
}

// slots is how many parts the window has. The oldest is forgotten as a whole.
const slots = 10

type counts struct{ requests, accepts int }

var (
	_ patterns.Layer      = (*Adaptive)(nil)
	_ patterns.Composer   = (*Adaptive)(nil)
	_ patterns.Sequential = (*Adaptive)(nil)
)

// WithClassifier lets classify judge every call that returned to an [Adaptive], in the place of patterns.Classify: a
// failure is a request, a success is an accept too, and what is ignored is neither. It must be quick and safe for
// concurrent use. A panic of the operation is a failure without asking. A [Throttler] does not ask.
func WithClassifier(classify func(ctx context.Context, err error) patterns.Outcome) Option {
	return func(o *options) { o.classify = classify }
}

// NewAdaptive returns a throttle that has seen no call yet. The name appears in errors and events. The error lists
// everything that is wrong with name and cfg, in which a zero field takes its default; it satisfies
// errors.Is(err, [patterns.ErrConfiguration]).
func NewAdaptive(name string, cfg AdaptiveConfig, opts ...Option) (*Adaptive, error) {
	cfg = cfg.withDefaults()
	var checks patterns.Checks
	checks.Name(name)
	checks.Include("", cfg.Validate())
	if err := checks.Err(fmt.Sprintf("adaptive throttle %q", name)); err != nil {
		return nil, err
	}
	o := apply(opts)
	return &Adaptive{
		name: name, cfg: cfg, start: time.Now(), width: cfg.Window / slots, bus: o.bus, classify: o.classify,
	}, nil
}

// Name returns the name given to [NewAdaptive].
func (a *Adaptive) Name() string { return a.name }

// Config returns the configuration in use, defaults filled in.
func (a *Adaptive) Config() AdaptiveConfig { return a.cfg }

// Execute runs op, or rejects the call with a [*ratelimit.LimitedError]. An operation counts when it ends. If it
// panics or calls runtime.Goexit, that is a failure.
func (a *Adaptive) Execute(ctx context.Context, op patterns.Operation) error {
	return a.Around(ctx, patterns.Direct{}, op)
}

// Around is Execute with next.Execute(ctx, op) in the place of op(ctx).
func (a *Adaptive) Around(ctx context.Context, next patterns.Policy, op patterns.Operation) error {
	if a.rejecting.Load() && a.reject() {
		a.rejected.Add(1)
		if a.bus.Wanted(hooks.RateLimited{}) { // else save the clock reading
			hooks.Emit(ctx, a.bus, hooks.RateLimited{Name: a.name, At: time.Now()})
		}
		return &ratelimit.LimitedError{Name: a.name}
	}
	outcome := patterns.Failure // unless it returns
	defer func() { a.record(outcome) }()
	err := next.Execute(ctx, op)
	outcome = a.classify(ctx, err)
	return err
}

// Compose returns a policy that runs next inside of this throttle.
func (a *Adaptive) Compose(next patterns.Policy) patterns.Policy { return patterns.Link(a, next) }

// Sequential reports true.
func (a *Adaptive) Sequential() bool { return true }

// AdaptiveStats is a snapshot of an [Adaptive].
type AdaptiveStats struct {
	Name        string
	Requests    int     // in the window: calls that ended and were not ignored, and those that were rejected
	Accepts     int     // of these: calls that succeeded
	Probability float64 // with which a call is rejected
	Rejected    uint64  // calls since the start
}

// Stats returns a snapshot.
func (a *Adaptive) Stats() AdaptiveStats {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forget()
	p := a.probability()
	return AdaptiveStats{
		Name: a.name, Requests: a.total.requests, Accepts: a.total.accepts, Probability: p, Rejected: a.rejected.Load(),
	}
}

// reject draws a lot. A rejected call counts as a request that was not accepted.
func (a *Adaptive) reject() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forget()
	if rand.Float64() >= a.probability() {
		return false
	}
	a.add(counts{requests: 1})
	return true
}

func (a *Adaptive) record(outcome patterns.Outcome) {
	if outcome == patterns.Ignored {
		return
	}
	c := counts{requests: 1}
	if outcome == patterns.Success {
		c.accepts = 1
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forget()
	a.add(c)
	a.probability() // whether the next call must draw a lot
}

func (a *Adaptive) add(c counts) {
	now := &a.slots[a.slot%slots]
	now.requests += c.requests
	now.accepts += c.accepts
	a.total.requests += c.requests
	a.total.accepts += c.accepts
}

// probability returns the probability with which a call is rejected now, and notes whether it is above 0. mu is held and the
// window is up to date.
func (a *Adaptive) probability() float64 {
	p := 0.0
	if requests := a.total.requests; requests >= a.cfg.MinRequests {
		p = (float64(requests) - a.cfg.K*float64(a.total.accepts)) / float64(requests+1)
		p = min(max(0, p), a.cfg.MaxRejection)
	}
	if rejecting := p > 0; rejecting != a.rejecting.Load() {
		a.rejecting.Store(rejecting)
	}
	return p
}

// forget empties the slots that have left the window. mu is held.
func (a *Adaptive) forget() {
	current := int64(time.Since(a.start) / a.width)
	if current-a.slot >= slots {
		a.slots, a.total, a.slot = [slots]counts{}, counts{}, current
	}
	for a.slot < current {
		a.slot++
		gone := &a.slots[a.slot%slots]
		a.total.requests -= gone.requests
		a.total.accepts -= gone.accepts
		*gone = counts{}
	}
}
