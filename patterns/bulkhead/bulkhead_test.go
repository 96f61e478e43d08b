package bulkhead_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/bulkhead"
)

func TestConfigurationIsValidated(t *testing.T) {
	for _, tc := range []struct {
		name   string
		cfg    bulkhead.Config
		fields []string
	}{
		{"db", bulkhead.Config{}, nil},
		{"db", bulkhead.DefaultConfig(), nil},
		{"db", bulkhead.Config{MaxConcurrent: 1 << 30, QueueSize: 1 << 30}, nil},
		{"", bulkhead.Config{}, []string{"name"}},
		{"db", bulkhead.Config{MaxConcurrent: -1}, []string{"max_concurrent"}},
		{"db", bulkhead.Config{MaxConcurrent: 1<<30 + 1}, []string{"max_concurrent"}},
		{"db", bulkhead.Config{QueueSize: -1}, []string{"queue_size"}},
		{"db", bulkhead.Config{QueueSize: 1<<30 + 1}, []string{"queue_size"}},
		{"db", bulkhead.Config{Timeout: -1}, []string{"timeout"}},
		{"", bulkhead.Config{MaxConcurrent: -1, QueueSize: -1, Timeout: -1},
			[]string{"name", "max_concurrent", "queue_size", "timeout"}},
	} {
		b, err := bulkhead.New(tc.name, tc.cfg)
		if (err == nil) != (tc.fields == nil) || (b == nil) != (err != nil) {
			t.Errorf("%q %+v: got %v, %v", tc.name, tc.cfg, b, err)
			continue
		}
		for _, field := range tc.fields {
			if !errors.Is(err, patterns.ErrConfiguration) || !strings.Contains(err.Error(), field+": ") {
				t.Errorf("%q %+v: %v does not name %s", tc.name, tc.cfg, err, field)
			}
		}
	}
}

func TestPitfall20MistakesAreFoundByTheConstructor(t *testing.T) {
	b, err := bulkhead.New("db", bulkhead.Config{MaxConcurrent: -3})
	if b != nil || !errors.Is(err, patterns.ErrConfiguration) || !strings.Contains(err.Error(), `"db"`) {
		t.Fatalf("got %v, %v", b, err)
	}
}

func TestPitfall35ZeroConfigurationIsTheDocumentedOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBulkhead(t, bulkhead.Config{})
		want := bulkhead.Metrics{MaxConcurrent: 10}
		if got := b.Metrics(); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		waiting := newBulkhead(t, bulkhead.Config{MaxConcurrent: 1, QueueSize: 1})
		defer acquire(t, waiting).Release()
		begun, c := time.Now(), call(t.Context(), waiting)
		time.Sleep(time.Minute)
		if _ = c.rejection(t); c.at.Sub(begun) != 30*time.Second {
			t.Errorf("waited %v, want the default of 30 s", c.at.Sub(begun))
		}
	})
}

func TestErrorOfTheOperationIsReturnedAsItIs(t *testing.T) {
	b := newBulkhead(t, bulkhead.Config{})
	ctx := context.WithValue(t.Context(), t, "value")
	for _, want := range []error{nil, errBoom} {
		err := b.Execute(ctx, func(got context.Context) error {
			if got != ctx {
				t.Error("the operation has another context")
			}
			inUse(t, b, 1, 0)
			return want
		})
		if err != want {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	inUse(t, b, 0, 0)
	if b.Name() != "db" {
		t.Errorf("name is %q", b.Name())
	}
}

func TestNeverMoreThanMaxConcurrentRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBulkhead(t, bulkhead.Config{MaxConcurrent: 3, QueueSize: 7})
		begun := time.Now()
		ends := make(chan time.Duration, 11)
		for range 11 {
			go func() {
				err := b.Execute(t.Context(), func(context.Context) error { time.Sleep(time.Second); return nil })
				if err != nil {
					ends <- -1
				} else {
					ends <- time.Since(begun)
				}
			}()
		}
		synctest.Wait()
		inUse(t, b, 3, 7)
		var got []time.Duration
		for range 11 {
			got = append(got, <-ends)
		}
		const s = time.Second
		if want := []time.Duration{-1, s, s, s, 2 * s, 2 * s, 2 * s, 3 * s, 3 * s, 3 * s, 4 * s}; !slices.Equal(got, want) {
			t.Errorf("ended at %v, want %v", got, want)
		}
		synctest.Wait()
		inUse(t, b, 0, 0)
	})
}

func TestQueueIsFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBulkhead(t, bulkhead.Config{MaxConcurrent: 1, QueueSize: 5})
		permit := acquire(t, b)
		first, second, third := call(t.Context(), b), call(t.Context(), b), call(t.Context(), b)
		for i, next := range []*caller{first, second, third} {
			if !next.waits() {
				t.Fatalf("caller %d does not wait its turn", i)
			}
			permit.Release()
			if !next.holds() {
				t.Fatalf("caller %d has been passed over", i)
			}
			permit = next.permit
		}
		permit.Release()
		inUse(t, b, 0, 0)
	})
}

func TestNobodyOvertakesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBulkhead(t, bulkhead.Config{MaxConcurrent: 1, QueueSize: 1})
		permit := acquire(t, b)
		waiting := call(t.Context(), b)
		permit.Release() // from here on the slot is the waiter's, whether it has noticed or not
		if _, ok := b.TryAcquire(); ok {
			t.Fatal("a newcomer took the slot of a waiter")
		}
		synctest.Wait()
		waiting.permit.Release()
		if permit, ok := b.TryAcquire(); !ok {
			t.Fatal("the slot is free, but was refused")
		} else {
			permit.Release()
		}
	})
}

func TestFullBulkheadRejectsAtOnce(t *testing.T) {
	for _, queue := range []int{0, 2} {
		synctest.Test(t, func(t *testing.T) {
			b := newBulkhead(t, bulkhead.Config{MaxConcurrent: 1, QueueSize: queue, Timeout: time.Second})
			defer acquire(t, b).Release()
			for range queue {
				call(t.Context(), b)
			}
			begun := time.Now()
			err := b.Execute(t.Context(), func(context.Context) error { t.Error("the operation ran"); return nil })
			if time.Since(begun) != 0 {
				t.Errorf("waited %v", time.Since(begun))
			}
			want := bulkhead.RejectedError{
				Name: "db", Reason: bulkhead.ReasonFull, MaxConcurrent: 1, QueueSize: queue,
			}
			var got *bulkhead.RejectedError
			if !errors.As(err, &got) || *got != want {
				t.Errorf("got %#v, want %#v", err, want)
			}
			time.Sleep(time.Second)
		})
	}
}

func TestQueuedCallerTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBulkhead(t, bulkhead.Config{MaxConcurrent: 1, QueueSize: 3, Timeout: 5 * time.Second})
		permit := acquire(t, b)
		early := call(t.Context(), b)
		time.Sleep(2 * time.Second)
		late := call(t.Context(), b)

		time.Sleep(3*time.Second - 1)
		synctest.Wait()
		inUse(t, b, 1, 2)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		want := bulkhead.RejectedError{
			Name: "db", Reason: bulkhead.ReasonTimeout, Waited: 5 * time.Second, MaxConcurrent: 1, QueueSize: 3,
		}
		if got := early.rejection(t); *got != want {
			t.Errorf("got %#v, want %#v", got, want)
		}
		inUse(t, b, 1, 1)

		permit.Release() // goes to the one behind who still waits
		if !late.holds() {
			t.Fatal("the slot was given to a caller who had left")
		}
		late.permit.Release()
		inUse(t, b, 0, 0)
		if m := b.Metrics(); m.Rejected != 1 || m.TimedOut != 1 || m.Canceled != 0 {
			t.Errorf("metrics %+v", m)
		}
	})
}

