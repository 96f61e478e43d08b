package idempotency

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
)

// Guard lets one call at a time act for a key and answers the later ones with its result. Use it through [Do], [Wrap]
// and [Middleware]. It is safe for concurrent use and holds no state of its own: guards in any number of processes
// that share a store act as one.
type Guard struct {
	store Store
	cfg   Config
	bus   *hooks.Bus
}

// Option changes a [Guard] or a [Janitor].
type Option func(*options)

type options struct{ bus *hooks.Bus }

// WithBus sends the events to bus. Without it they go nowhere.
func WithBus(bus *hooks.Bus) Option { return func(o *options) { o.bus = bus } }

// New returns a guard on store. Zero fields of cfg take their defaults; the error is a [*ConfigurationError] that
// lists everything that is wrong.
func New(store Store, cfg Config, opts ...Option) (*Guard, error) {
	cfg, o, err := settle(store, cfg, opts)
	if err != nil {
		return nil, err
	}
	return &Guard{store: store, cfg: cfg, bus: o.bus}, nil
}

// settle completes and checks what [New] and [NewJanitor] are given.
func settle(store Store, cfg Config, opts []Option) (Config, options, error) {
	cfg = cfg.withDefaults()
	var checks patterns.Checks
	checks.That(store != nil, "store", "must not be nil")
	if err := errors.Join(checks.Err(""), cfg.Validate()); err != nil {
		return Config{}, options{}, &ConfigurationError{Err: err}
	}
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	return cfg, o, nil
}

// run claims the key of the call. If it acquires it, it runs fn and stores the value that fn returns, or gives the key
// back if fn fails, with fn's error. The outcome of the returned claim is Acquired or, with the stored value, Done;
// all others come as an error.
func (g *Guard) run(ctx context.Context, call Call, fn func(context.Context) ([]byte, error)) (Claim, error) {
	key, asked := call.storeKey(), time.Now()
	claim, err := g.store.Claim(ctx, ClaimRequest{
		Key: key, Fingerprint: call.Fingerprint, Lease: g.cfg.Lease, Retention: g.cfg.TTL,
	})
	if err != nil {
		if !errors.Is(ctx.Err(), context.Canceled) { // else the caller went away, which says nothing of the store
			hooks.Emit(ctx, g.bus, hooks.IdempotencyStoreFailed{Operation: call.Operation, Err: err, At: time.Now()})
		}
		return Claim{}, err
	}
	switch claim.Outcome {
	case Acquired:
		e := execution{guard: g, operation: call.Operation, key: key, token: claim.Token}
		return claim, e.run(ctx, asked, fn)
	case Done:
		publish(ctx, g, key, func(digest string) hooks.IdempotencyKeyHit {
			return hooks.IdempotencyKeyHit{Operation: call.Operation, KeyDigest: digest, Age: claim.Age, At: time.Now()}
		})
		return claim, nil
	case InProgress:
		publish(ctx, g, key, func(digest string) hooks.IdempotencyConflict {
			return hooks.IdempotencyConflict{
				Operation: call.Operation, KeyDigest: digest, RetryAfter: claim.RetryAfter, At: time.Now(),
			}
		})
		return Claim{}, &ConflictError{Operation: call.Operation, RetryAfter: claim.RetryAfter}
	case Mismatch:
		publish(ctx, g, key, func(digest string) hooks.IdempotencyMismatch {
			return hooks.IdempotencyMismatch{Operation: call.Operation, KeyDigest: digest, At: time.Now()}
		})
		return Claim{}, &DuplicateRequestError{Operation: call.Operation}
	default:
		return Claim{}, g.storeError("claim", fmt.Errorf("unknown outcome %d", claim.Outcome))
	}
}

// storeError says that what the store answered makes no sense here.
func (g *Guard) storeError(op string, err error) *StoreError {
	backend := g.cfg.Backend
	if backend == "" {
		backend = "store"
	}
	return &StoreError{Backend: backend, Op: op, Err: err}
}

// publish emits the event that is made of the digest of a store key. It hashes only if somebody listens.
func publish[E hooks.Event](ctx context.Context, g *Guard, storeKey string, event func(digest string) E) {
	if g.bus.Wanted(*new(E)) {
		hooks.Emit(ctx, g.bus, event(digest(storeKey)))
	}
}
