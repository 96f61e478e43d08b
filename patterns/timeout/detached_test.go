package timeout_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/timeout"
)

func newDetached(tb testing.TB, limit time.Duration, opts ...timeout.Option) *timeout.Policy {
	tb.Helper()
	return newPolicy(tb, limit, append(opts, timeout.WithDetached())...)
}

// deaf returns an operation that ignores its context, takes d, and ends by end.
func deaf(d time.Duration, end func() error) patterns.Operation {
	return func(context.Context) error { time.Sleep(d); return end() }
}

func boom() error { return errBoom }

// ending is how a call on a goroutine of its own ended.
type ending struct {
	returned bool
	err      error
	panicked any
	after    time.Duration
}

// ends runs op through p on a goroutine of its own and waits for it.
func ends(ctx context.Context, p patterns.Policy, op patterns.Operation) (e ending) {
	begun, done := time.Now(), make(chan struct{})
	go func() {
		defer close(done)
		defer func() { e.panicked, e.after = recover(), time.Since(begun) }()
		e.err = p.Execute(ctx, op)
		e.returned = true
	}()
	<-done
	return e
}

// Pitfall 19, from the other side: who wants to be free at the limit whatever the operation does can have it.
func TestPitfall19DetachedCallReturnsAtTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fromConfig, err := timeout.New("charge", timeout.Config{Timeout: time.Second, Detached: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []*timeout.Policy{newDetached(t, time.Second), fromConfig} {
			for _, policy := range []patterns.Policy{p, p.Compose(patterns.Direct{})} {
				begun := time.Now()
				err := policy.Execute(t.Context(), deaf(time.Minute, func() error { return nil }))
				if time.Since(begun) != time.Second || p.Abandoned() != 1 || patterns.IsSequential(policy) {
					t.Errorf("after %v: %d abandoned, sequential %v", time.Since(begun), p.Abandoned(), patterns.IsSequential(policy))
				}
				for _, target := range []error{
					timeout.ErrTimeout, timeout.ErrAbandoned, context.DeadlineExceeded, patterns.ErrResilience,
				} {
					if !errors.Is(err, target) {
						t.Errorf("%v is not %v", err, target)
					}
				}
				const want = `Operation timed out: "charge" exceeded its limit of 1s; retry if it is safe to, or raise the limit: ` +
					`"charge" still runs, nobody waits for it any more; make it honor its context: context deadline exceeded`
				if err.Error() != want {
					t.Errorf("\n got %v\nwant %s", err, want)
				}
				time.Sleep(time.Minute - time.Second - 1)
				synctest.Wait()
				if p.Abandoned() != 1 {
					t.Error("no longer counted although it still runs")
				}
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				if p.Abandoned() != 0 {
					t.Error("still counted although it has ended")
				}
			}
		}
	})
}

func TestDetachedOperationThatEndsInTimeIsReturnedAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newDetached(t, time.Second)
		for _, want := range []error{nil, errBoom, context.DeadlineExceeded} {
			e := ends(t.Context(), p, deaf(time.Second-1, func() error { return want }))
			if !e.returned || e.err != want || e.after != time.Second-1 || p.Abandoned() != 0 {
				t.Errorf("%+v, %d abandoned, want %v", e, p.Abandoned(), want)
			}
		}
	})
}

// Pitfall 31: work on another goroutine must not crash the process, nor end unseen.
func TestPitfall31PanicAndGoexitOfADetachedOperationReachTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newDetached(t, time.Second)
		var escaped context.Context
		e := ends(t.Context(), p, func(ctx context.Context) error { escaped = ctx; panic("boom") })
		if e.returned || e.panicked != "boom" || escaped.Err() != context.Canceled {
			t.Errorf("panic: %+v, the context ended by %v", e, escaped.Err())
		}
		e = ends(t.Context(), p, deaf(0, func() error { panic(nil) })) //nolint:govet // what it becomes is the point
		if _, ok := e.panicked.(*runtime.PanicNilError); e.returned || !ok {
			t.Errorf("panic(nil): %+v", e)
		}
		e = ends(t.Context(), p, deaf(0, func() error { runtime.Goexit(); return nil }))
		if e.returned || e.panicked != nil {
			t.Errorf("goexit: %+v", e)
		}
		if p.Abandoned() != 0 {
			t.Errorf("%d abandoned", p.Abandoned())
		}
	})
}

