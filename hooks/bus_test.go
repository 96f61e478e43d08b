package hooks_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/steadyfx/steady/hooks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestListenersRunInTheOrderInWhichTheyWereAdded(t *testing.T) {
	var bus hooks.Bus
	var got []string
	note := func(s string) { got = append(got, s) }
	hooks.On(&bus, func(context.Context, hooks.CircuitOpened) { note("first") })
	hooks.On(&bus, func(context.Context, hooks.Event) { note("second") })
	hooks.On(&bus, func(context.Context, hooks.CircuitClosed) { note("of another event") })
	hooks.On(&bus, func(context.Context, hooks.CircuitOpened) { note("third") })
	hooks.Emit(t.Context(), &bus, hooks.CircuitOpened{})
	if want := []string{"first", "second", "third"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestListenerGetsTheEventAndTheCallersContext(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "caller")
	want := hooks.CircuitOpened{Name: "payments", Failures: 5, At: time.Now()}
	var bus hooks.Bus
	calls := 0
	check := func(ctx context.Context, e hooks.Event) {
		calls++
		if ctx.Value(key{}) != "caller" || e != hooks.Event(want) {
			t.Errorf("got %+v", e)
		}
	}
	hooks.On(&bus, func(ctx context.Context, e hooks.CircuitOpened) { check(ctx, e) })
	hooks.On(&bus, check)
	hooks.Emit(ctx, &bus, want)
	hooks.Emit(ctx, &bus, hooks.Event(want)) // also if the emitter does not know the type
	if calls != 4 {
		t.Errorf("%d calls, want 4", calls)
	}
}

func TestListenerOfEventHearsEveryKind(t *testing.T) {
	events := []hooks.Event{
		hooks.CircuitOpened{}, hooks.RetryAttempted{}, hooks.TimedOut{}, hooks.IdempotencyCleaned{}, hooks.ListenerPanicked{},
	}
	var bus hooks.Bus
	var got []string
	remove := hooks.On(&bus, func(_ context.Context, e hooks.Event) { got = append(got, e.EventName()) })
	var want []string
	for _, e := range events {
		hooks.Emit(t.Context(), &bus, e)
		want = append(want, e.EventName())
	}
	remove()
	for _, e := range events {
		hooks.Emit(t.Context(), &bus, e)
		if bus.Wanted(e) {
			t.Errorf("%s is still wanted", e.EventName())
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestRemovedListenerHearsNoMore(t *testing.T) {
	var bus hooks.Bus
	var got []string
	on := func(name string) func() {
		return hooks.On(&bus, func(context.Context, hooks.CircuitOpened) { got = append(got, name) })
	}
	on("first")
	remove := on("second")
	on("third")
	remove()
	remove()
	hooks.Emit(t.Context(), &bus, hooks.CircuitOpened{})
	if want := []string{"first", "third"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestListenerMayRemoveItself(t *testing.T) {
	var bus hooks.Bus
	var once, always int
	var remove func()
	remove = hooks.On(&bus, func(context.Context, hooks.CircuitOpened) {
		once++
		remove()
	})
	hooks.On(&bus, func(context.Context, hooks.CircuitOpened) { always++ })
	for range 3 {
		hooks.Emit(t.Context(), &bus, hooks.CircuitOpened{})
	}
	if once != 1 || always != 3 {
		t.Errorf("the listener that removes itself heard %d events, the other %d", once, always)
	}
}

func TestListenerMayAddListenersAndEmit(t *testing.T) {
	var bus hooks.Bus
	var got []string
	hooks.On(&bus, func(ctx context.Context, e hooks.CircuitOpened) {
		got = append(got, "opened "+e.Name)
		if e.Name == "a" {
			hooks.On(&bus, func(_ context.Context, e hooks.CircuitOpened) { got = append(got, "late "+e.Name) })
			hooks.Emit(ctx, &bus, hooks.CircuitOpened{Name: "b"})
		}
	})
	hooks.Emit(t.Context(), &bus, hooks.CircuitOpened{Name: "a"})
	if want := []string{"opened a", "opened b", "late b"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWanted(t *testing.T) {
	var bus hooks.Bus
	opened, closed := hooks.CircuitOpened{}, hooks.CircuitClosed{}
	check := func(when string, wantOpened, wantClosed bool) {
		t.Helper()
		if got := bus.Wanted(opened); got != wantOpened {
			t.Errorf("%s: opened is wanted: %v", when, got)
		}
		if got := bus.Wanted(closed); got != wantClosed {
			t.Errorf("%s: closed is wanted: %v", when, got)
		}
	}
	check("without a listener", false, false)
	remove := hooks.On(&bus, func(context.Context, hooks.CircuitOpened) {})
	check("with one of opened", true, false)
	removeAny := hooks.On(&bus, func(context.Context, hooks.Event) {})
	check("with one of all", true, true)
	remove()
	check("with one of all alone", true, true)
	removeAny()
	check("without a listener again", false, false)
	sub := hooks.Subscribe(&bus, 0, func(hooks.CircuitClosed) {})
	check("with a subscription", false, true)
	if err := sub.Close(t.Context()); err != nil {
		t.Error(err)
	}
	check("after it was closed", false, false)
}

func TestNilBusCarriesNothing(t *testing.T) {
	var bus *hooks.Bus
	hear := func(context.Context, hooks.CircuitOpened) { t.Error("an event came through") }
	remove := hooks.On(bus, hear)
	sub := hooks.Subscribe(bus, 0, func(hooks.Event) { t.Error("an event came through") })
	hooks.Emit(t.Context(), bus, hooks.CircuitOpened{})
	if bus.Wanted(hooks.CircuitOpened{}) {
		t.Error("an event is wanted")
	}
	if got := bus.Stats(); got != (hooks.Stats{}) {
		t.Errorf("Stats: %+v", got)
	}
	if sub.Queued() != 0 || sub.Dropped() != 0 {
		t.Errorf("queued %d, dropped %d", sub.Queued(), sub.Dropped())
	}
	remove()
	if err := sub.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := bus.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestPanicOfAListenerIsContainedCountedAndAnnounced(t *testing.T) {
	var bus hooks.Bus
	var announced []hooks.ListenerPanicked
	after := 0
	hooks.On(&bus, func(context.Context, hooks.CircuitOpened) { panicInListener() })
	hooks.On(&bus, func(context.Context, hooks.CircuitOpened) { after++ })
	hooks.On(&bus, func(_ context.Context, e hooks.ListenerPanicked) { announced = append(announced, e) })
	start := time.Now()
	hooks.Emit(t.Context(), &bus, hooks.CircuitOpened{})
	hooks.Emit(t.Context(), &bus, hooks.CircuitOpened{})

	if after != 2 {
		t.Errorf("the listener behind the one that panics heard %d events, want 2", after)
	}
	if got := bus.Stats().Panics; got != 2 {
		t.Errorf("%d panics counted, want 2", got)
	}
	if len(announced) != 2 {
		t.Fatalf("%d panics announced, want 2", len(announced))
	}
	e := announced[0]
	if e.Event != "circuit_breaker.opened" || e.Value != "bang" || e.At.Before(start) {
		t.Errorf("announced %q %v at %v", e.Event, e.Value, e.At)
	}
	if !strings.Contains(string(e.Stack), "panicInListener") {
		t.Errorf("the stack does not show who panicked:\n%s", e.Stack)
	}
}

func panicInListener() { panic("bang") }

func TestListenerOfPanicsThatPanicsIsNotAnnouncedAgain(t *testing.T) {
	var bus hooks.Bus
	var heard []string
	hooks.On(&bus, func(_ context.Context, e hooks.Event) {
		heard = append(heard, e.EventName())
		panic("bang")
	})
	hooks.Emit(t.Context(), &bus, hooks.TimedOut{})
	if want := []string{"timeout.expired", "hooks.listener_panicked"}; !slices.Equal(heard, want) {
		t.Errorf("heard %v, want %v", heard, want)
	}
	if got := bus.Stats().Panics; got != 2 {
		t.Errorf("%d panics counted, want 2", got)
	}
}

func TestGoexitOfAListenerPassesThroughEmit(t *testing.T) {
	var bus hooks.Bus
	hooks.On(&bus, func(context.Context, hooks.CircuitOpened) { runtime.Goexit() })
	returned, done := false, make(chan struct{})
	go func() {
		defer close(done)
		hooks.Emit(t.Context(), &bus, hooks.CircuitOpened{})
		returned = true
	}()
	<-done
	if returned || bus.Stats().Panics != 0 {
		t.Errorf("returned: %v, panics: %d", returned, bus.Stats().Panics)
	}
}

func TestBusIsSafeForConcurrentUse(t *testing.T) {
	const emitters, events = 4, 500
	var bus hooks.Bus
	var steady atomic.Int64
	hooks.On(&bus, func(context.Context, hooks.CircuitOpened) { steady.Add(1) })
	var wg sync.WaitGroup
	for range emitters {
		wg.Go(func() {
			for range events {
				hooks.Emit(t.Context(), &bus, hooks.CircuitOpened{})
				hooks.Emit(t.Context(), &bus, hooks.TimedOut{})
				bus.Wanted(hooks.CircuitOpened{})
				bus.Stats()
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			for i := range events {
				remove := hooks.On(&bus, func(context.Context, hooks.Event) {})
				removeOther := hooks.On(&bus, func(context.Context, hooks.CircuitOpened) {})
				sub := hooks.Subscribe(&bus, 1+i%3, func(hooks.CircuitOpened) {})
				remove()
				if err := sub.Close(t.Context()); err != nil {
					t.Error(err)
				}
				removeOther()
			}
		})
	}
	wg.Wait()
	if got := steady.Load(); got != emitters*events {
		t.Errorf("a listener that stayed heard %d of %d events", got, emitters*events)
	}
	if got := fmt.Sprint(bus.Wanted(hooks.CircuitOpened{}), bus.Wanted(hooks.TimedOut{})); got != "true false" {
		t.Errorf("after all others were removed, wanted: %s", got)
	}
}
