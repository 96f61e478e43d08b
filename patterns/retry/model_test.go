package retry_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/retry"
)

var errFatal = errors.New("fatal")

// step is one attempt of a scripted operation: how long it takes and how it ends.
type step struct {
	takes  time.Duration
	result error
}

// observation is everything that a caller can see of a call.
type observation struct {
	calls   int
	elapsed time.Duration
	kind    string // of the error
	wraps   error  // the operation's error in it
	refused bool   // it matches patterns.ErrRejected
	events  []hooks.Event
}

// expected is what a caller must see: the rules of the package read one after the other, with a clock that is a
// number. limit is the time from the start after which the caller cancels.
func expected(cfg retry.Config, limit time.Duration, cancels, retryOpen bool, steps []step) observation {
	var o observation
	delay := cfg.BaseDelay
	var ran error // of the last attempt that was not refused
	for _, s := range steps {
		if o.calls++; o.elapsed+s.takes >= limit {
			o.elapsed, o.kind, o.wraps, o.refused = limit, "unchanged", contextError(cancels), false
			if ran != nil {
				o.kind, o.wraps = "interrupted", ran
			}
			return o
		}
		o.elapsed += s.takes
		o.wraps = s.result
		open := s.result == error(openCircuit{})
		o.refused = open && ran == nil
		switch {
		case s.result == nil:
			o.kind = "success"
			return o
		case open && !retryOpen && ran != nil:
			o.kind, o.wraps = "refused", ran
			return o
		case s.result == errFatal, open && !retryOpen:
			o.kind = "unchanged"
			return o
		case o.calls == cfg.MaxAttempts:
			o.kind = "exhausted"
			o.events = append(o.events, hooks.RetryExhausted{Operation: "payments", Attempts: o.calls, Err: s.result})
			return o
		case !cancels && o.elapsed+delay >= limit:
			o.kind = "interrupted"
			return o
		}
		o.events = append(o.events,
			hooks.RetryAttempted{Operation: "payments", Attempt: o.calls, Delay: delay, Err: s.result})
		if o.elapsed+delay >= limit {
			o.elapsed, o.kind = limit, "interrupted"
			return o
		}
		if !open {
			ran = s.result
		}
		o.elapsed += delay
		delay = min(delay*2, cfg.MaxDelay)
	}
	panic("the script is shorter than the attempts")
}

func contextError(cancels bool) error {
	if cancels {
		return context.Canceled
	}
	return context.DeadlineExceeded
}

// observed runs the real thing.
func observed(p *retry.Policy, events *[]hooks.Event, limit time.Duration, cancels bool, steps []step) observation {
	var ctx context.Context
	var cancel context.CancelFunc
	if cancels {
		ctx, cancel = context.WithCancel(context.Background())
		defer time.AfterFunc(limit, cancel).Stop()
	} else {
		ctx, cancel = context.WithTimeout(context.Background(), limit)
	}
	defer cancel()
	var o observation
	start := time.Now()
	err := p.Execute(ctx, func(ctx context.Context) error {
		s := steps[o.calls]
		o.calls++
		timer := time.NewTimer(s.takes)
		defer timer.Stop()
		select {
		case <-timer.C:
			return s.result
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	o.elapsed, o.events, o.refused = time.Since(start), *events, errors.Is(err, patterns.ErrRejected)
	var exhausted *retry.ExhaustedError
	var interrupted *retry.InterruptedError
	switch {
	case err == nil:
		o.kind = "success"
	case errors.As(err, &exhausted):
		o.kind, o.wraps = "exhausted", exhausted.Last
		if exhausted.Attempts != o.calls {
			o.kind = fmt.Sprintf("exhausted with %d attempts counted", exhausted.Attempts)
		}
	case errors.As(err, &interrupted) && errors.Is(interrupted.Cause, errOpen):
		o.kind, o.wraps = "refused", interrupted.Last
		if interrupted.Attempts != o.calls-1 {
			o.kind = fmt.Sprintf("refused with %d attempts counted", interrupted.Attempts)
		}
	case errors.As(err, &interrupted):
		o.kind, o.wraps = "interrupted", interrupted.Last
		if interrupted.Attempts != o.calls || interrupted.Timeout() == cancels || errors.Is(err, context.Canceled) != cancels {
			o.kind = fmt.Sprintf("interrupted with %d attempts counted by %v", interrupted.Attempts, interrupted.Cause)
		}
	default:
		o.kind, o.wraps = "unchanged", err
	}
	if open := (openCircuit{}); errors.As(o.wraps, &open) {
		o.wraps = open // which is hidden in another error after an attempt that ran
	}
	return o
}

func TestPolicyAgreesWithItsModel(t *testing.T) {
	results := []error{nil, errBoom, errBoom, errBoom, errBoom, openCircuit{}, errFatal}
	rapid.Check(t, func(rt *rapid.T) {
		cfg := retry.Config{
			MaxAttempts: rapid.IntRange(1, 6).Draw(rt, "attempts"),
			// Steps end at whole milliseconds, delays at odd microseconds and limits at others, so that no two things
			// happen at the same time and the order is certain.
			BaseDelay:     time.Duration(rapid.IntRange(1, 50).Draw(rt, "base"))*time.Millisecond + time.Microsecond,
			MaxDelay:      200*time.Millisecond + time.Microsecond,
			BackoffFactor: 2,
			Jitter:        retry.NoJitter,
		}
		limit := time.Duration(rapid.IntRange(0, 400).Draw(rt, "limit"))*time.Millisecond + 500*time.Microsecond
		cancels, retryOpen := rapid.Bool().Draw(rt, "cancels"), rapid.Bool().Draw(rt, "retry open circuit")
		steps := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) step {
			return step{
				takes:  time.Duration(rapid.IntRange(1, 60).Draw(rt, "takes")) * time.Millisecond,
				result: rapid.SampledFrom(results).Draw(rt, "result"),
			}
		}), cfg.MaxAttempts, cfg.MaxAttempts).Draw(rt, "steps")

		var bus hooks.Bus
		opts := []retry.Option{retry.WithBus(&bus), retry.WithAbortOn(errFatal)}
		if retryOpen {
			opts = append(opts, retry.WithRetryIf(func(error) bool { return true }), retry.WithRetryOn(patterns.ErrRejected))
		}
		p, err := retry.New("payments", cfg, opts...)
		if err != nil {
			rt.Fatal(err)
		}
		var got observation
		synctest.Test(t, func(*testing.T) { got = observed(p, record(&bus), limit, cancels, steps) })

		want := expected(cfg, limit, cancels, retryOpen, steps)
		same := got.calls == want.calls && got.elapsed == want.elapsed && got.kind == want.kind &&
			got.wraps == want.wraps && got.refused == want.refused && slices.Equal(got.events, want.events)
		if !same {
			rt.Fatalf("\ngot  %+v\nwant %+v", got, want)
		}
	})
}
