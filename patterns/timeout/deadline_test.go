package timeout

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const limit = 10 * time.Second

// maker makes a context that ends after d; the other function ends it before.
type maker func(parent context.Context, d time.Duration) (context.Context, func())

func newDeadlineContext(parent context.Context, d time.Duration) (context.Context, func()) {
	c := &deadlineContext{parent: parent, policy: &Policy{limit: d, start: time.Now()}}
	c.begun = time.Since(c.policy.start)
	return c, c.finish
}

func askedForDone(parent context.Context, d time.Duration) (context.Context, func()) {
	c, finish := newDeadlineContext(parent, d)
	c.Done()
	return c, finish
}

func askedForDeadline(parent context.Context, d time.Duration) (context.Context, func()) {
	c, finish := newDeadlineContext(parent, d)
	c.Deadline()
	return c, finish
}

func standardLibrary(parent context.Context, d time.Duration) (context.Context, func()) {
	ctx, cancel := context.WithTimeout(parent, d)
	return ctx, cancel
}

// log is what a scenario saw.
type log struct {
	begun time.Time

	mu    sync.Mutex
	lines []string
}

func (l *log) add(what string, values ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf("after %v: %s %v", time.Since(l.begun), what, values))
}

// err, done, cause and deadline ask a context one question each.
func (l *log) err(ctx context.Context)   { l.add("err", ctx.Err()) }
func (l *log) cause(ctx context.Context) { l.add("cause", context.Cause(ctx)) }

func (l *log) done(ctx context.Context) {
	synctest.Wait()
	select {
	case <-ctx.Done():
		l.add("done")
	default:
		l.add("not done")
	}
}

func (l *log) deadline(ctx context.Context) {
	d, ok := ctx.Deadline()
	l.add("deadline", d.UnixNano(), ok)
}

// everything asks all of them.
func (l *log) everything(ctx context.Context) {
	l.deadline(ctx)
	l.err(ctx)
	l.cause(ctx)
	l.done(ctx)
}

// questions are asked one at a time, because the first one may decide how the others are answered.
var questions = map[string]func(*log, context.Context){
	"err": (*log).err, "done": (*log).done, "cause": (*log).cause, "deadline": (*log).deadline,
	"everything": (*log).everything,
}

var errGone = errors.New("client went away")

type key struct{}

