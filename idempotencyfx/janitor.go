package idempotencyfx

import (
	"go.uber.org/fx"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns/idempotency"
)

// JanitorParams are the parameters of [NewJanitor].
type JanitorParams struct {
	fx.In

	Store     idempotency.Store
	Config    ConfigParams
	Bus       *hooks.Bus   `optional:"true"`
	Lifecycle fx.Lifecycle `optional:"true"`
}

// JanitorResult is the result of [NewJanitor].
type JanitorResult struct {
	fx.Out

	Janitor *idempotency.Janitor
}

// NewJanitor makes the janitor of the store. Unless the configuration turns auto_cleanup off it runs from the start of
// the application to its stop.
func NewJanitor(p JanitorParams) (JanitorResult, error) {
	cfg, _, err := p.Config.resolve()
	if err != nil {
		return JanitorResult{}, err
	}
	janitor, err := idempotency.NewJanitor(p.Store, cfg, idempotency.WithBus(p.Bus))
	if err != nil {
		return JanitorResult{}, err
	}
	if cfg.AutoCleanup && p.Lifecycle != nil {
		p.Lifecycle.Append(fx.StartStopHook(janitor.Start, janitor.Stop))
	}
	return JanitorResult{Janitor: janitor}, nil
}
