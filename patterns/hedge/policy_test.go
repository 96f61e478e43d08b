package hedge_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/hedge"
	"github.com/steadyfx/steady/patterns/retry"
)

func TestZeroFieldsTakeTheirDefaults(t *testing.T) {
	want := hedge.Config{Delay: 2 * time.Second, MaxHedges: 1}
	if p := mustNew(t, hedge.Config{}); p.Config() != want || p.Name() != "payments" || p.Delay() != want.Delay {
		t.Errorf("got %q with %+v", p.Name(), p.Config())
	}
	if patterns.IsSequential(mustNew(t, hedge.Config{})) {
		t.Error("attempts overlap, but it says that they do not")
	}
}

func TestBudgetThatIsNamedMustBeGiven(t *testing.T) {
	cfg := hedge.Config{Budget: "provider"}
	var field *patterns.FieldError
	if _, err := hedge.New("payments", cfg); !errors.As(err, &field) || field.Field != "budget" {
		t.Errorf("got %v", err)
	}
	b, err := retry.NewBudget(retry.BudgetConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if p := mustNew(t, cfg, hedge.WithBudget(b)); p.Budget() != b {
		t.Error("it has another budget")
	}
}

func TestPitfall20ConfigurationIsJudged(t *testing.T) {
	tests := []struct {
		name  string
		cfg   hedge.Config
		field string // "" if valid
	}{
		{"shortest delay", hedge.Config{Delay: 1}, ""},
		{"negative delay", hedge.Config{Delay: -1}, "delay"},
		{"quantile", hedge.Config{Quantile: 0.999}, ""},
		{"quantile of all", hedge.Config{Quantile: 1}, "quantile"},
		{"negative quantile", hedge.Config{Quantile: -0.1}, "quantile"},
		{"quantile not a number", hedge.Config{Quantile: math.NaN()}, "quantile"},
		{"most hedges", hedge.Config{MaxHedges: 100}, ""},
		{"too many hedges", hedge.Config{MaxHedges: 101}, "max_hedges"},
		{"negative hedges", hedge.Config{MaxHedges: -1}, "max_hedges"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := hedge.New("payments", tt.cfg)
			var field *patterns.FieldError
			switch {
			case tt.field == "" && err != nil:
				t.Error(err)
			case tt.field != "" && (!errors.As(err, &field) || field.Field != tt.field):
				t.Errorf("want a mistake in %s, got %v", tt.field, err)
			}
		})
	}
	_, err := hedge.New("", hedge.Config{Delay: -1, MaxHedges: -1})
	for _, field := range []string{`hedge "": `, "name: ", "delay: ", "max_hedges: "} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%q is not in: %v", field, err)
		}
	}
}

