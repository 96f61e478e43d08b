package config

import (
	"encoding"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// shape says what may stand at a place: a table of certain keys, a table of names that the author chooses, a list or,
// where it says nothing, a scalar.
type shape struct {
	keys  map[string]*shape
	names *shape
	items *shape
}

func (s *shape) isTable() bool  { return s.keys != nil || s.names != nil }
func (s *shape) isScalar() bool { return !s.isTable() && s.items == nil }

// child returns the shape below a key, or nil if there is no such key.
func (s *shape) child(key string) *shape {
	if s.names != nil {
		return s.names
	}
	return s.keys[key]
}

// known returns the keys that a table can have, sorted: of a table of names, those that it has.
func (s *shape) known(table map[string]any) []string {
	if s.names != nil {
		return slices.Sorted(maps.Keys(table))
	}
	return slices.Sorted(maps.Keys(s.keys))
}

// shapeOf returns the shape of a type, and what is wrong with it at the path where it is to be used.
func shapeOf(t reflect.Type, at path) (*shape, []error) {
	b := shapeBuilder{built: map[reflect.Type]*shape{}}
	return b.build(t, at), b.errs
}

type shapeBuilder struct {
	built map[reflect.Type]*shape // a type may hold itself
	errs  []error
}

func (b *shapeBuilder) build(t reflect.Type, at path) *shape {
	if s, ok := b.built[t]; ok {
		return s
	}
	s := &shape{}
	b.built[t] = s
	switch {
	case isScalar(t):
	case t.Kind() == reflect.Struct:
		s.keys = map[string]*shape{}
		for i := range t.NumField() {
			if key := keyOf(t.Field(i)); key != "" {
				s.keys[key] = b.build(t.Field(i).Type, at.child(key))
			}
		}
	case t.Kind() == reflect.Map && t.Key().Kind() == reflect.String:
		s.names = b.build(t.Elem(), at)
	case t.Kind() == reflect.Slice:
		s.items = b.build(t.Elem(), at)
	default:
		b.errs = append(b.errs, &Error{Path: at.String(), Source: sectionSource,
			Problem: "a field of type " + t.String() + " cannot be configured"})
	}
	return s
}

// keyOf returns the key that configures a field, or "" if none does.
func keyOf(field reflect.StructField) string {
	key, _, _ := strings.Cut(field.Tag.Get("koanf"), ",")
	if key == "-" || !field.IsExported() {
		return ""
	}
	return key
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// isScalar reports whether a type is written as one number, text, true or false.
func isScalar(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(textType) || isScalarKind(t.Kind())
}

func isScalarKind(k reflect.Kind) bool {
	return k >= reflect.Bool && k <= reflect.Float64 && k != reflect.Uintptr || k == reflect.String
}
