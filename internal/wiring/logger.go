package wiring

import (
	"go.uber.org/fx"
	"go.uber.org/zap"
)

// ScopedLogger gives the constructors of the module that it is part of a logger of that name below the application's,
// or one that discards everything if the application has none. The application's own logger stays as it is.
func ScopedLogger(name string) fx.Option {
	type params struct {
		fx.In

		// A mandatory parameter of the decorator would make the logger mandatory for the whole module.
		Logger *zap.Logger `optional:"true"`
	}
	return fx.Decorate(func(p params) *zap.Logger {
		if p.Logger == nil {
			return zap.NewNop()
		}
		return p.Logger.Named(name)
	})
}

// LoggerOrNop makes up for a missing logger in constructors that are called without Fx.
func LoggerOrNop(log *zap.Logger) *zap.Logger {
	if log == nil {
		return zap.NewNop()
	}
	return log
}
