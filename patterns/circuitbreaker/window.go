package circuitbreaker

import (
	"sync/atomic"
	"time"
)

// window is what the rates of a closed phase look at: one of its two is not nil.
type window struct {
	time  *timeWindow
	calls *callWindow
}

// result is what a window is told of a call.
type result struct {
	failed, slow bool
	took         time.Duration // 0 unless durations are measured
}

// tally is what a window holds.
type tally struct {
	calls, failures, slow uint64
	took, longest         time.Duration
}

// The kinds of a result, as an index.
const (
	succeeded = iota
	failed
	kinds
)

func (r result) kind() int {
	if r.failed {
		return failed
	}
	return succeeded
}

// totals counts what is in no window (any more).
type totals struct {
	results [kinds]atomic.Int64
	slow    atomic.Int64
}

func (t *totals) add(r result) {
	t.results[r.kind()].Add(1)
	if r.slow {
		t.slow.Add(1)
	}
}

// counts is a reading of totals.
type counts struct {
	results [kinds]int64
	slow    int64
}

// newWindow returns the empty window of a phase that begins now.
func newWindow(cfg Config, now time.Duration, retired *totals) window {
	if cfg.SlidingWindowCalls > 0 {
		return window{calls: newCallWindow(cfg.SlidingWindowCalls, cfg.SlowCallDuration > 0, retired)}
	}
	return window{time: newTimeWindow(now, cfg.SlidingWindow, cfg.SlowCallDuration, retired)}
}

// add counts a result at the moment now.
func (w *window) add(now time.Duration, r result) {
	if w.time != nil {
		w.time.add(now, r)
	} else {
		w.calls.add(r)
	}
}

// sum returns what is in the window at the moment now.
func (w *window) sum(now time.Duration) tally {
	switch {
	case w.time != nil:
		return w.time.sum(now)
	case w.calls != nil:
		return w.calls.sum()
	default:
		return tally{}
	}
}

// end moves everything to the totals, and sees to it that results that are still on their way go there too.
func (w *window) end(now time.Duration) {
	switch {
	case w.time != nil:
		w.time.end(now)
	case w.calls != nil:
		w.calls.end()
	}
}

// counted returns what was counted and is not in the totals.
func (w *window) counted() counts {
	switch {
	case w.time != nil:
		return w.time.counted()
	case w.calls != nil:
		return w.calls.counted()
	default:
		return counts{}
	}
}

// reshaped ends w and returns a window for another configuration that holds what w held. If the kind of window is another
// one, it is empty: a count knows no time, and the other way round.
func (w *window) reshaped(from, to Config, now time.Duration, retired *totals) window {
	next, anew := newWindow(to, now, retired), from.SlowCallDuration != to.SlowCallDuration
	switch {
	case w.time != nil && next.time != nil:
		next.time.start = w.time.start
		w.time.moveTo(next.time, now, anew)
	case w.calls != nil && next.calls != nil:
		w.calls.moveTo(next.calls, anew)
	default:
		w.end(now)
	}
	return next
}
