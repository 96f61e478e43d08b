//go:build !race

package ratelimit_test

import (
	"testing"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/ratelimit"
)

func TestAnswersAtOnceCostNoAllocation(t *testing.T) {
	free := newBucket(t, ratelimit.Config{Limit: 1e9, Burst: 1 << 30}, ratelimit.WithBus(&hooks.Bus{}))
	empty := newBucket(t, ratelimit.Config{Limit: 1, Period: time.Hour}, ratelimit.WithBus(&hooks.Bus{}))
	window := newWindow(t, ratelimit.WindowConfig{Limit: 100, Period: time.Microsecond})
	full := newWindow(t, ratelimit.WindowConfig{Limit: 1, Period: time.Hour})
	empty.TryAcquire()
	full.TryAcquire()
	counter := newCounter(t, ratelimit.WindowConfig{Limit: 1 << 20, Period: time.Hour})
	over := newCounter(t, ratelimit.WindowConfig{Limit: 1, Period: time.Hour})
	over.TryAcquire()
	shared := newDistributed(t, ratelimit.DistributedConfig{Limit: 1, Period: time.Hour}, newBackend(t))
	shared.TryAcquireN(1)
	shared.TryAcquire()
	keyed := newKeyed(t, ratelimit.KeyedConfig{Limit: 1, Period: time.Hour, Burst: 1500})
	composed := patterns.Compose(free, free)
	for name, run := range map[string]func(){
		"token":          func() { free.TryAcquire() },
		"tokens":         func() { free.TryAcquireN(3) },
		"acquire":        func() { _ = free.Acquire(t.Context()) },
		"execute":        func() { _ = free.Execute(t.Context(), noop) },
		"compose":        func() { _ = composed.Execute(t.Context(), noop) },
		"no token":       func() { empty.TryAcquire() },
		"available":      func() { empty.Available() },
		"window":         func() { window.TryAcquire() },
		"window execute": func() { _ = window.Execute(t.Context(), noop) },
		"keyed":          func() { keyed.TryAcquire("ada") }, // allowed, and then denied
		"full window":    func() { full.TryAcquire() },
		"counter":        func() { _ = counter.Execute(t.Context(), noop) },
		"full counter":   func() { over.TryAcquire() },
		"known denial":   func() { shared.TryAcquire() },
	} {
		if n := testing.AllocsPerRun(1000, run); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestPolicyOfAKeyCostsAtMostOneAllocation(t *testing.T) {
	keyed := newKeyed(t, ratelimit.KeyedConfig{Limit: 1, Period: time.Hour, Burst: 1500})
	if n := testing.AllocsPerRun(1000, func() { _ = keyed.For("ada").Execute(t.Context(), noop) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

func TestRefusalCostsOneAllocation(t *testing.T) {
	empty := newBucket(t, ratelimit.Config{Limit: 1, Period: time.Hour, MaxWait: -1})
	full := newWindow(t, ratelimit.WindowConfig{Limit: 1, Period: time.Hour, MaxWait: -1})
	over := newCounter(t, ratelimit.WindowConfig{Limit: 1, Period: time.Hour, MaxWait: -1})
	for _, l := range []ratelimit.Limiter{empty, full, over} {
		l.TryAcquire()
		if n := testing.AllocsPerRun(1000, func() { _ = l.Acquire(t.Context()) }); n != 1 {
			t.Errorf("%T: %v allocations, want the error alone", l, n)
		}
	}
}
