package retry_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/retry"
)

func TestBudgetStartsFromTheDefaultsOfFinagle(t *testing.T) {
	want := retry.BudgetConfig{Percent: 20, MinPerSecond: 10, TTL: 10 * time.Second}
	if got := mustBudget(t, retry.BudgetConfig{}).Config(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestPitfall20BudgetConfigurationIsJudged(t *testing.T) {
	tests := []struct {
		name  string
		cfg   retry.BudgetConfig
		field string // "" if valid
	}{
		{"zero", retry.BudgetConfig{}, ""},
		{"least", retry.BudgetConfig{Percent: 0.001, MinPerSecond: 0.001, TTL: time.Second}, ""},
		{"most", retry.BudgetConfig{Percent: 1000, MinPerSecond: 1e6, TTL: time.Minute}, ""},
		{"no share", retry.BudgetConfig{Percent: retry.None}, ""},
		{"no floor", retry.BudgetConfig{MinPerSecond: retry.None}, ""},
		{"neither", retry.BudgetConfig{Percent: retry.None, MinPerSecond: retry.None}, "percent"},
		{"share too small", retry.BudgetConfig{Percent: 0.0009}, "percent"},
		{"share too large", retry.BudgetConfig{Percent: 1001}, "percent"},
		{"share not a number", retry.BudgetConfig{Percent: math.NaN()}, "percent"},
		{"negative share", retry.BudgetConfig{Percent: -2}, "percent"},
		{"floor too small", retry.BudgetConfig{MinPerSecond: 0.0009}, "min_per_second"},
		{"floor too large", retry.BudgetConfig{MinPerSecond: 1e6 + 1}, "min_per_second"},
		{"floor not a number", retry.BudgetConfig{MinPerSecond: math.NaN()}, "min_per_second"},
		{"too short", retry.BudgetConfig{TTL: time.Second - 1}, "ttl"},
		{"too long", retry.BudgetConfig{TTL: time.Minute + 1}, "ttl"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := retry.NewBudget(tt.cfg)
			var field *patterns.FieldError
			switch {
			case tt.field == "" && err != nil:
				t.Error(err)
			case tt.field != "" && (b != nil || !errors.As(err, &field) || field.Field != tt.field):
				t.Errorf("want a mistake in %s, got %v", tt.field, err)
			}
		})
	}
}

func take(b *retry.Budget) (n int) {
	for b.TryTake() {
		n++
	}
	return n
}

func deposit(b *retry.Budget, n int) {
	for range n {
		b.Deposit()
	}
}

func TestBudgetAllowsAShareOfTheCallsExactly(t *testing.T) {
	tests := []struct {
		percent float64
		calls   int
		want    int
	}{
		{20, 0, 0}, {20, 4, 0}, {20, 5, 1}, {20, 9, 1}, {20, 10, 2}, {100, 7, 7}, {1000, 1, 10},
		{0.1, 999, 0}, {0.1, 1000, 1}, {33.333, 3, 0}, {33.334, 3, 1}, {0.001, 99_999, 0}, {0.001, 100_000, 1},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			b := mustBudget(t, retry.BudgetConfig{Percent: tt.percent, MinPerSecond: retry.None})
			deposit(b, tt.calls)
			if got := take(b); got != tt.want {
				t.Errorf("%v %% of %d calls are %d, want %d", tt.percent, tt.calls, got, tt.want)
			}
		})
	}
}

func TestBudgetHasAFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustBudget(t, retry.BudgetConfig{Percent: 10, MinPerSecond: 0.5, TTL: 10 * time.Second})
		if got := take(b); got != 5 {
			t.Errorf("%d without a call, want 5", got)
		}
		deposit(b, 10)
		if got := take(b); got != 1 {
			t.Errorf("%d for 10 calls on top, want 1", got)
		}
		time.Sleep(11 * time.Second)
		if got := take(b); got != 5 {
			t.Errorf("%d after all has expired, want 5", got)
		}
	})
}

func TestPitfall14CreditOfTheBudgetExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustBudget(t, retry.BudgetConfig{Percent: 100, MinPerSecond: retry.None, TTL: 10 * time.Second})
		deposit(b, 3)
		time.Sleep(10*time.Second - 1)
		if got := b.Stats(); got != (retry.BudgetStats{Calls: 3, Available: 3}) {
			t.Errorf("a moment before: %+v", got)
		}
		time.Sleep(time.Nanosecond)
		if got := b.Stats(); got != (retry.BudgetStats{}) {
			t.Errorf("after the time: %+v", got)
		}
		if b.TryTake() {
			t.Error("an attempt was paid from credit that had expired")
		}
		for range 100 { // idle for long: the slices have been used by nothing meanwhile
			time.Sleep(time.Second / 3)
		}
		b.Deposit()
		if got := b.Stats(); got != (retry.BudgetStats{Calls: 1, Available: 1, Denied: 1}) {
			t.Errorf("after a long time: %+v", got)
		}
	})
}

