package testkit

import (
	"go.uber.org/fx"

	"github.com/steadyfx/steady/config"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/memstore"
)

// Idempotency keeps the records of an application in memory: its own store is never built, no backend is asked, and
// idempotencyfx.Durable starts without one. It is an override for [New].
func Idempotency() fx.Option {
	return fx.Decorate(func() (idempotency.Store, error) { return memstore.NewIdempotency(memstore.Config{}) })
}

// Resilience gives every policy of an application its default configuration. The pipelines stay composed, and
// idempotency configured, as they are. It is an override for [New].
func Resilience() fx.Option {
	type params struct {
		fx.In

		Config *config.Resilience `optional:"true"`
		Tree   *config.Tree       `optional:"true"`
	}
	return fx.Decorate(func(p params) *config.Resilience {
		stub := config.Default().Resilience
		switch {
		case p.Config != nil:
			stub.Pipelines, stub.Idempotency = p.Config.Pipelines, p.Config.Idempotency
		case p.Tree != nil:
			stub.Pipelines, stub.Idempotency = p.Tree.Resilience.Pipelines, p.Tree.Resilience.Idempotency
		}
		return &stub
	})
}
