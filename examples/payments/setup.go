package main

import (
	"maps"

	"github.com/steadyfx/steady/config"
)

// setup is what the service is started with: what a replica is told.
type setup struct {
	File    string                    `json:"file"` // of the configuration; empty: none
	Decided map[string]map[string]any `json:"decided"`
}

// with returns the setup with a decision more: values of a section, which beat file and environment.
func (s setup) with(section string, values map[string]any) setup {
	s.Decided = maps.Clone(s.Decided)
	if s.Decided == nil {
		s.Decided = map[string]map[string]any{}
	}
	all := maps.Clone(s.Decided[section])
	if all == nil {
		all = map[string]any{}
	}
	maps.Copy(all, values)
	s.Decided[section] = all
	return s
}

func (s setup) load() (configuration, error) {
	decided := map[string]any{}
	for section, values := range s.Decided {
		decided[section] = values
	}
	return load(s.File, config.Values(decided))
}
