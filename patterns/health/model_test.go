package health_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/steadyfx/steady/patterns/health"
)

const (
	modelMaxAge  = 5 * time.Second
	modelTimeout = 4 * time.Second
)

// step is one question to a check: some time after the answer to the one before, with a context that may end first.
type step struct {
	pause, patience time.Duration
	takes           time.Duration // of the check, if it is run; it ignores its context
	status          health.Status
}

// asked is what a caller can see of one question.
type asked struct {
	status  health.Status
	runs    int // so far
	took    time.Duration
	changes string // told so far
}

// expected follows the questions with a clock that is a number.
func expected(steps []step) []asked {
	var all []asked
	var now, settled, ended time.Duration // of the last run: when it has a result, and when the check ends
	var result, known health.Status
	runs, pending, changes := 0, false, ""
	advance := func(to time.Duration) {
		if now = to; pending && now >= settled {
			pending = false
			if known != result {
				changes += fmt.Sprintf("%v>%v ", known, result)
			}
			known = result
		}
	}
	for _, s := range steps {
		advance(now + s.pause)
		if runs == 0 || now >= ended && now >= settled+modelMaxAge {
			runs++
			settled, ended, result, pending = now+min(s.takes, modelTimeout), now+s.takes, s.status, true
			if s.takes >= modelTimeout {
				result = health.Unhealthy
			}
		}
		begun := now
		got := asked{status: result, runs: runs}
		if settled > begun+s.patience {
			got.status = health.Unknown
			advance(begun + s.patience)
		} else {
			advance(max(begun, settled))
		}
		got.took, got.changes = now-begun, changes
		all = append(all, got)
	}
	return all
}

func observed(t *testing.T, steps []step) []asked {
	var mu sync.Mutex
	var next step
	runs, changes := 0, ""
	m, err := health.New(health.Config{MaxAge: modelMaxAge}, health.WithOnChange(
		func(_ context.Context, before health.Status, now health.Result) {
			mu.Lock()
			defer mu.Unlock()
			changes += fmt.Sprintf("%v>%v ", before, now.Status)
		}))
	if err != nil {
		t.Fatal(err)
	}
	register(t, m, health.Check{Name: "db", Timeout: modelTimeout, Func: func(context.Context) health.Report {
		mu.Lock()
		runs++
		s := next
		mu.Unlock()
		time.Sleep(s.takes)
		return health.Report{Status: s.status}
	}})
	var all []asked
	for _, s := range steps {
		time.Sleep(s.pause)
		mu.Lock()
		next = s
		mu.Unlock()
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), s.patience)
		r, err := m.Run(ctx, "db")
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		took := time.Since(begun)
		synctest.Wait() // for the listener
		mu.Lock()
		all = append(all, asked{r.Status, runs, took, changes})
		mu.Unlock()
	}
	time.Sleep(time.Hour) // the last run ends
	return all
}

// Times are such that no two things happen at once: pauses are whole seconds and a bit, runs half a second more, and
// patience a quarter.
func TestModelOfOneCheck(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) step {
			seconds := func(name string, most int) time.Duration {
				return time.Duration(rapid.IntRange(0, most).Draw(rt, name)) * time.Second
			}
			return step{
				pause:    seconds("pause", 8) + time.Millisecond,
				patience: seconds("patience", 6) + 250*time.Millisecond,
				takes:    seconds("takes", 12) + 500*time.Millisecond,
				status: rapid.SampledFrom([]health.Status{
					health.Unknown, health.Healthy, health.Degraded, health.Unhealthy,
				}).Draw(rt, "status"),
			}
		}), 1, 30).Draw(rt, "steps")
		var got []asked
		synctest.Test(t, func(t *testing.T) { got = observed(t, steps) })
		for i, want := range expected(steps) {
			if got[i] != want {
				rt.Fatalf("question %d:\ngot  %+v\nwant %+v", i, got[i], want)
			}
		}
	})
}
