package ratelimit

import (
	"cmp"
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
)

// DistributedConfig bounds a [Distributed].
type DistributedConfig struct {
	Algorithm Algorithm     `koanf:"algorithm"` // empty: token_bucket
	Limit     int           `koanf:"limit"`     // calls per Period of all who share the limit; zero: 100
	Period    time.Duration `koanf:"period"`    // of a millisecond to 100 days; zero: 1 s
	Burst     int           `koanf:"burst"`     // calls at once after a quiet time, for token_bucket; zero: Limit

	// MaxWait is how long a call waits at most; zero: as long as its context lives, but not at all if
	// that has no deadline and is one of patterns.WithBoundedWaits, as in resiliencehttp.Handler; negative: not at all.
	MaxWait time.Duration `koanf:"max_wait"`

	Timeout time.Duration `koanf:"timeout"` // for each answer of the store; zero: 100 ms

	// Fail says what happens while the store does not answer; empty: local.
	Fail FailMode `koanf:"fail"`

	// Replicas is how many share the limit. With Fail local, each allows its part by itself while the store does not
	// answer, rounded up; zero: 1, so that each allows as much as otherwise all together.
	Replicas int `koanf:"replicas"`
}

// FailMode says what a [Distributed] does while its store does not answer.
type FailMode string

// The modes there are.
const (
	FailOpen   FailMode = "open"   // allow every call
	FailClosed FailMode = "closed" // refuse every call, with an [*UnavailableError]
	FailLocal  FailMode = "local"  // decide alone, by a token bucket for a part of the limit
)

// DefaultDistributedConfig returns 100 calls a second, in bursts of up to 100, answers within 100 ms, and a replica
// that decides alone, for the whole limit, while there are none.
func DefaultDistributedConfig() DistributedConfig {
	d := DefaultConfig()
	return DistributedConfig{
		Algorithm: GCRA, Limit: d.Limit, Period: d.Period, Burst: d.Burst,
		Timeout: 100 * time.Millisecond, Fail: FailLocal, Replicas: 1,
	}
}

// Validate reports everything that is wrong with c, zero fields included but for Burst, where zero means Limit: it
// judges a complete configuration.
func (c DistributedConfig) Validate() error {
	var checks patterns.Checks
	c.withBurst().request("").checkLimit(&checks)
	checks.That(c.Timeout > 0, "timeout", "must be positive, got %v", c.Timeout)
	checks.That(c.Fail == FailOpen || c.Fail == FailClosed || c.Fail == FailLocal, "fail",
		"must be %s, %s or %s, got %q", FailOpen, FailClosed, FailLocal, c.Fail)
	checks.That(c.Replicas >= 1, "replicas", "must be at least 1, got %d", c.Replicas)
	return checks.Err("")
}

func (c DistributedConfig) withDefaults() DistributedConfig {
	d := DefaultDistributedConfig()
	c.Algorithm = cmp.Or(c.Algorithm, d.Algorithm)
	c.Limit = cmp.Or(c.Limit, d.Limit)
	c.Period = cmp.Or(c.Period, d.Period)
	c.Timeout = cmp.Or(c.Timeout, d.Timeout)
	c.Fail = cmp.Or(c.Fail, d.Fail)
	c.Replicas = cmp.Or(c.Replicas, d.Replicas)
	return c.withBurst()
}

func (c DistributedConfig) withBurst() DistributedConfig {
	if c.Algorithm == GCRA {
		c.Burst = cmp.Or(c.Burst, c.Limit)
	}
	return c
}

// request returns the request for one call.
func (c DistributedConfig) request(key string) Request {
	return Request{Key: key, N: 1, Algorithm: c.Algorithm, Limit: c.Limit, Period: c.Period, Burst: c.Burst}
}

// most returns how many calls there can be at once.
func (c DistributedConfig) most() int { return cmp.Or(c.Burst, c.Limit) }

// part returns the token bucket of one replica.
func (c DistributedConfig) part() Config {
	return Config{
		Limit: (c.Limit + c.Replicas - 1) / c.Replicas, Period: c.Period,
		Burst: (c.most() + c.Replicas - 1) / c.Replicas,
	}
}

// Distributed limits the calls of all who share a [Store] and a name, together. The store decides, in one round trip for
// each call, and none for a call of which it is known from an earlier answer that it would be denied. Calls that wait
// here do so first come, first served, and only the first of them asks the store; between replicas there is no order.
//
// When the store does not answer in time, the limiter goes on as FailMode says, and asks again every second or less, with
// one call, until there is an answer. The change and its end are announced as [hooks.RateLimiterDegraded] and
// [hooks.RateLimiterRecovered].
type Distributed struct {
	name     string
	cfg      DistributedConfig
	patience time.Duration
	store    Store
	bus      *hooks.Bus
	start    time.Time
	local    *TokenBucket // for FailLocal
	tally

	denial    atomic.Pointer[denial]
	remaining atomic.Int64           // by the last answer
	outage    atomic.Pointer[outage] // nil while the store answers

	waiting atomic.Int64  // calls
	turn    chan struct{} // is full while one of them asks the store
}

