package idempotencyfx

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/internal/wiring"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/memstore"
)

// UseStore keeps records in store. With [Module] it does so whatever backend is configured. With [Durable], which keeps
// its promise of whatever is brought, a configured backend beside it is an error, a *memstore.Idempotency is refused, and
// store must answer within 2 s at start: to EnsureSchema if it has that method, else to Ping. The application closes it.
func UseStore(store idempotency.Store) fx.Option {
	if store == nil {
		return fx.Error(errors.New("idempotencyfx: UseStore was given no store"))
	}
	return fx.Supply(fx.Annotate(store, fx.As(new(idempotency.Store)), fx.ResultTags(`name:"idempotency.store"`)))
}

// StoreParams are the parameters of [NewStore].
type StoreParams struct {
	fx.In

	Logger    *zap.Logger `optional:"true"`
	Config    ConfigParams
	Bus       *hooks.Bus         `optional:"true"`
	Own       idempotency.Store  `name:"idempotency.store" optional:"true"` // of UseStore
	Required  durabilityRequired `optional:"true"`                          // of Durable
	Backends  []Backend          `group:"idempotency.backends"`
	Lifecycle fx.Lifecycle       `optional:"true"`
}

// StoreResult is the result of [NewStore].
type StoreResult struct {
	fx.Out

	Store idempotency.Store
}

// NewStore chooses the store: the one of [UseStore]; else the backend that the configuration names; else the only one
// that the application has added; else, for [Durable], Redis; else memory. A choice that is not clear, not there or not
// durable enough is an error that names the choices.
func NewStore(p StoreParams) (StoreResult, error) {
	log := wiring.LoggerOrNop(p.Logger)
	cfg, source, err := p.Config.resolve()
	if err != nil {
		return StoreResult{}, err
	}
	if p.Own != nil {
		if err := p.checkOwn(cfg.Backend, source, log); err != nil {
			return StoreResult{}, fmt.Errorf("idempotencyfx: %w", err)
		}
		log.Info("idempotency store selected", zap.String("backend", "own"), zap.String("source", "UseStore"))
		return StoreResult{Store: p.Own}, nil
	}
	backend, err := p.choose(cfg.Backend, source)
	if err != nil {
		return StoreResult{}, fmt.Errorf("idempotencyfx: %w", err)
	}
	if cfg.Backend == "" {
		source = byDefault
	}
	store, err := backend.Open(cfg)
	if err != nil {
		return StoreResult{}, err
	}
	log.Info("idempotency store selected", zap.String("backend", backend.Name), zap.String("source", source))
	return StoreResult{Store: store}, nil
}

// checkOwn sees to it that a store of UseStore is what Durable promises.
func (p StoreParams) checkOwn(configured, source string, log *zap.Logger) error {
	switch {
	case !bool(p.Required):
		return nil
	case configured != "":
		return fmt.Errorf("UseStore brings a %T, but resilience.idempotency.backend selects %q (%s); remove one of them",
			p.Own, configured, source)
	case inMemory(p.Own):
		return fmt.Errorf("Durable needs a durable store, but UseStore brings one that forgets all when the process ends, "+
			"a %T; bring another, or include Module in the place of Durable", p.Own)
	case p.Lifecycle != nil:
		checkAtStart(p.Lifecycle, log, fmt.Sprintf("the store of UseStore, a %T,", p.Own), p.Own)
	}
	return nil
}

// inMemory looks for a store in memory behind what is wrapped around it and says so.
func inMemory(store idempotency.Store) bool {
	for {
		if _, ok := store.(*memstore.Idempotency); ok {
			return true
		}
		outer, ok := store.(interface{ Unwrap() idempotency.Store })
		if !ok {
			return false
		}
		store = outer.Unwrap()
	}
}

func (p StoreParams) choose(configured, source string) (Backend, error) {
	all := append([]Backend{p.memory()}, p.Backends...)
	names := make([]string, len(all))
	for i, b := range all {
		names[i] = b.Name
	}
	slices.Sort(names) // the group comes in random order
	if i := firstRepeated(names); i >= 0 {
		return Backend{}, fmt.Errorf("two backends are called %q; %s", names[i], p.howToPart(names[i]))
	}
	known := strings.Join(names, ", ")

	if configured != "" {
		i := slices.IndexFunc(all, func(b Backend) bool { return b.Name == configured })
		switch {
		case i < 0:
			return Backend{}, fmt.Errorf("resilience.idempotency.backend: unknown backend %q (%s); known: %s; %s",
				configured, source, known, howToAdd(configured))
		case bool(p.Required) && !all[i].Durable:
			return Backend{}, fmt.Errorf("Durable needs a durable backend, but resilience.idempotency.backend selects %q (%s); "+
				"remove that line, or include Module in the place of Durable", configured, source)
		}
		return all[i], nil
	}
	added := slices.DeleteFunc(slices.Clone(p.Backends), func(b Backend) bool {
		return bool(p.Required) && (!b.Durable || ofDurable(b.Name))
	})
	switch {
	case len(added) == 1:
		return added[0], nil
	case len(added) > 1:
		return Backend{}, fmt.Errorf("several backends are part of the application (%s); "+
			"select one with resilience.idempotency.backend", known)
	case bool(p.Required):
		if i := slices.IndexFunc(all, func(b Backend) bool { return b.Name == redisBackend }); i >= 0 {
			return all[i], nil
		}
		return Backend{}, errors.New("Durable needs a durable backend, and the application has none")
	}
	return p.memory(), nil
}

func (p StoreParams) memory() Backend {
	return Backend{Name: idempotency.MemoryBackend, Open: func(cfg idempotency.Config) (idempotency.Store, error) {
		return memstore.NewIdempotency(memstore.Config{MaxEntries: cfg.MaxEntries}, memstore.WithBus(p.Bus))
	}}
}

// firstRepeated returns the index of a name that the sorted names hold twice, or -1.
func firstRepeated(names []string) int {
	for i := 1; i < len(names); i++ {
		if names[i] == names[i-1] {
			return i
		}
	}
	return -1
}

// ofDurable reports whether a backend is one that Durable always has.
func ofDurable(backend string) bool { return backend == redisBackend || backend == postgresBackend }

func (p StoreParams) howToPart(backend string) string {
	if bool(p.Required) && ofDurable(backend) {
		return "Durable has that one already: remove the other, and select it with resilience.idempotency.backend"
	}
	return "remove one, or give it another name"
}

func howToAdd(backend string) string {
	switch backend {
	case redisBackend:
		return "add idempotencyfx.Redis to the application"
	case postgresBackend:
		return "add idempotencyfx.Postgres to the application"
	default:
		return fmt.Sprintf("add it to the application with idempotencyfx.WithBackend(%q, ...)", backend)
	}
}
