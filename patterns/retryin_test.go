package patterns_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns"
)

// busy knows when to come again, unless it is negative.
type busy time.Duration

func (b busy) Error() string                  { return "busy" }
func (b busy) RetryIn() (time.Duration, bool) { return time.Duration(b), b >= 0 }

// sinceLongAgo knows that the time has passed.
type sinceLongAgo struct{}

func (sinceLongAgo) Error() string                  { return "busy" }
func (sinceLongAgo) RetryIn() (time.Duration, bool) { return -time.Hour, true }

func TestWaitIsThatOfTheFirstErrorThatKnows(t *testing.T) {
	const unknown = busy(-1)
	for _, tt := range []struct {
		name  string
		err   error
		want  time.Duration
		known bool
	}{
		{"nil", nil, 0, false},
		{"no such error", errBoom, 0, false},
		{"itself", busy(3), 3, true},
		{"at once", busy(0), 0, true},
		{"it has passed", sinceLongAgo{}, 0, true},
		{"unknown", unknown, 0, false},
		{"wrapped", fmt.Errorf("a: %w", fmt.Errorf("b: %w", busy(3))), 3, true},
		{"outer before inner", waiting{busy(1), busy(2)}, 1, true},
		{"inner if the outer does not know", waiting{unknown, busy(2)}, 2, true},
		{"first of several", errors.Join(errBoom, busy(3), busy(4)), 3, true},
		{"one that knows of several", errors.Join(unknown, nil, fmt.Errorf("a: %w", busy(4))), 4, true},
		{"none of several", errors.Join(errBoom, unknown), 0, false},
		{"without its rejection", patterns.WithoutRejection(fmt.Errorf("a: %w", busy(3))), 3, true},
	} {
		if got, known := patterns.RetryIn(tt.err); got != tt.want || known != tt.known {
			t.Errorf("%s: got %v, %v, want %v, %v", tt.name, got, known, tt.want, tt.known)
		}
	}
}

type waiting struct {
	busy
	inner error
}

func (w waiting) Unwrap() error { return w.inner }
