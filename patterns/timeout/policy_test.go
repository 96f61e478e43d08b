package timeout_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/timeout"
)

func TestPitfall20MistakesAreFoundByTheConstructor(t *testing.T) {
	for _, tc := range []struct {
		name   string
		cfg    timeout.Config
		fields []string
	}{
		{"charge", timeout.Config{}, nil},
		{"charge", timeout.DefaultConfig(), nil},
		{"charge", timeout.Config{Timeout: 1}, nil},
		{"", timeout.Config{}, []string{"name"}},
		{"charge", timeout.Config{Timeout: -1}, []string{"timeout"}},
		{"a\nb", timeout.Config{Timeout: -time.Second}, []string{"name", "timeout"}},
	} {
		p, err := timeout.New(tc.name, tc.cfg)
		if (err == nil) != (tc.fields == nil) || (p == nil) != (err != nil) {
			t.Errorf("%q %+v: got %v, %v", tc.name, tc.cfg, p, err)
			continue
		}
		for _, field := range tc.fields {
			if !errors.Is(err, patterns.ErrConfiguration) || !strings.Contains(err.Error(), field+": ") {
				t.Errorf("%q %+v: %v does not name %s", tc.name, tc.cfg, err, field)
			}
		}
	}
	if err := (timeout.Config{}).Validate(); !errors.Is(err, patterns.ErrConfiguration) {
		t.Errorf("an incomplete configuration is valid: %v", err)
	}
}

func TestZeroConfigurationIsTheDocumentedOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		p, err := timeout.New("charge", timeout.Config{})
		if err != nil {
			t.Fatal(err)
		}
		err = p.Execute(t.Context(), untilDone)
		if time.Since(begun) != 30*time.Second || !strings.HasPrefix(err.Error(), "Operation timed out: ") {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
	})
}

func TestOperationThatKeepsTheLimitIsReturnedAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPolicy(t, time.Second)
		for _, want := range []error{nil, errBoom, context.DeadlineExceeded} {
			err := p.Execute(t.Context(), func(context.Context) error {
				time.Sleep(time.Second - 1)
				return want
			})
			if err != want {
				t.Errorf("got %v, want %v", err, want)
			}
		}
		if p.Name() != "charge" || !p.Sequential() {
			t.Errorf("name %q, sequential %v", p.Name(), p.Sequential())
		}
	})
}

func TestOperationThatHonorsItsContextEndsAtTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := timeout.New("charge", timeout.Config{Timeout: 2 * time.Second, Message: "The bank is slow"})
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		err = p.Execute(t.Context(), untilDone)
		if time.Since(begun) != 2*time.Second {
			t.Errorf("returned after %v", time.Since(begun))
		}
		want := timeout.Error{
			Operation: "charge", Limit: 2 * time.Second, Message: "The bank is slow", Err: context.DeadlineExceeded,
		}
		var got *timeout.Error
		if !errors.As(err, &got) || *got != want {
			t.Errorf("got %#v, want %#v", err, want)
		}
	})
}

func TestErrorIsRecognized(t *testing.T) {
	err := error(&timeout.Error{Operation: "charge", Limit: time.Second, Message: "Operation timed out", Err: errBoom})
	for _, target := range []error{timeout.ErrTimeout, patterns.ErrResilience, context.DeadlineExceeded, errBoom} {
		if !errors.Is(err, target) {
			t.Errorf("is not %v", target)
		}
	}
	if errors.Is(err, patterns.ErrRejected) {
		t.Error("is a rejection, although the operation ran")
	}
	var slow interface{ Timeout() bool }
	if !errors.As(err, &slow) || !slow.Timeout() {
		t.Error("does not say that it is a timeout")
	}
	if patterns.Code(err) != "LEX_ERR_RES_011" {
		t.Errorf("code %q", patterns.Code(err))
	}
	if got := patterns.Classify(t.Context(), err); got != patterns.Failure {
		t.Errorf("classified as %v", got)
	}
	const want = `Operation timed out: "charge" exceeded its limit of 1s; retry if it is safe to, or raise the limit: boom`
	if err.Error() != want {
		t.Errorf("\n got %s\nwant %s", err, want)
	}
}

