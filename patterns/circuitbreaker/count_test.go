package circuitbreaker_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns/circuitbreaker"
)

func TestWindowByCountForgetsOnlyByCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 100, FailureRateThreshold: 0.6, SlidingWindowCalls: 5})
		repeat(t, b, 2, fail)
		repeat(t, b, 3, succeed)
		time.Sleep(24 * time.Hour)
		if m := b.Metrics(); m.Calls != 5 || m.Failures != 2 || m.FailureRate != 0.4 {
			t.Fatalf("after a day: %+v", m)
		}
		repeat(t, b, 2, succeed) // push the failures out
		if m := b.Metrics(); m.Calls != 5 || m.Failures != 0 {
			t.Fatalf("after two more calls: %+v", m)
		}
		repeat(t, b, 2, fail)
		wantState(t, b, circuitbreaker.Closed)
		repeat(t, b, 1, fail)
		wantState(t, b, circuitbreaker.Open)
	})
}

func TestConcurrentCallsLoseNoResultInAWindowByCount(t *testing.T) {
	const goroutines, calls, size = 8, 2000, 7
	b := newBreaker(t, circuitbreaker.Config{
		FailureThreshold: 1 << 30, FailureRateThreshold: 1, SlidingWindowCalls: size, SlowCallDuration: time.Hour,
	})
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range calls {
				switch {
				case g == 0 && i%100 == 0: // every window ends with calls on their way
					b.Reset()
					b.RecordSuccess()
				case g == 1 && i%100 == 0:
					cfg := b.Config()
					cfg.SlidingWindowCalls = size + i/100%3
					if err := b.Reconfigure(cfg); err != nil {
						t.Error(err)
					}
					b.RecordSuccess()
				case g%2 == 0:
					b.RecordSuccess()
				default:
					b.RecordFailure(errDown)
				}
				if m := b.Metrics(); m.Calls < 0 || m.Calls > size+2 || m.Failures < 0 {
					t.Errorf("in the window: %d calls, %d failures", m.Calls, m.Failures)
				}
			}
		})
	}
	wg.Wait()
	m := b.Metrics()
	if got := m.TotalSuccesses + m.TotalFailures; got != goroutines*calls {
		t.Fatalf("%d calls counted of %d", got, goroutines*calls)
	}
}
