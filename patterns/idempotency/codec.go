package idempotency

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// The first byte of a stored result says what follows.
const (
	formatNone     byte = iota + 1 // nothing: the call succeeded, but its result could not be kept
	formatJSON                     // a value as JSON
	formatResponse                 // an HTTP response, see storedResponse
)

// errNotKept is why the result of a call that succeeded cannot be replayed.
var errNotKept = errors.New("the call was carried out and is not repeated, but its result could not be kept")

// tombstone is stored instead of a result that cannot be.
func tombstone() []byte { return []byte{formatNone} }

// payload returns what follows the first byte of a stored result, if it is of the format.
func payload(stored []byte, format byte) ([]byte, error) {
	switch {
	case len(stored) == 0:
		return nil, errors.New("the stored result is empty")
	case stored[0] == formatNone:
		return nil, errNotKept
	case stored[0] != format:
		return nil, fmt.Errorf("the stored result has format %d, want %d", stored[0], format)
	}
	return stored[1:], nil
}

// encode makes a stored result of the value that v points to.
func encode[T any](v *T) ([]byte, error) {
	data, err := marshal(v)
	if err != nil {
		return nil, err
	}
	return append([]byte{formatJSON}, data...), nil
}

func decode[T any](stored []byte) (T, error) {
	var v T
	data, err := payload(stored, formatJSON)
	if err != nil {
		return v, err
	}
	if json.Unmarshal(data, &v) != nil { // whose error may quote the result
		return *new(T), fmt.Errorf("the stored result cannot be read as %v", reflect.TypeFor[T]())
	}
	return v, nil
}

// marshal is json.Marshal for a pointer, so that methods with a pointer receiver are used as in json.Unmarshal. A panic
// of a method becomes an error: a result that cannot be encoded must not look like a call that failed.
func marshal(v any) (data []byte, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			data, err = nil, fmt.Errorf("panic in MarshalJSON: %v", cause)
		}
	}()
	return json.Marshal(v)
}
