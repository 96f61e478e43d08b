package retry_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/retry"
)

var (
	_ patterns.Layer      = (*retry.Policy)(nil)
	_ patterns.Composer   = (*retry.Policy)(nil)
	_ patterns.Sequential = (*retry.Policy)(nil)
)

func TestSuccessIsNotRepeated(t *testing.T) {
	op, p := newScript(), mustNew(t, exact(3))
	if err := p.Execute(t.Context(), op.run); err != nil || op.calls != 1 {
		t.Errorf("got %v after %d calls", err, op.calls)
	}
	if p.Name() != "payments" {
		t.Errorf("it is called %q", p.Name())
	}
}

func TestAttemptsFollowTheirDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		op := newScript(errBoom, errBoom, errBoom, errBoom, errBoom)
		if err := mustNew(t, exact(9)).Execute(t.Context(), op.run); err != nil {
			t.Fatal(err)
		}
		const ms = time.Millisecond
		want := []time.Duration{0, 100 * ms, 300 * ms, 700 * ms, 1500 * ms, 2500 * ms}
		if !slices.Equal(op.at, want) {
			t.Errorf("attempts began at %v, want %v", op.at, want)
		}
	})
}

func TestExhaustedErrorKeepsTheLastError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		last := fmt.Errorf("third: %w", errBoom)
		op := newScript(errors.New("first"), errors.New("second"), last)
		err := mustNew(t, exact(3)).Execute(t.Context(), op.run)

		var exhausted *retry.ExhaustedError
		if !errors.As(err, &exhausted) {
			t.Fatalf("got %T: %v", err, err)
		}
		if *exhausted != (retry.ExhaustedError{Name: "payments", Attempts: 3, Last: last}) {
			t.Errorf("got %+v", *exhausted)
		}
		for _, target := range []error{retry.ErrExhausted, patterns.ErrResilience, errBoom} {
			if !errors.Is(err, target) {
				t.Errorf("errors.Is(err, %v) is false", target)
			}
		}
		for _, target := range []error{retry.ErrInterrupted, patterns.ErrRejected, context.Canceled} {
			if errors.Is(err, target) {
				t.Errorf("errors.Is(err, %v) is true", target)
			}
		}
		if code := patterns.Code(err); code != "LEX_ERR_RES_008" {
			t.Errorf("code %q", code)
		}
		if want := `retry "payments": gave up after 3 attempts: third: boom`; err.Error() != want {
			t.Errorf("message %q, want %q", err, want)
		}
	})
}

func TestPitfall33NoDelayAfterTheLastAttempt(t *testing.T) {
	for attempts, want := range map[int]time.Duration{1: 0, 2: 100 * time.Millisecond, 3: 300 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			op := newScript(slices.Repeat([]error{errBoom}, 9)...)
			err := mustNew(t, exact(attempts)).Execute(t.Context(), op.run)
			if elapsed := time.Since(op.start); elapsed != want || op.calls != attempts {
				t.Errorf("%d attempts: %d calls in %v, want %v", attempts, op.calls, elapsed, want)
			}
			var exhausted *retry.ExhaustedError
			if !errors.As(err, &exhausted) || exhausted.Attempts != attempts {
				t.Errorf("%d attempts: got %v", attempts, err)
			}
		})
	}
}

func TestPitfall43NothingRunsUnderAContextThatHasEnded(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	expired, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	tests := []struct {
		name    string
		ctx     context.Context
		want    error
		timeout bool
	}{
		{"canceled", canceled, context.Canceled, false},
		{"expired", expired, context.DeadlineExceeded, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			op := newScript()
			err := mustNew(t, exact(3)).Execute(tt.ctx, op.run)
			if op.calls != 0 {
				t.Errorf("the operation was run %d times", op.calls)
			}
			for _, target := range []error{tt.want, retry.ErrInterrupted, patterns.ErrRejected, patterns.ErrResilience} {
				if !errors.Is(err, target) {
					t.Errorf("errors.Is(%v, %v) is false", err, target)
				}
			}
			var interrupted *retry.InterruptedError
			if !errors.As(err, &interrupted) {
				t.Fatalf("got %T: %v", err, err)
			}
			if interrupted.Attempts != 0 || interrupted.Last != nil || interrupted.Timeout() != tt.timeout {
				t.Errorf("got %+v, Timeout %v", *interrupted, interrupted.Timeout())
			}
			if want := `retry "payments": the operation was not run: ` + tt.want.Error(); err.Error() != want {
				t.Errorf("message %q, want %q", err, want)
			}
		})
	}
}

