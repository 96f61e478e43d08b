package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"strconv"
	"sync/atomic"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// most clients work at once.
const most = 64

func someClients() []mode { return []mode{clients(1), clients(16), clients(most)} }

// workload is what clients do with a store.
type workload struct {
	ctx                context.Context
	store              idempotency.Store
	keys               keyMaker
	value, fingerprint []byte

	claimed []claimed // by prepareClaims, for completeClaimed
	next    atomic.Int64
}

type claimed struct {
	key   string
	token idempotency.Token
}

func newWorkload(ctx context.Context, store idempotency.Store) *workload {
	w := &workload{ctx: ctx, store: store, value: make([]byte, 512), fingerprint: make([]byte, 32)}
	rand.Read(w.value) // some backends would compress anything else
	return w
}

func (w *workload) claimOne(key string, want idempotency.Outcome) (idempotency.Token, error) {
	c, err := w.store.Claim(w.ctx, idempotency.ClaimRequest{
		Key: key, Fingerprint: w.fingerprint, Lease: lease, Retention: retention,
	})
	if err == nil && c.Outcome != want {
		err = errDuplicate
	}
	return c.Token, err
}

// claim claims n new keys.
func (w *workload) claim(n int) error {
	return times(n, func() error {
		_, err := w.claimOne(w.keys.next(), idempotency.Acquired)
		return err
	})
}

// pair claims and completes n new keys.
func (w *workload) pair(n int) error {
	return times(n, func() error { return w.pairOne(w.keys.next()) })
}

func (w *workload) pairOne(key string) error {
	token, err := w.claimOne(key, idempotency.Acquired)
	if err != nil {
		return err
	}
	return w.store.Complete(w.ctx, key, token, w.value, retention)
}

// prepareClaims claims n new keys for n calls of completeClaimed.
func (w *workload) prepareClaims(n int) error {
	w.claimed = make([]claimed, n)
	w.next.Store(0)
	var made atomic.Int64
	return contender{run: func(n int) error {
		return times(n, func() (err error) {
			c := &w.claimed[made.Add(1)-1]
			c.key = w.keys.next()
			c.token, err = w.claimOne(c.key, idempotency.Acquired)
			return err
		})
	}}.calls(n, clients(most))
}

// completeClaimed completes n keys.
func (w *workload) completeClaimed(n int) error {
	return times(n, func() error {
		c := &w.claimed[w.next.Add(1)-1]
		return w.store.Complete(w.ctx, c.key, c.token, w.value, retention)
	})
}

// known is how many keys have a result that can be replayed.
const known = 1000

func knownKey(i uint64) string { return "known-" + strconv.FormatUint(i%known, 10) }

func (w *workload) storeKnown() error {
	for i := range uint64(known) {
		if err := w.pairOne(knownKey(i)); err != nil {
			return err
		}
	}
	return nil
}

// replay claims keys that are known.
func (w *workload) replay(n int) error {
	return times(n, func() error {
		_, err := w.claimOne(knownKey(w.keys.made.Add(1)), idempotency.Done)
		return err
	})
}

// plainTable is what a program has without a store.
const plainTable = "plain_keys"

// plain is what it does to a row with the SHA-256 of a key.
type plain struct{ insert, update, read func(id []byte) error }

func (p plain) storeKnown() error {
	for i := range uint64(known) {
		id := sha256.Sum256([]byte(knownKey(i)))
		if err := p.pair(id[:]); err != nil {
			return err
		}
	}
	return nil
}

func (p plain) pair(id []byte) error {
	if err := p.insert(id); err != nil {
		return err
	}
	return p.update(id)
}

// tableGroups returns the groups of a store in a table, beside what p does to one of the same layout.
func tableGroups(backend string, w *workload, p plain) ([]group, error) {
	if err := w.storeKnown(); err != nil {
		return nil, err
	}
	if err := p.storeKnown(); err != nil {
		return nil, err
	}
	return []group{
		{
			name: backend + ": " + pairJob,
			about: "The key is new. The floor inserts a row and updates it, by prepared statements, in a table with the same " +
				"columns and indexes, and rows of the same size.",
			modes: someClients(),
			contenders: []contender{
				{"`INSERT`, `UPDATE`", floor, func(n int) error {
					return times(n, func() error {
						id := sha256.Sum256([]byte(w.keys.next()))
						return p.pair(id[:])
					})
				}},
				{"Steady, `Claim` and `Complete`", steady, w.pair},
			},
		},
		{
			name:  backend + ": " + replayJob,
			about: "The key has a result of 512 bytes, which is returned.",
			modes: someClients(),
			contenders: []contender{
				{"`SELECT`", floor, func(n int) error {
					return times(n, func() error {
						id := sha256.Sum256([]byte(knownKey(w.keys.made.Add(1))))
						return p.read(id[:])
					})
				}},
				{"Steady, `Claim`", steady, w.replay},
			},
		},
	}, nil
}
