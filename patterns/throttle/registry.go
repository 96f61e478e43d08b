package throttle

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/ratelimit"
)

// Registry holds throttlers by name, so that all who call one dependency share one limit. Make one with [NewRegistry];
// it is safe for concurrent use.
type Registry struct {
	configs patterns.Instances[Config]
	opts    []Option

	mu         sync.RWMutex
	throttlers map[string]*Throttler
}

// NewRegistry makes an empty registry. Throttlers are made on demand from configs, all with the same options. Zero
// fields take their defaults; mistakes in any of the configurations are returned at once.
func NewRegistry(configs patterns.Instances[Config], opts ...Option) (*Registry, error) {
	var checks patterns.Checks
	checks.Include("default", configs.Default.withDefaults().Validate())
	for _, name := range slices.Sorted(maps.Keys(configs.Named)) {
		var named patterns.Checks
		named.Name(name)
		checks.Include("instances."+name, named.Err(""))
		checks.Include("instances."+name, configs.Named[name].withDefaults().Validate())
	}
	if err := checks.Err("throttles"); err != nil {
		return nil, err
	}
	return &Registry{configs: configs, opts: opts, throttlers: map[string]*Throttler{}}, nil
}

// Get returns the throttler called name, if there is one.
func (r *Registry) Get(name string) (*Throttler, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	t, ok := r.throttlers[name]
	return t, ok
}

// GetOrCreate returns the throttler called name and makes it if need be: from config if one is given, else from what the
// registry was configured with. That a throttler exists with another configuration than the one given is an error: a
// caller that relies on its own limit should know that it is not in force.
func (r *Registry) GetOrCreate(name string, config ...Config) (*Throttler, error) {
	wanted := r.configs.For(name)
	if len(config) > 0 {
		wanted = config[0]
	}
	t, ok := r.Get(name)
	if !ok {
		made, err := New(name, wanted, r.opts...)
		if err != nil {
			return nil, err
		}
		t = r.addOrGet(made)
	}
	if len(config) > 0 && t.cfg != wanted.withDefaults() {
		var checks patterns.Checks
		checks.That(false, "config", "differs from the one that is in force, %+v; give a name one configuration", t.cfg)
		return nil, checks.Err(fmt.Sprintf("throttle %q", name))
	}
	return t, nil
}

func (r *Registry) addOrGet(made *Throttler) *Throttler {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t, ok := r.throttlers[made.name]; ok {
		return t
	}
	r.throttlers[made.name] = made
	return made
}

// All returns the throttlers in the order of their names.
func (r *Registry) All() []*Throttler {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.SortedFunc(maps.Values(r.throttlers), func(a, b *Throttler) int { return cmp.Compare(a.name, b.name) })
}

// Stats returns what the throttler called name has done. The error matches [ErrUnknown] if there is none.
func (r *Registry) Stats(name string) (ratelimit.Stats, error) {
	t, ok := r.Get(name)
	if !ok {
		return ratelimit.Stats{}, &UnknownError{Name: name}
	}
	return t.Stats(), nil
}
