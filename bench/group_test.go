package main

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// forEach calls f with every contender in every mode.
func forEach(t *testing.T, groups []group, f func(t *testing.T, g group, c contender, m mode)) {
	t.Helper()
	for _, g := range groups {
		for _, c := range g.contenders {
			for _, m := range g.modes {
				t.Run(g.name+"/"+c.name+"/"+m.name, func(t *testing.T) { f(t, g, c, m) })
			}
		}
	}
}

// callsOperation says whether a contender runs the operation at all.
func callsOperation(g group, c contender) bool {
	switch g.name {
	case "Open breaker", "Token available", "Token denied", "Idempotency: replay":
		return false
	case "HTTP server: replay", "HTTP server over TCP: replay":
		return c.role == floor
	case "Floors":
		return strings.Contains(c.name, "call")
	default:
		return true
	}
}

func TestContendersDoTheSameWork(t *testing.T) {
	var done atomic.Int64
	count := func(context.Context) error { done.Add(1); return nil }
	const calls = 5000 // more than a share for each worker
	forEach(t, groups(t.Context(), count), func(t *testing.T, g group, c contender, m mode) {
		done.Store(0)
		if err := c.calls(calls, m); err != nil {
			t.Fatal(err)
		}
		want := int64(0)
		if callsOperation(g, c) {
			want = calls
		}
		if got := done.Load(); got != want {
			t.Errorf("the operation ran %d times in %d calls, want %d", got, calls, want)
		}
	})
}

// A contender that hid a failure could as well hide that it rejects, and look fast.
func TestContendersReportFailures(t *testing.T) {
	broken := errors.New("broken")
	synctest.Test(t, func(t *testing.T) { // retries wait
		var failing atomic.Bool
		fail := func(context.Context) error {
			if failing.Load() {
				return broken
			}
			return nil
		}
		all := groups(t.Context(), fail)
		failing.Store(true)
		for _, g := range all {
			for _, c := range g.contenders {
				if err := c.calls(1, g.modes[0]); callsOperation(g, c) && !errors.Is(err, broken) {
					t.Errorf("%s, %s: got %v, want the error of the operation", g.name, c.name, err)
				}
			}
		}
		time.Sleep(2 * openFor) // go-resiliency has a goroutine asleep for as long as a circuit is open
	})
}

func TestCallsAreSharedOut(t *testing.T) {
	for _, calls := range []int{0, 1, share - 1, share, share + 1, 10*share + 7} {
		for _, workers := range []int{1, 2, 5} {
			var made atomic.Int64
			c := contender{run: func(n int) error { made.Add(int64(n)); return nil }}
			if err := c.calls(calls, mode{workers: workers}); err != nil || made.Load() != int64(calls) {
				t.Errorf("%d workers made %d of %d calls, %v", workers, made.Load(), calls, err)
			}
		}
	}
}

func TestOneFailureFailsTheRun(t *testing.T) {
	broken := errors.New("broken")
	for _, workers := range []int{1, 3} {
		var runs atomic.Int64
		c := contender{run: func(int) error {
			if runs.Add(1) == 1 {
				return broken
			}
			return nil
		}}
		if err := c.calls(10*share, mode{workers: workers}); !errors.Is(err, broken) {
			t.Errorf("%d workers: got %v, want %v", workers, err, broken)
		}
	}
}
