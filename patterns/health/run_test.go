package health_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/health"
)

func TestTimeoutBoundsEveryCheck(t *testing.T) {
	untilDone := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	ping := func(d time.Duration, err error) func(context.Context) error {
		return func(context.Context) error { time.Sleep(d); return err }
	}
	for name, tc := range map[string]struct {
		timeout time.Duration
		ping    func(context.Context) error
		after   time.Duration
		late    bool
		err     error
	}{
		"default":              {0, untilDone, 10 * time.Second, true, nil},
		"heeded":               {time.Second, untilDone, time.Second, true, nil},
		"ignored":              {time.Second, ping(time.Hour, nil), time.Second, true, nil},
		"just in time":         {time.Second, ping(time.Second-1, nil), time.Second - 1, false, nil},
		"failure just in time": {time.Second, ping(time.Second-1, errBoom), time.Second - 1, false, errBoom},
		"at the limit":         {time.Second, ping(time.Second, nil), time.Second, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newManager(t)
				register(t, m, health.Check{Name: "db", Func: health.Ping(tc.ping), Timeout: tc.timeout})
				begun := time.Now()
				got := run(t, m, "db")
				defer time.Sleep(time.Hour) // a check that ignores its limit ends
				if took := time.Since(begun); took != tc.after || got.Latency != tc.after {
					t.Errorf("answered after %v, with a latency of %v; want %v", took, got.Latency, tc.after)
				}
				if !tc.late {
					if errors.Is(got.Err, health.ErrTimeout) || !errors.Is(got.Err, tc.err) ||
						(got.Status == health.Healthy) != (tc.err == nil) {
						t.Errorf("got %v, %v", got, got.Err)
					}
					return
				}
				var late *health.TimeoutError
				if got.Status != health.Unhealthy || got.Message != "no answer within "+tc.after.String() ||
					!errors.As(got.Err, &late) || late.Name != "db" || late.Limit != tc.after {
					t.Errorf("got %v, %v", got, got.Err)
				}
			})
		})
	}
}

func TestErrorsAreRecognized(t *testing.T) {
	timeout := error(&health.TimeoutError{Name: "db", Limit: time.Second, Err: errBoom})
	for _, target := range []error{health.ErrTimeout, patterns.ErrResilience, context.DeadlineExceeded, errBoom} {
		if !errors.Is(timeout, target) {
			t.Errorf("a timeout is not %v", target)
		}
	}
	var slow interface{ Timeout() bool }
	if !errors.As(timeout, &slow) || !slow.Timeout() {
		t.Error("does not say that it is a timeout")
	}
	panicked := error(&health.PanicError{Name: "db", Value: errBoom})
	for _, target := range []error{health.ErrPanicked, patterns.ErrResilience, errBoom} {
		if !errors.Is(panicked, target) {
			t.Errorf("a panic is not %v", target)
		}
	}
	const advice = `health check "db": no answer within 1s; see to what it checks, or raise its timeout`
	for _, tc := range []struct {
		err  error
		want string
	}{
		{timeout, advice + ": " + errBoom.Error()},
		{&health.TimeoutError{Name: "db", Limit: time.Second}, advice},
		{panicked, `health check "db": panic: ` + errBoom.Error()},
		{&health.PanicError{Name: "db", Value: 7}, `health check "db": panic: 7`},
		{&health.PanicError{Name: "db"}, `health check "db": ended by runtime.Goexit; it has to return a report`},
	} {
		if tc.err.Error() != tc.want || patterns.Code(tc.err) != patterns.CodeResilience {
			t.Errorf("got %s (%s), want %s", tc.err, patterns.Code(tc.err), tc.want)
		}
	}
}

func TestPitfall31PanicAndGoexitAreUnhealthyResults(t *testing.T) {
	for name, tc := range map[string]struct {
		end     func()
		message string
		value   any
	}{
		"panic":  {func() { panic(errBoom) }, "panicked", errBoom},
		"goexit": {runtime.Goexit, "ended without an answer", nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := newManager(t)
			register(t, m, health.Check{Name: "db", Func: func(context.Context) health.Report {
				tc.end()
				return health.Report{Status: health.Healthy}
			}})
			got := run(t, m, "db")
			var err *health.PanicError
			if got.Status != health.Unhealthy || got.Message != tc.message || !errors.As(got.Err, &err) ||
				err.Name != "db" || err.Value != tc.value {
				t.Errorf("%s: got %v, %v", name, got, got.Err)
			}
			if tc.value != nil && !strings.Contains(string(err.Stack), "TestPitfall31") {
				t.Errorf("%s: the stack does not lead to the check:\n%s", name, err.Stack)
			}
		})
	}
}

func TestAllWhoAskShareOneRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t)
		runs := 0
		register(t, m, health.Check{Name: "db", Func: func(context.Context) health.Report {
			runs++
			return slow(time.Second)(nil)
		}})
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				if i%2 == 0 {
					_, _ = m.Run(t.Context(), "db")
				} else {
					m.RunAll(t.Context())
				}
			})
		}
		wg.Wait()
		if runs != 1 {
			t.Errorf("%d runs, want 1", runs)
		}
	})
}

func TestResultIsGivenAgainUntilItIsTooOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := health.New(health.Config{MaxAge: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		runs := 0
		register(t, m, health.Check{Name: "db", Func: func(context.Context) health.Report {
			runs++
			return slow(3 * time.Second)(nil)
		}})
		for _, step := range []struct {
			wait time.Duration
			runs int
		}{{0, 1}, {0, 1}, {5*time.Second - 1, 1}, {1, 2}, {5*time.Second - 1, 2}} { // the age is that of the answer
			time.Sleep(step.wait)
			before := time.Now()
			result := run(t, m, "db")
			if runs != step.runs {
				t.Fatalf("%d runs after %v more, want %d", runs, step.wait, step.runs)
			}
			if fresh := time.Since(before) > 0; fresh != result.Timestamp.After(before) {
				t.Errorf("timestamp %v of an answer at %v", result.Timestamp, time.Now())
			}
		}
	})
}

// A probe that gives up must neither fail the run for others nor leave a bad result behind.
func TestImpatientCallerHarmsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		m := newManager(t)
		register(t, m, health.Check{Name: "db", Critical: true, Func: health.Ping(func(ctx context.Context) error {
			if ctx.Value(key{}) != "impatient" {
				t.Error("the values of the caller are lost")
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(2 * time.Second):
				return nil
			}
		})})
		patient := make(chan health.SystemHealth)
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "impatient"), time.Second)
		defer cancel()
		go func() {
			time.Sleep(time.Millisecond)
			patient <- m.RunAll(context.Background())
		}()
		begun := time.Now()
		h := m.RunAll(ctx)
		if h.Status != health.Unknown || time.Since(begun) != time.Second {
			t.Errorf("got %v after %v", h, time.Since(begun))
		}
		if r := h.Checks[0]; r.Status != health.Unknown || r.Message != "no answer yet" || r.Latency != time.Second ||
			!errors.Is(r.Err, context.DeadlineExceeded) || errors.Is(r.Err, health.ErrTimeout) {
			t.Errorf("got %v, %v", r, r.Err)
		}
		if h := <-patient; h.Status != health.Healthy {
			t.Errorf("the other caller got %v", h)
		}
		for range 20 {
			if h := m.RunAll(ctx); h.Status != health.Healthy { // it is there, even for one whose context has ended
				t.Fatalf("the caller got %v when the answer was there", h)
			}
		}
	})
}

// Every probe would leave a goroutine behind, for as long as the dependency hangs.
func TestPitfall10HungCheckIsNotRunBesideItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t)
		var runs atomic.Int64
		hang := make(chan struct{})
		register(t, m, health.Check{Name: "db", Timeout: time.Second, Func: func(context.Context) health.Report {
			if runs.Add(1) == 1 {
				<-hang
			}
			return health.Report{Status: health.Healthy}
		}})
		first := run(t, m, "db")
		for range 10 {
			time.Sleep(time.Minute)
			begun := time.Now()
			got := run(t, m, "db")
			if got.Status != health.Unhealthy || got.Timestamp != first.Timestamp || time.Since(begun) != 0 {
				t.Fatalf("got %v of %v after %v", got, got.Timestamp, time.Since(begun))
			}
		}
		if runs.Load() != 1 {
			t.Fatalf("%d runs while the first one hangs", runs.Load())
		}
		close(hang)
		synctest.Wait()
		if got := run(t, m, "db"); got.Status != health.Healthy || runs.Load() != 2 {
			t.Errorf("got %v after %d runs, want it healthy again after 2", got, runs.Load())
		}
	})
}

func TestChangesAreToldOnceAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		var told []string
		m := newManager(t, health.WithOnChange(func(ctx context.Context, before health.Status, now health.Result) {
			if ctx.Value(key{}) != "caller" || ctx.Err() != nil {
				t.Error("not the context of the caller, or one that has ended")
			}
			if now.Status == health.Unhealthy && now.Err == nil {
				t.Error("there is no error to log")
			}
			told = append(told, before.String()+">"+now.Status.String())
			time.Sleep(time.Second) // callers do not wait for it
		}))
		status := health.Healthy
		register(t, m, health.Check{Name: "db", Timeout: time.Second, Func: func(ctx context.Context) health.Report {
			if status == health.Unknown {
				<-ctx.Done()
			}
			return health.Report{Status: status, Err: errBoom}
		}})
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "caller"))
		cancel()
		for _, status = range []health.Status{
			health.Healthy, health.Healthy, health.Unknown, health.Unhealthy, health.Degraded, health.Healthy,
		} {
			_, _ = m.Run(ctx, "db")
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		got, want := strings.Join(told, " "), "unknown>healthy healthy>unhealthy unhealthy>degraded degraded>healthy"
		if got != want {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
	})
}

func TestPitfall06PanicAndGoexitOfTheListenerAreContained(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic("boom") }, "goexit": runtime.Goexit} {
		synctest.Test(t, func(t *testing.T) {
			m := newManager(t, health.WithOnChange(func(context.Context, health.Status, health.Result) { end() }))
			var runs, beside atomic.Int64
			register(t, m, health.Check{Name: "db", Timeout: time.Second, Func: func(context.Context) health.Report {
				runs.Add(1)
				if beside.Add(1) > 1 {
					t.Errorf("%s: run beside itself", name)
				}
				defer beside.Add(-1)
				return slow(time.Hour)(nil) // so that the listener ends before the check
			}})
			for range 2 {
				if got := run(t, m, "db"); got.Status != health.Unhealthy {
					t.Errorf("%s: got %v", name, got)
				}
				time.Sleep(time.Minute)
				_ = run(t, m, "db")
				time.Sleep(2 * time.Hour)
			}
			if runs.Load() != 2 {
				t.Errorf("%s: %d runs, want 2", name, runs.Load())
			}
		})
	}
}
