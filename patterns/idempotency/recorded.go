package idempotency

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/steadyfx/steady/patterns"
)

// RecordedError is what duplicates of a call get whose error was recorded, see [WithRecordedErrors]: it reads as that
// error did, has its code, and wraps what its [ErrorKind] makes of it. It is not an [ErrIdempotency], because the first
// error was not one either.
type RecordedError struct {
	ErrorCode string // patterns.Code of the first error
	Message   string // its text
	Err       error  // for errors.Is and errors.As; nil if its kind keeps none, or is not known to this guard
}

// Error returns Message.
func (e *RecordedError) Error() string { return e.Message }

// Unwrap returns Err.
func (e *RecordedError) Unwrap() error { return e.Err }

// Code returns ErrorCode.
func (e *RecordedError) Code() string { return e.ErrorCode }

// ErrorKind recognizes errors that are recorded. It is made by [ErrorWhen], [ErrorValue] and [ErrorType].
type ErrorKind struct {
	name    string // "" for what is kept of any error
	problem error  // with the kind itself

	// save returns what is stored of an error besides its text and code, or false if it is not of this kind.
	save func(error) (data []byte, ok bool, err error)
	load func(data []byte) (error, error)
}

// ErrorWhen is the kind of the errors that accept accepts. Of them the text and the code are kept. It runs on the path of
// the call that failed and must be safe for concurrent use. It should not accept the errors of a context that has ended.
func ErrorWhen(accept func(err error) bool) ErrorKind {
	if accept == nil {
		return ErrorKind{}
	}
	return ErrorKind{save: func(err error) ([]byte, bool, error) { return nil, accept(err), nil }}
}

// ErrorValue is the kind of the errors that match target by errors.Is, and so does what is made of them. The name is
// stored: it must be the same in all processes and stay so.
func ErrorValue(name string, target error) ErrorKind {
	if target == nil {
		return ErrorKind{}
	}
	return ErrorKind{
		name: name, problem: named(name),
		save: func(err error) ([]byte, bool, error) { return nil, errors.Is(err, target), nil },
		load: func([]byte) (error, error) { return target, nil },
	}
}

// ErrorType is the kind of the errors that have an E in their tree by errors.As, and so does what is made of them: it
// is stored as JSON, which must hold all of it. The name is stored: it must be the same in all processes and stay so.
func ErrorType[E error](name string) ErrorKind {
	return ErrorKind{
		name: name, problem: errors.Join(named(name), storableError(reflect.TypeFor[E]())),
		save: func(err error) ([]byte, bool, error) {
			e, ok := errors.AsType[E](err)
			if !ok {
				return nil, false, nil
			}
			data, err := marshal(JSONCodec{}, &e)
			return data, true, err
		},
		load: func(data []byte) (error, error) {
			var e E
			err := unmarshal(JSONCodec{}, data, &e)
			return e, err
		},
	}
}

// storableError returns an error for a type of errors that would not come back from JSON as they were.
func storableError(t reflect.Type) error {
	if t.Kind() == reflect.Interface {
		return fmt.Errorf("must be for a type, and %v is an interface", t)
	}
	_, err := newShape(t, true)
	return err
}

func named(name string) error {
	if name == "" {
		return errors.New("must have a name")
	}
	return nil
}

func checkKinds(checks *patterns.Checks, kinds []ErrorKind) {
	names := map[string]bool{}
	for i, kind := range kinds {
		field := fmt.Sprintf("recorded_errors[%d]", i)
		checks.That(kind.save != nil, field, "must be made of a function, an error or a type")
		checks.That(kind.problem == nil, field, "%v", kind.problem)
		checks.That(kind.name == "" || !names[kind.name], field, "must have a name of its own, %q is that of another", kind.name)
		names[kind.name] = true
	}
}

// storedError is what is kept of an error, as JSON.
type storedError struct {
	Code    string          `json:"code,omitempty"`
	Message string          `json:"message"`
	Kind    string          `json:"kind,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// record makes a stored result of an error, or nothing if the error is not to be recorded.
func (g *Guard) record(failure error) ([]byte, error) {
	for _, kind := range g.errors {
		data, ok, err := kind.save(failure)
		switch {
		case err != nil:
			return nil, err
		case ok:
			e := storedError{Code: patterns.Code(failure), Message: failure.Error(), Kind: kind.name, Data: data}
			stored, err := json.Marshal(e)
			return append([]byte{formatError}, stored...), err
		}
	}
	return nil, nil
}

// recordedIn returns the error that a stored result is, or nil if it is none.
func (g *Guard) recordedIn(stored []byte) (*RecordedError, error) {
	if len(stored) == 0 || stored[0] != formatError {
		return nil, nil
	}
	var e storedError
	if json.Unmarshal(stored[1:], &e) != nil { // whose error may quote the result
		return nil, errors.New("the stored error cannot be read")
	}
	recorded := &RecordedError{ErrorCode: e.Code, Message: e.Message}
	for _, kind := range g.errors {
		if kind.name != "" && kind.name == e.Kind {
			if err, unreadable := kind.load(e.Data); unreadable == nil {
				recorded.Err = err
			}
		}
	}
	return recorded, nil
}
