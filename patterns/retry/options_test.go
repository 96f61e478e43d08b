package retry_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/retry"
)

// openCircuit is a rejection as another policy makes it.
type openCircuit struct{}

var errOpen = errors.New("open")

func (openCircuit) Error() string { return "circuit open" }
func (openCircuit) Is(target error) bool {
	return target == errOpen || target == patterns.ErrRejected
}

func TestWhichErrorsAreRetried(t *testing.T) {
	var (
		errOther = errors.New("other")
		isBoom   = func(err error) bool { return errors.Is(err, errBoom) }
		always   = func(error) bool { return true }
		never    = func(error) bool { return false }
	)
	tests := []struct {
		name    string
		opts    []retry.Option
		err     error
		retried bool
	}{
		{"any error", nil, errBoom, true},
		{"rejection", nil, openCircuit{}, false},
		{"wrapped rejection", nil, fmt.Errorf("call: %w", openCircuit{}), false},
		{"rejection that is named", []retry.Option{retry.WithRetryOn(errOpen)}, openCircuit{}, true},
		{"rejections that are named", []retry.Option{retry.WithRetryOn(patterns.ErrRejected)}, openCircuit{}, true},
		{"rejection beside another name", []retry.Option{retry.WithRetryOn(errBoom)}, openCircuit{}, false},
		{"rejection that a function accepts", []retry.Option{retry.WithRetryIf(always)}, openCircuit{}, false},
		{"named", []retry.Option{retry.WithRetryOn(errBoom, errOther)}, errOther, true},
		{"wrapped named", []retry.Option{retry.WithRetryOn(errBoom)}, fmt.Errorf("call: %w", errBoom), true},
		{"not named", []retry.Option{retry.WithRetryOn(errBoom)}, errOther, false},
		{"named second", []retry.Option{retry.WithRetryOn(errBoom), retry.WithRetryOn(errOther)}, errBoom, true},
		{"nothing named", []retry.Option{retry.WithRetryOn()}, errBoom, true},
		{"accepted", []retry.Option{retry.WithRetryIf(isBoom)}, errBoom, true},
		{"not accepted", []retry.Option{retry.WithRetryIf(isBoom)}, errOther, false},
		{"accepted though not named", []retry.Option{retry.WithRetryOn(errOther), retry.WithRetryIf(isBoom)}, errBoom, true},
		{"named though not accepted", []retry.Option{retry.WithRetryOn(errOther), retry.WithRetryIf(never)}, errOther, true},
		{"neither", []retry.Option{retry.WithRetryOn(errOther), retry.WithRetryIf(never)}, errBoom, false},
		{"aborted", []retry.Option{retry.WithAbortOn(errBoom)}, fmt.Errorf("call: %w", errBoom), false},
		{"not aborted", []retry.Option{retry.WithAbortOn(errBoom)}, errOther, true},
		{"aborted though named", []retry.Option{retry.WithAbortOn(errBoom), retry.WithRetryOn(errBoom)}, errBoom, false},
		{"aborted though accepted", []retry.Option{retry.WithRetryIf(always), retry.WithAbortOn(errBoom)}, errBoom, false},
		{"permanent", nil, fmt.Errorf("%w: %w", patterns.ErrPermanent, errBoom), false},
		{"permanent though named", []retry.Option{retry.WithRetryOn(errBoom), retry.WithRetryIf(always)},
			fmt.Errorf("%w: %w", patterns.ErrPermanent, errBoom), false},
		{"no function", []retry.Option{retry.WithRetryIf(nil)}, errBoom, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				op := newScript(tt.err)
				err := mustNew(t, exact(3), tt.opts...).Execute(t.Context(), op.run)
				if tt.retried && (err != nil || op.calls != 2) {
					t.Errorf("not retried: %v after %d calls", err, op.calls)
				}
				if !tt.retried && (err != tt.err || op.calls != 1) {
					t.Errorf("got %v after %d calls, want the error as it is after 1", err, op.calls)
				}
			})
		})
	}
}

func TestOptionsCanServeSeveralPolicies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errOther := errors.New("other")
		shared := retry.WithRetryOn(errBoom)
		wide := mustNew(t, exact(2), shared, retry.WithRetryOn(errOther))
		narrow := mustNew(t, exact(2), shared)
		if err := narrow.Execute(t.Context(), newScript(errOther).run); err != errOther {
			t.Errorf("the narrow policy retried: %v", err)
		}
		if err := wide.Execute(t.Context(), newScript(errOther).run); err != nil {
			t.Errorf("the wide policy did not retry: %v", err)
		}
	})
}

func TestOnRetryIsCalledBeforeEachDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type call struct {
			attempt int
			delay   time.Duration
			err     error
			at      time.Duration
		}
		const ms = time.Millisecond
		type key struct{}
		errOther := errors.New("other")
		start := time.Now()
		var got []call
		p := mustNew(t, exact(3), retry.WithOnRetry(
			func(ctx context.Context, attempt int, delay time.Duration, err error) {
				if ctx.Value(key{}) != "caller" {
					t.Error("not the context of the caller")
				}
				got = append(got, call{attempt, delay, err, time.Since(start)})
			}))
		ctx := context.WithValue(t.Context(), key{}, "caller")
		if err := p.Execute(ctx, newScript(errBoom, errOther, errBoom).run); !errors.Is(err, retry.ErrExhausted) {
			t.Fatal(err)
		}
		want := []call{{1, 100 * ms, errBoom, 0}, {2, 200 * ms, errOther, 100 * ms}} // none after the last attempt
		if !slices.Equal(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

func TestOnRetryThatPanicsDoesNotHarmTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		panics := func(context.Context, int, time.Duration, error) { panic("bang") }
		op := newScript(errBoom)
		if err := mustNew(t, exact(3), retry.WithOnRetry(panics)).Execute(t.Context(), op.run); err != nil || op.calls != 2 {
			t.Errorf("without a bus: %v after %d calls", err, op.calls)
		}

		var bus hooks.Bus
		var got []hooks.ListenerPanicked
		hooks.On(&bus, func(_ context.Context, e hooks.ListenerPanicked) { got = append(got, e) })
		op = newScript(errBoom)
		p := mustNew(t, exact(3), retry.WithOnRetry(panics), retry.WithBus(&bus))
		if err := p.Execute(t.Context(), op.run); err != nil || op.calls != 2 {
			t.Errorf("with a bus: %v after %d calls", err, op.calls)
		}
		if len(got) != 1 || got[0].Event != "retry.attempted" || got[0].Value != "bang" || len(got[0].Stack) == 0 {
			t.Errorf("announced %+v", got)
		}
	})
}

func TestRetryIfThatPanicsPanicsInTheCaller(t *testing.T) {
	defer func() {
		if value := recover(); value != "bang" {
			t.Errorf("recovered %v", value)
		}
	}()
	p := mustNew(t, exact(3), retry.WithRetryIf(func(error) bool { panic("bang") }))
	err := p.Execute(t.Context(), newScript(errBoom).run)
	t.Errorf("returned %v", err)
}

func TestGoexitOfOnRetryPassesThrough(t *testing.T) {
	p := mustNew(t, exact(3), retry.WithOnRetry(func(context.Context, int, time.Duration, error) { runtime.Goexit() }))
	returned, done := false, make(chan struct{})
	go func() {
		defer close(done)
		_ = p.Execute(t.Context(), newScript(errBoom).run)
		returned = true
	}()
	<-done
	if returned {
		t.Error("Execute returned")
	}
}

// record returns the events of bus, in order, without their times.
func record(bus *hooks.Bus) *[]hooks.Event {
	var events []hooks.Event
	hooks.On(bus, func(_ context.Context, e hooks.RetryAttempted) {
		e.At = time.Time{}
		events = append(events, e)
	})
	hooks.On(bus, func(_ context.Context, e hooks.RetryExhausted) {
		e.At = time.Time{}
		events = append(events, e)
	})
	return &events
}

func TestRetriesAndExhaustionAreAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus hooks.Bus
		events := record(&bus)
		start := time.Now()
		var at []time.Duration
		hooks.On(&bus, func(_ context.Context, e hooks.RetryAttempted) { at = append(at, e.At.Sub(start)) })
		hooks.On(&bus, func(_ context.Context, e hooks.RetryExhausted) { at = append(at, e.At.Sub(start)) })
		errOther := errors.New("other")
		_ = mustNew(t, exact(3), retry.WithBus(&bus)).Execute(t.Context(), newScript(errBoom, errOther, errBoom).run)

		const ms = time.Millisecond
		want := []hooks.Event{
			hooks.RetryAttempted{Operation: "payments", Attempt: 1, Delay: 100 * ms, Err: errBoom},
			hooks.RetryAttempted{Operation: "payments", Attempt: 2, Delay: 200 * ms, Err: errOther},
			hooks.RetryExhausted{Operation: "payments", Attempts: 3, Err: errBoom},
		}
		if !slices.Equal(*events, want) {
			t.Errorf("got %+v, want %+v", *events, want)
		}
		if want := []time.Duration{0, 100 * ms, 300 * ms}; !slices.Equal(at, want) {
			t.Errorf("announced at %v, want %v", at, want)
		}
	})
}

func TestCallThatEndsEarlyAnnouncesNoMoreThanHappened(t *testing.T) {
	attempted := hooks.RetryAttempted{Operation: "payments", Attempt: 1, Delay: 100 * time.Millisecond, Err: errBoom}
	tests := []struct {
		name    string
		timeout time.Duration
		results []error
		want    []hooks.Event
	}{
		{"success", time.Hour, nil, nil},
		{"success after a failure", time.Hour, []error{errBoom}, []hooks.Event{attempted}},
		{"not retried", time.Hour, []error{openCircuit{}}, nil},
		{"no time for the delay", 50 * time.Millisecond, []error{errBoom}, nil},
		{"no time for the second delay", 200 * time.Millisecond, []error{errBoom, errBoom}, []hooks.Event{attempted}},
		{"not run", 0, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tt.timeout)
				defer cancel()
				var bus hooks.Bus
				events := record(&bus)
				_ = mustNew(t, exact(3), retry.WithBus(&bus)).Execute(ctx, newScript(tt.results...).run)
				if !slices.Equal(*events, tt.want) {
					t.Errorf("got %+v, want %+v", *events, tt.want)
				}
			})
		})
	}
}

func TestListenersMayUseThePolicyAndTheBus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus hooks.Bus
		p := mustNew(t, exact(2), retry.WithBus(&bus))
		var nested error
		remove := func() {}
		remove = hooks.On(&bus, func(ctx context.Context, _ hooks.RetryAttempted) {
			remove()
			nested = p.Execute(ctx, newScript(errBoom).run)
		})
		if err := p.Execute(t.Context(), newScript(errBoom).run); err != nil || nested != nil {
			t.Errorf("got %v and %v", err, nested)
		}
	})
}