// scenarios are what can happen to a context. Each asks its questions by ask, and by look where an answer is final.
var scenarios = map[string]func(ctx context.Context, within maker, l *log, ask func(*log, context.Context)){
	"fresh": func(ctx context.Context, within maker, l *log, ask func(*log, context.Context)) {
		c, cancel := within(ctx, limit)
		defer cancel()
		ask(l, c)
		ask(l, c)
	},
	"asked again and again": func(ctx context.Context, within maker, l *log, ask func(*log, context.Context)) {
		c, cancel := within(ctx, limit)
		defer cancel()
		for range 12 {
			ask(l, c)
			time.Sleep(limit/10 + 7)
			synctest.Wait()
		}
		l.everything(c)
	},
	"the limit passes": func(ctx context.Context, within maker, l *log, ask func(*log, context.Context)) {
		c, cancel := within(ctx, limit)
		defer cancel()
		time.Sleep(limit - 1)
		synctest.Wait()
		ask(l, c)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		ask(l, c)
		l.everything(c)
	},
	"canceled": func(ctx context.Context, within maker, l *log, ask func(*log, context.Context)) {
		c, cancel := within(ctx, limit)
		ask(l, c)
		cancel()
		ask(l, c)
		cancel()
		l.everything(c)
	},
	"used after it was canceled": func(ctx context.Context, within maker, l *log, ask func(*log, context.Context)) {
		parent, cancelParent := context.WithCancelCause(context.WithValue(ctx, key{}, "value"))
		c, cancel := within(parent, limit)
		cancel()
		cancelParent(errGone)
		time.Sleep(2 * limit)
		ask(l, c)
		l.everything(c)
		l.add("value", c.Value(key{}))
		child, cancelChild := context.WithCancel(c)
		defer cancelChild()
		l.everything(child)
		context.AfterFunc(c, func() { l.add("ran") })
		synctest.Wait()
	},
	"canceled after the limit": func(ctx context.Context, within maker, l *log, ask func(*log, context.Context)) {
		c, cancel := within(ctx, limit)
		time.Sleep(limit)
		synctest.Wait()
		l.err(c) // unasked, it is one of the known differences
		cancel()
		ask(l, c)
		l.everything(c)
	},
	"parent canceled before": func(ctx context.Context, within maker, l *log, ask func(*log, context.Context)) {
		parent, cancelParent := context.WithCancelCause(ctx)
		cancelParent(errGone)
		c, cancel := within(parent, limit)
		defer cancel()
		ask(l, c)
		l.everything(c)
	},
	"parent canceled after": func(ctx context.Context, within maker, l *log, ask func(*log, context.Context)) {
		parent, cancelParent := context.WithCancelCause(ctx)
		c, cancel := within(parent, limit)
		defer cancel()
		ask(l, c)
		time.Sleep(time.Second)
		cancelParent(errGone)
		ask(l, c)
		time.Sleep(limit)
		l.everything(c)
	},
	"parent canceled unseen": func(ctx context.Context, within maker, l *log, ask func(*log, context.Context)) {
		parent, cancelParent := context.WithCancelCause(ctx)
		c, cancel := within(parent, limit)
		defer cancel()
		cancelParent(errGone)
		ask(l, c)
		time.Sleep(limit)
		l.everything(c)
	},
	"parent canceled after the limit": func(ctx context.Context, within maker, l *log, ask func(*log, context.Context)) {
		parent, cancelParent := context.WithCancelCause(ctx)
		c, cancel := within(parent, limit)
		defer cancel()
		time.Sleep(limit)
		synctest.Wait()
		l.err(c) // unasked, it is one of the known differences
		cancelParent(errGone)
		ask(l, c)
		l.everything(c)
	},
	"parent with an earlier deadline": func(ctx context.Context, within maker, l *log, ask func(*log, context.Context)) {
		parent, cancelParent := context.WithTimeoutCause(ctx, limit/2, errGone)
		defer cancelParent()
		c, cancel := within(parent, limit)
		defer cancel()
		ask(l, c)
		time.Sleep(limit / 2)
		synctest.Wait()
		ask(l, c)
		l.everything(c)
	},
	"parent with a later deadline": func(ctx context.Context, within maker, l *log, ask func(*log, context.Context)) {
		parent, cancelParent := context.WithTimeoutCause(ctx, 2*limit, errGone)
		defer cancelParent()
		c, cancel := within(parent, limit)
		defer cancel()
		ask(l, c)
		time.Sleep(limit)
		synctest.Wait()
		ask(l, c)
		l.everything(c)
	},
	"parent whose deadline has passed": func(ctx context.Context, within maker, l *log, ask func(*log, context.Context)) {
		parent, cancelParent := context.WithTimeoutCause(ctx, -limit, errGone)
		defer cancelParent()
		c, cancel := within(parent, limit)
		defer cancel()
		ask(l, c)
		l.everything(c)
	},
	"parent of another kind": func(ctx context.Context, within maker, l *log, ask func(*log, context.Context)) {
		parent := &foreignContext{Context: ctx, done: make(chan struct{})}
		c, cancel := within(parent, limit)
		ask(l, c)
		parent.end(context.Canceled)
		synctest.Wait()
		ask(l, c)
		l.everything(c)
		cancel()
	},
	"in one another": func(ctx context.Context, within maker, l *log, ask func(*log, context.Context)) {
		outer, cancelOuter := within(ctx, limit)
		defer cancelOuter()
		time.Sleep(time.Second)
		shorter, cancel := within(outer, limit/2)
		defer cancel()
		longer, cancel := within(outer, limit)
		defer cancel()
		ask(l, shorter)
		ask(l, longer)
		time.Sleep(limit / 2)
		synctest.Wait()
		ask(l, shorter)
		ask(l, longer)
		time.Sleep(limit / 2)
		synctest.Wait()
		l.everything(longer)
		l.everything(outer)
	},
	"values": func(ctx context.Context, within maker, l *log, ask func(*log, context.Context)) {
		pointer := new(int) // the standard library's own key has this type
		parent := context.WithValue(context.WithValue(ctx, key{}, "a"), pointer, "b")
		c, cancel := within(parent, limit)
		see := func() { l.add("values", c.Value(key{}), c.Value(pointer), c.Value(new(int)), c.Value("none")) }
		see()
		ask(l, c)
		see()
		cancel()
		see()
		child, cancelChild := context.WithCancel(context.WithValue(c, key{}, "c"))
		defer cancelChild()
		l.add("value", child.Value(key{}))
	},
	"derived, then the limit passes": func(ctx context.Context, within maker, l *log, ask func(*log, context.Context)) {
		c, cancel := within(ctx, limit)
		defer cancel()
		derived, end := family(c, l)
		defer end()
		for range 3 {
			for _, d := range derived {
				ask(l, d)
			}
			time.Sleep(limit/2 + 1)
			synctest.Wait()
		}
		for _, d := range derived {
			l.everything(d)
		}
	},
	"derived, then canceled": func(ctx context.Context, within maker, l *log, ask func(*log, context.Context)) {
		c, cancel := within(ctx, limit)
		derived, end := family(c, l)
		defer end()
		cancel()
		synctest.Wait()
		for _, d := range derived {
			ask(l, d)
			l.everything(d)
		}
	},
	"derived, then parent canceled": func(ctx context.Context, within maker, l *log, ask func(*log, context.Context)) {
		parent, cancelParent := context.WithCancelCause(ctx)
		c, cancel := within(parent, limit)
		defer cancel()
		derived, end := family(c, l)
		defer end()
		cancelParent(errGone)
		synctest.Wait()
		for _, d := range derived {
			ask(l, d)
			l.everything(d)
		}
	},
	"derived and ended by themselves": func(ctx context.Context, within maker, l *log, ask func(*log, context.Context)) {
		c, cancel := within(ctx, limit)
		defer cancel()
		child, cancelChild := context.WithCancelCause(c)
		cancelChild(errGone)
		l.everything(child)
		ask(l, c)
		l.everything(c)
	},
	"after-function stopped": func(ctx context.Context, within maker, l *log, ask func(*log, context.Context)) {
		c, cancel := within(ctx, limit)
		stop := context.AfterFunc(c, func() { l.add("ran") })
		l.add("stopped", stop(), stop())
		cancel()
		synctest.Wait()
		ask(l, c)
	},
	"no end in sight": func(ctx context.Context, within maker, l *log, ask func(*log, context.Context)) {
		c, cancel := within(ctx, math.MaxInt64)
		ask(l, c)
		time.Sleep(10 * 365 * 24 * time.Hour)
		ask(l, c)
		cancel()
		l.everything(c)
	},
}

