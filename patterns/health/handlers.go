package health

import (
	"context"
	"encoding/json"
	"net/http"
)

// LiveHandler answers whether the process is alive, for /livez: 200 as long as it answers at all. It runs no check: a
// dependency that is down does not come back by a restart of everybody who depends on it.
func (m *Manager) LiveHandler() http.Handler {
	return page(func(context.Context) (Status, any) { return Healthy, summary{Healthy} })
}

// ReadyHandler answers whether the program can serve, for /readyz: 503 if a critical check is unhealthy or unknown,
// else 200. It runs the critical checks only, so nothing else can slow it down. The body holds the status alone.
func (m *Manager) ReadyHandler() http.Handler {
	return page(func(ctx context.Context) (Status, any) {
		status := m.runCritical(ctx).Status
		return status, summary{status}
	})
}

// HandlerOption changes what [Manager.HealthHandler] shows.
type HandlerOption func(*shown)

type shown struct{ details bool }

// WithDetails shows the details of the checks, which may tell of internals: for a page that only your own people can
// open.
func WithDetails() HandlerOption { return func(s *shown) { s.details = true } }

// HealthHandler answers how all checks are, for /healthz and for people: 503 if the system is unhealthy or unknown,
// else 200. The body is the [SystemHealth], without the details of the checks unless asked for by [WithDetails].
func (m *Manager) HealthHandler(opts ...HandlerOption) http.Handler {
	var s shown
	for _, opt := range opts {
		opt(&s)
	}
	return page(func(ctx context.Context) (Status, any) {
		h := m.RunAll(ctx)
		if !s.details {
			for i := range h.Checks {
				h.Checks[i].Details = nil
			}
		}
		return h.Status, h
	})
}

// summary is the body for machines, which look at the status code anyway.
type summary struct {
	Status Status `json:"status"`
}

// page answers GET and HEAD with what look returns.
func page(look func(ctx context.Context) (Status, any)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			header.Set("Allow", "GET, HEAD")
			http.Error(w, "this page can only be read: use GET or HEAD", http.StatusMethodNotAllowed)
			return
		}
		status, content := look(r.Context())
		body, _ := json.Marshal(content) // a Result leaves out what could fail
		header.Set("Content-Type", "application/json")
		header.Set("Cache-Control", "no-store")
		header.Set("X-Content-Type-Options", "nosniff")
		w.WriteHeader(codeOf(status))
		if r.Method == http.MethodGet {
			_, _ = w.Write(append(body, '\n')) // fails only for a client that is gone
		}
	})
}

// codeOf takes what nobody knows for what does not work: a probe has to decide.
func codeOf(s Status) int {
	if s == Healthy || s == Degraded {
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}