// denial is an answer of the store that holds for a while: n calls are too many, and so is more.
type denial struct {
	n     int
	until int64 // nanoseconds since the start of the limiter
}

var (
	_ Limiter             = (*Distributed)(nil)
	_ patterns.Layer      = (*Distributed)(nil)
	_ patterns.Composer   = (*Distributed)(nil)
	_ patterns.Sequential = (*Distributed)(nil)
)

// NewDistributed returns a limiter of what is called name in store. It asks the store nothing yet. The error lists
// everything that is wrong with the arguments; in cfg a zero field takes its default. It satisfies
// errors.Is(err, [patterns.ErrConfiguration]).
func NewDistributed(name string, cfg DistributedConfig, store Store, opts ...Option) (*Distributed, error) {
	cfg = cfg.withDefaults()
	var checks patterns.Checks
	checks.Name(name)
	checks.That(store != nil, "store", "must not be nil")
	checks.Include("", cfg.Validate())
	if err := checks.Err(fmt.Sprintf("rate limiter %q", name)); err != nil {
		return nil, err
	}
	local, err := NewTokenBucket(name, cfg.part())
	if err != nil {
		return nil, err
	}
	d := &Distributed{
		name: name, cfg: cfg, patience: patience(cfg.MaxWait), store: store, bus: apply(opts).bus,
		start: time.Now(), local: local, turn: make(chan struct{}, 1),
	}
	d.remaining.Store(int64(cfg.most()))
	return d, nil
}

// Name returns the name given to [NewDistributed].
func (d *Distributed) Name() string { return d.name }

// Config returns the configuration in use, defaults filled in.
func (d *Distributed) Config() DistributedConfig { return d.cfg }

// Execute runs op when it is allowed, after a wait if need be. If it is not, op is not run and the error is that of
// [Distributed.Acquire].
func (d *Distributed) Execute(ctx context.Context, op patterns.Operation) error {
	if err := d.Acquire(ctx); err != nil {
		return err
	}
	return op(ctx)
}

// Around is Execute with next.Execute(ctx, op) in the place of op(ctx).
func (d *Distributed) Around(ctx context.Context, next patterns.Policy, op patterns.Operation) error {
	if err := d.Acquire(ctx); err != nil {
		return err
	}
	return next.Execute(ctx, op)
}

// Compose returns a policy that runs next inside of this limiter.
func (d *Distributed) Compose(next patterns.Policy) patterns.Policy { return patterns.Link(d, next) }

// Sequential reports true.
func (d *Distributed) Sequential() bool { return true }

// TryAcquire reports whether a call may be made now, and if so counts it. It takes as long as the store does, at most
// Timeout. It does not overtake calls that wait here.
func (d *Distributed) TryAcquire() bool { return d.try(1) }

// TryAcquireN is TryAcquire for n calls, all of them or none. It reports false if n is less than 1 or more than Burst, or
// Limit where there is no burst.
func (d *Distributed) TryAcquireN(n int) bool { return d.check(n) == nil && d.try(n) }

func (d *Distributed) try(n int) bool {
	ctx := context.Background()
	var wait time.Duration
	var err error
	if d.waiting.Load() > 0 {
		wait = d.known(n)
	} else if wait, err = d.decide(ctx, n); wait == 0 && err == nil {
		d.allowed.Add(1)
		return true
	}
	d.denied.Add(1)
	announce(ctx, d.bus, d.name, func() time.Duration { return wait })
	return false
}

// Acquire returns nil when the call may be made, after a wait if need be. It returns a [*LimitedError] at once if that
// would take longer than MaxWait or until the deadline of ctx, or later, if calls of others make it so, but no later
// than that; a [*CanceledError] if ctx has ended or ends meanwhile; and with [FailClosed] an [*UnavailableError] while
// the store does not answer.
func (d *Distributed) Acquire(ctx context.Context) error { return d.acquire(ctx, 1) }

// AcquireN is Acquire for n calls. If n is less than 1 or more than Burst, or Limit where there is no burst, the error
// satisfies errors.Is(err, [patterns.ErrConfiguration]).
func (d *Distributed) AcquireN(ctx context.Context, n int) error {
	if err := d.check(n); err != nil {
		return err
	}
	return d.acquire(ctx, n)
}

func (d *Distributed) check(n int) error {
	if d.cfg.Algorithm == GCRA {
		return checkN(d.name, n, "burst", d.cfg.Burst)
	}
	return checkN(d.name, n, "limit", d.cfg.Limit)
}

