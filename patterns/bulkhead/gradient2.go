package bulkhead

import "time"

// The constants of Gradient2 as its authors chose them, for windows of a second.
const (
	gradientWindow     = time.Second // at least; a window also has
	gradientMinSamples = 10
	gradientTolerance  = 1.5 // the latency may grow so far above the average before the limit is lowered
	gradientFloor      = 0.5 // lowers the limit at most so far in one step, before smoothing
	gradientQueue      = 4   // calls that may wait in the dependency
	gradientSmoothing  = 0.2
	gradientAverage    = 600 // windows that the long-term average looks back
	gradientWarmup     = 10  // windows until the average is exponential
	gradientDrift      = 2   // times the latency that the average may be, before it falls faster
	gradientDecay      = 0.95
)

// gradient2 multiplies the limit by the ratio of the long-term latency to the present one, and adds a few.
type gradient2 struct {
	bounds
	limit float64

	average float64 // of the latencies, in nanoseconds
	windows int     // in the average, up to gradientWarmup

	begun    time.Duration // the window
	samples  int
	sum      float64 // of its latencies
	inFlight int     // its greatest
}

func (g *gradient2) update(s sample) int {
	if latency := float64(s.latency); !s.failed || latency > g.average { // a quick failure tells nothing
		g.samples++
		g.sum += latency
		g.inFlight = max(g.inFlight, s.inFlight)
	}
	if g.samples >= gradientMinSamples && s.at-g.begun >= gradientWindow {
		g.adjust(g.sum / float64(g.samples))
		g.begun, g.samples, g.sum, g.inFlight = s.at, 0, 0, 0
	}
	return int(g.limit)
}

// adjust takes in the mean latency of a window.
func (g *gradient2) adjust(latency float64) {
	if g.windows < gradientWarmup {
		g.windows++
		g.average += (latency - g.average) / float64(g.windows)
	} else {
		g.average += (latency - g.average) * 2 / (gradientAverage + 1)
	}
	average := g.average
	if average > gradientDrift*latency {
		g.average *= gradientDecay
	}
	if idle(g.inFlight, g.limit) {
		return
	}
	gradient := min(max(gradientTolerance*average/latency, gradientFloor), 1)
	wanted := g.limit*gradient + gradientQueue
	g.limit = g.clamp(g.limit + (wanted-g.limit)*gradientSmoothing)
}
