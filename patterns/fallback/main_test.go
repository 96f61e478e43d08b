package fallback_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/fallback"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errBoom  = errors.New("boom")
	errStale = errors.New("stale")
	errOpen  = errors.New("open")
)

// rejection is an error of a policy that did not run the operation.
type rejection struct{ name string }

func (rejection) Error() string        { return "rejected" }
func (rejection) Is(target error) bool { return target == errOpen || target == patterns.ErrRejected }

func wantEqual(t *testing.T, what string, got, want any) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func mustNew[T any](t testing.TB, opts ...fallback.Option[T]) *fallback.Chain[T] {
	t.Helper()
	c, err := fallback.New("prices", opts...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// trail records what was run.
type trail []string

func (l *trail) gives(name, value string, err error) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		*l = append(*l, name)
		return value, err
	}
}

func (l *trail) want(t *testing.T, names ...string) {
	t.Helper()
	if !slices.Equal(*l, names) {
		t.Errorf("run were %q, want %q", *l, names)
	}
}

// used returns a bus and the events of it that say that a fallback was used.
func used() (*hooks.Bus, *[]hooks.FallbackUsed) {
	bus, events := new(hooks.Bus), new([]hooks.FallbackUsed)
	hooks.On(bus, func(_ context.Context, e hooks.FallbackUsed) { *events = append(*events, e) })
	return bus, events
}

// times is a sequential policy that runs an operation up to n times.
type times int

func (n times) Execute(ctx context.Context, op patterns.Operation) (err error) {
	for range n {
		if err = op(ctx); err == nil {
			return nil
		}
	}
	return err
}

func (times) Sequential() bool { return true }