func (d *Distributed) acquire(ctx context.Context, n int) error {
	if ctx.Err() != nil {
		return d.canceled(ctx, d.name, 0)
	}
	var wait time.Duration
	if d.waiting.Load() > 0 {
		wait = d.known(n)
	} else {
		var err error
		if wait, err = d.decide(ctx, n); err != nil {
			return d.failed(ctx, err, 0)
		}
		if wait == 0 {
			d.allowed.Add(1)
			return nil
		}
	}
	if most := budget(ctx, d.patience); wait <= most {
		return d.await(ctx, n, most)
	}
	return d.limited(ctx, wait)
}

// await waits until n calls are allowed: first for its turn, and then as the store says.
func (d *Distributed) await(ctx context.Context, n int, most time.Duration) error {
	begun := d.now()
	d.waiting.Add(1)
	defer func() {
		d.waiting.Add(-1)
		d.waited.Add(d.now() - begun)
	}()
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-timer.C:
		return d.limited(ctx, d.known(n))
	case <-ctx.Done():
		return d.canceled(ctx, d.name, time.Duration(d.now()-begun))
	}
	for {
		wait, err := d.decide(ctx, n)
		waited := time.Duration(d.now() - begun)
		switch {
		case err != nil:
			return d.failed(ctx, err, waited)
		case wait == 0:
			d.allowed.Add(1)
			return nil
		case wait > most-waited:
			return d.limited(ctx, wait)
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			return d.canceled(ctx, d.name, time.Duration(d.now()-begun))
		}
	}
}

// limited counts, announces and returns the refusal of a call.
func (d *Distributed) limited(ctx context.Context, wait time.Duration) error {
	d.denied.Add(1)
	announce(ctx, d.bus, d.name, func() time.Duration { return wait })
	return &LimitedError{Name: d.name, Limit: d.cfg.Limit, Period: d.cfg.Period, RetryAfter: wait}
}

// failed counts, announces and returns the error of a call that could not be decided.
func (d *Distributed) failed(ctx context.Context, err error, waited time.Duration) error {
	if ctx.Err() != nil {
		return d.canceled(ctx, d.name, waited)
	}
	d.denied.Add(1)
	announce(ctx, d.bus, d.name, func() time.Duration { wait, _ := patterns.RetryIn(err); return wait })
	return err
}

// Stats returns what this limiter has done, not what others have that share its limit.
func (d *Distributed) Stats() Stats { return d.stats(d.name, d.cfg.Limit, d.cfg.Period) }

// RateLimit describes the limit as the store described it last.
func (d *Distributed) RateLimit() patterns.RateLimit {
	l := patterns.RateLimit{
		Name: d.name, Quota: d.cfg.Limit, Window: d.cfg.Period, Remaining: int(d.remaining.Load()), Reset: d.known(1),
	}
	if l.Reset > 0 {
		l.Remaining = 0
	}
	return l
}

func (d *Distributed) now() int64 { return int64(time.Since(d.start)) }

// known returns how long n calls are denied by what the store has answered before, or 0.
func (d *Distributed) known(n int) time.Duration {
	if last := d.denial.Load(); last != nil && n >= last.n {
		return time.Duration(max(0, last.until-d.now()))
	}
	return 0
}

// decide returns how long n calls have to wait, 0 if they have been allowed, or why that is not known.
func (d *Distributed) decide(ctx context.Context, n int) (wait time.Duration, err error) {
	if wait := d.known(n); wait > 0 {
		return wait, nil
	}
	o := d.outage.Load()
	if o != nil && !o.mayAsk(d.now()) {
		return d.alone(n, o)
	}
	answer, err := d.ask(ctx, n)
	switch {
	case err == nil:
		d.recovered(ctx, o)
		return d.heard(n, answer), nil
	case ended(ctx):
		return 0, err
	case o == nil:
		o = d.degraded(ctx, err)
	}
	return d.alone(n, o)
}

func (d *Distributed) ask(ctx context.Context, n int) (Decision, error) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
	defer cancel()
	req := d.cfg.request(d.name)
	req.N = n
	return d.store.Take(ctx, req)
}

// heard keeps an answer, and returns how long the calls have to wait. It is only in the store that calls are given out,
// so what is denied stays so until the store says, whatever others do.
func (d *Distributed) heard(n int, answer Decision) time.Duration {
	d.remaining.Store(int64(answer.Remaining))
	if answer.Allowed {
		return 0
	}
	wait := max(answer.RetryAfter, 1)
	d.denial.Store(&denial{n: n, until: d.now() + int64(wait)})
	return wait
}

// ended reports whether ctx has. A store may notice a deadline a moment before the context itself does.
func ended(ctx context.Context) bool {
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		<-ctx.Done()
	}
	return ctx.Err() != nil
}