func TestOutcomes(t *testing.T) {
	errPermanent := fmt.Errorf("%w: %w", patterns.ErrPermanent, errBoom)
	ok, fails, refused, permanent := returns(nil), returns(errBoom), returns(errRefused), returns(errPermanent)
	tests := []struct {
		name     string
		hedges   int
		attempts []attempt
		took     time.Duration
		value    int // index of the attempt that won, -1 for none
		err      error
		began    int32
		lost     int32
	}{
		{"fast", 1, []attempt{{50 * ms, ok, false}}, 50 * ms, 0, nil, 1, 0},
		{"fast failure", 1, []attempt{{50 * ms, fails, false}}, 50 * ms, -1, errBoom, 1, 0},
		{"slow, hedge is faster", 1, []attempt{{time.Hour, ok, false}, {50 * ms, ok, false}}, 150 * ms, 1, nil, 2, 1},
		{"slow, first is faster all the same", 1, []attempt{{130 * ms, ok, false}, {50 * ms, ok, false}},
			130 * ms, 0, nil, 2, 1},
		{"one that is deaf is not waited for", 1, []attempt{{time.Hour, ok, true}, {50 * ms, ok, false}},
			150 * ms, 1, nil, 2, 0},
		{"first fails late", 1, []attempt{{120 * ms, fails, false}, {50 * ms, ok, false}}, 150 * ms, 1, nil, 2, 0},
		{"hedge fails", 1, []attempt{{200 * ms, ok, false}, {50 * ms, fails, false}}, 200 * ms, 0, nil, 2, 0},
		{"third", 2, []attempt{{time.Hour, ok, false}, {time.Hour, ok, false}, {10 * ms, ok, false}}, 210 * ms, 2, nil, 3, 2},
		{"hedge after a hedge failed", 2, []attempt{{time.Hour, ok, false}, {10 * ms, fails, false}, {10 * ms, ok, false}},
			210 * ms, 2, nil, 3, 1},
		{"all fail", 1, []attempt{{150 * ms, fails, false}, {100 * ms, returns(errors.New("other")), false}},
			200 * ms, -1, errBoom, 2, 0},
		{"all fail, the first last", 1, []attempt{{300 * ms, fails, false}, {100 * ms, returns(errors.New("other")), false}},
			300 * ms, -1, errBoom, 2, 0},
		{"first refused", 1, []attempt{{150 * ms, refused, false}, {100 * ms, fails, false}}, 200 * ms, -1, errBoom, 2, 0},
		{"hedge refused", 1, []attempt{{300 * ms, fails, false}, {0, refused, false}}, 300 * ms, -1, errBoom, 2, 0},
		{"all refused", 1, []attempt{{150 * ms, refused, false}, {0, refused, false}}, 150 * ms, -1, errRefused, 2, 0},
		{"permanent, no more hedges", 2, []attempt{{time.Second, ok, false}, {10 * ms, permanent, false}},
			time.Second, 0, nil, 2, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				op, p, start := newScript(tt.attempts...), mustNew(t, hundred(tt.hedges)), time.Now()
				value, err := patterns.Do(t.Context(), p, func(ctx context.Context) (int, error) {
					i, err := op.value(ctx)
					return i + 1, err
				})
				if took := time.Since(start); took != tt.took || value != tt.value+1 || err != tt.err {
					t.Errorf("attempt %d, %v after %v, want %d, %v after %v", value-1, err, took, tt.value, tt.err, tt.took)
				}
				if op.began.Load() != tt.began {
					t.Errorf("%d attempts, want %d", op.began.Load(), tt.began)
				}
				synctest.Wait()
				if op.lost.Load() != tt.lost {
					t.Errorf("%d attempts were canceled, want %d", op.lost.Load(), tt.lost)
				}
				time.Sleep(2 * time.Hour)
				if op.ended.Load() != tt.began || p.Stats().Running != 0 {
					t.Errorf("%d attempts ended, %d are running", op.ended.Load(), p.Stats().Running)
				}
			})
		})
	}
}

func TestCallerThatGoesAwayEndsAllAttempts(t *testing.T) {
	shutdown := errors.New("shutting down")
	tests := []struct {
		name     string
		after    time.Duration
		attempts []attempt
		made     int
		last     error
		message  string
	}{
		{"first", 50 * ms, []attempt{{time.Hour, returns(nil), false}}, 1, nil,
			`hedge "payments": interrupted (attempts: 1): context canceled: shutting down`},
		{"deaf", 150 * ms, []attempt{{time.Hour, returns(nil), true}, {time.Hour, returns(nil), true}}, 2, nil,
			`hedge "payments": interrupted (attempts: 2): context canceled: shutting down`},
		{"one failed", 150 * ms, []attempt{{time.Hour, returns(nil), false}, {10 * ms, returns(errBoom), false}}, 2, errBoom,
			`hedge "payments": interrupted (attempts: 2): context canceled: shutting down; one had failed: boom`},
		{"one was refused", 150 * ms, []attempt{{time.Hour, returns(nil), true}, {10 * ms, returns(errRefused), false}},
			2, nil, `hedge "payments": interrupted (attempts: 2): context canceled: shutting down`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(tt.after, func() { cancel(shutdown) })
				op, p, start := newScript(tt.attempts...), mustNew(t, hundred(3)), time.Now()
				op.attempts[0].deaf = true // else it can be its own Last
				err := p.Execute(ctx, op.run)
				if took := time.Since(start); took != tt.after {
					t.Errorf("returned after %v", took)
				}
				var interrupted *hedge.InterruptedError
				if !errors.As(err, &interrupted) {
					t.Fatalf("got %T: %v", err, err)
				}
				if interrupted.Attempts != tt.made || interrupted.Last != tt.last || interrupted.Timeout() {
					t.Errorf("got %+v", *interrupted)
				}
				for _, target := range []error{context.Canceled, shutdown, hedge.ErrInterrupted, patterns.ErrResilience} {
					if !errors.Is(err, target) {
						t.Errorf("errors.Is(%v, %v) is false", err, target)
					}
				}
				if errors.Is(err, patterns.ErrRejected) || errors.Is(err, errBoom) != (tt.last != nil) {
					t.Errorf("got %v", err)
				}
				if err.Error() != tt.message || patterns.Code(err) != patterns.CodeResilience {
					t.Errorf("message %q, want %q", err, tt.message)
				}
				time.Sleep(2 * time.Hour)
				if got := p.Stats(); got.Interrupted != 1 || got.Running != 0 {
					t.Errorf("got %+v", got)
				}
			})
		})
	}
}

