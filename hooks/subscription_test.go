package hooks_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/steadyfx/steady/hooks"
)

func opened(name string) hooks.CircuitOpened { return hooks.CircuitOpened{Name: name} }

func emit(bus *hooks.Bus, names ...string) {
	for _, name := range names {
		hooks.Emit(context.Background(), bus, opened(name))
	}
}

// settle waits until slow subscribers have handled everything.
func settle() {
	time.Sleep(time.Minute)
	synctest.Wait()
}

// slow is a subscriber that takes a second for each event.
type slow struct{ got []string }

func (s *slow) handle(e hooks.CircuitOpened) {
	time.Sleep(time.Second)
	s.got = append(s.got, e.Name)
}

func TestSubscriberRunsOffTheCallersPathAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus hooks.Bus
		var s slow
		hooks.Subscribe(&bus, 0, s.handle)
		start := time.Now()
		emit(&bus, "a", "b", "c")
		if elapsed := time.Since(start); elapsed != 0 {
			t.Errorf("the caller waited for %v", elapsed)
		}
		settle()
		emit(&bus, "d") // after it was idle
		settle()
		if want := []string{"a", "b", "c", "d"}; !slices.Equal(s.got, want) {
			t.Errorf("got %v, want %v", s.got, want)
		}
		// The subscription stays open: the bubble would not end if it had a goroutine while it is idle.
	})
}

func TestSubscriberOfEventHearsEveryKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus hooks.Bus
		var got []string
		hooks.Subscribe(&bus, 0, func(e hooks.Event) { got = append(got, e.EventName()) })
		hooks.Emit(t.Context(), &bus, hooks.TimedOut{})
		hooks.Emit(t.Context(), &bus, hooks.CircuitOpened{})
		synctest.Wait()
		if want := []string{"timeout.expired", "circuit_breaker.opened"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestQueueIsBoundedAndWhatDoesNotFitIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus hooks.Bus
		var s slow
		sub := hooks.Subscribe(&bus, 2, s.handle)
		emit(&bus, "a")
		synctest.Wait() // a is being handled
		emit(&bus, "b", "c", "d", "e")
		if sub.Queued() != 2 || sub.Dropped() != 2 {
			t.Errorf("queued %d, dropped %d, want 2 and 2", sub.Queued(), sub.Dropped())
		}
		if got := bus.Stats(); got != (hooks.Stats{Queued: 2, Dropped: 2}) {
			t.Errorf("Stats: %+v", got)
		}
		settle()
		emit(&bus, "f")
		settle()
		if want := []string{"a", "b", "c", "f"}; !slices.Equal(s.got, want) {
			t.Errorf("got %v, want %v", s.got, want)
		}
		if sub.Queued() != 0 || sub.Dropped() != 2 {
			t.Errorf("at the end: queued %d, dropped %d", sub.Queued(), sub.Dropped())
		}
	})
}

func TestQueueHasADefaultLength(t *testing.T) {
	for _, length := range []int{0, -1} {
		synctest.Test(t, func(t *testing.T) {
			var bus hooks.Bus
			hold := make(chan struct{})
			sub := hooks.Subscribe(&bus, length, func(hooks.Event) { <-hold })
			emit(&bus, "handled")
			synctest.Wait()
			for range hooks.DefaultQueue + 1 {
				emit(&bus, "queued")
			}
			if sub.Queued() != hooks.DefaultQueue || sub.Dropped() != 1 {
				t.Errorf("queued %d, dropped %d", sub.Queued(), sub.Dropped())
			}
			close(hold)
		})
	}
}

func TestCloseHandlesWhatIsQueued(t *testing.T) {
	type closer interface{ Close(context.Context) error }
	tests := map[string]func(*hooks.Bus, *hooks.Subscription) closer{
		"bus":          func(b *hooks.Bus, _ *hooks.Subscription) closer { return b },
		"subscription": func(_ *hooks.Bus, s *hooks.Subscription) closer { return s },
	}
	for name, which := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var bus hooks.Bus
				var s slow
				sub := hooks.Subscribe(&bus, 0, s.handle)
				emit(&bus, "a", "b", "c")
				start := time.Now()
				for call := 1; call <= 2; call++ {
					if err := which(&bus, sub).Close(t.Context()); err != nil {
						t.Errorf("call %d: %v", call, err)
					}
				}
				if elapsed := time.Since(start); elapsed != 3*time.Second {
					t.Errorf("Close took %v, want 3s", elapsed)
				}
				emit(&bus, "late")
				settle()
				if want := []string{"a", "b", "c"}; !slices.Equal(s.got, want) {
					t.Errorf("got %v, want %v", s.got, want)
				}
			})
		})
	}
}

func TestSeveralMayWaitForOneSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus hooks.Bus
		var s slow
		sub := hooks.Subscribe(&bus, 0, s.handle)
		emit(&bus, "a", "b")
		var wg sync.WaitGroup
		for _, c := range []func(context.Context) error{bus.Close, sub.Close, bus.Close, sub.Close} {
			synctest.Wait() // until the one before waits
			wg.Go(func() {
				start := time.Now()
				if err := c(t.Context()); err != nil || time.Since(start) != 2*time.Second {
					t.Errorf("returned %v after %v", err, time.Since(start))
				}
			})
		}
		wg.Wait()
	})
}

func TestCloseDropsWhatIsLeftWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus hooks.Bus
		var first, second slow
		subs := []*hooks.Subscription{
			hooks.Subscribe(&bus, 0, first.handle), hooks.Subscribe(&bus, 0, second.handle),
		}
		emit(&bus, "a", "b", "c", "d")
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond) // while b is being handled
		defer cancel()
		start := time.Now()
		if err := bus.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close returned %v", err)
		}
		if elapsed := time.Since(start); elapsed != 1500*time.Millisecond {
			t.Errorf("Close took %v", elapsed)
		}
		for i, sub := range subs {
			if sub.Queued() != 0 || sub.Dropped() != 2 {
				t.Errorf("subscription %d: queued %d, dropped %d, want 0 and 2", i, sub.Queued(), sub.Dropped())
			}
		}
		settle()
		for i, s := range []slow{first, second} {
			if want := []string{"a", "b"}; !slices.Equal(s.got, want) {
				t.Errorf("subscription %d: got %v, want %v", i, s.got, want)
			}
		}
		if err := bus.Close(t.Context()); err != nil {
			t.Errorf("Close after all was handled returned %v", err)
		}
	})
}

func TestCloseUnderAContextThatHasEndedDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus hooks.Bus
		var s slow
		sub := hooks.Subscribe(&bus, 0, s.handle)
		idle := hooks.Subscribe(&bus, 0, func(hooks.TimedOut) {})
		emit(&bus, "a", "b", "c")
		synctest.Wait() // until a is being handled
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := idle.Close(ctx); err != nil {
			t.Errorf("Close of an idle subscription returned %v", err)
		}
		start := time.Now()
		if err := bus.Close(ctx); !errors.Is(err, context.Canceled) || time.Since(start) != 0 {
			t.Errorf("Close returned %v after %v", err, time.Since(start))
		}
		settle()
		if want := []string{"a"}; !slices.Equal(s.got, want) || sub.Dropped() != 2 {
			t.Errorf("got %v, dropped %d", s.got, sub.Dropped())
		}
	})
}

func TestClosedBusTakesNothingNewButListenersKeepWorking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus hooks.Bus
		heard := 0
		hooks.On(&bus, func(context.Context, hooks.CircuitOpened) { heard++ })
		old := hooks.Subscribe(&bus, 0, func(e hooks.Event) { t.Errorf("delivered %+v", e) })
		if err := bus.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		young := hooks.Subscribe(&bus, 0, func(e hooks.Event) { t.Errorf("delivered %+v", e) })
		emit(&bus, "a", "b")
		synctest.Wait()
		if heard != 2 || old.Dropped() != 2 || young.Dropped() != 2 {
			t.Errorf("heard %d, dropped %d and %d, want 2 each", heard, old.Dropped(), young.Dropped())
		}
		if got := bus.Stats(); got != (hooks.Stats{Dropped: 4}) {
			t.Errorf("Stats: %+v", got)
		}
	})
}

func TestClosedSubscriptionLeavesTheBus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus hooks.Bus
		var s slow
		sub := hooks.Subscribe(&bus, 1, s.handle)
		other := hooks.Subscribe(&bus, 1, func(hooks.TimedOut) {})
		emit(&bus, "a")
		synctest.Wait()
		emit(&bus, "b", "dropped")
		if err := sub.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got := bus.Stats(); got != (hooks.Stats{Dropped: 1}) { // a count never goes down
			t.Errorf("Stats: %+v", got)
		}
		if bus.Wanted(opened("")) || !bus.Wanted(hooks.TimedOut{}) {
			t.Error("it still listens, or the other does not")
		}
		if err := other.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestSubscriberThatDoesNotReturnGetsTheNextEventToo(t *testing.T) {
	endings := map[string]func(){"panic": func() { panic("bang") }, "Goexit": runtime.Goexit}
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var bus hooks.Bus
				var got []string
				var panics []string
				hooks.Subscribe(&bus, 0, func(e hooks.CircuitOpened) {
					got = append(got, e.Name)
					if e.Name != "c" {
						end()
					}
				})
				hooks.On(&bus, func(_ context.Context, e hooks.ListenerPanicked) {
					panics = append(panics, fmt.Sprint(e.Event, " ", e.Value))
				})
				emit(&bus, "a", "b", "c")
				if err := bus.Close(t.Context()); err != nil {
					t.Error(err)
				}
				if want := []string{"a", "b", "c"}; !slices.Equal(got, want) {
					t.Errorf("got %v, want %v", got, want)
				}
				want := []string{"circuit_breaker.opened bang", "circuit_breaker.opened bang"}
				if name == "Goexit" {
					want = nil
				}
				if !slices.Equal(panics, want) || bus.Stats().Panics != uint64(len(want)) {
					t.Errorf("announced %v, counted %d, want %v", panics, bus.Stats().Panics, want)
				}
			})
		})
	}
}

