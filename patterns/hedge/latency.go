package hedge

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	window = 256 // calls that the quantile is taken of
	enough = 20  // calls before there is a quantile
)

// latencies knows a quantile of the times that the last calls took.
type latencies struct {
	quantile float64
	current  atomic.Int64 // the quantile plus 1; 0 while there is none

	mu     sync.Mutex
	recent [window]time.Duration // in a ring
	next   int                   // place in the ring
	sorted []time.Duration       // the same times
}

// delay returns the quantile, if there is one.
func (l *latencies) delay() (d time.Duration, ok bool) {
	current := l.current.Load()
	return time.Duration(current - 1), current > 0
}

// record adds the time of a call. It takes the place of the oldest one.
func (l *latencies) record(took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.sorted) == window {
		i, _ := slices.BinarySearch(l.sorted, l.recent[l.next])
		l.sorted = slices.Delete(l.sorted, i, i+1)
	}
	l.recent[l.next] = took
	l.next = (l.next + 1) % window
	i, _ := slices.BinarySearch(l.sorted, took)
	l.sorted = slices.Insert(l.sorted, i, took)
	if n := len(l.sorted); n >= enough {
		rank := int(math.Ceil(l.quantile*float64(n) - 1e-9)) // the nearest one, whatever the last bits of the product say
		l.current.Store(int64(l.sorted[max(rank, 1)-1]) + 1)
	}
}
