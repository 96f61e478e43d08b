package health_test

import (
	"errors"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/health"
)

func TestDefaultChecksAreAboutTheProcess(t *testing.T) {
	m := newManager(t)
	if err := health.RegisterDefaults(m); err != nil {
		t.Fatal(err)
	}
	h := m.RunAll(t.Context())
	if h.Status != health.Healthy || !slices.Equal(names(h.Checks), []string{"goroutines", "memory", "process"}) {
		t.Errorf("got %v", h)
	}
	for _, r := range h.Checks {
		if r.Critical || len(r.Details) == 0 {
			t.Errorf("got %+v", r.ToMap())
		}
	}
	if got := run(t, m, "goroutines").Details["count"].(int); got < 1 {
		t.Errorf("%d goroutines", got)
	}
	if got := run(t, m, "process").Details["go_version"]; got != runtime.Version() {
		t.Errorf("version %v", got)
	}
}

func TestDefaultChecksDoNotReplaceOthers(t *testing.T) {
	m := newManager(t)
	register(t, m, health.Check{Name: "memory", Func: saying(health.Unhealthy)})
	err := health.RegisterDefaults(m)
	if !errors.Is(err, patterns.ErrConfiguration) || !strings.Contains(err.Error(), `"memory"`) {
		t.Errorf("got %v", err)
	}
	if got := run(t, m, "memory"); got.Status != health.Unhealthy {
		t.Errorf("got %v", got)
	}
	if got := len(m.RunAll(t.Context()).Checks); got != 3 {
		t.Errorf("%d checks, want 3", got)
	}
}

func TestMemoryCheckSeesTheLimit(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	held := make([]byte, 64<<20)
	runtime.GC()
	for _, tc := range []struct {
		limit int64
		want  health.Status
	}{{math.MaxInt64, health.Healthy}, {1 << 40, health.Healthy}, {32 << 20, health.Degraded}} {
		debug.SetMemoryLimit(tc.limit)
		m := newManager(t)
		if err := health.RegisterDefaults(m); err != nil {
			t.Fatal(err)
		}
		got := run(t, m, "memory")
		needed, _ := got.Details["needed_bytes"].(uint64)
		if got.Status != tc.want || needed < uint64(len(held)) || needed > 1<<30 {
			t.Errorf("limit %d: got %v, %d bytes needed", tc.limit, got, needed)
		}
		limit, shown := got.Details["limit_bytes"]
		if shown != (tc.limit != math.MaxInt64) || shown && limit != uint64(tc.limit) {
			t.Errorf("limit %d: details are %v", tc.limit, got.Details)
		}
	}
	runtime.KeepAlive(held)
}

func TestGarbageIsNotNeeded(t *testing.T) {
	m := newManager(t)
	if err := health.RegisterDefaults(m); err != nil {
		t.Fatal(err)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runtime.GC()
	for range 64 {
		runtime.KeepAlive(make([]byte, 1<<20))
	}
	if needed := run(t, m, "memory").Details["needed_bytes"].(uint64); needed > 48<<20 {
		t.Errorf("%d bytes needed", needed)
	}
}

func TestDefaultLimits(t *testing.T) {
	for _, tc := range []struct {
		what   string
		report health.Report
		want   health.Status
	}{
		{"899 of 1000 bytes", health.MemoryReport(899, 1000), health.Healthy},
		{"900 of 1000 bytes", health.MemoryReport(900, 1000), health.Degraded},
		{"no limit", health.MemoryReport(math.MaxInt64, math.MaxInt64), health.Healthy},
		{"100,000 goroutines", health.GoroutineReport(100_000), health.Healthy},
		{"100,001 goroutines", health.GoroutineReport(100_001), health.Degraded},
	} {
		if tc.report.Status != tc.want || (tc.report.Message == "") != (tc.want == health.Healthy) {
			t.Errorf("%s: got %+v", tc.what, tc.report)
		}
	}
}
