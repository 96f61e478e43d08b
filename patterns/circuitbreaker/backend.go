package circuitbreaker

import (
	"cmp"
	"context"
	"crypto/rand"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/state"
)

// Backend is where the breakers of a [Registry] share their state with those of other processes: [NewMemoryBackend] or
// [NewDistributedBackend].
type Backend interface {
	// join shares b until leave is called, which returns when nothing of it runs any more.
	join(b *Breaker) (leave func())
}

// NewMemoryBackend returns the backend of breakers that share with nobody, which is what a registry has by default.
func NewMemoryBackend() Backend { return memoryBackend{} }

type memoryBackend struct{}

func (memoryBackend) join(*Breaker) func() { return func() {} }

// DistributedConfig configures a distributed backend. A zero field takes its default.
type DistributedConfig struct {
	// Quorum is how many replicas must have opened the circuit of their own before it opens for all; 1 by default. With
	// more, a replica that alone cannot reach the dependency takes only itself out. At most 1,000.
	Quorum int

	// TTL is how long the store keeps the state of a circuit that nothing happens to, at least; 1 h by default.
	TTL time.Duration

	// Timeout bounds each call of the store; 50 ms by default. Only a call that may become a probe ever waits for the
	// store, for two of them.
	Timeout time.Duration

	// Prefix of the keys in the store; "steady:circuit_breaker:" by default. Services that share a store and must not
	// share circuits have different ones.
	Prefix string
}

// Validate reports everything that is wrong with c, zero fields included: it judges a complete configuration.
func (c DistributedConfig) Validate() error {
	var checks patterns.Checks
	checks.That(c.Quorum >= 1 && c.Quorum <= mostVotes, "quorum", "must be from 1 to %d, got %d", mostVotes, c.Quorum)
	checks.That(c.TTL >= time.Second, "ttl", "must be at least 1 s, got %v", c.TTL)
	checks.That(c.Timeout >= time.Millisecond, "timeout", "must be at least 1 ms, got %v", c.Timeout)
	return checks.Err("")
}

// mostVotes fit into a value of the store.
const mostVotes = 1000

func (c DistributedConfig) withDefaults() DistributedConfig {
	c.Quorum = cmp.Or(c.Quorum, 1)
	c.TTL = cmp.Or(c.TTL, time.Hour)
	c.Timeout = cmp.Or(c.Timeout, 50*time.Millisecond)
	c.Prefix = cmp.Or(c.Prefix, "steady:circuit_breaker:")
	return c
}

// NewDistributedBackend returns a backend that shares state through store with all breakers of the same name.
//
// A replica is a registry that has the backend. Every one decides by itself, by its own window; no call waits for the
// store but the first of a row of probes. What a replica has decided is written by compare-and-swap, and the others
// follow: an open circuit is open for all, or when a quorum has opened it; one replica at a time probes it, under a lease
// in the store that is a little longer than a probe may take, and closes it by its own probes alone; when it has, or
// somebody forces it open, disables or resets it, it is so for all. A replica that starts takes over the state that it
// finds. Each breaker has a goroutine and a watch of the store.
//
// When the store does not answer, every replica goes on alone, and announces that. What it decides in the meantime it
// writes when the store answers again, unless others have decided since, or the opening is over by then. Of what was
// done by hand, the last to reach the store is in force.
//
// A breaker with Config.DryRun follows the others in what it announces, and tells them nothing but what is done by hand.
func NewDistributedBackend(store state.Store, cfg DistributedConfig) (Backend, error) {
	cfg = cfg.withDefaults()
	var checks patterns.Checks
	checks.That(store != nil, "store", "must not be nil")
	checks.Include("", cfg.Validate())
	if err := checks.Err("distributed circuit breakers"); err != nil {
		return nil, err
	}
	return &distributedBackend{store: store, cfg: cfg}, nil
}

type distributedBackend struct {
	store state.Store
	cfg   DistributedConfig
}

func (d *distributedBackend) join(b *Breaker) func() {
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{
		backend: d, breaker: b, ctx: ctx, replica: rand.Text(),
		stateKey: d.cfg.Prefix + "state:" + b.name, probeKey: d.cfg.Prefix + "probe:" + b.name,
	}
	b.join(m)
	m.running.Go(m.watch) // not before: what is seen first is not told again
	return func() {
		b.leave(m)
		cancel()
		m.running.Wait()
	}
}
