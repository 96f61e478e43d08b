package idempotencyfx

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/steadyfx/steady/config"
	"github.com/steadyfx/steady/internal/wiring"
)

// startCheck asks a backend whether it is usable when the application starts.
type startCheck struct {
	backend string // as the configuration calls it, if it has a key for the mode
	mode    string // config.CheckRequire …; empty: required
	limit   time.Duration
	ask     func(context.Context) error
	explain func(error) error // says where the backend is, what is wrong and what to do
	log     *zap.Logger
}

func (c startCheck) appendTo(lc fx.Lifecycle) {
	if c.mode != config.CheckOff {
		lc.Append(fx.StartHook(c.run))
	}
}

func (c startCheck) run(ctx context.Context) error {
	ctx, cancel := wiring.Bounded(ctx, c.limit)
	defer cancel()
	err := c.ask(ctx)
	if err == nil {
		return nil
	}
	err = c.explain(err)
	switch c.mode {
	case config.CheckWarn:
		c.log.Warn(c.backend+" is not usable; idempotent calls will fail until it is", zap.Error(err))
		return nil
	case config.CheckRequire:
		return fmt.Errorf("%w; to start all the same set %s.check_on_start to %q", err, c.backend, config.CheckWarn)
	default:
		return err
	}
}
