package circuitbreaker

import (
	"fmt"
	"sync"

	"github.com/steadyfx/steady/patterns"
)

// Registry holds breakers by name, so that all who call one dependency share one circuit. Make one with [NewRegistry];
// it is safe for concurrent use.
type Registry struct {
	shelf *patterns.Shelf[Config, *Breaker]
}

// NewRegistry makes an empty registry. Breakers are made on demand from configs, all with the same options. A zero
// configs means [DefaultConfig] for all; mistakes in any of its configurations are returned at once.
func NewRegistry(configs patterns.Instances[Config], opts ...Option) (*Registry, error) {
	if configs.Default == (Config{}) {
		configs.Default = DefaultConfig()
	}
	shelf, err := patterns.NewShelf(configs, func(name string, config Config) (*Breaker, error) {
		return New(name, config, opts...)
	})
	if err != nil {
		return nil, fmt.Errorf("circuit breakers: %w", err)
	}
	return &Registry{shelf: shelf}, nil
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
	if err != nil || len(config) == 0 || b.cfg == config[0].withDefaults() {
		return b, err
	}
	var checks patterns.Checks
	checks.That(false, "config", "differs from the one that is in force, %+v; give a name one configuration", b.cfg)
	return nil, checks.Err(fmt.Sprintf("circuit breaker %q", name))
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
