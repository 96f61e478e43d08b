package patterns

import (
	"maps"
	"slices"
	"sync"
)

// Shelf keeps the instances of one pattern by name and makes them on demand, so that all who ask for a name share one.
// Make one with [NewShelf]; it is safe for concurrent use.
type Shelf[C, P any] struct {
	build func(name string, config C) (P, error)

	reconfiguring sync.Mutex // one at a time, so that all instances end with the same configurations

	mu      sync.RWMutex
	configs Instances[C]
	version int // of configs
	made    map[string]made[P]
}

// made is an instance on a shelf.
type made[P any] struct {
	instance P
	given    bool // its configuration, by the one who asked first
}

// NewShelf returns an empty shelf. It tries build with every configuration, so that no mistake waits for the first one
// who asks, and returns all of them at once, under "default" and "instances.<name>". build must have no effects.
func NewShelf[C, P any](configs Instances[C], build func(name string, config C) (P, error)) (*Shelf[C, P], error) {
	s := &Shelf[C, P]{configs: configs, build: build, made: map[string]made[P]{}}
	if err := s.check(configs); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Shelf[C, P]) check(configs Instances[C]) error {
	var checks Checks
	_, err := s.build("default", configs.Default)
	checks.Include("default", err)
	for _, name := range slices.Sorted(maps.Keys(configs.Named)) {
		_, err := s.build(name, configs.Named[name])
		checks.Include("instances."+name, err)
	}
	return checks.Err("")
}

// Get returns the instance called name, if it has been made.
func (s *Shelf[C, P]) Get(name string) (P, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	m, ok := s.made[name]
	return m.instance, ok
}

// GetOrCreate returns the instance called name and makes it if need be: from config if one is given, else from what the
// shelf was configured with. If it exists, config is not looked at.
func (s *Shelf[C, P]) GetOrCreate(name string, config ...C) (P, error) {
	for {
		s.mu.RLock()
		m, ok := s.made[name]
		wanted, version := s.configs.For(name), s.version
		s.mu.RUnlock()
		if ok {
			return m.instance, nil
		}
		given := len(config) > 0
		if given {
			wanted = config[0]
		}
		p, err := s.build(name, wanted)
		if err != nil {
			return *new(P), err
		}
		if p, ok := s.put(name, made[P]{p, given}, version); ok {
			return p, nil
		}
	}
}

// put keeps m under name and returns what is there now. It refuses an instance made from a configuration that is no
// longer in force.
func (s *Shelf[C, P]) put(name string, m made[P], version int) (P, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if first, ok := s.made[name]; ok {
		return first.instance, true
	}
	if version != s.version && !m.given {
		return m.instance, false
	}
	s.made[name] = m
	return m.instance, true
}

// Reconfigure makes future instances from configs, and calls change for every instance that was made from the
// configurations that were in force before. It checks configs first, like [NewShelf]; what is wrong with them is
// returned, and then nothing has changed. change must not reconfigure the shelf.
func (s *Shelf[C, P]) Reconfigure(configs Instances[C], change func(instance P, config C) error) error {
	if err := s.check(configs); err != nil {
		return err
	}
	s.reconfiguring.Lock()
	defer s.reconfiguring.Unlock()
	s.mu.Lock()
	s.configs = configs
	s.version++
	existing := maps.Clone(s.made)
	s.mu.Unlock()
	var checks Checks
	for _, name := range slices.Sorted(maps.Keys(existing)) {
		if m := existing[name]; !m.given {
			checks.Include("instances."+name, change(m.instance, configs.For(name)))
		}
	}
	return checks.Err("")
}

// All returns the instances that have been made, in the order of their names.
func (s *Shelf[C, P]) All() []P {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]P, 0, len(s.made))
	for _, name := range slices.Sorted(maps.Keys(s.made)) {
		all = append(all, s.made[name].instance)
	}
	return all
}
