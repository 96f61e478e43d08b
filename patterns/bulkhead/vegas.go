package bulkhead

import (
	"math"
	"math/rand/v2"
	"time"
)

// vegasProbe is how many samples for each slot of the limit are taken before the lowest latency is measured anew.
const vegasProbe = 30

// vegas tells from the latency above the lowest one how many calls wait in the dependency.
type vegas struct {
	bounds
	limit   float64
	changed time.Duration // when the limit changed
	lowest  time.Duration // latency; zero: not known
	samples int           // since it was measured
	jitter  float64       // of vegasProbe, from 0.5 to 1
}

func newVegas(b bounds, limit int) *vegas {
	return &vegas{bounds: b, limit: float64(limit), jitter: vegasJitter()}
}

func vegasJitter() float64 { return 0.5 + rand.Float64()/2 }

func (v *vegas) update(s sample) int {
	if s.failed {
		v.adjust(s, -vegasStep(v.limit))
		return int(v.limit)
	}
	v.samples++
	switch {
	case float64(v.samples) >= v.jitter*vegasProbe*v.limit:
		v.lowest, v.samples, v.jitter = s.latency, 0, vegasJitter()
	case v.lowest == 0 || s.latency < v.lowest:
		v.lowest = s.latency
	case !idle(s.inFlight, v.limit):
		v.adjust(s, vegasChange(v.limit, math.Ceil(v.limit*(1-float64(v.lowest)/float64(s.latency)))))
	}
	return int(v.limit)
}

// adjust changes the limit, unless the call began under another one: then it is not the present one that it tells of.
// So the limit changes once in a round trip, as in TCP, and not once for every call on the way.
func (v *vegas) adjust(s sample, by float64) {
	limit := v.clamp(v.limit + by)
	if limit == v.limit || s.at-s.latency < v.changed {
		return
	}
	v.limit, v.changed = limit, s.at
}

// vegasChange returns by how much the limit changes if so many calls wait.
func vegasChange(limit, waiting float64) float64 {
	step := vegasStep(limit)
	switch alpha, beta := 3*step, 6*step; {
	case waiting <= step:
		return beta
	case waiting < alpha:
		return step
	case waiting > beta:
		return -step
	default:
		return 0
	}
}

// vegasStep is the whole part of the decimal logarithm of the limit, and at least 1: large limits move faster.
func vegasStep(limit float64) float64 {
	step := 1.0
	for limit /= 100; limit >= 1; limit /= 10 { // math.Log10(1000) is a little less than 3
		step++
	}
	return step
}