func TestAttemptsOfTheBudgetWeighForTheWholeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustBudget(t, retry.BudgetConfig{Percent: retry.None, MinPerSecond: 0.1, TTL: 10 * time.Second})
		time.Sleep(time.Second - 1) // to the end of a slice
		if !b.TryTake() {
			t.Fatal("the floor is not there")
		}
		time.Sleep(10 * time.Second)
		if b.TryTake() {
			t.Error("two attempts in one span of 10 s")
		}
		time.Sleep(time.Second)
		if !b.TryTake() {
			t.Error("the attempt still weighs after 11 s")
		}
	})
}

func TestBudgetAgreesWithItsModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cfg := retry.BudgetConfig{
			Percent:      rapid.SampledFrom([]float64{retry.None, 1, 20, 50, 100, 250}).Draw(rt, "percent"),
			MinPerSecond: rapid.SampledFrom([]float64{0.1, 0.5, 2}).Draw(rt, "floor"),
			TTL: rapid.SampledFrom([]time.Duration{
				time.Second, 10 * time.Second, 7777 * time.Millisecond,
			}).Draw(rt, "ttl"),
		}
		type step struct {
			wait         time.Duration
			calls, takes int
		}
		steps := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) step {
			return step{
				wait: time.Duration(rapid.OneOf(rapid.Just(0), rapid.IntRange(0, int(cfg.TTL/5)),
					rapid.IntRange(0, int(3*cfg.TTL))).Draw(rt, "wait")),
				calls: rapid.IntRange(0, 12).Draw(rt, "calls"),
				takes: rapid.IntRange(0, 6).Draw(rt, "takes"),
			}
		}), 1, 40).Draw(rt, "steps")

		// The model: every call and every attempt ever, by the number of its slice of time, and the share in thousandths.
		var calls, takes []int64
		var callsAt, takesAt []time.Duration
		var denied uint64
		permille, floor := int64(max(cfg.Percent, 0)*10), int64(cfg.MinPerSecond*cfg.TTL.Seconds()*1000)
		younger := func(all []int64, than int64) (n int64) {
			for _, slice := range all {
				if slice > than {
					n++
				}
			}
			return n
		}
		var problem string
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			b := mustBudget(t, cfg)
			for i, s := range steps {
				time.Sleep(s.wait)
				now := time.Since(start)
				slice := int64(now / (cfg.TTL / 10))
				for range s.calls {
					b.Deposit()
					calls, callsAt = append(calls, slice), append(callsAt, now)
				}
				for range s.takes {
					left := floor + permille*younger(calls, slice-10) - 1000*younger(takes, slice-11)
					got := b.TryTake()
					if got != (left >= 1000) {
						problem = "TryTake is wrong"
						rt.Logf("step %d: TryTake is %v with %d thousandths left", i, got, left)
						return
					}
					if !got {
						denied++
						continue
					}
					takes, takesAt = append(takes, slice), append(takesAt, now)

					// The promise, with the times as they are instead of slices.
					inTTL := func(all []time.Duration) (n int64) {
						for _, at := range all {
							if at > now-cfg.TTL {
								n++
							}
						}
						return n
					}
					if 1000*inTTL(takesAt) > floor+permille*inTTL(callsAt) {
						problem = "more attempts than promised"
						return
					}
				}
				left := max(floor+permille*younger(calls, slice-10)-1000*younger(takes, slice-11), 0) / 1000
				want := retry.BudgetStats{
					Calls: uint64(younger(calls, slice-10)), Taken: uint64(younger(takes, slice-11)),
					Available: uint64(left), Denied: denied,
				}
				if got := b.Stats(); got != want {
					problem = "Stats are wrong"
					rt.Logf("step %d: got %+v, want %+v", i, got, want)
					return
				}
			}
		})
		if problem != "" {
			rt.Fatal(problem)
		}
	})
}

func TestBudgetIsCheckedAndTakenInOneStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers = 1000
		b := mustBudget(t, retry.BudgetConfig{Percent: 20, MinPerSecond: retry.None})
		p := mustNew(t, exact(3), retry.WithBudget(b))
		var attempts atomic.Int64
		started := make(chan struct{})
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				_ = p.Execute(t.Context(), func(context.Context) error {
					attempts.Add(1)
					<-started // all fail at the same time
					return errBoom
				})
			})
		}
		synctest.Wait()
		close(started)
		wg.Wait()
		if got := attempts.Load(); got != callers+callers/5 {
			t.Errorf("%d attempts for %d calls", got, callers)
		}
		if got := p.Stats(); got.BudgetDenied != callers || got.Retries != callers/5 {
			t.Errorf("stats: %+v", got)
		}
	})
}

func TestConcurrentDepositsAreAllCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // so that no time passes
		b := mustBudget(t, retry.BudgetConfig{})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { deposit(b, 1000) })
		}
		wg.Wait()
		if got := b.Stats().Calls; got != 4000 {
			t.Errorf("%d calls, want 4000", got)
		}
	})
}

