package idempotency

import (
	"fmt"
	"reflect"
	"sync"

	"github.com/steadyfx/steady/hooks"
)

// Guard lets one call at a time act for a key and answers the later ones with its result. Use it through [Do], [Wrap],
// [Process] and [Middleware]. It is safe for concurrent use. What it knows by itself only saves time: guards in any
// number of processes that share a store act as one.
type Guard struct {
	store   Store
	cfg     Config
	prefix  string // of the keys; empty: the one that all have who were given no other
	bus     *hooks.Bus
	codecs  codecs
	keys    *keyring // nil: results are stored as they are
	errors  []ErrorKind
	cache   *cache // nil: none
	waiting waitingRoom
	types   sync.Map // reflect.Type of a result -> error: whether the codec can hold it
}

// New returns a guard on store. Zero fields of cfg take their defaults; the error is a [*ConfigurationError] that
// lists everything that is wrong.
func New(store Store, cfg Config, opts ...Option) (*Guard, error) {
	cfg, o, err := settle(store, cfg, opts)
	if err != nil {
		return nil, err
	}
	prefix := cfg.KeyPrefix
	if prefix == DefaultConfig().KeyPrefix {
		prefix = ""
	}
	return &Guard{
		store: store, prefix: prefix, cfg: cfg, bus: o.bus, codecs: o.codecs, keys: o.keys, errors: o.errors,
		cache: newCache(cfg.CacheEntries, cfg.CacheTTL),
	}, nil
}

func (g *Guard) execution(call Call, a admission) *execution {
	return &execution{guard: g, call: call, key: a.key, token: a.claim.Token, retention: g.retention(call)}
}

// storable returns a *ConfigurationError for a type that the codec cannot hold.
func (g *Guard) storable(t reflect.Type) error {
	known, ok := g.types.Load(t)
	if !ok {
		known, _ = g.types.LoadOrStore(t, g.codecs.check(t))
	}
	err, _ := known.(error)
	return err
}

// fits returns an error for a result that is larger than those that are kept. What a store is given has a limit: beyond
// one of its own it would not keep the result at all, and the call would be made again.
func (g *Guard) fits(stored []byte) error {
	if size := int64(len(stored)) - 1; size > g.cfg.MaxResult { // without the byte of its format
		return fmt.Errorf("the result has %d bytes, and at most %d are kept (max_result)", size, g.cfg.MaxResult)
	}
	return nil
}

// opDecrypt is the StoreError.Op of a stored result that cannot be decrypted.
const opDecrypt = "decrypt"

// storeError says that what the store answered makes no sense here.
func (g *Guard) storeError(op string, err error) *StoreError {
	backend := g.cfg.Backend
	if backend == "" {
		backend = "store"
	}
	return &StoreError{Backend: backend, Op: op, Err: err}
}
