package circuitbreaker_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns/circuitbreaker"
)

// waits opens b again and again and returns how long it was open each time.
func waits(t *testing.T, b *circuitbreaker.Breaker, n int) (all []time.Duration) {
	t.Helper()
	for range n {
		trip(t, b)
		all = append(all, b.TimeUntilReset())
		time.Sleep(b.TimeUntilReset())
	}
	return all
}

func TestWaitGrowsUntilTheCircuitCloses(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  circuitbreaker.Config
		want []float64 // seconds
	}{
		"by default not": {circuitbreaker.Config{}, []float64{10, 10, 10, 10, 10, 10}},
		"up to tenfold":  {circuitbreaker.Config{RecoveryBackoffFactor: 2}, []float64{10, 20, 40, 80, 100, 100}},
		"up to the bound": {
			circuitbreaker.Config{RecoveryBackoffFactor: 1.5, MaxRecoveryTimeout: 25 * time.Second},
			[]float64{10, 15, 22.5, 25, 25, 25},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := tt.cfg
				cfg.FailureThreshold, cfg.SuccessThreshold, cfg.RecoveryTimeout = 1, 1, 10*time.Second
				b := newBreaker(t, cfg)
				for i, got := range waits(t, b, len(tt.want)) {
					if want := time.Duration(tt.want[i] * float64(time.Second)); got != want {
						t.Errorf("wait %d is %v, want %v", i+1, got, want)
					}
				}
				if m := b.Metrics(); m.Reopened != len(tt.want)-1 {
					t.Errorf("opened again %d times", m.Reopened)
				}
				repeat(t, b, 1, succeed)
				if got := waits(t, b, 1); got[0] != 10*time.Second {
					t.Errorf("after it has closed: %v", got)
				}
			})
		})
	}
}

func TestJitterOnlyLengthensTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, circuitbreaker.Config{FailureThreshold: 1, RecoveryTimeout: 10 * time.Second, RecoveryJitter: 0.5})
		different := map[time.Duration]bool{}
		for _, wait := range waits(t, b, 200) {
			if wait < 10*time.Second || wait > 15*time.Second {
				t.Errorf("wait is %v", wait)
			}
			different[wait] = true
		}
		if len(different) < 100 {
			t.Errorf("only %d different waits", len(different))
		}
	})
}

func TestLookingDoesNotDrawTheWaitAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpen(t, circuitbreaker.Config{HalfOpenTimeout: time.Second, RecoveryJitter: 1, SuccessThreshold: 2})
		time.Sleep(time.Minute) // its wait has jitter, too
		repeat(t, b, 1, succeed)
		time.Sleep(time.Second) // the bound ends, and nobody has called since
		want := b.TimeUntilReset()
		for range 10 {
			if got := b.TimeUntilReset(); got != want {
				t.Fatalf("%v, and then %v", want, got)
			}
		}
		repeat(t, b, 1, succeed) // rejected, and now it is a fact
		if got := b.TimeUntilReset(); got != want {
			t.Fatalf("%v, and after a call %v", want, got)
		}
	})
}

func TestHalfOpenHasABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpen(t, circuitbreaker.Config{HalfOpenTimeout: 10 * time.Second, SuccessThreshold: 2})
		time.Sleep(time.Hour) // without a probe nothing is bounded
		wantState(t, b, circuitbreaker.HalfOpen)
		repeat(t, b, 1, succeed)
		time.Sleep(10*time.Second - time.Nanosecond)
		wantState(t, b, circuitbreaker.HalfOpen)
		time.Sleep(time.Nanosecond)
		wantState(t, b, circuitbreaker.Open)
		if got := b.TimeUntilReset(); got != time.Minute {
			t.Fatalf("%v until reset", got)
		}
	})
}