func TestEndOfAnAbandonedOperationIsAnnounced(t *testing.T) {
	for name, tc := range map[string]struct {
		end   func() error
		err   error
		value any
	}{
		"success": {func() error { return nil }, nil, nil},
		"failure": {boom, errBoom, nil},
		"panic":   {func() error { panic("boom") }, nil, "boom"},
		"goexit":  {func() error { runtime.Goexit(); return nil }, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bus := &hooks.Bus{}
				var mu sync.Mutex
				var seen []string
				var got hooks.AbandonedEnded
				type key struct{}
				p := newDetached(t, time.Second, timeout.WithBus(bus))
				hooks.On(bus, func(_ context.Context, e hooks.TimedOut) {
					mu.Lock()
					defer mu.Unlock()
					seen = append(seen, e.EventName())
				})
				hooks.On(bus, func(ctx context.Context, e hooks.AbandonedEnded) {
					mu.Lock()
					defer mu.Unlock()
					seen, got = append(seen, e.EventName()), e
					if ctx.Value(key{}) != "caller" || ctx.Err() != nil {
						t.Error("the event does not come with the values of the call, or with its end")
					}
					if p.Abandoned() != 0 {
						t.Error("still counted")
					}
				})
				begun := time.Now()
				ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "caller"))
				_ = p.Execute(ctx, deaf(time.Minute, tc.end))
				cancel()
				time.Sleep(time.Minute)
				synctest.Wait()
				if want := []string{"timeout.expired", "timeout.abandoned_ended"}; !slices.Equal(seen, want) {
					t.Fatalf("announced %v, want %v", seen, want)
				}
				if (tc.value != nil) != strings.Contains(string(got.Stack), "detached_test.go") {
					t.Errorf("stack %s", got.Stack)
				}
				if got.Operation != "charge" || got.Ran != time.Minute || got.Err != tc.err || got.Panic != tc.value ||
					!got.At.Equal(begun.Add(time.Minute)) {
					t.Errorf("got %+v", got)
				}
			})
		})
	}
}

func TestDetachedCallReturnsWhenItsCallerIsGone(t *testing.T) {
	gone := errors.New("client went away")
	for name, tc := range map[string]struct {
		caller  func(context.Context) (context.Context, context.CancelFunc)
		is      []error
		outcome patterns.Outcome
	}{
		"canceled": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			timer := time.AfterFunc(time.Second, func() { cancel(gone) })
			return ctx, func() { timer.Stop(); cancel(nil) }
		}, []error{context.Canceled, gone}, patterns.Ignored},
		"deadline": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeoutCause(ctx, time.Second, gone)
		}, []error{context.DeadlineExceeded, gone}, patterns.Failure},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bus := &hooks.Bus{}
				hooks.On(bus, func(_ context.Context, e hooks.TimedOut) { t.Errorf("announced %+v", e) })
				p := newDetached(t, time.Minute, timeout.WithBus(bus))
				ctx, cancel := tc.caller(t.Context())
				defer cancel()
				e := ends(ctx, p, deaf(time.Hour, boom))
				var abandoned *timeout.AbandonedError
				if e.after != time.Second || !errors.As(e.err, &abandoned) || abandoned.Operation != "charge" ||
					errors.Is(e.err, timeout.ErrTimeout) || p.Abandoned() != 1 {
					t.Errorf("%+v, %d abandoned", e, p.Abandoned())
				}
				for _, target := range append(tc.is, timeout.ErrAbandoned, patterns.ErrResilience) {
					if !errors.Is(e.err, target) {
						t.Errorf("%v is not %v", e.err, target)
					}
				}
				if got := patterns.Classify(ctx, e.err); got != tc.outcome || patterns.Code(e.err) != "LEX_ERR_RES_001" {
					t.Errorf("classified as %v, code %q", got, patterns.Code(e.err))
				}
				time.Sleep(time.Hour) // until the operation has ended
			})
		})
	}
}

func TestDetachedOperationIsNotBegunForACallerWhoIsGone(t *testing.T) {
	gone := errors.New("client went away")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	p := newDetached(t, time.Minute)
	err := p.Execute(ctx, func(context.Context) error { t.Error("it ran"); return nil })
	if !errors.Is(err, context.Canceled) || !errors.Is(err, gone) || p.Abandoned() != 0 {
		t.Errorf("got %v, %d abandoned", err, p.Abandoned())
	}
}

func TestValueOfALateAttemptIsNotSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newDetached(t, time.Second)
		late := 7
		fetch := patterns.Wrap(p, func(_ context.Context, takes time.Duration) (*int, error) {
			time.Sleep(takes)
			return &late, nil
		})
		got, err := fetch(t.Context(), 2*time.Second)
		time.Sleep(time.Minute)
		if got != nil || !errors.Is(err, timeout.ErrAbandoned) {
			t.Errorf("got %v, %v", got, err)
		}
		if got, err = fetch(t.Context(), time.Second-1); got != &late || err != nil {
			t.Errorf("in time: got %v, %v", got, err)
		}
	})
}

// twice runs the operation again if it failed.
type twice struct{}

func (twice) Execute(ctx context.Context, op patterns.Operation) error {
	if op(ctx) == nil {
		return nil
	}
	return op(ctx)
}

// The first attempt succeeds too, but after the policy gave up on it and before the second one ends.
func TestValueIsThatOfTheAttemptThatWasReturned(t *testing.T) {
	for name, p := range map[string]func(*timeout.Policy) patterns.Policy{
		"retried": func(p *timeout.Policy) patterns.Policy { return patterns.Compose(twice{}, p) },
		"in another": func(p *timeout.Policy) patterns.Policy {
			return patterns.Compose(newDetached(t, time.Hour), twice{}, p)
		},
		"around another": func(p *timeout.Policy) patterns.Policy {
			return patterns.Compose(twice{}, p, newDetached(t, time.Hour))
		},
		"around one that is not": func(p *timeout.Policy) patterns.Policy {
			return patterns.Compose(twice{}, p, newPolicy(t, time.Hour))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				attempt := 0
				got, err := patterns.Do(t.Context(), p(newDetached(t, time.Second)), func(context.Context) (int, error) {
					mu.Lock()
					attempt++
					mine := attempt
					mu.Unlock()
					if mine == 1 {
						time.Sleep(1500 * time.Millisecond)
					} else {
						time.Sleep(900 * time.Millisecond)
					}
					return mine, nil
				})
				if got != 2 || err != nil {
					t.Errorf("got %d, %v", got, err)
				}
			})
		})
	}
}

// An operation that ends in the very moment of the limit is either returned or abandoned, and in the end not counted.
func TestDetachedOperationThatEndsAtTheLimit(t *testing.T) {
	var outcomes [2]int
	for range 300 {
		synctest.Test(t, func(t *testing.T) {
			bus := &hooks.Bus{}
			announced := make(chan hooks.AbandonedEnded, 1)
			hooks.On(bus, func(_ context.Context, e hooks.AbandonedEnded) { announced <- e })
			p := newDetached(t, time.Second, timeout.WithBus(bus))
			e := ends(t.Context(), p, deaf(time.Second, func() error { return nil }))
			synctest.Wait()
			late := errors.Is(e.err, timeout.ErrAbandoned)
			if !e.returned || (e.err != nil) != late || len(announced) == 1 != late || p.Abandoned() != 0 {
				t.Errorf("%+v, %d announced, %d abandoned", e, len(announced), p.Abandoned())
			}
			if late {
				outcomes[1]++
			} else {
				outcomes[0]++
			}
		})
	}
	t.Logf("%d in time, %d abandoned", outcomes[0], outcomes[1])
}

func TestDetachedManagerCountsWhatItAbandons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, time.Minute, timeout.WithDetached())
		configure(t, m, "charge", time.Second)
		for _, operation := range []string{"charge", "refund"} {
			if err := m.Run(t.Context(), operation, deaf(time.Hour, boom)); !errors.Is(err, timeout.ErrAbandoned) {
				t.Errorf("%s: got %v", operation, err)
			}
		}
		if m.Abandoned() != 2 {
			t.Errorf("%d abandoned", m.Abandoned())
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if m.Abandoned() != 0 {
			t.Errorf("%d abandoned in the end", m.Abandoned())
		}
	})
}

// scripted is a call of the model: when it begins, how long its operation takes and how that ends, and when the caller
// goes away.
type scripted struct {
	begins, takes, patience time.Duration
	end                     string
}

// model returns how the call ends, and until when its operation is abandoned.
func (s scripted) model(limit time.Duration) (e ending, kind error, until time.Duration) {
	e.after = min(s.takes, limit, s.patience)
	switch e.after {
	case s.takes:
		switch s.end {
		case "panic":
			e.panicked = "boom"
		case "success":
			e.returned = true
		case "failure":
			e.returned, kind = true, errBoom
		}
		return e, kind, 0
	case limit:
		kind = timeout.ErrTimeout
	default:
		kind = context.Canceled
	}
	e.returned = true
	return e, kind, s.begins + s.takes
}

func TestDetachedCallsBehaveLikeTheirModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		limit := time.Duration(rapid.IntRange(1, 3000).Draw(rt, "limit")) * time.Millisecond
		var calls []scripted
		for i := range rapid.IntRange(1, 12).Draw(rt, "calls") {
			// The nanoseconds keep apart what ends within one call and between calls.
			ms := func(name string) time.Duration {
				return time.Duration(rapid.IntRange(0, 4000).Draw(rt, name)) * time.Millisecond
			}
			calls = append(calls, scripted{
				begins: ms("begins"), takes: ms("takes") + time.Duration(2*i+1), patience: ms("patience") + time.Duration(2*i+2)*100,
				end: rapid.SampledFrom([]string{"success", "failure", "panic", "goexit"}).Draw(rt, "end"),
			})
		}
		var mistakes []string
		synctest.Test(t, func(t *testing.T) { mistakes = compareWithModel(t, limit, calls) })
		if len(mistakes) > 0 {
			rt.Fatal(strings.Join(mistakes, "\n"))
		}
	})
}

func compareWithModel(t *testing.T, limit time.Duration, calls []scripted) (mistakes []string) {
	bus := &hooks.Bus{}
	var mu sync.Mutex
	announced, expired, wantAnnounced, wantExpired := 0, 0, 0, 0
	hooks.On(bus, func(context.Context, hooks.AbandonedEnded) { mu.Lock(); defer mu.Unlock(); announced++ })
	hooks.On(bus, func(context.Context, hooks.TimedOut) { mu.Lock(); defer mu.Unlock(); expired++ })
	complain := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		mistakes = append(mistakes, fmt.Sprintf(format, args...))
	}
	p := newDetached(t, limit, timeout.WithBus(bus))
	begun := time.Now()
	type span struct{ from, until time.Duration }
	var spans []span
	for i, s := range calls {
		want, kind, until := s.model(limit)
		if until > 0 {
			spans = append(spans, span{s.begins + want.after, until})
			wantAnnounced++
		}
		if kind == timeout.ErrTimeout {
			wantExpired++
		}
		go func() {
			time.Sleep(s.begins)
			ctx, cancel := context.WithCancel(t.Context())
			timer := time.AfterFunc(s.patience, cancel)
			defer timer.Stop()
			defer cancel()
			got := ends(ctx, p, deaf(s.takes, func() error {
				switch s.end {
				case "panic":
					panic("boom")
				case "goexit":
					runtime.Goexit()
				case "failure":
					return errBoom
				}
				return nil
			}))
			if got.returned != want.returned || got.panicked != want.panicked || got.after != want.after ||
				!errors.Is(got.err, kind) || errors.Is(got.err, timeout.ErrAbandoned) != (until > 0) {
				complain("call %d %+v: got %+v, want %+v and %v", i, s, got, want, kind)
			}
		}()
	}
	for range 200 {
		time.Sleep(61 * time.Millisecond)
		synctest.Wait()
		now, want := time.Since(begun), 0
		for _, s := range spans {
			if s.from <= now && now < s.until {
				want++
			}
		}
		if got := p.Abandoned(); got != want {
			complain("after %v: %d abandoned, want %d", now, got, want)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if announced != wantAnnounced || expired != wantExpired {
		mistakes = append(mistakes, fmt.Sprintf("%d ends and %d limits announced, want %d and %d",
			announced, expired, wantAnnounced, wantExpired))
	}
	return mistakes
}

// Food for the race detector, on a real clock: operations that end around the limit.
func TestDetachedOperationsThatRaceWithTheLimit(t *testing.T) {
	p := newDetached(t, 200*time.Microsecond)
	var attempts, callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for i := range 200 {
				attempts.Add(1)
				got, err := patterns.Do(t.Context(), p, func(ctx context.Context) (int, error) {
					defer attempts.Done()
					if i%3 == 0 {
						<-ctx.Done()
					}
					for range i % 50 {
						runtime.Gosched()
					}
					return i + 1, nil
				})
				if (err == nil) != (got == i+1) || err != nil && (got != 0 || !errors.Is(err, timeout.ErrAbandoned)) {
					t.Errorf("call %d: got %d, %v", i, got, err)
				}
			}
		})
	}
	callers.Wait()
	attempts.Wait()
	for p.Abandoned() > 0 { // the operations have ended, their goroutines are about to
		runtime.Gosched()
	}
}