func TestCallersLeaveTheQueueFromAnyPlace(t *testing.T) {
	for _, leaver := range []int{0, 1, 2} {
		synctest.Test(t, func(t *testing.T) {
			b := newBulkhead(t, bulkhead.Config{MaxConcurrent: 1, QueueSize: 3})
			permit := acquire(t, b)
			var callers []*caller
			var cancels []context.CancelFunc
			for range 3 {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				callers, cancels = append(callers, call(ctx, b)), append(cancels, cancel)
			}
			cancels[leaver]()
			_ = callers[leaver].rejection(t)
			inUse(t, b, 1, 2)
			late := call(t.Context(), b) // its place is free again
			for _, next := range append(slices.Delete(callers, leaver, leaver+1), late) {
				permit.Release()
				if !next.holds() {
					t.Fatal("the line is out of order")
				}
				permit = next.permit
			}
			permit.Release()
			inUse(t, b, 0, 0)
		})
	}
}

func TestPitfall17WaitHonorsTheContextOfTheCall(t *testing.T) {
	gone := errors.New("client went away")
	for _, tc := range []struct {
		name    string
		context func(context.Context) (ctx context.Context, end func())
		is      []error
		timeout bool
	}{
		{"cancel", func(ctx context.Context) (context.Context, func()) {
			ctx, cancel := context.WithCancel(ctx)
			return ctx, cancel
		}, []error{context.Canceled}, false},
		{"cancel with a cause", func(ctx context.Context) (context.Context, func()) {
			ctx, cancel := context.WithCancelCause(ctx)
			return ctx, func() { cancel(gone) }
		}, []error{context.Canceled, gone}, false},
		{"deadline", func(ctx context.Context) (context.Context, func()) {
			return context.WithTimeout(ctx, time.Second)
		}, []error{context.DeadlineExceeded}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBulkhead(t, bulkhead.Config{MaxConcurrent: 1, QueueSize: 1, Timeout: time.Minute})
				defer acquire(t, b).Release()
				ctx, end := tc.context(t.Context())
				c := call(ctx, b)
				time.Sleep(time.Second)
				synctest.Wait()
				end()
				e := c.rejection(t)
				if e.Reason != bulkhead.ReasonCanceled || e.Waited != time.Second || e.Timeout() != tc.timeout {
					t.Errorf("got %+v, timeout %v", e, e.Timeout())
				}
				for _, target := range tc.is {
					if !errors.Is(c.err, target) {
						t.Errorf("%v is not %v", c.err, target)
					}
				}
				if m := b.Metrics(); m.InFlight != 1 || m.Queued != 0 || m.Canceled != 1 || m.Rejected != 1 {
					t.Errorf("metrics %+v", m)
				}
			})
		})
	}
}

