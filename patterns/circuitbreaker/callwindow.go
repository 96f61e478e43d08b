package circuitbreaker

import (
	"sync/atomic"
	"time"
)

// callWindow counts the last results without a lock, however long ago they were. A result takes the next place of a ring,
// and the tally is changed by the difference to what had that place before. While results come in at the same time the
// tally may be behind by as many.
type callWindow struct {
	measured bool
	retired  *totals
	ring     []atomic.Uint64 // places

	_ [24]byte // what is above is read by every call, what is below is written

	total [kinds]atomic.Uint64 // counted here; of all results instead of the successes
	slow  atomic.Uint64
	tally atomic.Int64 // packed calls, failures and slow calls of the ring
	took  atomic.Int64 // nanoseconds of the ring
}

const (
	all   = succeeded // index of callWindow.total
	ended = 1 << 63   // set in total: count elsewhere

	placeTaken, placeFailed, placeSlow = 1, 2, 4
	placeBits                          = 3 // the rest of a place is the duration in nanoseconds

	tallyBits = 21 // of each number in a packed tally
)

func newCallWindow(calls int, measured bool, retired *totals) *callWindow {
	return &callWindow{measured: measured, retired: retired, ring: make([]atomic.Uint64, calls)}
}

func (w *callWindow) add(r result) {
	place := uint64(placeTaken)
	if r.failed {
		place |= placeFailed
		if w.total[failed].Add(1)&ended != 0 {
			w.retired.results[failed].Add(1)
			w.addSlow(r)
			return
		}
	}
	w.addSlow(r)
	if r.slow {
		place |= placeSlow
	}
	n := w.total[all].Add(1)
	if n&ended != 0 {
		// A failure that counts as one already has been taken off the successes when the window ended.
		w.retired.results[succeeded].Add(1)
		return
	}
	if w.measured {
		place |= uint64(max(0, r.took)) << placeBits
	}
	w.place(n-1, place)
}

func (w *callWindow) addSlow(r result) {
	if r.slow && w.slow.Add(1)&ended != 0 {
		w.retired.slow.Add(1)
	}
}

// place puts the nth result into the ring.
func (w *callWindow) place(n, place uint64) {
	old := w.ring[n%uint64(len(w.ring))].Swap(place)
	if change := packed(place) - packed(old); change != 0 {
		w.tally.Add(change)
	}
	if w.measured {
		w.took.Add(int64(place>>placeBits) - int64(old>>placeBits))
	}
}

// packed returns what a place adds to the tally.
func packed(place uint64) int64 {
	return int64(place&placeTaken | place&placeFailed>>1<<tallyBits | place&placeSlow>>2<<(2*tallyBits))
}

// sum unpacks the tally. A number may be below zero for a moment, when a result was pushed out of the ring before it was
// added; it must not borrow from its neighbour.
func (w *callWindow) sum() (t tally) {
	rest := w.tally.Load()
	next := func() uint64 {
		n := rest << (64 - tallyBits) >> (64 - tallyBits) // with its sign
		rest = (rest - n) >> tallyBits
		return uint64(max(0, n))
	}
	t.calls, t.failures, t.slow = next(), next(), next()
	if w.measured {
		t.took = time.Duration(max(0, w.took.Load()))
		for i := range w.ring {
			t.longest = max(t.longest, time.Duration(w.ring[i].Load()>>placeBits))
		}
	}
	return t
}

func (w *callWindow) counted() counts {
	return read(w.total[all].Load()&^ended, w.total[failed].Load()&^ended, w.slow.Load()&^ended)
}

func read(all, failures, slow uint64) (c counts) {
	c.results[succeeded], c.results[failed], c.slow = int64(all-failures), int64(failures), int64(slow)
	return c
}

// end moves what was counted to the totals, and returns the number of results.
func (w *callWindow) end() uint64 {
	n := w.total[all].Or(ended)
	c := read(n, w.total[failed].Or(ended), w.slow.Or(ended))
	for kind := range kinds {
		w.retired.results[kind].Add(c.results[kind])
	}
	w.retired.slow.Add(c.slow)
	return n
}

// moveTo ends w and puts the last results that it holds into next, in their order. Durations are measured anew, or else
// next measures them as w does.
func (w *callWindow) moveTo(next *callWindow, anew bool) {
	n, size := w.end(), uint64(len(w.ring))
	for i := n - min(n, size, uint64(len(next.ring))); i < n; i++ {
		place := w.ring[i%size].Load()
		if place == 0 {
			continue // a result that is still on its way
		}
		if anew {
			place &= placeTaken | placeFailed
		}
		r := result{failed: place&placeFailed != 0, slow: place&placeSlow != 0, took: time.Duration(place >> placeBits)}
		next.add(r)
		w.retired.results[r.kind()].Add(-1) // next counts it
		if r.slow {
			w.retired.slow.Add(-1)
		}
	}
}