// family derives a context of every kind.
func family(c context.Context, l *log) (derived []context.Context, end func()) {
	cancelable, cancel1 := context.WithCancel(c)
	caused, cancel2 := context.WithCancelCause(context.WithValue(c, key{}, "value"))
	shorter, cancel3 := context.WithTimeoutCause(c, limit/2, errGone)
	longer, cancel4 := context.WithTimeoutCause(c, 2*limit, errGone)
	grandchild, cancel5 := context.WithCancel(cancelable)
	context.AfterFunc(c, func() { l.add("ran") })
	return []context.Context{
			cancelable, caused, shorter, longer, grandchild, context.WithoutCancel(c), context.WithValue(c, key{}, "value"),
		}, func() {
			cancel1()
			cancel2(nil)
			cancel3()
			cancel4()
			cancel5()
		}
}

// foreignContext is one that the standard library does not know.
type foreignContext struct {
	context.Context
	done chan struct{}

	mu    sync.Mutex
	ended error
}

func (c *foreignContext) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = err
	close(c.done)
}

func (c *foreignContext) Done() <-chan struct{} { return c.done }

func (c *foreignContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// The whole table: whatever happens and whatever is asked first, ours answers as context.WithTimeout does.
func TestContextBehavesLikeTheStandardOne(t *testing.T) {
	for name, scenario := range scenarios {
		for question, ask := range questions {
			see := func(t *testing.T, within maker) (lines []string) {
				synctest.Test(t, func(t *testing.T) {
					l := &log{begun: time.Now()}
					scenario(t.Context(), within, l, ask)
					lines = l.lines
				})
				return lines
			}
			t.Run(name+"/"+question, func(t *testing.T) {
				want := see(t, standardLibrary)
				if len(want) == 0 {
					t.Fatal("the scenario saw nothing")
				}
				for variant, within := range map[string]maker{
					"fresh": newDeadlineContext, "asked for done": askedForDone, "asked for the deadline": askedForDeadline,
				} {
					if got := see(t, within); !reflect.DeepEqual(got, want) {
						t.Errorf("%s:\n got %q\nwant %q", variant, got, want)
					}
				}
			})
		}
	}
}

// The two things that the documentation of the package admits. If this test fails, change that too.
func TestKnownDifferences(t *testing.T) {
	expire := func(func()) { time.Sleep(limit); synctest.Wait() }
	for name, tc := range map[string]struct {
		happen       func(cancelParent func())
		atOnce       bool // the operation returns before anybody asks
		ours, theirs error
	}{
		"the limit passes, then the parent is canceled": {
			func(cancelParent func()) { expire(nil); cancelParent() }, false, errGone, context.DeadlineExceeded,
		},
		"the limit passes, then the operation returns": {expire, true, context.Canceled, context.DeadlineExceeded},
		"the parent is canceled, then the operation returns": {
			func(cancelParent func()) { cancelParent() }, true, context.Canceled, errGone,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, c := range []struct {
					within maker
					want   error
				}{{newDeadlineContext, tc.ours}, {askedForDone, tc.theirs}, {standardLibrary, tc.theirs}} {
					parent, cancelParent := context.WithCancelCause(t.Context())
					ctx, end := c.within(parent, limit)
					tc.happen(func() { cancelParent(errGone) })
					if tc.atOnce {
						end()
					}
					if got := context.Cause(ctx); got != c.want {
						t.Errorf("got %v, want %v", got, c.want)
					}
					end()
					cancelParent(nil)
				}
			})
		})
	}
}

