package idempotency

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/steadyfx/steady/patterns"
)

// Codec turns results into bytes and back. Implementations are safe for concurrent use. See [WithCodec].
type Codec interface {
	// Name is stored with each result, so that it is read by the codec that wrote it. A codec that can no longer read
	// what it once wrote needs a new name, such as "orders/2". At most 64 bytes.
	Name() string

	// Marshal encodes the result that v points to.
	Marshal(v any) ([]byte, error)

	// Unmarshal decodes data, of which it keeps nothing, into the result that v points to.
	Unmarshal(data []byte, v any) error
}

// JSONCodec is the codec of a guard that is given no other: encoding/json.
type JSONCodec struct{}

// Name returns "json".
func (JSONCodec) Name() string { return "json" }

// Marshal is json.Marshal. What it is given is a pointer, so that methods with a pointer receiver are used as in
// Unmarshal.
func (JSONCodec) Marshal(v any) ([]byte, error) { return json.Marshal(v) }

// Unmarshal is json.Unmarshal.
func (JSONCodec) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

// check returns an error for a type that has a part which JSON does not know, or leaves out without having been told to:
// a duplicate would get less than the first caller.
func (JSONCodec) check(t reflect.Type) error {
	_, err := marshal(JSONCodec{}, reflect.New(t).Interface())
	if _, unsupported := errors.AsType[*json.UnsupportedTypeError](err); unsupported {
		return err
	}
	// A zero value that cannot be encoded says nothing of the others.
	s := &shape{strict: true, tagged: true, seen: map[reflect.Type]bool{}}
	return s.visit(t)
}

const maxCodecName = 64

// codecs are those of a guard: the first one writes, and all of them read. None at all is JSON.
type codecs []Codec

func newCodecs(checks *patterns.Checks, all []Codec) codecs {
	names := map[string]bool{}
	for i, codec := range all {
		field := fmt.Sprintf("codec[%d]", i)
		if checks.That(codec != nil, field, "must not be nil"); codec == nil {
			continue
		}
		name := codec.Name()
		checks.That(name != "" && len(name) <= maxCodecName, field, "must have a name of 1 to %d bytes", maxCodecName)
		checks.That(!names[name], field, "must have a name of its own, %q is that of another", name)
		names[name] = true
	}
	return all
}

// check returns a *ConfigurationError for a type that the codec that writes is known not to hold.
func (c codecs) check(t reflect.Type) error {
	checker, ok := c.writer().(interface{ check(t reflect.Type) error })
	if !ok {
		return nil // values tell
	}
	if err := checker.check(t); err != nil {
		return &ConfigurationError{Err: &patterns.FieldError{
			Field: "result", Problem: fmt.Sprintf("must be something that the codec can hold: %v", err),
		}}
	}
	return nil
}

// encode makes a stored result of the value that v points to.
func (c codecs) encode(v any) ([]byte, error) {
	codec := c.writer()
	data, err := marshal(codec, v)
	if err != nil {
		return nil, err
	}
	if codec == Codec(JSONCodec{}) {
		return slices.Insert(data, 0, formatJSON), nil
	}
	stored := appendText([]byte{formatNamed}, codec.Name())
	return append(stored, data...), nil
}

// decode reads a stored result into what v points to.
func (c codecs) decode(stored []byte, v any) error {
	codec, data, err := c.reader(stored)
	if err != nil {
		return err
	}
	if unmarshal(codec, data, v) != nil { // whose error may quote the result
		return fmt.Errorf("the stored result cannot be read as %v", reflect.TypeOf(v).Elem())
	}
	return nil
}

func (c codecs) writer() Codec {
	if len(c) == 0 {
		return JSONCodec{}
	}
	return c[0]
}

// reader returns the codec that a stored result was written by, and what it wrote.
func (c codecs) reader(stored []byte) (Codec, []byte, error) {
	if len(stored) == 0 || stored[0] != formatNamed {
		data, err := payload(stored, formatJSON)
		return JSONCodec{}, data, err
	}
	in := input{rest: stored[1:]}
	name := in.text()
	for _, codec := range c {
		if !in.broken && codec.Name() == name {
			return codec, in.rest, nil
		}
	}
	return nil, nil, errors.New("the stored result was written by a codec that this guard does not have")
}

// marshal turns a panic into an error: a result that cannot be encoded must not look like a call that failed.
func marshal(codec Codec, v any) (data []byte, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			data, err = nil, fmt.Errorf("panic while encoding: %v", cause)
		}
	}()
	return codec.Marshal(v)
}

func unmarshal(codec Codec, data []byte, v any) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic while decoding: %v", cause)
		}
	}()
	return codec.Unmarshal(data, v)
}
