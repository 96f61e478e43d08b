package idempotencyfx

import (
	"fmt"
	"time"

	"go.uber.org/fx"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/internal/wiring"
	"github.com/steadyfx/steady/patterns/health"
	"github.com/steadyfx/steady/patterns/idempotency"
)

// GuardParams are the parameters of [NewGuard].
type GuardParams struct {
	fx.In

	Store     idempotency.Store
	Config    ConfigParams
	Options   []idempotency.Option `group:"idempotency.options"` // of AsOption
	Bus       *hooks.Bus           `optional:"true"`
	Health    *health.Manager      `optional:"true"`
	Lifecycle fx.Lifecycle         `optional:"true"`
	Required  durabilityRequired   `optional:"true"` // of Durable
	Janitor   *idempotency.Janitor `optional:"true"` // not used: a guard wants its store to be kept clean
}

// GuardResult is the result of [NewGuard].
type GuardResult struct {
	fx.Out

	Guard *idempotency.Guard
}

// NewGuard makes the guard on the store. While the application runs, the health check "idempotency" pings the store; with
// [Durable] it is a critical one. What a ping finds out is up to the store: ours notice a server that is away, a table that
// is gone, and, but for SQLite, one that refuses to write.
func NewGuard(p GuardParams) (GuardResult, error) {
	cfg, _, err := p.Config.resolve()
	if err != nil {
		return GuardResult{}, err
	}
	options := append([]idempotency.Option{idempotency.WithBus(p.Bus)}, given(p.Options)...)
	guard, err := idempotency.New(p.Store, cfg, options...)
	if err != nil {
		return GuardResult{}, err
	}
	return GuardResult{Guard: guard}, p.watchStore()
}

// checkLimit is less than the second that Kubernetes gives a probe.
const checkLimit = 900 * time.Millisecond

func (p GuardParams) watchStore() error {
	if p.Health == nil {
		if err := wiring.CheckAbsent(p.Config.Graph, "*health.Manager"); err != nil {
			return fmt.Errorf("idempotencyfx: %w", err)
		}
		return nil
	}
	if p.Lifecycle != nil {
		p.Lifecycle.Append(wiring.HealthHook(p.Health, health.Check{
			Name: "idempotency", Func: health.Ping(p.Store.Ping), Timeout: checkLimit, Critical: bool(p.Required),
		}))
	}
	return nil
}
