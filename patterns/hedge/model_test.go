package hedge_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/hedge"
	"github.com/steadyfx/steady/patterns/retry"
)

var errPermanent = fmt.Errorf("%w: payment declined", patterns.ErrPermanent)

// planned is what an attempt would do.
type planned struct {
	takes time.Duration
	how   string // "success", "failure", "refusal", "permanent", "panic" or "Goexit"
	deaf  bool
}

// observation is everything that a caller can see of a call, and what is left when all attempts have ended.
type observation struct {
	took  time.Duration
	how   string // "success", "Goexit", "panic", "interrupted", or the text of the error
	value int    // of the attempt that won, 1-based
	began int
	lost  int // attempts that heard from their context that the call was over
	stats hedge.Stats
}

// expected follows a call event by event, with a clock that is a number. No two events are at the same time.
func expected(delay, limit time.Duration, hedges, budget int, plans []planned) (o observation) {
	o.stats.Calls, o.began = 1, 1
	ends := []time.Duration{plans[0].takes} // of the attempts that began; -1 when that has happened
	tick, ticks, failed := delay, 0, 0
	var errs []string
	permanent := false
	for o.how == "" {
		next, which := limit, -1
		for i, end := range ends {
			if end >= 0 && end < next {
				next, which = end, i
			}
		}
		if ticks < hedges && !permanent && tick < next { // another attempt is due
			tick, ticks = tick+delay, ticks+1
			if budget == 0 {
				o.stats.Denied++
				continue
			}
			budget--
			ends = append(ends, tick-delay+plans[len(ends)].takes)
			errs = append(errs, "")
			o.began++
			o.stats.Hedges++
			continue
		}
		o.took = next
		if which < 0 {
			o.how = "interrupted"
			o.stats.Interrupted = 1
			break
		}
		ends[which] = -1
		switch how := plans[which].how; how {
		case "success":
			o.how, o.value = how, which+1
			if which > 0 {
				o.stats.Won = 1
			}
		case "panic", "Goexit":
			o.how = how
		default:
			permanent = permanent || how == "permanent"
			for len(errs) < len(ends) {
				errs = append(errs, "")
			}
			errs[which] = how
			if failed++; failed == len(ends) {
				o.how, o.stats.Failed = errs[0], 1
				for i := len(errs) - 1; i >= 0; i-- {
					if errs[i] != "refusal" {
						o.how = errs[i]
					}
				}
			}
		}
	}
	for i, end := range ends {
		switch {
		case end < 0:
		case !plans[i].deaf && o.how != "interrupted":
			o.lost++
		case plans[i].deaf && plans[i].how == "panic":
			o.stats.LatePanics++
		}
	}
	return o
}

// observed runs the real thing.
func observed(t *testing.T, delay, limit time.Duration, hedges, budget int, plans []planned) (o observation) {
	opts := []hedge.Option{}
	if budget < hedges {
		b := mustBudget(t, retry.BudgetConfig{Percent: retry.None, MinPerSecond: float64(max(budget, 1)) / 10})
		for range 1 - budget { // what cannot be configured
			b.TryTake()
		}
		opts = append(opts, hedge.WithBudget(b))
	}
	p := mustNew(t, hedge.Config{Delay: delay, MaxHedges: hedges}, opts...)
	ends := map[string]func() error{
		"success": returns(nil), "failure": returns(errBoom), "refusal": returns(errRefused),
		"permanent": returns(errPermanent), "panic": bang, "Goexit": exit,
	}
	op := newScript()
	for _, plan := range plans {
		op.attempts = append(op.attempts, attempt{plan.takes, ends[plan.how], plan.deaf})
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer time.AfterFunc(limit, cancel).Stop()
	start := time.Now()
	how, value := ending(func() error {
		got, err := patterns.Do(ctx, p, func(ctx context.Context) (int, error) {
			i, err := op.value(ctx)
			return i + 1, err
		})
		o.value = got
		return err
	})
	o.took, o.how = time.Since(start), how
	if err, _ := value.(error); how == "return" {
		var interrupted *hedge.InterruptedError
		switch {
		case err == nil:
			o.how = "success"
		case errors.As(err, &interrupted):
			o.how = "interrupted"
		case err == errBoom:
			o.how = "failure"
		case err == errPermanent:
			o.how = "permanent"
		case err == errRefused:
			o.how = "refusal"
		default:
			o.how = err.Error()
		}
	}
	time.Sleep(time.Minute)
	o.began, o.lost, o.stats = int(op.began.Load()), int(op.lost.Load()), p.Stats()
	return o
}

func TestPolicyAgreesWithItsModel(t *testing.T) {
	hows := []string{"success", "success", "failure", "failure", "refusal", "permanent", "panic", "Goexit"}
	rapid.Check(t, func(rt *rapid.T) {
		hedges := rapid.IntRange(1, 4).Draw(rt, "hedges")
		budget := rapid.IntRange(0, 4).Draw(rt, "budget")
		// Attempts begin at whole milliseconds, end at odd microseconds of their own, and the caller goes away between.
		delay := time.Duration(rapid.IntRange(1, 100).Draw(rt, "delay")) * ms
		limit := time.Duration(rapid.IntRange(0, 600).Draw(rt, "limit"))*ms + 500*time.Microsecond
		plans := make([]planned, hedges+1)
		for i := range plans {
			plans[i] = planned{
				takes: time.Duration(rapid.IntRange(0, 400).Draw(rt, "takes"))*ms + time.Duration(i+1)*time.Microsecond,
				how:   rapid.SampledFrom(hows).Draw(rt, "how"),
				deaf:  rapid.Bool().Draw(rt, "deaf"),
			}
		}
		var got observation
		synctest.Test(t, func(t *testing.T) { got = observed(t, delay, limit, hedges, budget, plans) })
		want := expected(delay, limit, hedges, budget, plans)
		if got != want {
			rt.Fatalf("\ngot  %+v\nwant %+v", got, want)
		}
	})
}
