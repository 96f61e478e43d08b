package health_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns/health"
)

func get(tb testing.TB, h http.Handler, method string) *httptest.ResponseRecorder {
	tb.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(tb.Context(), method, "/", nil))
	return w
}

func TestReadinessAndHealthFollowTheStatus(t *testing.T) {
	for _, tc := range []struct {
		critical, other health.Status
		ready, healthy  int
		status          string // of readiness
	}{
		{health.Healthy, health.Healthy, 200, 200, "healthy"},
		{health.Degraded, health.Healthy, 200, 200, "degraded"},
		{health.Healthy, health.Unhealthy, 200, 200, "healthy"},
		{health.Unknown, health.Healthy, 503, 503, "unknown"},
		{health.Unhealthy, health.Healthy, 503, 503, "unhealthy"},
	} {
		m := newManager(t)
		register(t, m, health.Check{Name: "db", Critical: true, Func: saying(tc.critical)},
			health.Check{Name: "cache", Func: saying(tc.other)})
		ready := get(t, m.ReadyHandler(), http.MethodGet)
		if want := `{"status":"` + tc.status + `"}` + "\n"; ready.Code != tc.ready || ready.Body.String() != want {
			t.Errorf("%+v: readiness is %d %s", tc, ready.Code, ready.Body)
		}
		if got := get(t, m.HealthHandler(), http.MethodGet); got.Code != tc.healthy {
			t.Errorf("%+v: health is %d %s", tc, got.Code, got.Body)
		}
	}
}

func TestLivenessAsksNobody(t *testing.T) {
	m := newManager(t)
	register(t, m, health.Check{Name: "db", Critical: true, Func: func(context.Context) health.Report {
		t.Error("a dependency was asked")
		return health.Report{Status: health.Unhealthy}
	}})
	got := get(t, m.LiveHandler(), http.MethodGet)
	if got.Code != 200 || got.Body.String() != `{"status":"healthy"}`+"\n" {
		t.Errorf("got %d %s", got.Code, got.Body)
	}
}

func TestReadinessAsksCriticalChecksOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t)
		register(t, m, health.Check{Name: "db", Critical: true, Func: slow(time.Second)},
			health.Check{Name: "reports", Func: func(context.Context) health.Report {
				t.Error("what cannot change readiness was asked")
				return health.Report{}
			}})
		begun := time.Now()
		if got := get(t, m.ReadyHandler(), http.MethodGet); got.Code != 200 || time.Since(begun) != time.Second {
			t.Errorf("got %d %s after %v", got.Code, got.Body, time.Since(begun))
		}
	})
}

func TestHealthPageShowsDetailsOnlyOnRequest(t *testing.T) {
	m := newManager(t)
	register(t, m, health.Check{Name: "db", Func: func(context.Context) health.Report {
		return health.Report{
			Status: health.Degraded, Message: "behind", Details: map[string]any{"host": "db-7.internal"}, Err: errBoom,
		}
	}})
	for range 2 { // one page must not take from the result that both share
		for shown, page := range map[bool]http.Handler{
			false: m.HealthHandler(), true: m.HealthHandler(health.WithDetails()),
		} {
			w := get(t, page, http.MethodGet)
			var body struct {
				Status  string
				Version string
				Checks  []struct {
					Name, Status, Message string
					Details               map[string]any
				}
			}
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
				t.Fatal(err)
			}
			if body.Status != "degraded" || body.Version != "unknown" || len(body.Checks) != 1 {
				t.Fatalf("got %s", w.Body)
			}
			if c := body.Checks[0]; c.Name != "db" || c.Status != "degraded" || c.Message != "behind" ||
				(c.Details["host"] == "db-7.internal") != shown || strings.Contains(w.Body.String(), "details") != shown {
				t.Errorf("details shown: %v: got %s", shown, w.Body)
			}
			if strings.Contains(w.Body.String(), "hunter2") {
				t.Errorf("the error is shown: %s", w.Body)
			}
		}
	}
}

func TestPagesCanOnlyBeRead(t *testing.T) {
	m := newManager(t)
	register(t, m, health.Check{Name: "db", Critical: true, Func: saying(health.Unhealthy)})
	for name, page := range map[string]http.Handler{
		"live": m.LiveHandler(), "ready": m.ReadyHandler(), "health": m.HealthHandler(),
	} {
		full := get(t, page, http.MethodGet)
		for header, want := range map[string]string{
			"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
		} {
			if got := full.Header().Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", name, header, got, want)
			}
		}
		head := get(t, page, http.MethodHead)
		if head.Code != full.Code || head.Body.Len() != 0 || head.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: HEAD is %d %v %q", name, head.Code, head.Header(), head.Body)
		}
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, "BREW"} {
			got := get(t, page, method)
			if got.Code != http.StatusMethodNotAllowed || got.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("%s: %s is %d, allowed is %q", name, method, got.Code, got.Header().Get("Allow"))
			}
		}
	}
}

// The prober has its own timeout, and hangs up.
func TestProbeThatHangsUpDoesNotPoisonTheNextOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t)
		register(t, m, health.Check{Name: "db", Critical: true, Func: health.Ping(func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(1500 * time.Millisecond):
				return nil
			}
		})})
		var codes []int
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			w := httptest.NewRecorder()
			m.ReadyHandler().ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/readyz", nil))
			cancel()
			codes = append(codes, w.Code)
		}
		if !slices.Equal(codes, []int{503, 200}) {
			t.Errorf("got %v", codes)
		}
	})
}
