package circuitbreaker

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/steadyfx/steady/patterns"
)

// Registry holds breakers by name, so that all who call one dependency share one circuit. Make one with [NewRegistry];
// it is safe for concurrent use.
type Registry struct {
	shelf *patterns.Shelf[Config, *Breaker]

	backend atomic.Pointer[Backend] // nil: none that anybody has to join

	mu    sync.Mutex
	leave map[*Breaker]func() // how breakers leave the backend
}

// NewRegistry makes an empty registry. Breakers are made on demand from configs, all with the same options. A zero
// configs means [DefaultConfig] for all; mistakes in any of its configurations are returned at once.
func NewRegistry(configs patterns.Instances[Config], opts ...Option) (*Registry, error) {
	r := &Registry{leave: map[*Breaker]func(){}}
	shelf, err := patterns.NewShelf(orDefaults(configs), func(name string, config Config) (*Breaker, error) {
		b, err := New(name, config, opts...)
		if err == nil {
			b.registry = r
		}
		return b, err
	})
	if err != nil {
		return nil, fmt.Errorf("circuit breakers: %w", err)
	}
	r.shelf = shelf
	return r, nil
}

func orDefaults(configs patterns.Instances[Config]) patterns.Instances[Config] {
	if configs.Default == (Config{}) {
		configs.Default = DefaultConfig()
	}
	return configs
}

// Default returns the process-wide registry, for programs that are not wired by Fx. It uses [DefaultConfig].
func Default() *Registry { return defaultRegistry() }

var defaultRegistry = sync.OnceValue(func() *Registry {
	r, _ := NewRegistry(patterns.Instances[Config]{}) // there is nothing wrong with the defaults
	return r
})

// Get returns the breaker called name, if there is one.
func (r *Registry) Get(name string) (*Breaker, bool) { return r.shelf.Get(name) }

// GetOrCreate returns the breaker called name and makes it if need be: from config if one is given, else from what the
// registry was configured with. That a breaker exists with another configuration than the one given is an error: a
// caller that relies on its own thresholds should know that they are not in force.
func (r *Registry) GetOrCreate(name string, config ...Config) (*Breaker, error) {
	b, err := r.shelf.GetOrCreate(name, config...)
	if err == nil {
		r.update(b)
	}
	if err != nil || len(config) == 0 || b.Config() == config[0].withDefaults() {
		return b, err
	}
	var checks patterns.Checks
	checks.That(false, "config", "differs from the one that is in force, %+v; give a name one configuration", b.Config())
	return nil, checks.Err(fmt.Sprintf("circuit breaker %q", name))
}

// Reconfigure puts other configurations in force: for the breakers that there are, as by [Breaker.Reconfigure], unless
// they were made from a configuration that GetOrCreate was given, and for those to come. A zero configs means
// [DefaultConfig] for all. The error lists every mistake in configs, and then nothing has changed.
func (r *Registry) Reconfigure(configs patterns.Instances[Config]) error {
	if err := r.shelf.Reconfigure(orDefaults(configs), (*Breaker).reconfigure); err != nil {
		return fmt.Errorf("circuit breakers: %w", err)
	}
	for _, b := range r.shelf.All() {
		b.reconfigured()
	}
	return nil
}

// SetBackend shares the state of all breakers, those to come included, through backend in the place of the one before,
// except where Config.Backend is "memory". It returns when nothing of the one before runs any more, and must not be
// called by a listener of their events.
func (r *Registry) SetBackend(backend Backend) {
	for _, leave := range r.replace(backend) {
		leave()
	}
	for _, b := range r.shelf.All() {
		r.update(b)
	}
}

// replace puts backend in the place of the one before and returns how the breakers leave that.
func (r *Registry) replace(backend Backend) map[*Breaker]func() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.backend.Store(&backend)
	if backend == nil || backend == NewMemoryBackend() {
		r.backend.Store(nil)
	}
	leave := r.leave
	r.leave = map[*Breaker]func(){}
	return leave
}

// Close ends what the registry runs in the background, which is nothing unless it has a distributed backend, and returns
// when it has ended. The breakers go on, and share with nobody; what they have not told the others by then, they do not
// tell. It must not be called by a listener of their events.
func (r *Registry) Close() { r.SetBackend(NewMemoryBackend()) }

// update makes b share through the backend, or share no longer, as its configuration says.
func (r *Registry) update(b *Breaker) {
	if r.backend.Load() == nil {
		return
	}
	if leave := r.joinOrLeave(b); leave != nil {
		leave()
	}
}

// joinOrLeave returns how b leaves the backend, if it has to.
func (r *Registry) joinOrLeave(b *Breaker) (leave func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	backend := r.backend.Load()
	leave, joined := r.leave[b]
	switch {
	case b.Config().Backend == MemoryBackend:
		delete(r.leave, b)
		return leave
	case backend != nil && !joined:
		r.leave[b] = (*backend).join(b)
	}
	return nil
}

// All returns the breakers in the order of their names.
func (r *Registry) All() []*Breaker { return r.shelf.All() }

// Reset resets the breaker called name. The error matches [ErrUnknown] if there is none.
func (r *Registry) Reset(name string) error {
	return r.with(name, (*Breaker).Reset)
}

// ForceOpen forces the breaker called name open. The error matches [ErrUnknown] if there is none.
func (r *Registry) ForceOpen(name string) error {
	return r.with(name, (*Breaker).ForceOpen)
}

// Metrics returns a snapshot of the breaker called name. The error matches [ErrUnknown] if there is none.
func (r *Registry) Metrics(name string) (m Metrics, err error) {
	err = r.with(name, func(b *Breaker) { m = b.Metrics() })
	return m, err
}

func (r *Registry) with(name string, do func(*Breaker)) error {
	b, ok := r.Get(name)
	if !ok {
		return &UnknownError{Name: name}
	}
	do(b)
	return nil
}
