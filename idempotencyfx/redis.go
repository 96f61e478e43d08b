package idempotencyfx

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/steadyfx/steady/config"
	"github.com/steadyfx/steady/internal/wiring"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/redisstore"
)

const redisBackend = "redis"

// UseClient keeps records in Redis through the client of type C that the container holds, under a name if one is given
// (fx.ResultTags), where it holds several. The client is not closed.
func UseClient[C redis.UniversalClient](name ...string) fx.Option {
	// A value group and not an optional name: with the latter, a provider of C that cannot be built would be ignored.
	return fx.Provide(fx.Annotate(func(client C) redis.UniversalClient { return client },
		fx.ParamTags(named(name)), fx.ResultTags(`group:"idempotency.redis_clients"`)))
}

// RedisParams are the parameters of [NewRedisBackend]. All but the lifecycle may be left out.
type RedisParams struct {
	fx.In

	Lifecycle fx.Lifecycle
	Logger    *zap.Logger             `optional:"true"`
	Config    *config.Redis           `optional:"true"` // beats Tree
	Tree      *config.Tree            `optional:"true"`
	Chosen    []redis.UniversalClient `group:"idempotency.redis_clients"` // of UseClient
	Universal redis.UniversalClient   `optional:"true"`
	Single    *redis.Client           `optional:"true"`
	Cluster   *redis.ClusterClient    `optional:"true"`
	Graph     fx.DotGraph             `optional:"true"`
}

// RedisResult is the result of [NewRedisBackend].
type RedisResult struct {
	fx.Out

	Backend Backend `group:"idempotency.backends"`
}

// NewRedisBackend makes the backend "redis". When it is opened it adds to the lifecycle a check that the server answers
// at start and, for a client of its own, the closing of it.
func NewRedisBackend(p RedisParams) RedisResult {
	return RedisResult{Backend: Backend{Name: redisBackend, Durable: true, Open: p.open}}
}

func (p RedisParams) open(cfg idempotency.Config) (idempotency.Store, error) {
	section, source, err := p.section()
	if err != nil {
		return nil, fmt.Errorf("idempotencyfx: %w", err)
	}
	if err := section.Validate(); err != nil {
		return nil, fmt.Errorf("idempotencyfx: redis, from %s: %w", source, err)
	}
	selected, err := p.selectClient(section, source)
	if err != nil {
		return nil, fmt.Errorf("idempotencyfx: %w", err)
	}
	store, err := redisstore.NewIdempotency(selected.client, redisstore.Config{KeyPrefix: cfg.KeyPrefix})
	if err != nil {
		return nil, errors.Join(err, selected.release())
	}
	log := wiring.LoggerOrNop(p.Logger)
	log.Info("redis client selected", zap.String("source", selected.source), zap.Bool("owned", selected.owned))
	if selected.owned {
		// In a hook of its own, before the check: Fx stops only what has started, and a failed check has not.
		p.Lifecycle.Append(closing(redisBackend, selected.client.Close))
	}
	startCheck{
		backend: redisBackend, mode: section.CheckOnStart, limit: section.CheckTimeout, log: log,
		ask: func(ctx context.Context) error {
			err := store.Ping(ctx)
			if err == nil {
				warnOfEviction(ctx, store, log)
			}
			return err
		},
		explain: func(err error) error { return selected.explain(err, section) },
	}.appendTo(p.Lifecycle)
	return store, nil
}

// warnOfEviction tells of a server that may forget a claim while its owner acts. One that will not say is believed.
func warnOfEviction(ctx context.Context, store *redisstore.Idempotency, log *zap.Logger) {
	policy, err := store.EvictionPolicy(ctx)
	switch {
	case err != nil:
		log.Debug("redis does not tell its maxmemory-policy", zap.Error(err))
	case policy != "":
		log.Warn("redis drops records when its memory is full, and an operation whose claim is dropped can run twice; "+
			"set maxmemory-policy to noeviction on the server that holds idempotency records",
			zap.String("maxmemory_policy", policy))
	}
}

