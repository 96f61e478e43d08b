package testkit_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns/retry"
	"github.com/steadyfx/steady/testkit"
)

func TestRecorderKeepsEventsInOrder(t *testing.T) {
	var bus hooks.Bus
	hooks.Emit(t.Context(), &bus, hooks.TimedOut{Operation: "before"})
	r := testkit.NewRecorder(&bus)
	if len(r.Events()) != 0 || len(r.Names()) != 0 {
		t.Errorf("recorded %v before anything happened", r.Events())
	}
	want := []hooks.Event{
		hooks.CircuitOpened{Name: "a"}, hooks.TimedOut{Operation: "b"}, hooks.CircuitOpened{Name: "c"},
	}
	for _, e := range want {
		hooks.Emit(t.Context(), &bus, e)
	}
	if got := r.Events(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	names := []string{"circuit_breaker.opened", "timeout.expired", "circuit_breaker.opened"}
	if got := r.Names(); !slices.Equal(got, names) {
		t.Errorf("got %v, want %v", got, names)
	}
}

func TestRecorderReturnsCopies(t *testing.T) {
	var bus hooks.Bus
	r := testkit.NewRecorder(&bus)
	hooks.Emit(t.Context(), &bus, hooks.TimedOut{Operation: "a"})
	r.Events()[0] = hooks.TimedOut{Operation: "changed"}
	if got := r.Events()[0]; got != hooks.Event(hooks.TimedOut{Operation: "a"}) {
		t.Errorf("the record was changed to %v", got)
	}
}

func TestEventsOf(t *testing.T) {
	var bus hooks.Bus
	r := testkit.NewRecorder(&bus)
	for _, e := range []hooks.Event{
		hooks.CircuitOpened{Name: "a"}, hooks.TimedOut{Operation: "b"}, hooks.CircuitOpened{Name: "c"},
	} {
		hooks.Emit(t.Context(), &bus, e)
	}
	want := []hooks.CircuitOpened{{Name: "a"}, {Name: "c"}}
	if got := testkit.EventsOf[hooks.CircuitOpened](r); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := testkit.EventsOf[hooks.CircuitClosed](r); len(got) != 0 {
		t.Errorf("got %v, want none", got)
	}
	if got := testkit.EventsOf[hooks.Event](r); len(got) != 3 {
		t.Errorf("got %v, want all", got)
	}
}

func TestRecorderResets(t *testing.T) {
	var bus hooks.Bus
	r := testkit.NewRecorder(&bus)
	hooks.Emit(t.Context(), &bus, hooks.TimedOut{Operation: "a"})
	r.Reset()
	hooks.Emit(t.Context(), &bus, hooks.TimedOut{Operation: "b"})
	if got := r.Events(); len(got) != 1 || got[0] != hooks.Event(hooks.TimedOut{Operation: "b"}) {
		t.Errorf("got %v", got)
	}
}

func TestRecorderIsSafeForConcurrentUse(t *testing.T) {
	var bus hooks.Bus
	r := testkit.NewRecorder(&bus)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				hooks.Emit(t.Context(), &bus, hooks.TimedOut{})
				r.Names()
			}
		})
	}
	wg.Wait()
	if got := len(r.Events()); got != 400 {
		t.Errorf("%d events, want 400", got)
	}
}

// failing is a test that notes how it failed.
type failing struct {
	testing.TB
	message string
}

func (*failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.message = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// failure returns the message with which test fails, or "".
func failure(test func(testing.TB)) string {
	var f failing
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(&f)
	}()
	<-done
	return f.message
}

func TestRequire(t *testing.T) {
	const opened, closed, expired = "circuit_breaker.opened", "circuit_breaker.closed", "timeout.expired"
	tests := []struct {
		name  string
		names []string
		want  string // the failure
	}{
		{"nothing", nil, ""},
		{"one", []string{expired}, ""},
		{"all", []string{opened, expired, opened}, ""},
		{"with others in between", []string{opened, opened}, ""},
		{"missing", []string{closed}, "no event circuit_breaker.closed\n" +
			"want, in this order:\n  1. circuit_breaker.closed\n" +
			"recorded:\n  1. circuit_breaker.opened\n  2. timeout.expired\n  3. circuit_breaker.opened"},
		{"too often", []string{opened, opened, opened}, "no event circuit_breaker.opened after " +
			"circuit_breaker.opened, circuit_breaker.opened\n" +
			"want, in this order:\n  1. circuit_breaker.opened\n  2. circuit_breaker.opened\n  3. circuit_breaker.opened\n" +
			"recorded:\n  1. circuit_breaker.opened\n  2. timeout.expired\n  3. circuit_breaker.opened"},
		{"in another order", []string{expired, opened, expired}, "no event timeout.expired after " +
			"timeout.expired, circuit_breaker.opened\n" +
			"want, in this order:\n  1. timeout.expired\n  2. circuit_breaker.opened\n  3. timeout.expired\n" +
			"recorded:\n  1. circuit_breaker.opened\n  2. timeout.expired\n  3. circuit_breaker.opened"},
	}
	var bus hooks.Bus
	r := testkit.NewRecorder(&bus)
	for _, e := range []hooks.Event{hooks.CircuitOpened{}, hooks.TimedOut{}, hooks.CircuitOpened{}} {
		hooks.Emit(t.Context(), &bus, e)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := failure(func(tb testing.TB) { r.Require(tb, tt.names...) }); got != tt.want {
				t.Errorf("failed with %q\nwant        %q", got, tt.want)
			}
		})
	}
	var silent hooks.Bus
	got := failure(func(tb testing.TB) { testkit.NewRecorder(&silent).Require(tb, opened) })
	want := "no event circuit_breaker.opened\nwant, in this order:\n  1. circuit_breaker.opened\nrecorded: nothing"
	if got != want {
		t.Errorf("failed with %q\nwant        %q", got, want)
	}
}

func ExampleRecorder() {
	var bus hooks.Bus
	recorder := testkit.NewRecorder(&bus)

	policy, err := retry.New("orders", retry.Config{MaxAttempts: 2, BaseDelay: time.Millisecond}, retry.WithBus(&bus))
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = policy.Execute(context.Background(), func(context.Context) error { return errors.New("connection reset") })

	fmt.Println(recorder.Names())
	fmt.Println(testkit.EventsOf[hooks.RetryExhausted](recorder)[0].Err)
	// In a test: recorder.Require(t, "retry.attempted", "retry.exhausted")

	// Output:
	// [retry.attempted retry.exhausted]
	// connection reset
}