func TestPitfall43ErrorThatIsNotRetriedIsReturnedAsItIsOnEveryAttempt(t *testing.T) {
	for attempt := 1; attempt <= 3; attempt++ {
		synctest.Test(t, func(t *testing.T) {
			permanent := errors.New("permanent")
			results := append(slices.Repeat([]error{errBoom}, attempt-1), permanent)
			op := newScript(results...)
			err := mustNew(t, exact(3), retry.WithAbortOn(permanent)).Execute(t.Context(), op.run)
			if err != permanent || op.calls != attempt {
				t.Errorf("attempt %d: got %v after %d calls", attempt, err, op.calls)
			}
		})
	}
}

func TestCancellationEndsTheDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		shutdown := errors.New("shutting down")
		time.AfterFunc(250*time.Millisecond, func() { cancel(shutdown) }) // 50 ms before the third attempt
		op := newScript(errBoom, errBoom, errBoom)
		err := mustNew(t, exact(5)).Execute(ctx, op.run)

		if elapsed := time.Since(op.start); elapsed != 250*time.Millisecond || op.calls != 2 {
			t.Errorf("returned after %v and %d calls", elapsed, op.calls)
		}
		for _, target := range []error{context.Canceled, shutdown, errBoom, retry.ErrInterrupted, patterns.ErrResilience} {
			if !errors.Is(err, target) {
				t.Errorf("errors.Is(%v, %v) is false", err, target)
			}
		}
		for _, target := range []error{retry.ErrExhausted, patterns.ErrRejected, context.DeadlineExceeded} {
			if errors.Is(err, target) {
				t.Errorf("errors.Is(%v, %v) is true", err, target)
			}
		}
		var interrupted *retry.InterruptedError
		if !errors.As(err, &interrupted) {
			t.Fatalf("got %T: %v", err, err)
		}
		if interrupted.Attempts != 2 || interrupted.Last != errBoom || interrupted.Timeout() {
			t.Errorf("got %+v", *interrupted)
		}
		if code := patterns.Code(err); code != "LEX_ERR_RES_008" {
			t.Errorf("code %q", code)
		}
		want := `retry "payments": stopped after 2 attempts: context canceled: shutting down; last error: boom`
		if err.Error() != want {
			t.Errorf("message %q, want %q", err, want)
		}
	})
}

func TestCallerThatGoesAwayDuringAnAttemptGetsItsError(t *testing.T) {
	for attempt := 1; attempt <= 3; attempt++ { // the third is the last
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			calls := 0
			err := mustNew(t, exact(3), retry.WithRetryOn(errBoom, context.Canceled)).Execute(ctx,
				func(ctx context.Context) error {
					if calls++; calls == attempt {
						cancel()
						return ctx.Err()
					}
					return errBoom
				})
			if !errors.Is(err, context.Canceled) || calls != attempt {
				t.Errorf("attempt %d: got %v after %d calls", attempt, err, calls)
			}
			var interrupted *retry.InterruptedError
			switch told := errors.As(err, &interrupted); {
			case attempt == 1 && err != context.Canceled:
				t.Errorf("the only attempt: got %v", err)
			case attempt > 1 && (!told || interrupted.Attempts != attempt || interrupted.Last != errBoom):
				t.Errorf("attempt %d: what happened before is not in %v", attempt, err)
			}
		})
	}
}

func TestPitfall18DelayThatCannotBeUsedIsNotSleptAndTheCauseIsKept(t *testing.T) {
	const ms = time.Millisecond
	tests := []struct {
		deadline time.Duration
		calls    int
		elapsed  time.Duration
	}{
		{50 * ms, 1, 0},
		{100 * ms, 1, 0}, // the second attempt would begin when the deadline passes
		{100*ms + 1, 2, 100 * ms},
		{300 * ms, 2, 100 * ms},
		{301 * ms, 3, 300 * ms},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), tt.deadline)
			defer cancel()
			op := newScript(slices.Repeat([]error{errBoom}, 9)...)
			err := mustNew(t, exact(9)).Execute(ctx, op.run)

			if elapsed := time.Since(op.start); elapsed != tt.elapsed || op.calls != tt.calls {
				t.Errorf("deadline %v: %d calls in %v, want %d in %v", tt.deadline, op.calls, elapsed, tt.calls, tt.elapsed)
			}
			var interrupted *retry.InterruptedError
			if !errors.As(err, &interrupted) || interrupted.Attempts != tt.calls || !interrupted.Timeout() {
				t.Fatalf("deadline %v: got %T: %v", tt.deadline, err, err)
			}
			if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errBoom) || errors.Is(err, patterns.ErrRejected) {
				t.Errorf("deadline %v: got %v", tt.deadline, err)
			}
			if !strings.Contains(err.Error(), "the deadline leaves no time for the next attempt") {
				t.Errorf("deadline %v: message %q", tt.deadline, err)
			}
		})
	}
}

func TestTimeoutOfOneAttemptIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		err := mustNew(t, exact(3)).Execute(t.Context(), func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			if calls++; calls < 3 {
				<-ctx.Done()
			}
			return ctx.Err()
		})
		if err != nil || calls != 3 {
			t.Errorf("got %v after %d calls", err, calls)
		}
	})
}

func TestPitfall03PanicPassesThroughAndLeavesThePolicyUsable(t *testing.T) {
	p := mustNew(t, exact(3))
	calls := 0
	got := func() (value any) {
		defer func() { value = recover() }()
		return p.Execute(t.Context(), func(context.Context) error {
			calls++
			panic("bang")
		})
	}()
	if got != "bang" || calls != 1 {
		t.Errorf("got %v after %d calls", got, calls)
	}
	if err := p.Execute(t.Context(), newScript().run); err != nil {
		t.Error(err)
	}
}

func TestGoexitPassesThrough(t *testing.T) {
	p := mustNew(t, exact(3))
	var calls atomic.Int32
	returned := false
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = p.Execute(t.Context(), func(context.Context) error {
			calls.Add(1)
			runtime.Goexit()
			return nil
		})
		returned = true
	}()
	<-done
	if returned || calls.Load() != 1 {
		t.Errorf("returned: %v, calls: %d", returned, calls.Load())
	}
}

func TestPitfall42EveryCallHasAllAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mustNew(t, exact(4))
		for call := 1; call <= 3; call++ {
			op := newScript(slices.Repeat([]error{errBoom}, 9)...)
			err := p.Execute(t.Context(), op.run)
			if !errors.Is(err, retry.ErrExhausted) || op.calls != 4 || time.Since(op.start) != 700*time.Millisecond {
				t.Errorf("call %d: %v after %d attempts in %v", call, err, op.calls, time.Since(op.start))
			}
		}
	})
}

func TestPitfall42CallsAtTheSameTimeDoNotShareAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mustNew(t, exact(4))
		var wg sync.WaitGroup
		for failures := range 8 {
			wg.Go(func() {
				op := newScript(slices.Repeat([]error{errBoom}, failures)...)
				err := p.Execute(t.Context(), op.run)
				if want := min(failures+1, 4); op.calls != want || (err == nil) != (failures < 4) {
					t.Errorf("%d failures: %v after %d attempts", failures, err, op.calls)
				}
			})
		}
		wg.Wait()
	})
}

func TestPitfall31AnyNumberOfAttemptsHasADelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mustNew(t, retry.Config{
			MaxAttempts: 2000, BaseDelay: time.Nanosecond, MaxDelay: time.Second, BackoffFactor: math.MaxFloat64,
			Jitter: retry.NoJitter,
		})
		op := newScript(slices.Repeat([]error{errBoom}, 2000)...)
		err := p.Execute(t.Context(), op.run)
		if !errors.Is(err, retry.ErrExhausted) || op.calls != 2000 || time.Since(op.start) != 1998*time.Second+1 {
			t.Errorf("%v after %d attempts in %v", err, op.calls, time.Since(op.start))
		}
	})
}

func TestAttemptsRunThroughThePolicyInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outer, inner := mustNew(t, exact(2)), mustNew(t, exact(3))
		op := newScript(slices.Repeat([]error{errBoom}, 9)...)
		chain := patterns.Compose(outer, inner)
		err := chain.Execute(t.Context(), op.run)
		if op.calls != 6 || !errors.Is(err, retry.ErrExhausted) {
			t.Errorf("%v after %d calls, want 6", err, op.calls)
		}
		if !patterns.IsSequential(chain) {
			t.Error("attempts never overlap, but the chain does not say so")
		}
	})
}
