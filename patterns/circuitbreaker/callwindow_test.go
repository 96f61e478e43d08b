package circuitbreaker

import (
	"sync"
	"testing"
	"time"
)

func TestTallyOfTheLastCallsSettles(t *testing.T) {
	const goroutines, calls, size = 8, 5000, 7
	var retired totals
	w := newCallWindow(size, true, &retired)
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range calls {
				w.add(result{failed: (g+i)%2 == 0, slow: (g+i)%3 == 0, took: time.Duration(i)})
				if got := w.sum(); got.calls > size+goroutines || got.failures > size+goroutines || got.took < 0 {
					t.Errorf("got %+v", got)
				}
			}
		})
	}
	wg.Wait()
	if got := w.sum(); got.calls != size || got.failures > size || got.slow > size {
		t.Errorf("got %+v", got)
	}
	for range size - 1 {
		w.add(result{took: time.Second})
	}
	w.add(result{failed: true, slow: true, took: 8 * time.Second})
	want := tally{calls: size, failures: 1, slow: 1, took: (size - 1 + 8) * time.Second, longest: 8 * time.Second}
	if got := w.sum(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	w.end()
	if n := retired.results[succeeded].Load() + retired.results[failed].Load(); n != goroutines*calls+size {
		t.Errorf("%d results in total", n)
	}
}

func TestResultsOnTheirWayWhenAWindowEndsAreCounted(t *testing.T) {
	const goroutines, calls = 4, 2000
	for name, open := range map[string]func(*totals) window{
		"by time":  func(r *totals) window { return window{time: newTimeWindow(0, time.Hour, time.Second, r)} },
		"by count": func(r *totals) window { return window{calls: newCallWindow(10, true, r)} },
	} {
		t.Run(name, func(t *testing.T) {
			var retired totals
			w := open(&retired)
			var wg sync.WaitGroup
			for g := range goroutines {
				wg.Go(func() {
					for i := range calls {
						if g == 0 && i == calls/2 {
							w.end(time.Minute)
						}
						w.add(time.Minute, result{failed: g%2 == 0, slow: i%2 == 0})
					}
				})
			}
			wg.Wait()
			for kind, got := range map[string]int64{
				"successes": retired.results[succeeded].Load(), "failures": retired.results[failed].Load(),
				"slow calls": retired.slow.Load(),
			} {
				if got != goroutines*calls/2 {
					t.Errorf("%d %s in total, want %d", got, kind, goroutines*calls/2)
				}
			}
		})
	}
}
