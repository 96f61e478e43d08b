package health_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns/health"
)

// Everything at once, for the race detector. What must hold all the time: a check is never run beside itself, and what
// one reads is whole.
func TestStressEverythingAtOnce(t *testing.T) {
	changes := atomic.Int64{}
	m, err := health.New(health.Config{MaxAge: time.Nanosecond}, health.WithOnChange(
		func(context.Context, health.Status, health.Result) { changes.Add(1) }))
	if err != nil {
		t.Fatal(err)
	}
	var beside [4]atomic.Int64
	for i := range beside {
		turn := atomic.Int64{}
		name := fmt.Sprint("steady", i)
		register(t, m, health.Check{Name: name, Critical: i == 0, Func: func(context.Context) health.Report {
			if beside[i].Add(1) != 1 {
				t.Error("a check was run beside itself")
			}
			defer beside[i].Add(-1)
			switch turn.Add(1) % 4 {
			case 0:
				panic("boom")
			case 1:
				return health.Report{Status: health.Degraded, Details: map[string]any{"turn": i}}
			default:
				return health.Report{Status: health.Healthy}
			}
		}})
	}
	live, ready, full := m.LiveHandler(), m.ReadyHandler(), m.HealthHandler(health.WithDetails())
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			name := fmt.Sprint("passing", g%2)
			for i := range 200 {
				switch (g + i) % 6 {
				case 0:
					_ = m.Register(health.Check{Name: name, Func: saying(health.Healthy)}) // perhaps taken
				case 1:
					m.Deregister(name)
				case 2:
					if h := m.RunAll(t.Context()); len(h.Checks) < len(beside) || len(h.Checks) > len(beside)+2 {
						t.Errorf("%d checks", len(h.Checks))
					}
				case 3:
					if r, err := m.Run(canceled, "steady1"); err != nil || r.Name != "steady1" {
						t.Errorf("got %v, %v", r, err)
					}
				case 4:
					get(t, ready, http.MethodGet)
					get(t, live, http.MethodHead)
				case 5:
					get(t, full, http.MethodGet)
				}
			}
		})
	}
	wg.Wait()
	if changes.Load() == 0 {
		t.Error("no change was told")
	}
}
