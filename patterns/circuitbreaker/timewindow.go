package circuitbreaker

import (
	"sync/atomic"
	"time"
)

const (
	buckets  = 30 // that a window of time is divided into
	ringSize = 32 // a power of two above buckets, so that a slot is reused only after it has left the window

	countBits = 36
	countMask = 1<<countBits - 1
	tickBits  = 64 - countBits
	tickMask  = 1<<tickBits - 1

	lateTicks = 1024 // how much later than its bucket a result may come and still be told from a new round of the ring
)

// timeWindow counts results in time buckets without a lock. Each slot of its rings is one word that holds both the
// number of its bucket (its tick) and the count, so that counting, and emptying a slot for a new bucket, are one atomic
// operation each and no count can land in a bucket that it does not belong to.
type timeWindow struct {
	start     time.Duration // of bucket 0
	bucket    time.Duration
	retired   *totals    // gets what was counted in buckets that have been emptied since
	durations *durations // nil: not measured

	_ [32]byte // what is above is read by every call, what is below is written

	ring [ringSize][kinds]atomic.Uint64
}

func newTimeWindow(start, span, slowCall time.Duration, retired *totals) *timeWindow {
	w := &timeWindow{start: start, bucket: max(1, span/buckets), retired: retired}
	if slowCall > 0 {
		w.durations = &durations{unit: max(1, slowCall/durationParts)}
	}
	return w
}

func (w *timeWindow) tick(now time.Duration) uint64 { return uint64(now-w.start) / uint64(w.bucket) }

func (w *timeWindow) add(now time.Duration, r result) {
	tick := w.tick(now)
	kind := r.kind()
	count(&w.ring[tick%ringSize][kind], tick, 1, &w.retired.results[kind])
	if w.durations != nil {
		w.durations.add(tick, r, &w.retired.slow)
	}
}

// count adds n to slot for the bucket tick. A result so late that its slot belongs to a newer bucket goes to retired,
// like what the slot held of an older one.
func count(slot *atomic.Uint64, tick, n uint64, retired *atomic.Int64) {
	tag := tick << countBits
	for {
		old := slot.Load()
		if old&^countMask == tag {
			if slot.Add(n)&^countMask == tag {
				return
			}
			slot.Add(-n) // the slot was reused between the two: undo
			retired.Add(int64(n))
			return
		}
		if newer(old, tick) {
			retired.Add(int64(n))
			return
		}
		if slot.CompareAndSwap(old, tag|n) {
			retired.Add(int64(old & countMask))
			return
		}
	}
}

// newer reports whether a slot belongs to a later bucket than tick.
func newer(word, tick uint64) bool {
	return (word>>countBits-tick)&tickMask < lateTicks && word&countMask != 0
}

// sum adds up the last buckets.
func (w *timeWindow) sum(now time.Duration) (t tally) {
	tick := w.tick(now)
	for i := range w.ring {
		failures := within(w.ring[i][failed].Load(), tick)
		t.calls += within(w.ring[i][succeeded].Load(), tick) + failures
		t.failures += failures
	}
	if w.durations != nil {
		w.durations.sum(tick, &t)
	}
	return t
}

// within returns the count of a slot whose bucket is one of the last ones.
func within(word, tick uint64) uint64 {
	if age := (tick - word>>countBits) & tickMask; age >= buckets {
		return 0
	}
	return word & countMask
}

func (w *timeWindow) counted() (c counts) {
	for i := range w.ring {
		for kind := range kinds {
			c.results[kind] += int64(w.ring[i][kind].Load() & countMask)
		}
	}
	if w.durations != nil {
		c.slow = w.durations.counted()
	}
	return c
}

func (w *timeWindow) end(now time.Duration) {
	mark := w.mark(now)
	for i := range w.ring {
		for kind := range kinds {
			w.retired.results[kind].Add(int64(w.ring[i][kind].Swap(mark) & countMask))
		}
	}
	if w.durations != nil {
		w.durations.end(mark, &w.retired.slow)
	}
}

// mark is what the slots of a window hold that has ended: the number of a bucket to come, so that late results go to the
// totals.
func (w *timeWindow) mark(now time.Duration) uint64 { return (w.tick(now)+lateTicks/2)<<countBits | 1 }

// moveTo ends w and puts what it holds into the buckets of next that lie at the same time. Durations are measured anew, or
// else next measures them as w does.
func (w *timeWindow) moveTo(next *timeWindow, now time.Duration, anew bool) {
	for i := range w.ring {
		for kind := range kinds {
			retired := &w.retired.results[kind]
			if n, tick, in := w.moved(&w.ring[i][kind], next, now); in {
				count(&next.ring[tick%ringSize][kind], tick, n, retired)
			} else {
				retired.Add(int64(n))
			}
		}
	}
	switch {
	case w.durations == nil:
	case anew:
		w.durations.end(w.mark(now), &w.retired.slow)
	default:
		w.moveDurationsTo(next, now)
	}
}

func (w *timeWindow) moveDurationsTo(next *timeWindow, now time.Duration) {
	var dropped atomic.Int64
	for i := range w.durations.ring {
		from, to := &w.durations.ring[i], &next.durations.ring
		if n, tick, in := w.moved(&from.slow, next, now); in {
			count(&to[tick%ringSize].slow, tick, n, &w.retired.slow)
		} else {
			w.retired.slow.Add(int64(n))
		}
		if n, tick, in := w.moved(&from.took, next, now); in {
			count(&to[tick%ringSize].took, tick, min(n, countMask/ringSize), &dropped)
		}
		if n, tick, in := w.moved(&from.longest, next, now); in {
			raise(&to[tick%ringSize].longest, tick, n)
		}
	}
}

// moved ends a slot and returns what it held, and the bucket of next that lies at the same time, if there is one.
func (w *timeWindow) moved(slot *atomic.Uint64, next *timeWindow, now time.Duration) (n, tick uint64, in bool) {
	last, newest := w.tick(now), next.tick(now)
	word := slot.Swap(w.mark(now))
	begun := now - w.start - time.Duration(last)*w.bucket // of the newest bucket of w
	since := begun / 2                                    // the middle of the bucket that the word belongs to
	if age := (last - word>>countBits) & tickMask; age > 0 {
		since = begun + time.Duration(age)*w.bucket - w.bucket/2
	}
	age := uint64(since / next.bucket)
	n = word & countMask
	return n, newest - age, n > 0 && age < min(buckets, newest+1)
}
