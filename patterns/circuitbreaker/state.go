package circuitbreaker

// State is what a [Breaker] does with calls.
type State uint8

const (
	// Closed: calls go through and are counted.
	Closed State = iota
	// Open: calls are rejected until the recovery timeout has passed.
	Open
	// HalfOpen: a few calls go through as probes; the rest are rejected.
	HalfOpen
	// ForcedOpen: calls are rejected until somebody resets the breaker.
	ForcedOpen
	// Disabled: calls go through and are not counted, until somebody resets the breaker.
	Disabled
)

// String returns "closed", "open", "half_open", "forced_open" or "disabled".
func (s State) String() string {
	switch s {
	case Closed:
		return "closed"
	case Open:
		return "open"
	case HalfOpen:
		return "half_open"
	case ForcedOpen:
		return "forced_open"
	case Disabled:
		return "disabled"
	default:
		return "unknown"
	}
}

// MarshalText returns String, so that snapshots read well as JSON.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
