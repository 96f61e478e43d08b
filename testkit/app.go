package testkit

import (
	"testing"

	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
)

// New starts the application app and returns it together with a T as app itself would be given it: a type of its
// container, or a struct of several with fx.In embedded. The application is stopped when the test ends. What fails
// fails the test.
//
// The app is nested in a module, so that what it provides and decorates stays its own. Around it are the overrides:
// stubs such as [Idempotency], fx.Supply, fx.Replace, fx.Decorate; and options that Fx takes at the top level only,
// such as fx.StartTimeout. Overrides take effect before the app's own decorators.
func New[T any](tb testing.TB, app fx.Option, overrides ...fx.Option) (*fxtest.App, T) {
	tb.Helper()
	var got T
	running := fxtest.New(tb,
		fx.NopLogger,
		fx.Options(overrides...),
		fx.Module("app", app, fx.Invoke(func(wanted T) { got = wanted })),
	)
	running.RequireStart()
	tb.Cleanup(running.RequireStop)
	return running, got
}
