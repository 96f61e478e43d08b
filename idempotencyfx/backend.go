package idempotencyfx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/steadyfx/steady/internal/wiring"
	"github.com/steadyfx/steady/patterns/idempotency"
)

// Backend is a place where records can be kept. Those in the value group "idempotency.backends" can be selected by
// name; only the selected one is opened. [WithBackend] makes one of a constructor.
type Backend struct {
	Name    string
	Durable bool // records survive the process
	Open    func(idempotency.Config) (idempotency.Store, error)
}

// WithBackend adds a durable backend to [Module] or [Durable] under a name for resilience.idempotency.backend:
//
//	idempotencyfx.WithBackend("sqlite", sqlitestore.NewIdempotency)
//
// Open makes the store of what it depends on: an idempotency.Config, which is the one in force, or something that the
// container holds, here a sqlitestore.Config; several things are a struct with fx.In. It is called only if the backend is
// selected.
//
// A store that has a method Close is closed when the application stops. When it starts, the store must answer within 2 s:
// to EnsureSchema if it has that method, as those of databases do, else to Ping.
func WithBackend[D any, S idempotency.Store](name string, open func(D) (S, error)) fx.Option {
	if name == "" || open == nil {
		return fx.Error(errors.New("idempotencyfx: WithBackend needs a name and a constructor"))
	}
	type params struct {
		fx.In

		Lifecycle fx.Lifecycle
		Logger    *zap.Logger `optional:"true"`
	}
	type result struct {
		fx.Out

		Backend Backend `group:"idempotency.backends"`
	}
	backend := func(p params, open func(idempotency.Config) (S, error)) result {
		return result{Backend: Backend{Name: name, Durable: true, Open: func(cfg idempotency.Config) (idempotency.Store, error) {
			store, err := open(cfg)
			if err == nil && any(store) == nil {
				err = errors.New("its constructor returned no store")
			}
			if err != nil {
				return nil, fmt.Errorf("idempotencyfx: the backend %q cannot be opened: %w", name, err)
			}
			if c, ok := any(store).(io.Closer); ok {
				p.Lifecycle.Append(closing(name, c.Close))
			}
			checkAtStart(p.Lifecycle, wiring.LoggerOrNop(p.Logger), fmt.Sprintf("the backend %q", name), store)
			return store, nil
		}}}
	}
	provider := any(func(p params, d D) result {
		return backend(p, func(idempotency.Config) (S, error) { return open(d) })
	})
	if configured, ok := any(open).(func(idempotency.Config) (S, error)); ok {
		provider = func(p params) result { return backend(p, configured) }
	}
	return fx.Module("idempotency."+name, fx.Provide(provider), wiring.ScopedLogger(name))
}

// checkAtStart adds to the lifecycle that a store which is not ours must answer. What tells the user which one it is.
func checkAtStart(lc fx.Lifecycle, log *zap.Logger, what string, store idempotency.Store) {
	ask := store.Ping
	if s, ok := store.(interface{ EnsureSchema(context.Context) error }); ok {
		ask = s.EnsureSchema
	}
	startCheck{
		limit: 2 * time.Second, ask: ask, log: log,
		explain: func(err error) error { return fmt.Errorf("idempotencyfx: %s is not usable: %w", what, err) },
	}.appendTo(lc)
}

// closing waits for what may hang, but leaves time for the others that have to stop.
func closing(backend string, end func() error) fx.Hook {
	return fx.StopHook(func(ctx context.Context) error {
		ctx, cancel := wiring.Bounded(ctx, 5*time.Second)
		defer cancel()
		closed := make(chan error, 1)
		go func() { closed <- end() }()
		select {
		case err := <-closed:
			return err
		case <-ctx.Done():
			return fmt.Errorf("idempotencyfx: %s: the connections did not close in time: %w", backend, ctx.Err())
		}
	})
}

// byDefault is the source of what is not configured.
const byDefault = "default"

// checkFallback reports what speaks against a connection of our own where the application has given none.
func checkFallback(graph fx.DotGraph, source string, types ...string) error {
	err := wiring.CheckAbsent(graph, types...)
	if err == nil && source == byDefault {
		err = wiring.CheckUnnamed(graph, types...)
	}
	return err
}

// named is the tag of a parameter that is known by a name, if there is one.
func named(name []string) string {
	if len(name) == 0 {
		return ""
	}
	return fmt.Sprintf("name:%q", name[0])
}
