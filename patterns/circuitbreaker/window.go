package circuitbreaker

import (
	"sync/atomic"
	"time"
)

const (
	buckets  = 30 // that a window is divided into
	ringSize = 32 // a power of two above buckets, so that a slot is reused only after it has left the window

	countBits = 36
	countMask = 1<<countBits - 1
	tickBits  = 64 - countBits
	tickMask  = 1<<tickBits - 1

	lateTicks = 1024 // how much later than its bucket a result may come and still be told from a new round of the ring
)

// window counts successes and failures in time buckets without a lock. Each slot of the ring is one word that holds
// both the number of its bucket (its tick) and the count, so that counting, and emptying a slot for a new bucket, are
// one atomic operation each and no count can land in a bucket that it does not belong to.
type window struct {
	bucket time.Duration
	ring   [ringSize]struct{ succeeded, failed atomic.Uint64 }

	// What was counted in buckets that have been emptied since.
	retiredSuccesses, retiredFailures atomic.Uint64
}

func (w *window) success(tick uint64) {
	count(&w.ring[tick%ringSize].succeeded, tick, &w.retiredSuccesses)
}
func (w *window) failure(tick uint64) { count(&w.ring[tick%ringSize].failed, tick, &w.retiredFailures) }

// count adds one to slot for the bucket tick. A result so late that its slot belongs to a newer bucket goes to retired.
func count(slot *atomic.Uint64, tick uint64, retired *atomic.Uint64) {
	tag := tick << countBits
	for {
		old := slot.Load()
		if old&^countMask == tag {
			if slot.Add(1)&^countMask == tag {
				return
			}
			slot.Add(^uint64(0)) // the slot was reused between the two: undo
			retired.Add(1)
			return
		}
		if ahead := (old>>countBits - tick) & tickMask; ahead < lateTicks && old&countMask != 0 {
			retired.Add(1)
			return
		}
		if slot.CompareAndSwap(old, tag|1) {
			retired.Add(old & countMask)
			return
		}
	}
}

// sum returns the counts of the last span buckets, the one of tick included.
func (w *window) sum(tick, span uint64) (successes, failures uint64) {
	for i := range w.ring {
		slot := &w.ring[i]
		successes += within(slot.succeeded.Load(), tick, span)
		failures += within(slot.failed.Load(), tick, span)
	}
	return successes, failures
}

func within(word, tick, span uint64) uint64 {
	if age := (tick - word>>countBits) & tickMask; age >= span {
		return 0
	}
	return word & countMask
}

// totals returns everything that was ever counted.
func (w *window) totals() (successes, failures uint64) {
	successes, failures = w.retiredSuccesses.Load(), w.retiredFailures.Load()
	for i := range w.ring {
		successes += w.ring[i].succeeded.Load() & countMask
		failures += w.ring[i].failed.Load() & countMask
	}
	return successes, failures
}
