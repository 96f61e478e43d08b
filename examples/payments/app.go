package main

import (
	"database/sql"
	_ "embed"
	"io"
	"time"

	"github.com/go-sql-driver/mysql"
	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/steadyfx/steady/config"
	"github.com/steadyfx/steady/examples/payments/service"
	"github.com/steadyfx/steady/idempotencyfx"
	"github.com/steadyfx/steady/resiliencefx"
	"github.com/steadyfx/steady/stores/mysqlstore"
	"github.com/steadyfx/steady/stores/sqlitestore"
)

//go:embed payments.yaml
var builtIn []byte

// configuration is everything that can be configured.
type configuration struct {
	tree    *config.Tree
	service service.Settings
	stores  storeSettings
}

// storeSettings is the section "stores": what the tree has no section for.
type storeSettings struct {
	SQLite sqlitestore.Config `koanf:"sqlite"`
	MySQL  struct {
		DSN string `koanf:"dsn" secret:"true"`
	} `koanf:"mysql"`
}

// load reads the configuration: what is built in, the file over it, the environment over that, and what the
// demonstration decides itself. The error lists every mistake, one a line.
func load(file string, decided config.Source) (configuration, error) {
	var c configuration
	sources := []config.Source{
		config.Section("payments", &c.service),
		config.Section("stores", &c.stores),
		config.Content("payments.yaml", builtIn),
	}
	if file != "" {
		sources = append(sources, config.File(file))
	}
	var err error
	c.tree, err = config.Load(append(sources, config.Env(nil), decided)...)
	return c, err
}

// newApp wires the service. Of the backends, the one that resilience.idempotency.backend names is opened.
func newApp(c configuration, log io.Writer, more ...fx.Option) *fx.App {
	logger := newLogger(log, c.service.LogLevel)
	return fx.New(
		fx.Supply(c.tree, c.service, c.stores, c.stores.SQLite, logger),
		fx.WithLogger(func() fxevent.Logger { return quiet(logger) }),
		resiliencefx.Module,
		idempotencyfx.Module,
		idempotencyfx.Redis,
		idempotencyfx.Postgres,
		idempotencyfx.WithBackend("sqlite", sqlitestore.NewIdempotency),
		idempotencyfx.WithBackend("mysql", openMySQL),
		service.Module,
		fx.Options(more...),
	)
}

// openMySQL opens the one backend whose connections the application makes itself.
func openMySQL(p struct {
	fx.In

	Lifecycle fx.Lifecycle
	Settings  storeSettings
}) (*mysqlstore.Idempotency, error) {
	cfg, err := mysql.ParseDSN(p.Settings.MySQL.DSN)
	if err != nil {
		return nil, err
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxIdleConns(16)                                     // two are too few for a service under load
	p.Lifecycle.Append(fx.StopHook(func() { _ = db.Close() })) // fails where a connection is broken already
	return mysqlstore.NewIdempotency(db, mysqlstore.Config{})
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
