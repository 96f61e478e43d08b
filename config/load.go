package config

import (
	"errors"
	"reflect"
	"slices"

	"github.com/knadh/koanf/v2"
)

// Tree is a configuration: complete, valid, and read-only once loaded.
type Tree struct {
	Resilience Resilience
	Redis      Redis
	Postgres   Postgres

	sources map[string]string
	ignored []string
}

// Default returns the configuration of a service that says nothing, as Load() does.
func Default() *Tree {
	return &Tree{Resilience: defaultResilience(), Redis: DefaultRedis(), Postgres: DefaultPostgres()}
}

// Source says where the value at a path came from: "app.yaml", "env STEADY_REDIS__ADDRS", "explicit value" or
// "default". A path is the keys joined by dots. For a value that an instance inherits it is where the inherited one
// came from, and for a whole section the first source that has it.
func (t *Tree) Source(path string) string {
	if source, ok := t.sources[path]; ok {
		return source
	}
	return defaultSource
}

// Ignored returns the names of the environment variables that have the prefix but were taken for somebody else's, in
// alphabetical order; see [Env]. It is worth a line in the log.
func (t *Tree) Ignored() []string { return slices.Clone(t.ignored) }

// Load applies the sources in order, a later one over those before it, and returns the result.
// Either the whole of it is valid, or the error joins an [*Error] for each mistake, in an order that only depends on
// the sources. If a source cannot be read, the others are judged as far as they can be without it.
func Load(sources ...Source) (*Tree, error) {
	l := loader{schema: schema(), report: report{origins: map[path]origin{}, failed: map[path]bool{}}}
	for _, source := range sources {
		if source != nil {
			source(&l)
		}
	}
	merged := l.merge()

	d := decoder{report: &l.report, inherited: map[path]origin{}}
	d.unknownKeys(merged, l.schema, "")
	tree := Default()
	d.resilience(&tree.Resilience, d.table(merged, "resilience", ""), "resilience")
	ownSection(&d, &tree.Redis, merged, "redis", "", idleInRedis()...)
	ownSection(&d, &tree.Postgres, merged, "postgres", "", idleInPostgres()...)
	filled := make([]reflect.Value, len(l.sections))
	for i, s := range l.sections {
		filled[i] = reflect.New(s.out.Type())
		filled[i].Elem().Set(s.out)
		d.section(filled[i], merged, s.name, "")
	}
	if len(l.errs) > 0 {
		return nil, errors.Join(l.errs...)
	}

	for i, s := range l.sections {
		s.out.Set(filled[i].Elem())
	}
	tree.ignored = l.ignored
	tree.sources = d.sources()
	return tree, nil
}

// loader gathers what the sources say.
type loader struct {
	report
	schema   *shape
	layers   []layer
	sections []section
	ignored  []string
}

// layer is what one source says.
type layer struct {
	values    map[string]any // as [cleaner] leaves it
	origins   map[path]origin
	variables []variable // of an environment, until it is known which names they can mean
}

// settleNulls gives keys without a value the meaning "nothing is said": an empty table where a table belongs, so that
// "payments:" is an instance, and no key elsewhere. Keys that are not known stay, to be reported.
func (l layer) settleNulls(value any, s *shape, at path) {
	switch v := value.(type) {
	case []any:
		for i, item := range v {
			if s.items != nil {
				l.settleNulls(item, s.items, at.item(i))
			}
		}
	case map[string]any:
		for key, below := range v {
			here := at.child(key)
			switch child := s.child(key); {
			case child == nil:
			case below != nil:
				l.settleNulls(below, child, here)
			case child.isTable():
				v[key] = map[string]any{}
			default:
				delete(v, key)
				delete(l.origins, here)
			}
		}
	}
}

// section is a part of the tree that belongs to the application.
type section struct {
	name string
	out  reflect.Value // a struct
}

// merge returns all layers in one, and records where each value came from.
func (l *loader) merge() map[string]any {
	named := koanf.New(separator)
	for _, layer := range l.layers {
		layer.settleNulls(layer.values, l.schema, "")
		l.mergeInto(named, layer.values)
	}
	names := named.Raw()

	merged := koanf.New(separator)
	for i, layer := range l.layers {
		if layer.variables != nil {
			layer.values, layer.origins = l.place(layer.variables, names)
		}
		l.mergeInto(merged, layer.values)
		for at, from := range layer.origins {
			if _, known := l.origins[at]; known && from.table {
				continue // the first source that mentions a table is as good as a later one
			}
			from.layer = i
			l.origins[at] = from
		}
	}
	return merged.Raw()
}

func (l *loader) mergeInto(k *koanf.Koanf, values map[string]any) {
	one := koanf.New(separator)
	err := one.Load(tables(values), nil)
	if err == nil {
		err = k.Merge(one) // merges a copy, so the layer stays as it is
	}
	if err != nil {
		l.add("", err.Error(), err)
	}
}

// tables is a koanf.Provider of values that have been parsed.
type tables map[string]any

// Read returns t.
func (t tables) Read() (map[string]any, error) { return t, nil }

// ReadBytes returns an error: koanf calls it only to parse.
func (t tables) ReadBytes() ([]byte, error) { return nil, errors.ErrUnsupported }
