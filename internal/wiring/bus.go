package wiring

import (
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/hooks/zaphooks"
)

// NewBus makes a bus whose events are logged, and drains it when the application stops. The lifecycle may be nil.
func NewBus(lc fx.Lifecycle, log *zap.Logger) *hooks.Bus {
	bus := new(hooks.Bus)
	if log = LoggerOrNop(log); log.Core().Enabled(zap.ErrorLevel) { // one that discards everything needs no events
		zaphooks.Attach(bus, log)
	}
	if lc != nil {
		lc.Append(fx.StopHook(bus.Close))
	}
	return bus
}