func TestSubscriberThatAlwaysPanicsComesToRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus hooks.Bus
		var got []string
		hooks.Subscribe(&bus, 0, func(e hooks.Event) {
			got = append(got, e.EventName())
			panic("bang")
		})
		hooks.Emit(t.Context(), &bus, hooks.TimedOut{})
		synctest.Wait()
		if want := []string{"timeout.expired", "hooks.listener_panicked"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestSubscriberMayEmitAndSubscribe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus hooks.Bus
		var first, second []string
		hooks.Subscribe(&bus, 0, func(e hooks.CircuitOpened) {
			first = append(first, e.Name)
			if e.Name == "a" {
				hooks.Subscribe(&bus, 0, func(e hooks.CircuitOpened) { second = append(second, e.Name) })
				emit(&bus, "b")
			}
		})
		emit(&bus, "a")
		synctest.Wait()
		if !slices.Equal(first, []string{"a", "b"}) || !slices.Equal(second, []string{"b"}) {
			t.Errorf("got %v and %v", first, second)
		}
	})
}

// TestNoEventIsLostOrHandledTwice emits, subscribes and closes at the same time: each event is handled or counted.
func TestNoEventIsLostOrHandledTwice(t *testing.T) {
	const emitters, events = 4, 2000
	var bus hooks.Bus
	var handled atomic.Int64
	sub := hooks.Subscribe(&bus, 8, func(hooks.CircuitOpened) { handled.Add(1) })
	var wg sync.WaitGroup
	for range emitters {
		wg.Go(func() {
			for range events {
				emit(&bus, "a")
			}
		})
	}
	wg.Go(func() {
		for range 200 {
			hooks.Subscribe(&bus, 8, func(hooks.CircuitOpened) {})
		}
		if err := bus.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
	if err := sub.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if got := uint64(handled.Load()) + sub.Dropped(); got != emitters*events {
		t.Errorf("%d handled and %d dropped of %d", handled.Load(), sub.Dropped(), emitters*events)
	}
}

// TestSubscriptionAgreesWithItsModel runs random emissions and completions against a plain list.
func TestSubscriptionAgreesWithItsModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		length := rapid.IntRange(1, 4).Draw(rt, "length")
		// Each step emits so many events (0 to 5), or lets the subscriber finish one (-1).
		steps := rapid.SliceOf(rapid.IntRange(-1, 5)).Draw(rt, "steps")
		var mistake string
		synctest.Test(t, func(t *testing.T) { mistake = compareWithModel(length, steps) })
		if mistake != "" {
			rt.Fatal(mistake)
		}
	})
}

func compareWithModel(length int, steps []int) string {
	var bus hooks.Bus
	var handled []string
	finish := make(chan struct{})
	sub := hooks.Subscribe(&bus, length, func(e hooks.CircuitOpened) {
		handled = append(handled, e.Name)
		<-finish
	})
	defer close(finish) // and let the rest go

	var begun, queue []string // the model
	busy, dropped, emitted := false, uint64(0), 0
	for i, step := range steps {
		if step < 0 && busy {
			finish <- struct{}{}
			busy = false
		}
		for range step {
			name := fmt.Sprint(emitted)
			emitted++
			emit(&bus, name)
			synctest.Wait()
			if busy && len(queue) == length {
				dropped++
			} else {
				queue = append(queue, name)
			}
			if !busy {
				begun, queue, busy = append(begun, queue[0]), queue[1:], true
			}
		}
		synctest.Wait()
		if !busy && len(queue) > 0 {
			begun, queue, busy = append(begun, queue[0]), queue[1:], true
		}
		if !slices.Equal(handled, begun) || sub.Queued() != len(queue) || sub.Dropped() != dropped {
			return fmt.Sprintf("after step %d: handled %v, queued %d, dropped %d; want %v, %v, %d",
				i, handled, sub.Queued(), sub.Dropped(), begun, queue, dropped)
		}
	}
	return ""
}
