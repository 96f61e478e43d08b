// Package resiliencefx wires the resilience patterns into Fx.
//
//	fx.New(resiliencefx.Module, …)
//
// is complete: circuit breakers, bulkheads, retries, hedges, rate limits, throttles and timeouts by name, all with the
// default configuration, and the bus that says what happens to them. A *[config.Tree] in the container
// (fx.Supply(tree)) configures them and composes pipelines of them from files; [Configure] does from code. What a file
// cannot say, a fallback or a policy of the application's own, becomes a step of such a pipeline by [AsStep]. With a
// *zap.Logger in the container, events are logged. With a circuitbreaker.Backend in it, circuits are shared with the
// other replicas of the service, except those whose configuration says "backend: memory".
//
// A *health.Manager is part of it: its check "circuit_breakers" is degraded while circuits are open, and names them. An
// application registers its own checks and serves the handlers. To configure the manager, supply a *health.Config; to
// bring another one, fx.Decorate.
//
// Constructors do no I/O and start no goroutine. They are exported for programs that are not, or not yet, wired by
// Fx: every field of their parameters may be left out.
package resiliencefx
