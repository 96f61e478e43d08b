package throttle

import (
	"fmt"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/ratelimit"
)

// Registry holds throttlers by name, so that all who call one dependency share one limit. Make one with [NewRegistry];
// it is safe for concurrent use.
type Registry struct {
	shelf *patterns.Shelf[Config, *Throttler]
}

// NewRegistry makes an empty registry. Throttlers are made on demand from configs, all with the same options. Zero
// fields take their defaults; mistakes in any of the configurations are returned at once.
func NewRegistry(configs patterns.Instances[Config], opts ...Option) (*Registry, error) {
	shelf, err := patterns.NewShelf(configs, func(name string, config Config) (*Throttler, error) {
		return New(name, config, opts...)
	})
	if err != nil {
		return nil, fmt.Errorf("throttles: %w", err)
	}
	return &Registry{shelf: shelf}, nil
}

// Get returns the throttler called name, if there is one.
func (r *Registry) Get(name string) (*Throttler, bool) { return r.shelf.Get(name) }

// GetOrCreate returns the throttler called name and makes it if need be: from config if one is given, else from what the
// registry was configured with. That a throttler exists with another configuration than the one given is an error: a
// caller that relies on its own limit should know that it is not in force.
func (r *Registry) GetOrCreate(name string, config ...Config) (*Throttler, error) {
	t, err := r.shelf.GetOrCreate(name, config...)
	if err != nil || len(config) == 0 || t.cfg == config[0].withDefaults() {
		return t, err
	}
	var checks patterns.Checks
	checks.That(false, "config", "differs from the one that is in force, %+v; give a name one configuration", t.cfg)
	return nil, checks.Err(fmt.Sprintf("throttle %q", name))
}

// All returns the throttlers in the order of their names.
func (r *Registry) All() []*Throttler { return r.shelf.All() }

// Stats returns what the throttler called name has done. The error matches [ErrUnknown] if there is none.
func (r *Registry) Stats(name string) (ratelimit.Stats, error) {
	t, ok := r.Get(name)
	if !ok {
		return ratelimit.Stats{}, &UnknownError{Name: name}
	}
	return t.Stats(), nil
}
