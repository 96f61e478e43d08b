package health

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/steadyfx/steady/patterns"
)

// Manager holds checks by name and runs them. Make one with [New]; it is safe for concurrent use, by its checks too.
type Manager struct {
	cfg      Config
	onChange func(ctx context.Context, before Status, now Result)
	start    time.Time

	mu     sync.Mutex
	checks map[string]*registered
}

// registered is a check that a manager holds.
type registered struct {
	Check
	last *run // under way, or the last one that was; nil: none yet; guarded by Manager.mu
}

// Option sets what has no useful zero value.
type Option func(*Manager)

// WithOnChange calls fn when the status of a check is another one than before, and when it is first known: before is
// [Unknown] then. For each check it is called in order and not beside itself, off the path of whoever asked, with the
// values of their context, but without its end. It may use the manager. The check is not run again before fn has
// returned, and a panic of fn is contained. This is the place to log Result.Err, which no page shows.
func WithOnChange(fn func(ctx context.Context, before Status, now Result)) Option {
	return func(m *Manager) { m.onChange = fn }
}

// New returns a manager without checks. A zero field of cfg takes its default. The error lists everything that is wrong
// with cfg; it satisfies errors.Is(err, [patterns.ErrConfiguration]).
func New(cfg Config, opts ...Option) (*Manager, error) {
	cfg = cfg.withDefaults()
	var checks patterns.Checks
	checks.Include("", cfg.Validate())
	if err := checks.Err("health"); err != nil {
		return nil, err
	}
	m := &Manager{cfg: cfg, start: time.Now(), checks: map[string]*registered{}}
	for _, opt := range opts {
		opt(m)
	}
	return m, nil
}

// Default returns the process-wide manager, for programs that are not wired by Fx. It has [DefaultConfig] and, until
// somebody registers one, no checks.
func Default() *Manager { return defaultManager() }

var defaultManager = sync.OnceValue(func() *Manager {
	m, _ := New(Config{}) // there is nothing wrong with the defaults
	return m
})

// Register adds a check, at any time. The error lists everything that is wrong with it, a name that is taken included;
// it satisfies errors.Is(err, [patterns.ErrConfiguration]).
func (m *Manager) Register(check Check) error {
	var checks patterns.Checks
	checks.Name(check.Name)
	checks.That(check.Func != nil, "func", "must not be nil")
	checks.That(check.Timeout >= 0, "timeout", "must not be negative, got %v", check.Timeout)
	check.Timeout = cmp.Or(check.Timeout, DefaultTimeout)

	m.mu.Lock()
	defer m.mu.Unlock()
	_, taken := m.checks[check.Name]
	checks.That(!taken, "name", "is taken: choose another one, or deregister the check that has it")
	if err := checks.Err(fmt.Sprintf("health check %q", check.Name)); err != nil {
		return err
	}
	m.checks[check.Name] = &registered{Check: check}
	return nil
}

// Deregister removes the check called name, at any time, and reports whether there was one. A run of it that is under
// way goes on, but does not count any more: neither in what RunAll is about to return nor as a change.
func (m *Manager) Deregister(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.checks[name]
	delete(m.checks, name)
	return ok
}

// Run returns how the check called name is: it runs it, unless a run is under way or a result is young enough. If ctx
// ends before there is an answer, the result is of [Unknown] status, and the run goes on for others. The error matches
// [ErrUnknownCheck] if there is no such check; how it is, good or bad, is no error.
func (m *Manager) Run(ctx context.Context, name string) (Result, error) {
	r := m.begin(ctx, name)
	if r == nil {
		return Result{}, &UnknownCheckError{Name: name}
	}
	return r.wait(ctx), nil
}

func (m *Manager) begin(ctx context.Context, name string) *run {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c, ok := m.checks[name]; ok {
		return m.current(ctx, c)
	}
	return nil
}

// RunAll returns how the system is: it runs all checks at the same time, each as Run does.
func (m *Manager) RunAll(ctx context.Context) SystemHealth {
	return m.runAll(ctx, func(Check) bool { return true })
}

// runCritical is RunAll for the critical checks.
func (m *Manager) runCritical(ctx context.Context) SystemHealth {
	return m.runAll(ctx, func(c Check) bool { return c.Critical })
}

func (m *Manager) runAll(ctx context.Context, wanted func(Check) bool) SystemHealth {
	runs := m.beginAll(ctx, wanted)
	results := make([]Result, len(runs))
	for i, r := range runs {
		results[i] = r.wait(ctx)
	}
	results = m.remaining(runs, results)
	return SystemHealth{
		Status: statusOf(results), Checks: results, Version: m.cfg.Version,
		Uptime: time.Since(m.start), Timestamp: time.Now(),
	}
}

func (m *Manager) beginAll(ctx context.Context, wanted func(Check) bool) []*run {
	m.mu.Lock()
	defer m.mu.Unlock()
	var runs []*run
	for _, name := range slices.Sorted(maps.Keys(m.checks)) {
		if c := m.checks[name]; wanted(c.Check) {
			runs = append(runs, m.current(ctx, c))
		}
	}
	return runs
}

// remaining returns the results of the checks that are still registered: one that was removed meanwhile may have failed
// because of that.
func (m *Manager) remaining(runs []*run, results []Result) []Result {
	m.mu.Lock()
	defer m.mu.Unlock()
	kept := results[:0]
	for i, r := range runs {
		if m.checks[r.check.Name] == r.check {
			kept = append(kept, results[i])
		}
	}
	return kept
}

func (m *Manager) has(c *registered) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.checks[c.Name] == c
}