// An operation that ignores its context is waited for, and what it did is not thrown away.
func TestPitfall19LateSuccessIsASuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &hooks.Bus{}
		hooks.On(bus, func(_ context.Context, e hooks.TimedOut) { t.Errorf("announced %+v", e) })
		p := newPolicy(t, 20*time.Millisecond, timeout.WithBus(bus))
		for name, ask := range map[string]func(context.Context){
			"unasked": func(context.Context) {},
			"done":    func(ctx context.Context) { ctx.Done() },
		} {
			begun := time.Now()
			err := p.Execute(t.Context(), func(ctx context.Context) error {
				ask(ctx)
				time.Sleep(300 * time.Millisecond)
				return nil
			})
			if err != nil || time.Since(begun) != 300*time.Millisecond {
				t.Errorf("%s: got %v after %v", name, err, time.Since(begun))
			}
		}
	})
}

func TestPitfall19LateFailureNamesTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPolicy(t, 20*time.Millisecond)
		for name, ask := range map[string]func(context.Context){
			"unasked": func(context.Context) {},
			"done":    func(ctx context.Context) { ctx.Done() },
			"err":     func(ctx context.Context) { _ = ctx.Err() },
		} {
			err := p.Execute(t.Context(), func(ctx context.Context) error {
				ask(ctx)
				time.Sleep(300 * time.Millisecond)
				return errBoom
			})
			if !errors.Is(err, timeout.ErrTimeout) || !errors.Is(err, errBoom) {
				t.Errorf("%s: got %v", name, err)
			}
		}
	})
}

// A network connection keeps the deadline of its context with a timer of its own, which may run first.
func TestOperationThatKeepsTheDeadlineByItselfIsATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPolicy(t, time.Second)
		for range 100 {
			err := p.Execute(t.Context(), func(ctx context.Context) error {
				deadline, _ := ctx.Deadline()
				read := time.NewTimer(time.Until(deadline))
				defer read.Stop()
				ctx.Done()
				<-read.C
				return os.ErrDeadlineExceeded
			})
			if !errors.Is(err, timeout.ErrTimeout) || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("got %v", err)
			}
		}
	})
}

func TestCallersOwnEndIsNotATimeoutOfThePolicy(t *testing.T) {
	const limit = 10 * time.Second
	sleep := func(d time.Duration) patterns.Operation {
		return func(context.Context) error { time.Sleep(d); return errBoom }
	}
	sleepAsked := func(d time.Duration) patterns.Operation {
		return func(ctx context.Context) error { ctx.Done(); time.Sleep(d); return errBoom }
	}
	canceledAfter := func(d time.Duration) func(context.Context) (context.Context, context.CancelFunc) {
		return func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			timer := time.AfterFunc(d, cancel)
			return ctx, func() { timer.Stop(); cancel() }
		}
	}
	deadlineAfter := func(d time.Duration) func(context.Context) (context.Context, context.CancelFunc) {
		return func(ctx context.Context) (context.Context, context.CancelFunc) { return context.WithTimeout(ctx, d) }
	}
	for name, tc := range map[string]struct {
		caller  func(context.Context) (context.Context, context.CancelFunc)
		op      patterns.Operation
		timeout bool
	}{
		"canceled, honored":                      {canceledAfter(time.Second), untilDone, false},
		"canceled, ignored past the limit":       {canceledAfter(time.Second), sleep(2 * limit), false},
		"canceled, asked, past the limit":        {canceledAfter(time.Second), sleepAsked(2 * limit), false},
		"canceled after the limit, asked":        {canceledAfter(limit + 1), sleepAsked(2 * limit), true},
		"canceled after the limit, unasked":      {canceledAfter(limit + 1), sleep(2 * limit), false}, // nobody can tell
		"earlier deadline, honored":              {deadlineAfter(time.Second), untilDone, false},
		"earlier deadline, ignored":              {deadlineAfter(time.Second), sleep(2 * limit), false},
		"earlier deadline, asked, ignored":       {deadlineAfter(time.Second), sleepAsked(2 * limit), false},
		"later deadline, honored":                {deadlineAfter(limit + 1), untilDone, true},
		"later deadline, both pass":              {deadlineAfter(limit + 1), sleep(2 * limit), true},
		"later deadline, asked, both pass":       {deadlineAfter(limit + 1), sleepAsked(2 * limit), true},
		"deadline passed before":                 {deadlineAfter(-1), untilDone, false},
		"deadline passed before, past the limit": {deadlineAfter(-1), sleep(2 * limit), false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := tc.caller(t.Context())
				defer cancel()
				err := newPolicy(t, limit).Execute(ctx, tc.op)
				if err == nil || errors.Is(err, timeout.ErrTimeout) != tc.timeout {
					t.Errorf("got %v, want a timeout of the policy: %v", err, tc.timeout)
				}
			})
		})
	}
}

func TestTimeoutIsAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &hooks.Bus{}
		type key struct{}
		ctx := context.WithValue(t.Context(), key{}, "caller")
		var got []hooks.TimedOut
		hooks.On(bus, func(ctx context.Context, e hooks.TimedOut) {
			if ctx.Value(key{}) != "caller" || ctx.Err() != nil {
				t.Error("the event does not come with the context of the call")
			}
			got = append(got, e)
		})
		p := newPolicy(t, time.Second, timeout.WithBus(bus))
		_ = p.Execute(ctx, untilDone)
		_ = p.Execute(ctx, func(context.Context) error { return errBoom })
		want := []hooks.TimedOut{{Operation: "charge", Limit: time.Second, At: time.Now()}}
		if !slices.Equal(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// The operation runs on the goroutine of its caller, so a panic is the caller's to recover and nothing is left behind.
func TestPitfall31PanicAndGoexitReachTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPolicy(t, time.Second)
		for name, end := range map[string]func(){"panic": func() { panic("boom") }, "goexit": runtime.Goexit} {
			for _, policy := range []patterns.Policy{p, p.Compose(patterns.Direct{})} {
				var escaped context.Context
				var value any
				done, returned := make(chan struct{}), false
				go func() {
					defer close(done)
					defer func() { value = recover() }()
					_ = policy.Execute(t.Context(), func(ctx context.Context) error {
						ctx.Done()
						escaped = ctx
						end()
						return nil
					})
					returned = true
				}()
				<-done
				if returned || (value == "boom") != (name == "panic") {
					t.Errorf("%s: returned %v, recovered %v", name, returned, value)
				}
				if escaped.Err() != context.Canceled {
					t.Errorf("%s: the context still lives: %v", name, escaped.Err())
				}
			}
		}
	})
}

func TestContextEndsWhenTheOperationReturns(t *testing.T) {
	for name, ask := range map[string]func(context.Context){
		"unasked": func(context.Context) {}, "asked": func(ctx context.Context) { ctx.Done() },
	} {
		var escaped context.Context
		_ = newPolicy(t, time.Hour).Execute(t.Context(), func(ctx context.Context) error {
			ask(ctx)
			escaped = ctx
			return nil
		})
		<-escaped.Done()
		if err, cause := escaped.Err(), context.Cause(escaped); err != context.Canceled || cause != context.Canceled {
			t.Errorf("%s: err %v, cause %v", name, err, cause)
		}
	}
}

func TestPitfall21ComposeDoesNotChangeTheReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outer := newPolicy(t, 2*time.Second)
		inner, err := timeout.New("attempt", timeout.Config{Timeout: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		both := outer.Compose(inner)
		for _, tc := range []struct {
			policy patterns.Policy
			name   string
			after  time.Duration
		}{
			{both, "attempt", time.Second},
			{outer, "charge", 2 * time.Second},
			{inner.Compose(outer), "attempt", time.Second},
		} {
			begun := time.Now()
			err := tc.policy.Execute(t.Context(), untilDone)
			var e *timeout.Error
			if !errors.As(err, &e) || e.Operation != tc.name || e.Err != context.DeadlineExceeded ||
				time.Since(begun) != tc.after || !patterns.IsSequential(tc.policy) {
				t.Errorf("got %v after %v, want that of %s after %v", err, time.Since(begun), tc.name, tc.after)
			}
		}
	})
}

func TestPolicyInsideOfItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPolicy(t, 2*time.Second)
		err := p.Execute(t.Context(), func(ctx context.Context) error {
			time.Sleep(time.Second)
			err := p.Execute(ctx, untilDone)
			if err != context.DeadlineExceeded {
				t.Errorf("the inner call took the limit of the outer for its own: %v", err)
			}
			return err
		})
		if !errors.Is(err, timeout.ErrTimeout) {
			t.Errorf("got %v", err)
		}
	})
}

func TestConfigIsThatInUse(t *testing.T) {
	p, err := timeout.New("report", timeout.Config{Timeout: time.Minute}, timeout.WithDetached())
	if err != nil {
		t.Fatal(err)
	}
	want := timeout.DefaultConfig()
	want.Timeout, want.Detached = time.Minute, true
	if got := p.Config(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