// Pitfall 10: nothing runs on behalf of a context, however many are derived from it.
func TestPitfall10DerivedContextsCostNoGoroutine(t *testing.T) {
	parent, cancelParent := context.WithCancel(t.Context())
	defer cancelParent()
	before := runtime.NumGoroutine()
	c, finish := newDeadlineContext(parent, time.Hour)
	for range 100 {
		_, cancel := context.WithCancel(c)
		defer cancel()
		_, cancel = context.WithTimeout(c, time.Minute)
		defer cancel()
		stop := context.AfterFunc(c, func() {})
		defer stop()
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines, %d before", after, before)
	}
	finish()
}

// registryContext counts who is registered with it to be told when it ends.
type registryContext struct {
	context.Context
	done       chan struct{}
	registered atomic.Int32
}

func (c *registryContext) Done() <-chan struct{} { return c.done }

func (c *registryContext) AfterFunc(func()) (stop func() bool) {
	c.registered.Add(1)
	return func() bool { c.registered.Add(-1); return true }
}

func TestParentHoldsNothingBeforeDoneIsAskedForAndAfterTheReturn(t *testing.T) {
	parent := &registryContext{Context: t.Context(), done: make(chan struct{})}
	c, finish := newDeadlineContext(parent, time.Hour)
	c.Deadline()
	_ = c.Err()
	c.Value(key{})
	if n := parent.registered.Load(); n != 0 {
		t.Errorf("%d registered with the parent before Done", n)
	}
	c.Done()
	if n := parent.registered.Load(); n != 1 {
		t.Errorf("%d registered with the parent after Done", n)
	}
	finish()
	if n := parent.registered.Load(); n != 0 {
		t.Errorf("%d registered with the parent after the return", n)
	}
	if c.Err() != context.Canceled {
		t.Errorf("err is %v", c.Err())
	}
}

// meddler is a parent whose Done channel cannot be asked for without somebody else asking for the child's meanwhile.
type meddler struct {
	registryContext
	meddle func()
}

func (c *meddler) Done() <-chan struct{} {
	if meddle := c.meddle; meddle != nil {
		c.meddle = nil
		meddle()
	}
	return c.done
}