func TestPitfall18BudgetIsAskedBeforeTheDelayAndTheCauseIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustBudget(t, retry.BudgetConfig{Percent: retry.None, MinPerSecond: 0.1})
		p := mustNew(t, exact(9), retry.WithBudget(b))
		op := newScript(slices.Repeat([]error{errBoom}, 9)...)
		err := p.Execute(t.Context(), op.run)
		if elapsed := time.Since(op.start); op.calls != 2 || elapsed != 100*time.Millisecond {
			t.Errorf("%d attempts in %v, want 2 in 100ms", op.calls, elapsed)
		}
		var exhausted *retry.ExhaustedError
		if !errors.As(err, &exhausted) || exhausted.Attempts != 2 || exhausted.Last != errBoom {
			t.Fatalf("got %T: %v", err, err)
		}
		for _, target := range []error{retry.ErrBudgetSpent, retry.ErrExhausted, patterns.ErrResilience, errBoom} {
			if !errors.Is(err, target) {
				t.Errorf("errors.Is(%v, %v) is false", err, target)
			}
		}
		for _, target := range []error{retry.ErrInterrupted, patterns.ErrRejected} {
			if errors.Is(err, target) {
				t.Errorf("errors.Is(%v, %v) is true", err, target)
			}
		}
		want := `retry "payments": gave up after 2 attempts: the retry budget is spent; last error: boom`
		if err.Error() != want {
			t.Errorf("message %q, want %q", err, want)
		}
	})
}

func TestBudgetIsNotSpentOnAnAttemptThatCannotBeMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustBudget(t, retry.BudgetConfig{})
		cfg := exact(2)
		cfg.MaxElapsed = time.Millisecond
		_ = mustNew(t, cfg, retry.WithBudget(b)).Execute(t.Context(), newScript(errBoom).run)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_ = mustNew(t, exact(2), retry.WithBudget(b)).Execute(ctx, newScript(errBoom).run)
		_ = mustNew(t, exact(1), retry.WithBudget(b)).Execute(t.Context(), newScript(errBoom).run)
		_ = mustNew(t, exact(2), retry.WithBudget(b), retry.WithAbortOn(errBoom)).Execute(t.Context(), newScript(errBoom).run)
		if got := b.Stats(); got.Taken != 0 || got.Denied != 0 || got.Calls != 4 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestPitfall03PanicInAnAttemptTakesNothingFromTheBudgetForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustBudget(t, retry.BudgetConfig{Percent: retry.None, MinPerSecond: 0.1})
		p := mustNew(t, exact(3), retry.WithBudget(b))
		calls := 0
		func() {
			defer func() {
				if value := recover(); value != "bang" {
					t.Errorf("recovered %v", value)
				}
			}()
			_ = p.Execute(t.Context(), func(context.Context) error {
				if calls++; calls == 2 {
					panic("bang")
				}
				return errBoom
			})
		}()
		time.Sleep(11 * time.Second)
		if err := p.Execute(t.Context(), newScript(errBoom).run); err != nil {
			t.Errorf("after the panic: %v", err)
		}
	})
}

func TestPoliciesShareABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustBudget(t, retry.BudgetConfig{Percent: retry.None, MinPerSecond: 0.2})
		reads, writes := mustNew(t, exact(3), retry.WithBudget(b)), mustNew(t, exact(3), retry.WithBudget(b))
		if err := reads.Execute(t.Context(), newScript(errBoom, errBoom).run); err != nil {
			t.Error(err)
		}
		if err := writes.Execute(t.Context(), newScript(errBoom).run); !errors.Is(err, retry.ErrBudgetSpent) {
			t.Errorf("got %v", err)
		}
		if got := b.Stats(); got != (retry.BudgetStats{Calls: 2, Taken: 2, Denied: 1}) {
			t.Errorf("got %+v", got)
		}
	})
}

func TestCallThatIsNotRunIsNotCounted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := mustBudget(t, retry.BudgetConfig{})
	_ = mustNew(t, exact(3), retry.WithBudget(b)).Execute(ctx, newScript().run)
	if got := b.Stats().Calls; got != 0 {
		t.Errorf("%d calls", got)
	}
}

func TestMistakesOfABudgetNameIt(t *testing.T) {
	_, err := retry.NewBudget(retry.BudgetConfig{Percent: -5, TTL: time.Hour})
	if err == nil || !strings.HasPrefix(err.Error(), "retry budget: ") || !errors.Is(err, patterns.ErrConfiguration) {
		t.Errorf("got %v", err)
	}
}

func TestBudgetThatIsNamedMustBeGiven(t *testing.T) {
	cfg := retry.Config{Budget: "provider"}
	var field *patterns.FieldError
	if _, err := retry.New("payments", cfg); !errors.As(err, &field) || field.Field != "budget" {
		t.Errorf("got %v", err)
	}
	b, err := retry.NewBudget(retry.BudgetConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if p, err := retry.New("payments", cfg, retry.WithBudget(b)); err != nil || p.Budget() != b {
		t.Errorf("got %+v, %v", p, err)
	}
}
