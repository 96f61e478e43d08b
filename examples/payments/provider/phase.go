package provider

import "time"

// Behaviour is how the provider treats requests.
type Behaviour uint8

// The behaviours there are. In all but the first, half of the requests that go wrong have charged before they do.
const (
	Healthy  Behaviour = iota
	Failing            // every request is answered with 500
	Stalling           // every answer is late
	Cutting            // the connections of two requests in five are closed instead of an answer
)

// Phase is a time during which the provider behaves in one way.
type Phase struct {
	Name      string
	Lasts     time.Duration
	Behaviour Behaviour
}

// Schedule returns phases that show every behaviour, with a recovery after each, in the given time.
func Schedule(total time.Duration) []Phase {
	percent := total / 100
	return []Phase{
		{Name: "healthy", Lasts: 14 * percent, Behaviour: Healthy},
		{Name: "failing", Lasts: 14 * percent, Behaviour: Failing},
		{Name: "recovering", Lasts: 10 * percent, Behaviour: Healthy},
		{Name: "stalling", Lasts: 16 * percent, Behaviour: Stalling},
		{Name: "recovering", Lasts: 10 * percent, Behaviour: Healthy},
		{Name: "cutting", Lasts: 18 * percent, Behaviour: Cutting},
		{Name: "recovered", Lasts: 18 * percent, Behaviour: Healthy},
	}
}

// at returns the phase at a time since the start. The last one goes on for ever.
func at(phases []Phase, elapsed time.Duration) Phase {
	for _, phase := range phases[:len(phases)-1] {
		if elapsed < phase.Lasts {
			return phase
		}
		elapsed -= phase.Lasts
	}
	return phases[len(phases)-1]
}
