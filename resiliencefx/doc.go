// Package resiliencefx wires the resilience patterns into Fx.
//
//	fx.New(resiliencefx.Module, …)
//
// is complete: circuit breakers, bulkheads, retries and timeouts by name, all with the default configuration, and the
// bus that says what happens to them. A *[config.Tree] in the container (fx.Supply(tree)) configures them from files;
// [Configure] does from code. With a *zap.Logger in the container, events are logged.
//
// Constructors do no I/O and start no goroutine. They are exported for programs that are not, or not yet, wired by
// Fx: every field of their parameters may be left out.
package resiliencefx
