package health

import (
	"encoding/json"
	"time"
)

// SystemHealth is how the whole program is.
type SystemHealth struct {
	Status    Status   // see the documentation of the package
	Checks    []Result // in the order of their names
	Version   string   // of the program
	Uptime    time.Duration
	Timestamp time.Time
}

// ToMap returns status, checks (each as [Result.ToMap]), version, uptime_seconds and timestamp (RFC 3339).
func (h SystemHealth) ToMap() map[string]any {
	checks := make([]map[string]any, len(h.Checks))
	for i, r := range h.Checks {
		checks[i] = r.ToMap()
	}
	return map[string]any{
		"status":         h.Status.String(),
		"checks":         checks,
		"version":        h.Version,
		"uptime_seconds": h.Uptime.Seconds(),
		"timestamp":      text(h.Timestamp),
	}
}

// MarshalJSON encodes [SystemHealth.ToMap], but without details that JSON cannot hold.
func (h SystemHealth) MarshalJSON() ([]byte, error) {
	m := h.ToMap()
	m["checks"] = append([]Result{}, h.Checks...)
	return json.Marshal(m)
}

// statusOf says how a system is whose checks have these results.
func statusOf(results []Result) Status {
	status := Healthy
	for _, r := range results {
		switch {
		case r.Status == Healthy:
		case r.Critical && r.Status == Unhealthy:
			return Unhealthy
		case r.Critical && r.Status == Unknown:
			status = Unknown
		case status == Healthy:
			status = Degraded
		}
	}
	return status
}
