package health

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"runtime/metrics"
)

// RegisterDefaults registers three checks of the process itself, none of them critical:
//
//   - process: healthy. Its details are the version of Go and how many processors there are to use;
//   - memory: degraded when what the program cannot do without has reached 90 % of the memory limit (GOMEMLIMIT). The
//     garbage collector runs ever more often then. Garbage does not count. Healthy if there is no limit;
//   - goroutines: degraded when there are more than 100,000, which is more likely a leak than load.
//
// The error says which of the names were taken; the other checks are registered.
func RegisterDefaults(m *Manager) error {
	return errors.Join(
		m.Register(Check{Name: "process", Func: process}),
		m.Register(Check{Name: "memory", Func: memory}),
		m.Register(Check{Name: "goroutines", Func: goroutines}),
	)
}

func process(context.Context) Report {
	return Report{Status: Healthy, Details: map[string]any{
		"go_version": runtime.Version(), "gomaxprocs": runtime.GOMAXPROCS(0),
	}}
}

// memory reads the metrics that the limit is about. None of them stops the program.
func memory(context.Context) Report {
	samples := []metrics.Sample{
		{Name: "/gc/gomemlimit:bytes"},
		{Name: "/gc/heap/live:bytes"}, // at the end of the last collection
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}, // live or garbage
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(samples)
	limit, needed := samples[0].Value.Uint64(), samples[1].Value.Uint64()+samples[2].Value.Uint64()
	for _, heap := range samples[3:] {
		needed -= heap.Value.Uint64() // of the total, what is left is stacks and the runtime's own
	}
	return memoryReport(needed, limit)
}

func memoryReport(needed, limit uint64) Report {
	if limit >= math.MaxInt64 {
		return Report{Status: Healthy, Details: map[string]any{"needed_bytes": needed}}
	}
	report := Report{Status: Healthy, Details: map[string]any{"needed_bytes": needed, "limit_bytes": limit}}
	if float64(needed) >= 0.9*float64(limit) {
		report.Status, report.Message = Degraded, "close to the memory limit"
	}
	return report
}

const maxGoroutines = 100_000

func goroutines(context.Context) Report { return goroutineReport(runtime.NumGoroutine()) }

func goroutineReport(count int) Report {
	report := Report{Status: Healthy, Details: map[string]any{"count": count}}
	if count > maxGoroutines {
		report.Status, report.Message = Degraded, fmt.Sprintf("more than %d goroutines", maxGoroutines)
	}
	return report
}
