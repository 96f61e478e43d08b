package main

import (
	_ "embed"
	"io"
	"time"

	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/steadyfx/steady/config"
	"github.com/steadyfx/steady/examples/payments/service"
	"github.com/steadyfx/steady/idempotencyfx"
	"github.com/steadyfx/steady/resiliencefx"
)

//go:embed payments.yaml
var builtIn []byte

// load reads the configuration: what is built in, the file over it, the environment over that, and what the
// demonstration decides itself. The error lists every mistake, one a line.
func load(o options, providerURL string) (*config.Tree, service.Settings, error) {
	var settings service.Settings
	sources := []config.Source{
		config.Section("payments", &settings),
		config.Content("payments.yaml", builtIn),
	}
	if o.config != "" {
		sources = append(sources, config.File(o.config))
	}
	sources = append(sources, config.Env(nil), explicit("payments", "provider", providerURL))
	if o.store != "" {
		sources = append(sources, explicit("resilience", "idempotency", map[string]any{"backend": o.store}))
	}
	tree, err := config.Load(sources...)
	return tree, settings, err
}

func explicit(section, key string, value any) config.Source {
	return config.Values(map[string]any{section: map[string]any{key: value}})
}

// newApp wires the service.
func newApp(tree *config.Tree, settings service.Settings, log io.Writer, more ...fx.Option) *fx.App {
	logger := newLogger(log, settings.LogLevel)
	return fx.New(
		fx.Supply(tree, settings, logger),
		fx.WithLogger(func() fxevent.Logger { return quiet(logger) }),
		resiliencefx.Module,
		idempotencyfx.Module,
		idempotencyfx.Redis, // used if resilience.idempotency.backend says so
		service.Module,
		fx.Options(more...),
	)
}

// newLogger writes each message at most once a second, because what goes wrong here goes wrong for many requests.
func newLogger(out io.Writer, level zapcore.Level) *zap.Logger {
	encoder := zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig())
	core := zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(out)), level)
	return zap.New(zapcore.NewSamplerWithOptions(core, time.Second, 1, 0))
}

// quiet logs what Fx does for those who debug it. Its errors are returned too, and shown by who gets them.
func quiet(logger *zap.Logger) fxevent.Logger {
	events := &fxevent.ZapLogger{Logger: logger.Named("fx")}
	events.UseLogLevel(zap.DebugLevel)
	events.UseErrorLevel(zap.DebugLevel)
	return events
}
