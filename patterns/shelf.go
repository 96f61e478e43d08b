package patterns

import (
	"maps"
	"slices"
	"sync"
)

// Shelf keeps the instances of one pattern by name and makes them on demand, so that all who ask for a name share one.
// Make one with [NewShelf]; it is safe for concurrent use.
type Shelf[C, P any] struct {
	configs Instances[C]
	build   func(name string, config C) (P, error)

	mu   sync.RWMutex
	made map[string]P
}

// NewShelf returns an empty shelf. It tries build with every configuration, so that no mistake waits for the first one
// who asks, and returns all of them at once, under "default" and "instances.<name>". build must have no effects.
func NewShelf[C, P any](configs Instances[C], build func(name string, config C) (P, error)) (*Shelf[C, P], error) {
	var checks Checks
	_, err := build("default", configs.Default)
	checks.Include("default", err)
	for _, name := range slices.Sorted(maps.Keys(configs.Named)) {
		_, err := build(name, configs.Named[name])
		checks.Include("instances."+name, err)
	}
	if err := checks.Err(""); err != nil {
		return nil, err
	}
	return &Shelf[C, P]{configs: configs, build: build, made: map[string]P{}}, nil
}

// Get returns the instance called name, if it has been made.
func (s *Shelf[C, P]) Get(name string) (P, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	p, ok := s.made[name]
	return p, ok
}

// GetOrCreate returns the instance called name and makes it if need be: from config if one is given, else from what the
// shelf was configured with. If it exists, config is not looked at.
func (s *Shelf[C, P]) GetOrCreate(name string, config ...C) (P, error) {
	if p, ok := s.Get(name); ok {
		return p, nil
	}
	wanted := s.configs.For(name)
	if len(config) > 0 {
		wanted = config[0]
	}
	p, err := s.build(name, wanted)
	if err != nil {
		return *new(P), err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if first, ok := s.made[name]; ok {
		return first, nil
	}
	s.made[name] = p
	return p, nil
}

// All returns the instances that have been made, in the order of their names.
func (s *Shelf[C, P]) All() []P {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]P, 0, len(s.made))
	for _, name := range slices.Sorted(maps.Keys(s.made)) {
		all = append(all, s.made[name])
	}
	return all
}
