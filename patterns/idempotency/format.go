package idempotency

import (
	"errors"
	"fmt"
)

// The first byte of a stored result says what follows.
const (
	formatNone     byte = iota + 1 // nothing: the call succeeded, but its result could not be kept
	formatJSON                     // a value as JSON
	formatResponse                 // an HTTP response, see storedResponse
	formatNamed                    // the name of a codec after its length, and a value as that codec writes it
	formatSealed                   // an encrypted result of any other format, see keyring
	formatError                    // an error, see storedError
	formatBytes                    // bytes as they are
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
