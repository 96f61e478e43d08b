package timeout

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/steadyfx/steady/patterns"
)

// Manager holds the limits of operations by name, and one limit for all others. It is safe for concurrent use; reading
// takes no lock.
type Manager struct {
	other Policy

	mu    sync.Mutex // guards changes of named
	named atomic.Pointer[map[string]*Policy]
}

// NewManager returns a manager in which every operation has the limit and the message of def. The error lists
// everything that is wrong with def; it satisfies errors.Is(err, [patterns.ErrConfiguration]).
func NewManager(def Config, opts ...Option) (*Manager, error) {
	other, err := New("default", def, opts...)
	if err != nil {
		return nil, err
	}
	m := &Manager{other: *other}
	m.named.Store(&map[string]*Policy{})
	return m, nil
}

// Configure sets the limit of an operation, for calls that begin from now on. It is an error if the limit is not
// positive or the name is empty, longer than 128 bytes or has control characters.
func (m *Manager) Configure(operation string, limit time.Duration) error {
	var checks patterns.Checks
	checks.That(limit > 0, "timeout", "must be positive, got %v", limit)
	return m.configure(&checks, operation, limit, m.other.message)
}

// ConfigureFrom sets limit and message of an operation, for calls that begin from now on. A zero field takes the
// manager's own value. Whether calls are detached is for the manager to say, and not looked at. The errors are those of
// [Manager.Configure].
func (m *Manager) ConfigureFrom(operation string, cfg Config) error {
	var checks patterns.Checks
	checks.That(cfg.Timeout >= 0, "timeout", "must be positive, got %v", cfg.Timeout)
	return m.configure(&checks, operation, cmp.Or(cfg.Timeout, m.other.limit), cmp.Or(cfg.Message, m.other.message))
}

func (m *Manager) configure(checks *patterns.Checks, operation string, limit time.Duration, message string) error {
	checks.Name(operation)
	if err := checks.Err(fmt.Sprintf("timeout %q", operation)); err != nil {
		return err
	}
	p := m.unconfigured(operation)
	p.limit, p.message = limit, message

	m.mu.Lock()
	defer m.mu.Unlock()
	named := maps.Clone(*m.named.Load())
	named[operation] = p
	m.named.Store(&named)
	return nil
}

// For returns the limit of an operation.
func (m *Manager) For(operation string) time.Duration {
	if p := m.configured(operation); p != nil {
		return p.limit
	}
	return m.other.limit
}

// Run runs op under the limit of the operation, as [Policy.Execute] does.
func (m *Manager) Run(ctx context.Context, operation string, op patterns.Operation) error {
	p := m.configured(operation)
	if p == nil {
		p = m.unconfigured(operation)
	}
	return p.Execute(ctx, op)
}

// Abandoned returns how many operations still run although Run has returned. Only a detached manager has any.
func (m *Manager) Abandoned() int { return m.other.Abandoned() }

func (m *Manager) configured(operation string) *Policy { return (*m.named.Load())[operation] }

// unconfigured returns a policy of its own for an operation, so that errors and events name it.
func (m *Manager) unconfigured(operation string) *Policy {
	p := m.other
	p.name = operation
	return &p
}