func TestTwoWhoAskAtOnceGetOneContextAndNoneIsLeftBehind(t *testing.T) {
	parent := &meddler{registryContext: registryContext{Context: t.Context(), done: make(chan struct{})}}
	c, finish := newDeadlineContext(parent, time.Hour)
	var theirs <-chan struct{}
	parent.meddle = func() { theirs = c.Done() }
	if c.Done() != theirs {
		t.Error("there are two channels")
	}
	finish()
	if n := parent.registered.Load(); n != 0 {
		t.Errorf("%d registered with the parent after the return", n)
	}

	c, finish = newDeadlineContext(parent, time.Hour)
	parent.meddle = finish // the operation returns while one of its goroutines asks
	<-c.Done()
	if n := parent.registered.Load(); n != 0 || c.Err() != context.Canceled {
		t.Errorf("%d registered with the parent, err %v", n, c.Err())
	}
}

// Food for the race detector: everything at once, the return of the operation included.
func TestQuestionsMayBeAskedAtOnce(t *testing.T) {
	for range 300 {
		parent, cancelParent := context.WithCancel(t.Context())
		c, finish := newDeadlineContext(parent, time.Hour)
		var channels [4]<-chan struct{}
		var start, end sync.WaitGroup
		start.Add(1)
		run := func(f func()) { end.Go(func() { start.Wait(); f() }) }
		for i := range channels {
			run(func() { channels[i] = c.Done() })
		}
		run(func() { _ = c.Err() })
		run(func() { _ = context.Cause(c) })
		run(func() { c.Deadline() })
		run(func() { c.Value(new(int)) })
		run(func() { _ = fmt.Sprint(c) })
		run(func() {
			child, cancel := context.WithCancel(c)
			defer cancel()
			_ = child.Err()
		})
		run(finish)
		start.Done()
		end.Wait()
		for i := range channels {
			if <-channels[i]; channels[i] != channels[0] {
				t.Fatal("there are two channels")
			}
		}
		if err := c.Err(); err != context.Canceled {
			t.Fatalf("err is %v", err)
		}
		cancelParent()
	}
}

// The clock of a bubble has no monotonic reading, and another origin. A policy need not come from the same world as
// its calls.
func TestPolicyMadeOutsideOfABubbleWorksInside(t *testing.T) {
	outside := &Policy{name: "charge", limit: limit, start: time.Now()}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Hour)
		for _, patience := range []time.Duration{limit / 2, 2 * limit} {
			parent, cancel := context.WithTimeout(t.Context(), patience)
			begun, want := time.Now(), min(limit, patience)
			_ = outside.Execute(parent, func(ctx context.Context) error {
				if d, ok := ctx.Deadline(); !ok || d.Sub(begun) != want {
					t.Errorf("deadline after %v, want %v", d.Sub(begun), want)
				}
				<-ctx.Done()
				return ctx.Err()
			})
			if elapsed := time.Since(begun); elapsed != want {
				t.Errorf("ended after %v, want %v", elapsed, want)
			}
			cancel()
		}
	})
	var inside *Policy
	synctest.Test(t, func(*testing.T) { inside = &Policy{name: "charge", limit: time.Hour, start: time.Now()} })
	before := time.Now()
	_ = inside.Execute(t.Context(), func(ctx context.Context) error {
		d, _ := ctx.Deadline()
		if d.Before(before.Add(time.Hour)) || d.After(time.Now().Add(time.Hour)) || ctx.Err() != nil {
			t.Errorf("deadline %v, err %v", d, ctx.Err())
		}
		return nil
	})
}

func TestDeadlineIsTheSameWheneverItIsAskedFor(t *testing.T) {
	before := time.Now()
	c, finish := newDeadlineContext(t.Context(), time.Hour)
	defer finish()
	after := time.Now()
	first, _ := c.Deadline()
	second, _ := c.Deadline()
	c.Done()
	third, _ := c.Deadline()
	if first.Before(before.Add(time.Hour)) || first.After(after.Add(time.Hour)) {
		t.Errorf("%v is not an hour from now", first)
	}
	if !first.Equal(second) || !second.Equal(third) {
		t.Errorf("got %v, %v and %v", first, second, third)
	}
}

func TestContextPrintsItsNameAndNotItsFields(t *testing.T) {
	c := &deadlineContext{parent: t.Context(), policy: &Policy{name: "charge", limit: time.Second}}
	if got, want := fmt.Sprint(c), `timeout.Context("charge", 1s)`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
