package ratelimit

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
)

// KeyedConfig bounds a [Keyed].
type KeyedConfig struct {
	Limit   int           `koanf:"limit"`    // tokens that flow in per Period, for each key; zero: 100
	Period  time.Duration `koanf:"period"`   // zero: 1 s
	Burst   int           `koanf:"burst"`    // tokens in a full bucket; zero: Limit
	MaxKeys int           `koanf:"max_keys"` // that have a bucket of their own, of some 50 bytes each; zero: 100,000
}

// DefaultKeyedConfig returns 100 calls a second, in bursts of up to 100, for each of 100,000 keys.
func DefaultKeyedConfig() KeyedConfig {
	d := DefaultConfig()
	return KeyedConfig{Limit: d.Limit, Period: d.Period, Burst: d.Burst, MaxKeys: 100_000}
}

const maxKeys = 1 << 30

// Validate reports everything that is wrong with c, zero fields included: it judges a complete configuration.
func (c KeyedConfig) Validate() error {
	var checks patterns.Checks
	checks.Include("", c.bucket().Validate())
	checks.That(c.MaxKeys >= 1 && c.MaxKeys <= maxKeys, "max_keys", "must be from 1 to %d, got %d", maxKeys, c.MaxKeys)
	return checks.Err("")
}

func (c KeyedConfig) withDefaults() KeyedConfig {
	b := c.bucket().withDefaults()
	return KeyedConfig{
		Limit: b.Limit, Period: b.Period, Burst: b.Burst, MaxKeys: cmp.Or(c.MaxKeys, DefaultKeyedConfig().MaxKeys),
	}
}

func (c KeyedConfig) bucket() Config { return Config{Limit: c.Limit, Period: c.Period, Burst: c.Burst} }

// Keyed has a token bucket for each key, for example for each tenant. Its memory is bounded, and still nobody gets a
// fresh bucket by using many keys: a bucket is only forgotten when it is full again, which changes nothing, and while
// there are MaxKeys buckets, all other keys share one. Keys are not kept, only a hash of them. It is
// safe for concurrent use.
type Keyed struct {
	name     string
	cfg      KeyedConfig
	bus      *hooks.Bus
	start    time.Time
	seed     maphash.Seed
	interval int64 // nanoseconds that one token takes to flow in
	burst    int64 // nanoseconds that a full bucket takes
	idle     int64 // nanoseconds without use after which a bucket may be forgotten
	tally

	mu sync.Mutex
	// When the bucket of a key will be full, as TokenBucket.full. Buckets that were used since turned are in recent,
	// those used in the time before in older.
	recent, older map[uint64]int64
	turned        int64
	shared        int64 // of all keys that have no bucket of their own
}

// NewKeyed returns a limiter that has full buckets for all keys. The name appears in errors and events. The error lists
// everything that is wrong with name and cfg, in which a zero field takes its default; it satisfies
// errors.Is(err, [patterns.ErrConfiguration]).
func NewKeyed(name string, cfg KeyedConfig, opts ...Option) (*Keyed, error) {
	cfg = cfg.withDefaults()
	var checks patterns.Checks
	checks.Name(name)
	checks.Include("", cfg.Validate())
	if err := checks.Err(fmt.Sprintf("rate limiter %q", name)); err != nil {
		return nil, err
	}
	interval := int64(cfg.bucket().interval())
	burst := interval * int64(cfg.Burst)
	return &Keyed{
		name: name, cfg: cfg, bus: apply(opts).bus, start: time.Now(), seed: maphash.MakeSeed(),
		interval: interval, burst: burst, idle: max(burst, int64(time.Second)),
		recent: map[uint64]int64{}, older: map[uint64]int64{},
	}, nil
}

// Name returns the name given to [NewKeyed].
func (k *Keyed) Name() string { return k.name }

// TryAcquire takes a token from the bucket of a key if there is one.
func (k *Keyed) TryAcquire(key string) bool {
	return k.try(context.Background(), maphash.String(k.seed, key)) == 0
}

// For returns the limit of a key as a policy, for example for resiliencehttp.WithRequestPolicy: it runs an operation with
// a token from the bucket of the key, or returns a [*LimitedError] at once; a call whose context has ended gets a
// [*CanceledError]. It costs one small allocation and has a method RateLimit, which describes the bucket.
func (k *Keyed) For(key string) patterns.Policy {
	return &keyLimit{keyed: k, hash: maphash.String(k.seed, key)}
}

// RetryAfter returns how long it takes until there is a token for a key. It takes none.
func (k *Keyed) RetryAfter(key string) time.Duration {
	_, delay := k.available(maphash.String(k.seed, key))
	return delay
}

// Keys returns how many keys have a bucket of their own.
func (k *Keyed) Keys() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.turn(int64(time.Since(k.start)))
	return len(k.recent) + len(k.older)
}

// Stats returns what the limiter has done, for all keys together.
func (k *Keyed) Stats() Stats { return k.stats(k.name, k.cfg.Limit, k.cfg.Period) }

// try takes a token, or counts and announces that there is none and returns how long it takes until there is.
func (k *Keyed) try(ctx context.Context, hash uint64) (delay time.Duration) {
	if delay = k.take(hash); delay == 0 {
		k.allowed.Add(1)
		return 0
	}
	k.denied.Add(1)
	announce(ctx, k.bus, k.name, func() time.Duration { return delay })
	return delay
}

// available returns how many tokens could be taken now, and how long it takes until there is one.
func (k *Keyed) available(hash uint64) (tokens int, delay time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := int64(time.Since(k.start))
	k.turn(now)
	full, _ := k.find(hash)
	return int((k.burst - max(0, full-now)) / k.interval), k.delay(full, now)
}

// take takes a token, or returns how long it takes until there is one.
func (k *Keyed) take(hash uint64) time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := int64(time.Since(k.start))
	k.turn(now)
	full, own := k.find(hash)
	if delay := k.delay(full, now); delay > 0 {
		return delay
	}
	full = max(full, now) + k.interval
	if !own {
		k.shared = full
		return 0
	}
	delete(k.older, hash)
	k.recent[hash] = full
	return 0
}

// find returns when the bucket of a key will be full, and whether it is one of its own. mu is held.
func (k *Keyed) find(hash uint64) (full int64, own bool) {
	if full, own = k.recent[hash]; own {
		return full, true
	}
	if full, own = k.older[hash]; own {
		return full, true
	}
	// A new key may have used the shared bucket until now: it begins with what is in that, mostly all.
	return k.shared, len(k.recent)+len(k.older) < k.cfg.MaxKeys
}

func (k *Keyed) delay(full, now int64) time.Duration {
	return time.Duration(max(0, max(full, now)+k.interval-k.burst-now))
}

// turn forgets the buckets that nobody has used for at least as long as an empty one takes to fill. mu is held.
func (k *Keyed) turn(now int64) {
	since := now - k.turned
	if since < k.idle {
		return
	}
	k.older, k.recent = k.recent, map[uint64]int64{}
	if since >= 2*k.idle { // all in recent were used before half of that
		k.older = map[uint64]int64{}
	}
	k.turned = now
}
