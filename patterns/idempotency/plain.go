package idempotency

import (
	"context"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

var (
	contextType   = reflect.TypeFor[context.Context]()
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

// shape is what is known of a type of arguments.
type shape struct {
	strict bool // encoding/json must leave nothing out
	tagged bool // but what is tagged to be
	open   bool // has interfaces, so that values have to be looked at
	seen   map[reflect.Type]bool
}

// newShape returns an error if a value of the type can hold what is not data: a context, which JSON writes as an empty
// object, a function or a channel. If strict, it may not hold anything either that JSON leaves out, because then two
// arguments that differ would be the same.
func newShape(t reflect.Type, strict bool) (*shape, error) {
	s := &shape{strict: strict, seen: map[reflect.Type]bool{}}
	return s, s.visit(t)
}

// visit does not look at a type twice, because types can be recursive.
func (s *shape) visit(t reflect.Type) error {
	switch {
	case t.Implements(contextType):
		return fmt.Errorf("%v is a context, which is no part of what is to be done", t)
	case s.seen[t], encodesItself(t):
		return nil
	}
	s.seen[t] = true
	switch t.Kind() {
	case reflect.Func, reflect.Chan:
		return fmt.Errorf("%v is not data", t)
	case reflect.Interface:
		s.open = true
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return s.visit(t.Elem())
	case reflect.Struct:
		return s.visitFields(t)
	}
	return nil
}

func (s *shape) visitFields(t reflect.Type) error {
	if name, twice := ambiguous(t, map[string]bool{}, map[reflect.Type]bool{}); s.strict && twice {
		return fmt.Errorf("%v has two fields of the name %s, of which one is left out", t, name)
	}
	for i := range t.NumField() {
		field := t.Field(i)
		switch {
		case field.Name == "_": // holds nothing
		case !leftOut(field):
			if err := s.visit(field.Type); err != nil {
				return err
			}
		case s.strict && field.IsExported() && s.tagged:
		case s.strict && field.IsExported():
			return fmt.Errorf("%v has the field %s, which is tagged to be left out", t, field.Name)
		case s.strict:
			return fmt.Errorf("%v has the field %s, which is not exported", t, field.Name)
		}
	}
	return nil
}

// check returns an error for a value that holds, behind an interface, what its shape may not.
func (s *shape) check(v reflect.Value) error {
	if !s.open || encodesItself(v.Type()) {
		return nil
	}
	switch v.Kind() {
	case reflect.Interface:
		if v.IsNil() {
			return nil
		}
		inner, err := newShape(v.Elem().Type(), s.strict)
		if err != nil {
			return err
		}
		return inner.check(v.Elem())
	case reflect.Pointer:
		if !v.IsNil() {
			return s.check(v.Elem())
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if err := s.check(v.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Map:
		for entries := v.MapRange(); entries.Next(); {
			if err := s.check(entries.Value()); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if leftOut(v.Type().Field(i)) {
				continue
			}
			if err := s.check(v.Field(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// leftOut reports whether encoding/json skips a field.
func leftOut(field reflect.StructField) bool {
	switch {
	case field.Tag.Get("json") == "-":
		return true
	case field.Anonymous:
		t := field.Type
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		return !field.IsExported() && t.Kind() != reflect.Struct
	default:
		return !field.IsExported()
	}
}

// ambiguous returns a name that two fields of an object have, one of which may be that of an embedded struct.
func ambiguous(t reflect.Type, names map[string]bool, embedded map[reflect.Type]bool) (name string, twice bool) {
	embedded[t] = true
	for i := range t.NumField() {
		field := t.Field(i)
		if leftOut(field) {
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		inner := field.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		switch {
		case field.Anonymous && name == "" && inner.Kind() == reflect.Struct:
			if embedded[inner] {
				return inner.Name(), true
			}
			if name, twice := ambiguous(inner, names, embedded); twice {
				return name, true
			}
			continue
		case name == "":
			name = field.Name
		}
		if names[name] {
			return name, true
		}
		names[name] = true
	}
	return "", false
}

func encodesItself(t reflect.Type) bool {
	pointer := reflect.PointerTo(t)
	return pointer.Implements(jsonMarshaler) || pointer.Implements(textMarshaler)
}
