package bulkhead

import "time"

// adjustInterval is the least time between two changes of the limit by aimd.
const adjustInterval = time.Second

// aimd raises the limit by an amount and lowers it by a factor.
type aimd struct {
	bounds
	limit      int
	amount     int
	factor     float64
	fast, slow time.Duration
	adjusted   time.Duration // when the limit changed
}

func (a *aimd) update(s sample) int {
	limit := float64(a.limit)
	switch {
	case s.at-a.adjusted < adjustInterval:
	case s.failed || s.latency > a.slow:
		limit *= a.factor
	case s.latency < a.fast && !idle(s.inFlight, limit):
		limit += float64(a.amount)
	}
	if limit := int(a.clamp(limit)); limit != a.limit {
		a.limit, a.adjusted = limit, s.at
	}
	return a.limit
}
