package wiring

import (
	"fmt"
	"strings"

	"go.uber.org/fx"
)

// CheckAbsent reports what an optional parameter of one of the given types hides when it is empty: that the application
// does provide the type, in vain. Fx leaves the parameter empty also if the provider lacks a dependency of its own, is
// private to another module, or returned nil; and it does not look at a provider of the value where a pointer is wanted.
// In all these cases a default would be the worst answer. Types are written as Go prints them, such as "*config.Tree".
func CheckAbsent(graph fx.DotGraph, types ...string) error {
	for _, name := range types {
		if provides(graph, name) {
			return fmt.Errorf("the application provides a %s, but none arrives: its provider lacks a dependency, is private "+
				"to another module, or returned nil", name)
		}
		if value, pointer := strings.CutPrefix(name, "*"); pointer && provides(graph, value) {
			return fmt.Errorf("the application provides a %s; provide a pointer to it", value)
		}
	}
	return nil
}

// CheckUnnamed reports that the application provides one of the given types only under names (fx.ResultTags), where an
// optional parameter without a name does not see it.
func CheckUnnamed(graph fx.DotGraph, types ...string) error {
	for _, name := range types {
		if _, rest, found := strings.Cut(string(graph), `"`+name+"[name="); found {
			first, _, _ := strings.Cut(rest, "]")
			return fmt.Errorf("the application provides a %s only under a name, such as %q", name, first)
		}
	}
	return nil
}

// provides reads the graph of the container as package dig prints it, one line a result: "type" [label=<...
func provides(graph fx.DotGraph, name string) bool {
	return strings.Contains(string(graph), fmt.Sprintf("%q [label=<", name))
}
