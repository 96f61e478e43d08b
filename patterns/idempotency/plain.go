package idempotency

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
)

var (
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

// heldInFull returns an error if a value of the type can hold something that encoding/json leaves out. What is behind an
// interface is not looked at.
func heldInFull(t reflect.Type) error { return leftOut(t, map[reflect.Type]bool{}) }

// leftOut does not look at a type twice, because types can be recursive.
func leftOut(t reflect.Type, seen map[reflect.Type]bool) error {
	if seen[t] || encodesItself(t) {
		return nil
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return leftOut(t.Elem(), seen)
	case reflect.Map:
		return leftOut(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			field := t.Field(i)
			switch {
			case field.Tag.Get("json") == "-":
				return fmt.Errorf("%v has the field %s, which is tagged to be left out", t, field.Name)
			case !field.IsExported() && !field.Anonymous:
				return fmt.Errorf("%v has the field %s, which is not exported", t, field.Name)
			}
			if err := leftOut(field.Type, seen); err != nil {
				return err
			}
		}
	}
	return nil
}

func encodesItself(t reflect.Type) bool {
	pointer := reflect.PointerTo(t)
	return pointer.Implements(jsonMarshaler) || pointer.Implements(textMarshaler)
}
