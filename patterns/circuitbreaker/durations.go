package circuitbreaker

import (
	"sync/atomic"
	"time"
)

const (
	durationParts = 256     // of SlowCallDuration is how exactly durations are added up
	longestInSum  = 1 << 20 // of these parts, about 4,000 times SlowCallDuration
)

// durations adds up in time buckets how long calls took, in words like those of a [timeWindow].
type durations struct {
	unit time.Duration
	ring [ringSize]struct{ slow, took, longest atomic.Uint64 } // number of calls, units, microseconds
}

func (d *durations) add(tick uint64, r result, retiredSlow *atomic.Int64) {
	slot := &d.ring[tick%ringSize]
	if r.slow {
		count(&slot.slow, tick, 1, retiredSlow)
	}
	var dropped atomic.Int64
	if slot.took.Load()&countMask < countMask/2 { // else the sum would run over into the number of the bucket
		count(&slot.took, tick, uint64(min((r.took+d.unit/2)/d.unit, longestInSum)), &dropped)
	}
	raise(&slot.longest, tick, uint64(min(r.took.Microseconds(), countMask)))
}

// raise makes slot hold at least n for the bucket tick.
func raise(slot *atomic.Uint64, tick, n uint64) {
	tag := tick << countBits
	for {
		old := slot.Load()
		if old&^countMask == tag && old&countMask >= n || newer(old, tick) && old&^countMask != tag {
			return
		}
		if slot.CompareAndSwap(old, tag|n) {
			return
		}
	}
}

func (d *durations) sum(tick uint64, t *tally) {
	for i := range d.ring {
		slot := &d.ring[i]
		t.slow += within(slot.slow.Load(), tick)
		t.took += time.Duration(within(slot.took.Load(), tick)) * d.unit
		t.longest = max(t.longest, time.Duration(within(slot.longest.Load(), tick))*time.Microsecond)
	}
}

func (d *durations) counted() (slow int64) {
	for i := range d.ring {
		slow += int64(d.ring[i].slow.Load() & countMask)
	}
	return slow
}

func (d *durations) end(mark uint64, retiredSlow *atomic.Int64) {
	for i := range d.ring {
		retiredSlow.Add(int64(d.ring[i].slow.Swap(mark) & countMask))
	}
}
