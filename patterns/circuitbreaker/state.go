package circuitbreaker

import "fmt"

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
	// DryRun: calls go through and are counted, and the breaker announces what it would do. It is the state of a breaker
	// with Config.DryRun; Metrics.DryRunState is the one that it would be in.
	DryRun
)

// String returns "closed", "open", "half_open", "forced_open", "disabled" or "dry_run".
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
	case DryRun:
		return "dry_run"
	default:
		return "unknown"
	}
}

// UnmarshalText is the inverse of MarshalText.
func (s *State) UnmarshalText(text []byte) error {
	for state := Closed; state <= DryRun; state++ {
		if state.String() == string(text) {
			*s = state
			return nil
		}
	}
	return fmt.Errorf("unknown state of a circuit breaker: %q", text)
}

// MarshalText returns String, so that snapshots read well as JSON.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
