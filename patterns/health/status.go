package health

// Status says how a check, or the whole system, is.
type Status uint8

const (
	Unknown   Status = iota // nobody can tell: there is no answer yet, or the answer does not say
	Healthy                 // it works
	Degraded                // it works, but not as it should
	Unhealthy               // it does not work
)

// String returns "unknown", "healthy", "degraded" or "unhealthy".
func (s Status) String() string {
	switch s {
	case Healthy:
		return "healthy"
	case Degraded:
		return "degraded"
	case Unhealthy:
		return "unhealthy"
	default:
		return "unknown"
	}
}

// MarshalText returns String, so that results read well as JSON.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
