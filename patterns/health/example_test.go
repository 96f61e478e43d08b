package health_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/steadyfx/steady/patterns/health"
)

func Example() {
	manager, err := health.New(health.Config{Version: "1.4.0"}, health.WithOnChange(
		func(_ context.Context, before health.Status, now health.Result) {
			// Log it here, with now.Err, which no page shows.
		}))
	if err != nil {
		fmt.Println(err)
		return
	}
	ping := func(context.Context) error { return errors.New("dial tcp 10.0.0.7:6379: connection refused") }
	err = manager.Register(health.Check{Name: "redis", Func: health.Ping(ping)})
	if err != nil {
		fmt.Println(err)
		return
	}
	system := manager.RunAll(context.Background())
	fmt.Println(system.Version, system.Status)
	for _, result := range system.Checks {
		fmt.Println(result)
	}
	// Output:
	// 1.4.0 degraded
	// redis: unhealthy: failed
}

// A program that drains says so by a check of its own.
func ExampleManager_ReadyHandler() {
	manager, err := health.New(health.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/livez", manager.LiveHandler())
	mux.Handle("/readyz", manager.ReadyHandler())
	mux.Handle("/healthz", manager.HealthHandler())
	probe := func() {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		fmt.Println(w.Code)
	}

	probe()
	draining := func(context.Context) health.Report {
		return health.Report{Status: health.Unhealthy, Message: "draining"}
	}
	if err := manager.Register(health.Check{Name: "draining", Func: draining, Critical: true}); err != nil {
		fmt.Println(err)
		return
	}
	probe()
	// Output:
	// 200
	// 503
}