// explain says what to do about a server that did not answer, or not with what was asked for.
func (s selection) explain(err error, section config.Redis) error {
	problem, remedy := "does not answer", "check the client that the application provides"
	var refused redis.Error
	switch {
	case redis.HasErrorPrefix(err, "READONLY"):
		problem, remedy = "does not write", "connect to the master, or through sentinels by redis.master_name"
	case errors.As(err, &refused):
		problem = "refuses the client"
		if s.owned {
			remedy = "check redis.username, redis.password, redis.db and, for a cluster or sentinels, redis.addrs"
		}
	case errors.Is(err, context.DeadlineExceeded):
		problem = fmt.Sprintf("does not answer within %v (redis.check_timeout)", section.CheckTimeout)
		if s.owned {
			remedy = "check redis.addrs and redis.tls, and that the server is not overloaded"
		}
	case s.owned:
		remedy = "start Redis there, or set redis.addrs (STEADY_REDIS__ADDRS), or provide a redis.UniversalClient"
	}
	return fmt.Errorf("idempotencyfx: redis %s (%s): %w; %s", problem, s.source, err, remedy)
}

// section returns the connection settings and where their addresses come from.
func (p RedisParams) section() (config.Redis, string, error) {
	switch {
	case p.Config != nil && len(p.Config.Addrs) > 0:
		return p.Config.WithDefaults(), "code", nil
	case p.Config != nil:
		return p.Config.WithDefaults(), byDefault, nil
	case p.Tree != nil:
		return p.Tree.Redis, p.Tree.Source("redis.addrs"), nil
	default:
		return config.DefaultRedis(), byDefault, wiring.CheckAbsent(p.Graph, "*config.Redis")
	}
}

// selection is a client and its origin.
type selection struct {
	client redis.UniversalClient
	source string
	owned  bool // made here, and closed here
}

// release closes an owned client that is not going to be used.
func (s selection) release() error {
	if s.owned {
		return s.client.Close()
	}
	return nil
}

func (p RedisParams) selectClient(section config.Redis, source string) (selection, error) {
	switch len(p.Chosen) {
	case 0:
	case 1:
		return selection{client: p.Chosen[0], source: "UseClient"}, nil
	default:
		return selection{}, errors.New("UseClient is given more than once")
	}
	switch found := p.found(); len(found) {
	case 0:
		err := checkFallback(p.Graph, source, "redis.UniversalClient", "*redis.Client", "*redis.ClusterClient")
		if err != nil {
			return selection{}, fmt.Errorf("%w; refusing to connect to %s instead: mend it, or choose a client with "+
				"idempotencyfx.UseClient[T]()", err, strings.Join(section.Addrs, ", "))
		}
		return selection{
			client: redis.NewUniversalClient(options(section)), owned: true,
			source: fmt.Sprintf("%s, from the configuration: %s", strings.Join(section.Addrs, ", "), source),
		}, nil
	case 1:
		return found[0], nil
	default:
		return selection{}, fmt.Errorf("the container holds several redis clients (%s and %s); "+
			"choose with idempotencyfx.UseClient[T]()", found[0].source, found[1].source)
	}
}

// found returns the different clients in the container.
func (p RedisParams) found() []selection {
	var found []selection
	add := func(client redis.UniversalClient, source string) {
		for _, f := range found {
			if f.client == client {
				return // one client under two types
			}
		}
		found = append(found, selection{client: client, source: source + " of the application"})
	}
	if p.Universal != nil {
		add(p.Universal, "redis.UniversalClient")
	}
	if p.Single != nil {
		add(p.Single, "*redis.Client")
	}
	if p.Cluster != nil {
		add(p.Cluster, "*redis.ClusterClient")
	}
	return found
}

func options(section config.Redis) *redis.UniversalOptions {
	o := &redis.UniversalOptions{
		Addrs: section.Addrs, Username: section.Username, Password: section.Password, DB: section.DB,
		MasterName: section.MasterName, ContextTimeoutEnabled: true,
		// With them the client would run goroutines that an application which is not started never ends.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if section.TLS {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return o
}
