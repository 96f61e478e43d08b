package idempotencyfx_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/fx"

	"github.com/steadyfx/steady/config"
	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/idempotencyfx"
	"github.com/steadyfx/steady/patterns/health"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/resiliencefx"
	"github.com/steadyfx/steady/testkit"
	"github.com/steadyfx/steady/testkit/services"
)

// The server goes down while the application runs, and comes back. In the meantime nothing is executed, callers are told
// to come back, and the application is not ready.
func TestServerGoesDownAndComesBack(t *testing.T) {
	for backend, server := range map[string]*services.Server{"postgres": services.Postgres(t), "redis": services.Redis(t)} {
		t.Run(backend, func(t *testing.T) {
			if !server.Owned() {
				t.Skip("this test kills its server: unset the variable to give it one of its own")
			}
			type parts struct {
				fx.In

				Guard      *idempotency.Guard
				Middleware idempotencyfx.Middleware
				Health     *health.Manager
			}
			_, p := testkit.New[parts](t, fx.Options(resiliencefx.Module, idempotencyfx.Durable, selecting(backend),
				fx.Supply(&config.Redis{Addrs: []string{server.Addr()}}, &config.Postgres{DSN: server.URL},
					&health.Config{MaxAge: time.Nanosecond}, idempotency.Scope(idempotency.SharedScope))))
			runs := 0
			guarded := p.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { runs++; w.WriteHeader(http.StatusCreated) }))
			ready := func() int { return request(onlyGet(p.Health.ReadyHandler()), "", "", "").Code }

			if got := request(guarded, "a", "before", "10"); got.Code != http.StatusCreated || ready() != http.StatusOK {
				t.Fatalf("got %d: %s", got.Code, got.Body)
			}
			server.Kill()
			for _, key := range []string{"before", "during"} {
				got := request(guarded, "a", key, "10")
				if got.Code != http.StatusServiceUnavailable || got.Header().Get("Retry-After") == "" || runs != 1 {
					t.Errorf("%s: got %d, %d runs: %s", key, got.Code, runs, got.Body)
				}
			}
			var down *idempotency.BackendError
			if _, err := charge(t.Context(), p.Guard); !errors.As(err, &down) {
				t.Errorf("got %v", err)
			}
			if got, _ := healthOf(t, p.Health); got.Status != health.Unhealthy || ready() != http.StatusServiceUnavailable {
				t.Errorf("got %+v", got)
			}
			server.Start()
			await(t, "the application is ready again", func() bool { return ready() == http.StatusOK })
			for _, key := range []string{"before", "during"} {
				if got := request(guarded, "a", key, "10"); got.Code != http.StatusCreated {
					t.Errorf("%s: got %d: %s", key, got.Code, got.Body)
				}
			}
			if runs != 2 {
				t.Errorf("%d runs of two requests", runs)
			}
		})
	}
}

// onlyGet makes a GET of every request.
func onlyGet(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Method = http.MethodGet
		handler.ServeHTTP(w, r)
	})
}

// Replicas clean up one table at the same time: each record is removed once, and none that lives.
func TestJanitorsOfReplicasShareTheWork(t *testing.T) {
	section := postgres(t)
	var removed atomic.Int64
	replica := func() idempotency.Store {
		bus := new(hooks.Bus)
		hooks.On(bus, func(_ context.Context, e hooks.IdempotencyCleaned) {
			if e.Err != nil {
				t.Error(e.Err)
			}
			removed.Add(int64(e.Removed))
		})
		return start(t, idempotencyfx.Durable, fx.Supply(&section, bus), idempotencyfx.Configure(idempotency.Config{
			Backend: "postgres", AutoCleanup: true, CleanupInterval: time.Second, // which is also how long a cleanup may take
		}))
	}
	stores := []idempotency.Store{replica(), replica(), replica()}
	const expired = 300
	if err := stores[0].Set(t.Context(), "alive", []byte("v"), time.Hour); err != nil {
		t.Fatal(err)
	}
	for i := range expired {
		if err := stores[i%len(stores)].Set(t.Context(), string(rune('a'+i)), []byte("v"), time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "all expired records are removed", func() bool { return removed.Load() >= expired })
	if n := removed.Load(); n != expired {
		t.Errorf("%d records were removed", n)
	}
	if _, found, err := stores[1].Get(t.Context(), "alive"); !found || err != nil {
		t.Errorf("the record that lives: %v, %v", found, err)
	}
}
