package idempotency

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/steadyfx/steady/patterns"
)

// KeyOf makes the key of a call of what it does and what with: two calls have the same key if the operation is the same
// and so are the arguments as JSON, whatever the order of the members of an object. It is 64 bytes long.
//
// Arguments must be plain data that JSON holds in full. A context, a function, a channel, an unexported field, a field
// tagged "-" unless its type encodes itself, and text that is not UTF-8 are a [*ConfigurationError], because two
// arguments that differ could pass for one.
func KeyOf(operation string, arguments ...any) (string, error) {
	parts := [][]byte{[]byte(operation)}
	for i, argument := range arguments {
		data, err := dataOf(&argument)
		if err != nil {
			return "", unfit(fmt.Sprintf("arguments[%d]", i), err)
		}
		parts = append(parts, data)
	}
	return hex.EncodeToString(Fingerprint(parts...)), nil
}

// dataOf returns an argument as JSON that holds it in full.
func dataOf(argument *any) ([]byte, error) {
	data, err := canonical(argument)
	if err != nil {
		return nil, err
	}
	s, err := newShape(reflect.TypeFor[any](), true)
	return data, errors.Join(err, s.check(reflect.ValueOf(argument).Elem()))
}

// canonical returns what v points to as JSON in which the members of objects come in the order of their names. Numbers
// stay as they are written, however large.
func canonical(v any) ([]byte, error) {
	data, err := marshal(JSONCodec{}, v)
	switch {
	case err != nil:
		return nil, err
	case textReplaced(data):
		return nil, errors.New("text must be UTF-8")
	case bytes.IndexByte(data, '{') < 0:
		return data, nil // no objects
	}
	var tree any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&tree); err != nil {
		return nil, err
	}
	return json.Marshal(tree)
}

// textReplaced reports whether encoding/json has put a replacement character in the place of bytes that are not UTF-8:
// it escapes those, but not one that was there.
func textReplaced(data []byte) bool {
	const replacement = `\ufffd`
	for from := 0; ; {
		i := bytes.Index(data[from:], []byte(replacement))
		if i < 0 {
			return false
		}
		at := from + i
		escapes := len(data[:at]) - len(bytes.TrimRight(data[:at], `\`))
		if escapes%2 == 0 { // else it is an escaped backslash, and text
			return true
		}
		from = at + 1
	}
}

// unfit says that an argument cannot be told from others.
func unfit(field string, err error) error {
	return &ConfigurationError{Err: &patterns.FieldError{
		Field: field, Problem: fmt.Sprintf("must be something that JSON can hold: %v", err),
	}}
}
