package idempotency

import (
	"bytes"
	"encoding/gob"
	"errors"
	"reflect"
)

// GobCodec stores results by encoding/gob. It knows more types than JSON; what an interface holds must be known by
// gob.Register, and an empty slice comes back as nil. See [WithCodec].
type GobCodec struct{}

// Name returns "gob".
func (GobCodec) Name() string { return "gob" }

// Marshal writes what v points to. Gob knows no nil and no empty struct: they are one byte, and any other value follows
// another one.
func (GobCodec) Marshal(v any) ([]byte, error) {
	value := reflect.ValueOf(v).Elem()
	if nothing(value) {
		return []byte{0}, nil
	}
	var out bytes.Buffer
	out.WriteByte(1)
	err := gob.NewEncoder(&out).EncodeValue(value)
	return out.Bytes(), err
}

// Unmarshal reads what Marshal wrote.
func (GobCodec) Unmarshal(data []byte, v any) error {
	switch {
	case len(data) == 1 && data[0] == 0:
		reflect.ValueOf(v).Elem().SetZero()
		return nil
	case len(data) == 0 || data[0] != 1:
		return errors.New("not written by GobCodec")
	}
	return gob.NewDecoder(bytes.NewReader(data[1:])).Decode(v)
}

func (GobCodec) check(t reflect.Type) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Interface {
		return nil // depends on what it holds
	}
	_, err := marshal(GobCodec{}, reflect.New(t).Interface())
	return err
}

// nothing reports whether gob has no way to write a value.
func nothing(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Slice, reflect.Map:
		return v.IsNil()
	case reflect.Struct:
		return v.NumField() == 0
	default:
		return false
	}
}
