package health

import (
	"encoding/json"
	"fmt"
	"time"
)

// Result is how one check ended. It is shared by all who asked for it: its Details are only to be read.
type Result struct {
	Name      string
	Critical  bool
	Status    Status
	Message   string // for people; see [Report]
	Latency   time.Duration
	Details   map[string]any
	Timestamp time.Time // when the check ended; of a result without an answer, when the wait ended

	// Err is what the check gave as its reason, a [*TimeoutError], a [*PanicError], or why the context of the caller
	// ended before there was an answer. It may hold secrets. No method of this package shows it.
	Err error
}

// String returns name, status and message.
func (r Result) String() string {
	if r.Message == "" {
		return fmt.Sprintf("%s: %v", r.Name, r.Status)
	}
	return fmt.Sprintf("%s: %v: %s", r.Name, r.Status, r.Message)
}

// ToMap returns name, critical, status, message, latency_ms, timestamp (RFC 3339) and, if there are any, details.
func (r Result) ToMap() map[string]any {
	m := map[string]any{
		"name":       r.Name,
		"critical":   r.Critical,
		"status":     r.Status.String(),
		"message":    r.Message,
		"latency_ms": float64(r.Latency.Microseconds()) / 1000,
		"timestamp":  text(r.Timestamp),
	}
	if len(r.Details) > 0 {
		m["details"] = r.Details
	}
	return m
}

// MarshalJSON encodes [Result.ToMap]. Details that JSON cannot hold are left out: they should not cost the rest.
func (r Result) MarshalJSON() ([]byte, error) {
	m := r.ToMap()
	body, err := json.Marshal(m)
	if err != nil {
		delete(m, "details")
		return json.Marshal(m)
	}
	return body, nil
}

func text(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
