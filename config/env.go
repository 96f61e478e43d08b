package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

const envPrefix = "STEADY_"

// variable is an environment variable with our prefix.
type variable struct{ name, value string }

// variables returns those with our prefix, by name. Of two with the same name the first counts, as in os.Getenv.
func variables(environ []string) []variable {
	found := []variable{}
	for _, entry := range environ {
		name, value, isSet := strings.Cut(entry, "=")
		if isSet && strings.HasPrefix(name, envPrefix) {
			found = append(found, variable{name, value})
		}
	}
	slices.SortStableFunc(found, func(a, b variable) int { return cmp.Compare(a.name, b.name) })
	return slices.CompactFunc(found, func(a, b variable) bool { return a.name == b.name })
}

// place puts variables where their names say. The names of instances and the like that they can mean are in named.
func (l *loader) place(vars []variable, named map[string]any) (map[string]any, map[path]origin) {
	values, origins := map[string]any{}, map[path]origin{}
	for _, v := range vars {
		steps := strings.Split(strings.TrimPrefix(v.name, envPrefix), "__")
		if len(steps) == 1 && len(match(steps[0], l.schema.known(nil))) == 0 {
			l.ignored = append(l.ignored, v.name)
			continue
		}
		source := "env " + v.name
		at, problem := l.resolve(steps, named)
		if other, taken := origins[at]; taken && problem == "" {
			problem = "is also set by " + other.source
		}
		if at == "" && problem == "" {
			continue
		}
		if problem != "" {
			l.errs = append(l.errs, &Error{Path: at.String(), Source: source, Problem: problem})
			continue
		}
		origins[at] = origin{source: source}
		put(values, strings.Split(string(at), separator), v.value)
	}
	return values, origins
}

func put(table map[string]any, keys []string, value any) {
	for _, key := range keys[:len(keys)-1] {
		next, ok := table[key].(map[string]any)
		if !ok {
			next = map[string]any{}
			table[key] = next
		}
		table = next
	}
	table[keys[len(keys)-1]] = value
}

// resolve returns the path that the steps of a variable's name lead to, and what is wrong with it. It returns neither
// if that depends on a source that could not be read.
func (l *loader) resolve(steps []string, named map[string]any) (at path, problem string) {
	s := l.schema
	for _, step := range steps {
		if !s.isTable() {
			return at, "is a value, not a table of keys"
		}
		known := s.known(named)
		found := match(step, known)
		switch {
		case len(found) > 1:
			return at.child(found[0]), fmt.Sprintf("can be any of %q; set it in a file", found)
		case len(found) == 0 && s.names != nil && l.partial:
			return "", ""
		case len(found) == 0 && s.names != nil:
			return at.child(fold(step)), "there is nothing of this name in a file" + suggest(fold(step), known)
		case len(found) == 0:
			return at.child(fold(step)), "unknown key" + suggest(fold(step), known)
		}
		at, s = at.child(found[0]), s.child(found[0])
		named, _ = named[found[0]].(map[string]any)
	}
	switch {
	case s.isTable():
		return at, "is a table of keys, not a value; add two underscores and one of them to the name of the variable"
	case s.items != nil && !s.items.isScalar():
		return at, "is not a list of values, which is what a variable can set; set it in a file"
	}
	return at, ""
}

// match returns those of the known names that step can stand for.
func match(step string, known []string) []string {
	var found []string
	for _, name := range known {
		if f := fold(name); f != "" && f == fold(step) {
			found = append(found, name)
		}
	}
	return found
}

// fold makes names equal that differ in case and punctuation.
func fold(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	return strings.Join(words, "_")
}
