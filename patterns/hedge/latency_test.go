package hedge_test

import (
	"context"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/steadyfx/steady/patterns/hedge"
)

// took runs a call whose first attempt takes that long, and whose hedge, if there is one, is of no help.
func took(t *testing.T, p *hedge.Policy, d time.Duration, end func() error) {
	t.Helper()
	_ = p.Execute(t.Context(), newScript(attempt{d, end, false}, attempt{time.Hour, end, false}).run)
}

func TestDelayIsAQuantileOnceEnoughIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mustNew(t, hedge.Config{Delay: time.Hour, Quantile: 0.9})
		for i := range 20 {
			if got := p.Delay(); got != time.Hour {
				t.Fatalf("after %d calls: %v", i, got)
			}
			took(t, p, time.Duration(20-i)*ms, returns(nil))
		}
		if got := p.Delay(); got != 18*ms {
			t.Errorf("the quantile of 1 to 20 ms is %v, want 18ms", got)
		}
		took(t, p, 10*ms, returns(errBoom))
		ctx, cancel := context.WithTimeout(t.Context(), ms)
		defer cancel()
		_ = p.Execute(ctx, newScript(attempt{10 * ms, returns(nil), true}).run)
		time.Sleep(time.Second)
		if got := p.Delay(); got != 18*ms {
			t.Errorf("calls that failed changed it to %v", got)
		}
	})
}

func TestCallThatAHedgeWonCountsWithTheTimeUntilThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mustNew(t, hedge.Config{Delay: 100 * ms, Quantile: 0.5})
		for range 20 {
			took(t, p, 10*ms, returns(nil))
		}
		hedged := func(first, second attempt) {
			if err := p.Execute(t.Context(), newScript(first, second).run); err != nil {
				t.Error(err)
			}
		}
		// From now on, the hedge begins after 10 ms.
		for range 21 {
			hedged(attempt{time.Hour, returns(nil), false}, attempt{7 * ms, returns(nil), false})
		}
		if got := p.Delay(); got != 17*ms {
			t.Errorf("the quantile is %v, want 17ms", got)
		}
		for range 42 { // a first attempt that failed says nothing about how long a success takes
			hedged(attempt{18 * ms, returns(errBoom), false}, attempt{5 * ms, returns(nil), false})
		}
		if got := p.Delay(); got != 17*ms {
			t.Errorf("the quantile became %v", got)
		}
	})
}

func TestQuantileIsExactWhateverTheLastBitsOfItsProductSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mustNew(t, hedge.Config{Delay: time.Hour, Quantile: 0.55}) // times 100 it is more than 55
		for i := range 100 {
			took(t, p, time.Duration(100-i)*ms, returns(nil))
		}
		if got := p.Delay(); got != 55*ms {
			t.Errorf("got %v, want 55ms", got)
		}
	})
}

func TestOldCallsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mustNew(t, hedge.Config{Delay: time.Hour, Quantile: 0.5})
		for range 1000 {
			took(t, p, 10*ms, returns(nil))
		}
		for range 127 {
			took(t, p, ms, returns(nil))
		}
		if got := p.Delay(); got != 10*ms {
			t.Errorf("with 127 faster calls the median is %v, want 10ms", got)
		}
		took(t, p, ms, returns(nil))
		if got := p.Delay(); got != ms {
			t.Errorf("with 128 faster calls the median is %v, want 1ms", got)
		}
	})
}

func TestQuantileAgreesWithItsModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		quantile := rapid.SampledFrom([]float64{0.01, 0.5, 0.55, 0.7, 0.9, 0.95, 0.99}).Draw(rt, "quantile")
		times := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(0, 5), rapid.IntRange(0, 1e6)), 1, 600).Draw(rt, "times")
		var problem time.Duration = -1
		synctest.Test(t, func(t *testing.T) {
			p := mustNew(t, hedge.Config{Delay: time.Hour, Quantile: quantile})
			var all []time.Duration
			for _, d := range times {
				want := time.Hour
				if recent := slices.Clone(all[max(0, len(all)-256):]); len(recent) >= 20 {
					slices.Sort(recent)
					hundredths := int(math.Round(quantile * 100)) // so that the rank is exact
					want = recent[(hundredths*len(recent)+99)/100-1]
				}
				if got := p.Delay(); got != want {
					problem = got
					rt.Logf("after %d calls: %v, want %v", len(all), got, want)
					return
				}
				took(t, p, time.Duration(d), returns(nil))
				all = append(all, time.Duration(d))
			}
		})
		if problem >= 0 {
			rt.Fatalf("wrong delay %v", problem)
		}
	})
}
