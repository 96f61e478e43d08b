package idempotencyfx

import (
	"fmt"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/steadyfx/steady/config"
	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/internal/wiring"
	"github.com/steadyfx/steady/patterns/idempotency"
)

// Module provides idempotency.Store, *idempotency.Guard, [Middleware] and *idempotency.Janitor. Records are kept in memory
// unless another backend is part of the application and selected. It takes a *zap.Logger, a *hooks.Bus, a *health.Manager
// and a configuration if the container has them, and does nothing until something asks for what it provides.
var Module = fx.Module("idempotency", core())

// Durable is Module with [Redis] and [Postgres] and a promise: records survive the process. They are in Redis unless the
// configuration selects another durable backend, or the application adds one, or brings a store by [UseStore]. It does not
// start unless that answers, but for redis.check_on_start and postgres.check_on_start.
var Durable = fx.Module("idempotency",
	core(),
	Redis,
	Postgres,
	fx.Supply(durabilityRequired(true)),
	fx.Invoke(func(*idempotency.Guard) {}), // a check that runs only if somebody needs the guard would be none
)

// Redis adds the backend "redis" to [Module].
var Redis = fx.Module("idempotency.redis",
	fx.Provide(NewRedisBackend),
	wiring.ScopedLogger("redis"), // as a sibling of Module it is out of the reach of Module's
)

// Postgres adds the backend "postgres" to [Module].
var Postgres = fx.Module("idempotency.postgres",
	fx.Provide(NewPostgresBackend),
	wiring.ScopedLogger("postgres"),
)

// IncludeEitherModuleOrDurableNotBoth exists for its name: Fx refuses to provide a type twice and prints the type, so
// this is the error of an application that includes both, or one of them twice.
type IncludeEitherModuleOrDurableNotBoth struct{}

// durabilityRequired is what Durable tells the choice of the store, and the health check.
type durabilityRequired bool

func core() fx.Option {
	return fx.Options(
		// First, so that it is the duplicate that Fx reports.
		fx.Provide(func() IncludeEitherModuleOrDurableNotBoth { return IncludeEitherModuleOrDurableNotBoth{} }),
		// One constructor for each thing: what an application decorates or stubs reaches all that depend on it.
		fx.Provide(NewStore, NewJanitor, NewGuard, NewMiddleware),
		wiring.ScopedLogger("idempotency"),
		fx.Decorate(busOrOwn),
	)
}

// busOrOwn makes a bus for applications that have none, so that the events of this module are logged all the same.
func busOrOwn(p struct {
	fx.In

	Bus       *hooks.Bus `optional:"true"`
	Lifecycle fx.Lifecycle
	Logger    *zap.Logger `optional:"true"`
}) *hooks.Bus {
	if p.Bus != nil {
		return p.Bus
	}
	return wiring.NewBus(p.Lifecycle, p.Logger)
}

// Configure configures [Module] or [Durable] from code. It beats a *config.Tree in the container. Start from
// idempotency.DefaultConfig: in a Config that is made from nothing, AutoCleanup is off.
func Configure(cfg idempotency.Config) fx.Option { return fx.Supply(&cfg) }

// ConfigParams is where the constructors take their configuration from: Config, else the Idempotency section of
// Resilience if it is not zero, else that of Tree, else the defaults.
type ConfigParams struct {
	fx.In

	Config     *idempotency.Config `optional:"true"`
	Resilience *config.Resilience  `optional:"true"` // of resiliencefx.Configure
	Tree       *config.Tree        `optional:"true"`
	Graph      fx.DotGraph         `optional:"true"`
}

func (p ConfigParams) resolve() (cfg idempotency.Config, source string, err error) {
	switch {
	case p.Config != nil:
		return *p.Config, "code", nil
	case p.Resilience != nil && p.Resilience.Idempotency != (idempotency.Config{}):
		return p.Resilience.Idempotency, "code", nil
	case p.Tree != nil:
		return p.Tree.Resilience.Idempotency, p.Tree.Source("resilience.idempotency.backend"), nil
	}
	if err := wiring.CheckAbsent(p.Graph, "*config.Tree", "*idempotency.Config"); err != nil {
		return idempotency.Config{}, "", fmt.Errorf("idempotencyfx: %w", err)
	}
	return idempotency.DefaultConfig(), byDefault, nil
}
