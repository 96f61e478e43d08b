package timeout

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/steadyfx/steady/patterns"
)

// Manager holds the limits of operations by name, and one limit for all others. It is safe for concurrent use; reading
// takes no lock.
type Manager struct {
	opts  []Option
	other Policy

	mu    sync.Mutex // guards changes of named
	named atomic.Pointer[map[string]*Policy]
}

// NewManager returns a manager in which every operation runs as def says. The error lists everything that is wrong with
// def; it satisfies errors.Is(err, [patterns.ErrConfiguration]).
func NewManager(def Config, opts ...Option) (*Manager, error) {
	other, err := New("default", def, opts...)
	if err != nil {
		return nil, err
	}
	m := &Manager{opts: slices.Clone(opts), other: *other}
	m.named.Store(&map[string]*Policy{})
	return m, nil
}

// Configure sets the limit of an operation, which otherwise runs as the manager says, for calls that begin from now on.
// It is an error if the limit is not positive or the name is empty, longer than 128 bytes or has control characters.
func (m *Manager) Configure(operation string, limit time.Duration) error {
	cfg := m.other.Config()
	cfg.Timeout = limit
	return m.configure(operation, cfg)
}

// ConfigureFrom sets how an operation runs, for calls that begin from now on. A zero Timeout or Message takes the
// manager's own; the operation is detached if cfg says so, or if the manager has [WithDetached]. The errors are those of
// [Manager.Configure].
func (m *Manager) ConfigureFrom(operation string, cfg Config) error {
	cfg.Timeout = cmp.Or(cfg.Timeout, m.other.limit)
	cfg.Message = cmp.Or(cfg.Message, m.other.message)
	return m.configure(operation, cfg)
}

func (m *Manager) configure(operation string, cfg Config) error {
	p, err := newPolicy(operation, cfg, m.opts)
	if err != nil {
		return err
	}
	p.abandoned = m.other.abandoned

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

// Abandoned returns how many operations still run although Run has returned. Only detached ones do.
func (m *Manager) Abandoned() int { return m.other.Abandoned() }

func (m *Manager) configured(operation string) *Policy { return (*m.named.Load())[operation] }

// unconfigured returns a policy of its own for an operation, so that errors and events name it.
func (m *Manager) unconfigured(operation string) *Policy {
	p := m.other
	p.name = operation
	return &p
}