func TestContextThatHasEndedIsRejectedBeforeRunning(t *testing.T) {
	b := newBulkhead(t, bulkhead.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := b.Execute(ctx, func(context.Context) error { t.Error("the operation ran"); return nil })
	var rejected *bulkhead.RejectedError
	if !errors.As(err, &rejected) || rejected.Reason != bulkhead.ReasonCanceled || rejected.Waited != 0 ||
		!errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	inUse(t, b, 0, 0)
}

func TestRejectionsAreRecognized(t *testing.T) {
	errs := map[bulkhead.Reason]*bulkhead.RejectedError{
		bulkhead.ReasonFull: {Name: "db", Reason: bulkhead.ReasonFull, MaxConcurrent: 10, QueueSize: 4},
		bulkhead.ReasonTimeout: {
			Name: "db", Reason: bulkhead.ReasonTimeout, MaxConcurrent: 10, QueueSize: 4, Waited: time.Second,
		},
		bulkhead.ReasonCanceled: {
			Name: "db", Reason: bulkhead.ReasonCanceled, MaxConcurrent: 10, QueueSize: 4, Waited: time.Second,
			Err: context.Canceled,
		},
		"canceled before":     {Name: "db", Reason: bulkhead.ReasonCanceled, Err: context.Canceled},
		bulkhead.ReasonWeight: {Name: "db", Reason: bulkhead.ReasonWeight, MaxConcurrent: 10},
	}
	for reason, err := range errs {
		for _, target := range []error{bulkhead.ErrRejected, patterns.ErrRejected, patterns.ErrResilience} {
			if !errors.Is(err, target) {
				t.Errorf("%s: is not %v", reason, target)
			}
		}
		if patterns.Code(err) != "LEX_ERR_RES_010" {
			t.Errorf("%s: code %q", reason, patterns.Code(err))
		}
		timeout := reason == bulkhead.ReasonTimeout
		if errors.Is(err, context.DeadlineExceeded) != timeout || err.Timeout() != timeout {
			t.Errorf("%s: taken for a timeout: %v", reason, err.Timeout())
		}
		if got := patterns.Classify(t.Context(), err); got != patterns.Ignored {
			t.Errorf("%s: classified as %v", reason, got)
		}
	}
	for reason, want := range map[bulkhead.Reason]string{
		bulkhead.ReasonFull: `bulkhead "db": full (max_concurrent is 10, queue_size 4); retry later, or raise one of them`,
		bulkhead.ReasonTimeout: `bulkhead "db": no slot became free within 1s (max_concurrent is 10); retry later, ` +
			`or raise max_concurrent or timeout`,
		bulkhead.ReasonCanceled: `bulkhead "db": not run, because the context of the call ended after 1s in the queue ` +
			`(max_concurrent is 10); allow it more time, or raise max_concurrent: context canceled`,
		"canceled before": `bulkhead "db": not run, because the context of the call had already ended; ` +
			`call with one that is live: context canceled`,
		bulkhead.ReasonWeight: `bulkhead "db": asked for more slots than there are, or for less than 1 ` +
			`(max_concurrent is 10); ask for fewer, or raise max_concurrent`,
	} {
		if got := errs[reason].Error(); got != want {
			t.Errorf("%s:\n got %s\nwant %s", reason, got, want)
		}
	}
}

func TestRejectionsAreAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &hooks.Bus{}
		b := newBulkhead(t, bulkhead.Config{MaxConcurrent: 1, QueueSize: 1, Timeout: time.Second}, bulkhead.WithBus(bus))
		var mu sync.Mutex
		var got []hooks.BulkheadRejected
		hooks.On(bus, func(_ context.Context, e hooks.BulkheadRejected) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, e)
		})
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		begun := time.Now()

		defer acquire(t, b).Release()
		_ = b.Execute(canceled, noop)
		call(t.Context(), b)
		_ = b.Execute(t.Context(), noop)
		time.Sleep(time.Second)
		synctest.Wait()
		want := []hooks.BulkheadRejected{
			{Name: "db", Reason: "canceled", At: begun},
			{Name: "db", Reason: "full", At: begun},
			{Name: "db", Reason: "timeout", Waited: time.Second, At: begun.Add(time.Second)},
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if m := b.Metrics(); m.Rejected != 3 || m.TimedOut != 1 || m.Canceled != 1 {
			t.Errorf("metrics %+v", m)
		}
	})
}

func TestPitfall21ComposeDoesNotChangeTheReceiver(t *testing.T) {
	outer, inner := newBulkhead(t, bulkhead.Config{}), newBulkhead(t, bulkhead.Config{})
	both := outer.Compose(inner)
	if err := outer.Execute(t.Context(), func(context.Context) error { inUse(t, inner, 0, 0); return nil }); err != nil {
		t.Fatal(err)
	}
	err := both.Execute(t.Context(), func(context.Context) error {
		inUse(t, outer, 1, 0)
		inUse(t, inner, 1, 0)
		return errBoom
	})
	if err != errBoom || !patterns.IsSequential(both) {
		t.Errorf("got %v, sequential %v", err, patterns.IsSequential(both))
	}
	inUse(t, outer, 0, 0)
	inUse(t, inner, 0, 0)
}

func TestRejectedCallDoesNotReachTheInnerPolicy(t *testing.T) {
	outer, inner := newBulkhead(t, bulkhead.Config{MaxConcurrent: 1}), newBulkhead(t, bulkhead.Config{})
	defer acquire(t, outer).Release()
	err := outer.Compose(inner).Execute(t.Context(), func(context.Context) error {
		t.Error("the operation ran")
		return nil
	})
	inUse(t, inner, 0, 0)
	if !errors.Is(err, bulkhead.ErrRejected) {
		t.Errorf("got %v", err)
	}
}
