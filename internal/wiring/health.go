package wiring

import (
	"go.uber.org/fx"

	"github.com/steadyfx/steady/patterns/health"
)

// HealthHook has a manager run a check from the start of the application to its stop.
func HealthHook(manager *health.Manager, check health.Check) fx.Hook {
	return fx.StartStopHook(
		func() error { return manager.Register(check) },
		func() { manager.Deregister(check.Name) },
	)
}