func TestAttemptsThatHeedTheirContextEndWithTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 150*ms)
		defer cancel()
		op := newScript(attempt{time.Hour, returns(nil), false}, attempt{time.Hour, returns(nil), false})
		err := mustNew(t, hundred(3)).Execute(ctx, op.run)
		synctest.Wait()
		if !errors.Is(err, context.DeadlineExceeded) || op.ended.Load() != 2 || op.lost.Load() != 0 {
			t.Errorf("got %v, %d ended", err, op.ended.Load())
		}
	})
}

func TestPitfall43NothingRunsUnderAContextThatHasEnded(t *testing.T) {
	ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	budget := mustBudget(t, retry.BudgetConfig{})
	op, p := newScript(), mustNew(t, hundred(1), hedge.WithBudget(budget))
	err := p.Execute(ctx, op.run)
	var interrupted *hedge.InterruptedError
	if !errors.As(err, &interrupted) || !interrupted.Timeout() || !errors.Is(err, patterns.ErrRejected) {
		t.Errorf("got %v", err)
	}
	if want := `hedge "payments": the operation was not run: context deadline exceeded`; err.Error() != want {
		t.Errorf("message %q, want %q", err, want)
	}
	if op.began.Load() != 0 || budget.Stats().Calls != 0 || p.Stats() != (hedge.Stats{Interrupted: 1}) {
		t.Errorf("%d attempts, %+v", op.began.Load(), p.Stats())
	}
}

// ending runs f on a goroutine of its own and says how that ended.
func ending(f func() error) (how string, value any) {
	done := make(chan struct{})
	how = "Goexit"
	go func() {
		defer close(done)
		defer func() {
			if v := recover(); v != nil {
				how, value = "panic", v
			}
		}()
		err := f()
		how, value = "return", err
	}()
	<-done
	return how, value
}

func bang() error { panic("bang") }

func exit() error {
	runtime.Goexit()
	return nil
}

func TestPitfall31PanicAndGoexitOfAnyAttemptReachTheCaller(t *testing.T) {
	for name, end := range map[string]func() error{"panic": bang, "Goexit": exit} {
		for _, attempts := range [][]attempt{
			{{50 * ms, end, false}},
			{{150 * ms, end, false}, {time.Hour, returns(nil), false}},
			{{time.Hour, returns(nil), false}, {50 * ms, end, false}},
			{{160 * ms, end, true}, {50 * ms, end, false}},
		} {
			synctest.Test(t, func(t *testing.T) {
				op, p := newScript(attempts...), mustNew(t, hundred(1))
				how, value := ending(func() error { return p.Execute(t.Context(), op.run) })
				if how != name || how == "panic" && value != "bang" {
					t.Errorf("%s: got %s, %v", name, how, value)
				}
				time.Sleep(time.Second)
				if got := p.Stats().Running; got != 0 {
					t.Errorf("%s: %d attempts are running", name, got)
				}
				if err := p.Execute(t.Context(), newScript(attempt{0, returns(nil), false}).run); err != nil {
					t.Errorf("%s: the next call got %v", name, err)
				}
			})
		}
	}
}

func TestLatePanicIsCountedAndAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus hooks.Bus
		var got []hooks.HedgePanicked
		hooks.On(&bus, func(_ context.Context, e hooks.HedgePanicked) { got = append(got, e) })
		op := newScript(attempt{time.Second, bang, true}, attempt{time.Second, exit, true},
			attempt{10 * ms, returns(nil), false})
		p := mustNew(t, hundred(2), hedge.WithBus(&bus))
		start := time.Now()
		if err := p.Execute(t.Context(), op.run); err != nil {
			t.Error(err)
		}
		if p.Stats().Running != 2 {
			t.Errorf("%d attempts are running", p.Stats().Running)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(got) != 1 || got[0].Operation != "payments" || got[0].Attempt != 1 || got[0].Value != "bang" ||
			got[0].At.Sub(start) != time.Second || !strings.Contains(string(got[0].Stack), "hedge_test.bang") {
			t.Errorf("announced %+v", got)
		}
		if s := p.Stats(); s.LatePanics != 1 || s.Running != 0 {
			t.Errorf("got %+v", s)
		}
	})
}

func TestHedgesAreAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus hooks.Bus
		var got []hooks.HedgeStarted
		start := time.Now()
		var at []time.Duration
		hooks.On(&bus, func(_ context.Context, e hooks.HedgeStarted) {
			at = append(at, e.At.Sub(start))
			e.At = time.Time{}
			got = append(got, e)
		})
		op := newScript(attempt{time.Hour, returns(nil), false}, attempt{time.Hour, returns(nil), false},
			attempt{0, returns(nil), false})
		if err := mustNew(t, hundred(5), hedge.WithBus(&bus)).Execute(t.Context(), op.run); err != nil {
			t.Error(err)
		}
		want := []hooks.HedgeStarted{
			{Operation: "payments", Attempt: 2, Delay: 100 * ms}, {Operation: "payments", Attempt: 3, Delay: 100 * ms},
		}
		if !slices.Equal(got, want) || !slices.Equal(at, []time.Duration{100 * ms, 200 * ms}) {
			t.Errorf("got %+v at %v", got, at)
		}
	})
}

func TestListenerThatExitsLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus hooks.Bus
		hooks.On(&bus, func(context.Context, hooks.HedgeStarted) { runtime.Goexit() })
		op, p := newScript(attempt{time.Hour, returns(nil), false}), mustNew(t, hundred(1), hedge.WithBus(&bus))
		if how, _ := ending(func() error { return p.Execute(t.Context(), op.run) }); how != "Goexit" {
			t.Errorf("got %s", how)
		}
		synctest.Wait()
		if op.lost.Load() != 1 || p.Stats().Running != 0 {
			t.Errorf("%d attempts were canceled, %d are running", op.lost.Load(), p.Stats().Running)
		}
	})
}

// inListener runs a call in which meanwhile runs while the hedge of that number is being announced. Its end lets the
// first attempt end with first, and then the second one with second; all others run until they are canceled.
func inListener(t *testing.T, announced int, first, second func() error, meanwhile func(end func(), cancel func())) (
	how string, value any, began int32,
) {
	var bus hooks.Bus
	ends := [2]chan struct{}{make(chan struct{}), make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	number := 1
	hooks.On(&bus, func(context.Context, hooks.HedgeStarted) {
		if number++; number == announced+1 {
			next := 0
			meanwhile(func() {
				close(ends[next])
				next++
				synctest.Wait()
			}, cancel)
		}
	})
	op := newScript()
	run := func(ctx context.Context) error {
		switch op.began.Add(1) {
		case 1:
			select {
			case <-ends[0]:
				return first()
			case <-ctx.Done():
				return ctx.Err()
			}
		case 2:
			if announced > 1 {
				<-ends[1]
				return second()
			}
		}
		<-ctx.Done()
		return ctx.Err()
	}
	how, value = ending(func() error { return mustNew(t, hundred(3), hedge.WithBus(&bus)).Execute(ctx, run) })
	synctest.Wait()
	return how, value, op.began.Load()
}

func TestResultThatIsThereComesFirst(t *testing.T) {
	for range 30 { // what is ready at the same time is chosen from at random
		synctest.Test(t, func(t *testing.T) {
			how, value, _ := inListener(t, 1, returns(nil), nil, func(end, cancel func()) {
				end()
				cancel()
			})
			if how != "return" || value != error(nil) {
				t.Errorf("success and the caller's end: %s, %v", how, value)
			}
		})
		synctest.Test(t, func(t *testing.T) {
			how, value, began := inListener(t, 1, returns(nil), nil, func(end, _ func()) {
				end()
				time.Sleep(time.Second) // another hedge is due, too
			})
			if how != "return" || value != error(nil) || began != 2 {
				t.Errorf("success and another hedge: %s, %v after %d attempts", how, value, began)
			}
		})
		synctest.Test(t, func(t *testing.T) {
			how, _, began := inListener(t, 1, returns(nil), nil, func(_, cancel func()) {
				cancel()
				time.Sleep(time.Second) // another hedge is due, too
			})
			if how != "return" || began != 2 {
				t.Errorf("the caller's end and another hedge: %s after %d attempts", how, began)
			}
		})
	}
}

func TestPanicThatComesWithASuccessReachesTheCaller(t *testing.T) {
	for want, end := range map[string]func() error{"panic": bang, "Goexit": exit} {
		synctest.Test(t, func(t *testing.T) {
			how, _, _ := inListener(t, 2, returns(nil), end, func(end, _ func()) {
				end()
				end()
			})
			if how != want {
				t.Errorf("got %s, want %s", how, want)
			}
		})
	}
}

func TestBudgetBoundsHedges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := mustBudget(t, retry.BudgetConfig{Percent: 20, MinPerSecond: retry.None})
		p := mustNew(t, hundred(1), hedge.WithBudget(budget))
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				op := newScript(attempt{time.Second, returns(nil), false}, attempt{time.Second, returns(nil), false})
				if err := p.Execute(t.Context(), op.run); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		synctest.Wait() // for the attempts that lost
		if got := p.Stats(); got != (hedge.Stats{Calls: 100, Hedges: 20, Denied: 80}) {
			t.Errorf("got %+v", got)
		}
		if got := budget.Stats(); got != (retry.BudgetStats{Calls: 100, Taken: 20, Denied: 80}) {
			t.Errorf("got %+v", got)
		}
	})
}

func TestRetriesAndHedgesShareABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := mustBudget(t, retry.BudgetConfig{Percent: retry.None, MinPerSecond: 0.1})
		retries, err := retry.New("payments", retry.Config{}, retry.WithBudget(budget))
		if err != nil {
			t.Fatal(err)
		}
		op := newScript(attempt{150 * ms, returns(nil), false}, attempt{time.Hour, returns(nil), false})
		if err := mustNew(t, hundred(1), hedge.WithBudget(budget)).Execute(t.Context(), op.run); err != nil {
			t.Error(err)
		}
		err = retries.Execute(t.Context(), func(context.Context) error { return errBoom })
		if !errors.Is(err, retry.ErrBudgetSpent) || !errors.Is(err, errBoom) {
			t.Errorf("got %v", err)
		}
	})
}

func TestEveryRetryIsHedged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		retries, err := retry.New("payments", retry.Config{BaseDelay: 100 * ms, Jitter: retry.NoJitter})
		if err != nil {
			t.Fatal(err)
		}
		op := newScript(
			attempt{150 * ms, returns(errBoom), false}, attempt{60 * ms, returns(errBoom), false}, // fails after 160 ms
			attempt{time.Hour, returns(nil), true}, attempt{40 * ms, returns(nil), false}) // succeeds 100+100+40 ms later
		start := time.Now()
		got, err := patterns.Do(t.Context(), patterns.Compose(retries, mustNew(t, hundred(1))), op.value)
		if took := time.Since(start); got != 3 || err != nil || took != 400*ms {
			t.Errorf("attempt %d, %v after %v", got, err, took)
		}
		time.Sleep(2 * time.Hour)
	})
}

func TestHedgeAroundARetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		retries, err := retry.New("payments", retry.Config{BaseDelay: 10 * ms, Jitter: retry.NoJitter})
		if err != nil {
			t.Fatal(err)
		}
		op := newScript(attempt{time.Hour, returns(nil), true}, attempt{20 * ms, returns(errBoom), false},
			attempt{20 * ms, returns(nil), false})
		fn := patterns.Wrap(patterns.Compose(mustNew(t, hundred(1)), retries),
			func(ctx context.Context, _ string) (int, error) { return op.value(ctx) })
		start := time.Now()
		got, err := fn(t.Context(), "in")
		if took := time.Since(start); got != 2 || err != nil || took != 150*ms {
			t.Errorf("attempt %d, %v after %v", got, err, took)
		}
		time.Sleep(2 * time.Hour)
	})
}

func TestCallsAtTheSameTimeKeepTheirValuesApart(t *testing.T) {
	p := mustNew(t, hedge.Config{Delay: 1, MaxHedges: 2}) // so that hedges overlap in every way
	square := patterns.Wrap(p, func(_ context.Context, in int) (int, error) {
		if in%3 == 0 {
			return -1, errBoom
		}
		return in * in, nil
	})
	var wg sync.WaitGroup
	for start := range 4 {
		wg.Go(func() {
			for in := start; in < 400; in += 4 {
				got, err := square(t.Context(), in)
				if in%3 == 0 && (got != 0 || err != errBoom) || in%3 != 0 && (got != in*in || err != nil) {
					t.Errorf("%d: got %d, %v", in, got, err)
				}
			}
		})
	}
	wg.Wait()
}
