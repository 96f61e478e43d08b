package circuitbreaker

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/steadyfx/steady/patterns"
)

// Registry holds breakers by name, so that all who call one dependency share one circuit. Make one with [NewRegistry];
// it is safe for concurrent use.
type Registry struct {
	configs patterns.Instances[Config]
	opts    []Option

	mu       sync.RWMutex
	breakers map[string]*Breaker
}

// NewRegistry makes an empty registry. Breakers are made on demand from configs, all with the same options. A zero
// configs means [DefaultConfig] for all; mistakes in any of its configurations are returned at once.
func NewRegistry(configs patterns.Instances[Config], opts ...Option) (*Registry, error) {
	if configs.Default == (Config{}) {
		configs.Default = DefaultConfig()
	}
	var checks patterns.Checks
	checks.Include("default", configs.Default.withDefaults().Validate())
	for _, name := range slices.Sorted(maps.Keys(configs.Named)) {
		var named patterns.Checks
		named.Name(name)
		checks.Include("instances."+name, named.Err(""))
		checks.Include("instances."+name, configs.Named[name].withDefaults().Validate())
	}
	if err := checks.Err("circuit breakers"); err != nil {
		return nil, err
	}
	return &Registry{configs: configs, opts: opts, breakers: map[string]*Breaker{}}, nil
}

// Default returns the process-wide registry, for programs that are not wired by Fx. It uses [DefaultConfig].
func Default() *Registry { return defaultRegistry() }

var defaultRegistry = sync.OnceValue(func() *Registry {
	return &Registry{configs: patterns.Instances[Config]{Default: DefaultConfig()}, breakers: map[string]*Breaker{}}
})

// Get returns the breaker called name, if there is one.
func (r *Registry) Get(name string) (*Breaker, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	b, ok := r.breakers[name]
	return b, ok
}

// GetOrCreate returns the breaker called name and makes it if need be: from config if one is given, else from what the
// registry was configured with. That a breaker exists with another configuration than the one given is an error: a
// caller that relies on its own thresholds should know that they are not in force.
func (r *Registry) GetOrCreate(name string, config ...Config) (*Breaker, error) {
	wanted := r.configs.For(name)
	if len(config) > 0 {
		wanted = config[0]
	}
	b, ok := r.Get(name)
	if !ok {
		made, err := New(name, wanted, r.opts...)
		if err != nil {
			return nil, err
		}
		b = r.addOrGet(made)
	}
	if len(config) > 0 && b.cfg != wanted.withDefaults() {
		var checks patterns.Checks
		checks.That(false, "config", "differs from the one that is in force, %+v; give a name one configuration", b.cfg)
		return nil, checks.Err(fmt.Sprintf("circuit breaker %q", name))
	}
	return b, nil
}

func (r *Registry) addOrGet(made *Breaker) *Breaker {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b, ok := r.breakers[made.name]; ok {
		return b
	}
	r.breakers[made.name] = made
	return made
}

// All returns the breakers in the order of their names.
func (r *Registry) All() []*Breaker {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.SortedFunc(maps.Values(r.breakers), func(a, b *Breaker) int { return cmp.Compare(a.name, b.name) })
}

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
