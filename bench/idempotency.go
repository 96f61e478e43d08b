package main

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/memstore"
)

// Records kept, how long, and for how long a claim is good.
const (
	records   = 10_000
	retention = time.Hour
	lease     = 30 * time.Second
)

var errDuplicate = errors.New("not the outcome that the benchmark is about")

// receipt is what the guarded call returns, and stored what is kept of it.
type receipt struct {
	Order string `json:"order"`
	Cents int    `json:"cents"`
}

const stored = `{"order":"1042","cents":1999}`

func idempotencies(op operation) []group {
	return []group{claimComplete(op), guardFirst(op), guardReplay()}
}

func claimComplete(op operation) group {
	var keys keyMaker
	return group{
		name: "Idempotency: claim, call, complete",
		about: "The key is new, the store full of results, of which it keeps the last 10,000. " +
			"No other library measured here does this; the floor forgets nothing by time and owns nothing by token.",
		modes: []mode{serial(), parallel()},
		contenders: []contender{
			mapUnderMutex(op, &keys),
			storeCall(steady, op, &keys),
		},
	}
}

func guardFirst(op operation) group {
	var (
		ctx   = context.Background()
		keys  keyMaker
		guard = must(idempotency.New(newStore(), idempotency.Config{Lease: lease, TTL: retention}))
	)
	charge := func(ctx context.Context) (receipt, error) { return receipt{"1042", 1999}, op(ctx) }
	return group{
		name:  "Idempotency: guarded call",
		about: "The key is new. The guard stores the result as JSON and keeps the claim alive meanwhile.",
		modes: []mode{serial(), parallel()},
		contenders: []contender{
			storeCall(floor, op, &keys),
			filled(contender{"Steady, `idempotency.Do`", steady, func(n int) error {
				return times(n, func() error {
					call := idempotency.Call{Operation: "charge", Scope: "tenant-1", Key: keys.next()}
					result, err := idempotency.Do(ctx, guard, call, charge)
					if err == nil && result.IsDuplicate {
						err = errDuplicate
					}
					return err
				})
			}}),
		},
	}
}

func guardReplay() group {
	var (
		ctx   = context.Background()
		store = newStore()
		guard = must(idempotency.New(store, idempotency.Config{Lease: lease, TTL: retention}))
		call  = idempotency.Call{Operation: "charge", Scope: "tenant-1", Key: "order-1"}
		claim = idempotency.ClaimRequest{Key: "order-1", Lease: lease, Retention: retention}
	)
	charge := func(context.Context) (receipt, error) { return receipt{"1042", 1999}, nil }
	must(idempotency.Do(ctx, guard, call, charge))
	must(struct{}{}, store.Set(ctx, claim.Key, []byte(stored), retention))
	return group{
		name:  "Idempotency: replay",
		about: "The key has a result, which is returned. Nothing runs.",
		modes: []mode{serial(), parallel()},
		contenders: []contender{
			{"memory store, `Claim`", floor, func(n int) error {
				return times(n, func() error {
					c, err := store.Claim(ctx, claim)
					if err == nil && c.Outcome != idempotency.Done {
						err = errDuplicate
					}
					return err
				})
			}},
			{"Steady, `idempotency.Do`", steady, func(n int) error {
				return times(n, func() error {
					result, err := idempotency.Do(ctx, guard, call, charge)
					if err == nil && !result.IsDuplicate {
						err = errDuplicate
					}
					return err
				})
			}},
		},
	}
}

// mapUnderMutex claims a new key, makes the call and completes the key, of which it keeps the last.
func mapUnderMutex(op operation, keys *keyMaker) contender {
	ctx, value, plain := context.Background(), []byte(stored), plainRecords{values: map[string][]byte{}}
	return filled(contender{"a map under a mutex", floor, func(n int) error {
		return times(n, func() error {
			key := keys.next()
			if !plain.claim(key) {
				return errDuplicate
			}
			if err := op(ctx); err != nil {
				return err
			}
			plain.complete(key, value)
			return nil
		})
	}})
}

// storeCall claims a new key of a store in memory, makes the call and completes the key.
func storeCall(r role, op operation, keys *keyMaker) contender {
	ctx, store, value := context.Background(), newStore(), []byte(stored)
	return filled(contender{"Steady, memory store, `Claim` and `Complete`", r, func(n int) error {
		return times(n, func() error {
			key := keys.next()
			c, err := store.Claim(ctx, idempotency.ClaimRequest{Key: key, Lease: lease, Retention: retention})
			if err != nil {
				return err
			}
			if c.Outcome != idempotency.Acquired {
				return errDuplicate
			}
			if err := op(ctx); err != nil {
				return err
			}
			return store.Complete(ctx, key, c.Token, value, retention)
		})
	}})
}

// filled returns a contender whose store is full.
func filled(c contender) contender {
	must(struct{}{}, c.run(records))
	return c
}

func newStore() *memstore.Idempotency {
	return must(memstore.NewIdempotency(memstore.Config{MaxEntries: records}))
}

// keyMaker makes keys that are all different.
type keyMaker struct{ made atomic.Uint64 }

func (k *keyMaker) next() string {
	return string(strconv.AppendUint(append(make([]byte, 0, 32), "order-"...), k.made.Add(1), 10))
}

// plainRecords is the least that a program can do which remembers the results of its last keys.
type plainRecords struct {
	mu     sync.Mutex
	values map[string][]byte
	recent [records]string
	oldest int
}

func (p *plainRecords) claim(key string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, taken := p.values[key]; taken {
		return false
	}
	delete(p.values, p.recent[p.oldest])
	p.recent[p.oldest] = key
	p.oldest = (p.oldest + 1) % records
	p.values[key] = nil
	return true
}

func (p *plainRecords) complete(key string, value []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.values[key] = value
}
