package resiliencefx

import (
	"context"
	"fmt"
	"strings"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/steadyfx/steady/internal/wiring"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/health"
)

// HealthParams are the parameters of [NewHealth].
type HealthParams struct {
	fx.In

	Config *health.Config `optional:"true"`
	Logger *zap.Logger    `optional:"true"`
	Graph  fx.DotGraph    `optional:"true"`
}

// HealthResult is the result of [NewHealth].
type HealthResult struct {
	fx.Out

	Manager *health.Manager
}

// NewHealth makes the manager of health checks. It logs when the status of a check changes, with the error that no page
// shows.
func NewHealth(p HealthParams) (HealthResult, error) {
	cfg := health.DefaultConfig()
	if p.Config != nil {
		cfg = *p.Config
	} else if err := wiring.CheckAbsent(p.Graph, "*health.Config"); err != nil {
		return HealthResult{}, fmt.Errorf("resiliencefx: %w", err)
	}
	log := wiring.LoggerOrNop(p.Logger)
	manager, err := health.New(cfg, health.WithOnChange(func(_ context.Context, before health.Status, now health.Result) {
		logChange(log, before, now)
	}))
	return HealthResult{Manager: manager}, err
}

// logChange does not tell that what was not known before is healthy: that is as it should be.
func logChange(log *zap.Logger, before health.Status, now health.Result) {
	fields := []zap.Field{
		zap.String("check", now.Name), zap.Stringer("before", before), zap.Stringer("status", now.Status),
		zap.Bool("critical", now.Critical), zap.String("reason", now.Message), zap.Error(now.Err),
	}
	switch {
	case now.Status != health.Healthy:
		log.Warn("health check is not healthy", fields...)
	case before != health.Unknown:
		log.Info("health check is healthy again", fields...)
	}
}

// circuitsCheck is the name of the check that tells of open circuits.
const circuitsCheck = "circuit_breakers"

type circuitsParams struct {
	fx.In

	Lifecycle fx.Lifecycle
	Manager   *health.Manager
	Registry  *circuitbreaker.Registry
}

// watchCircuits is invoked, and not a part of a constructor: what an application decorates, manager or registry, is what
// must be watched.
func watchCircuits(p circuitsParams) {
	p.Lifecycle.Append(wiring.HealthHook(p.Manager, health.Check{Name: circuitsCheck, Func: circuits(p.Registry)}))
}

// circuits reports which circuits are open. That degrades a program and no more: it is what keeps it up.
func circuits(registry *circuitbreaker.Registry) func(context.Context) health.Report {
	return func(context.Context) health.Report {
		var open []string
		for _, breaker := range registry.All() {
			if breaker.IsOpen() {
				open = append(open, breaker.Name())
			}
		}
		if len(open) == 0 {
			return health.Report{Status: health.Healthy}
		}
		return health.Report{
			Status: health.Degraded, Message: "open: " + strings.Join(open, ", "), Details: map[string]any{"open": open},
		}
	}
}
