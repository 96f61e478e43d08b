package idempotency

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/steadyfx/steady/hooks"
)

// Janitor removes expired records from a store every Config.CleanupInterval, give or take 10 %, so that replicas do
// not all do it at once. That they may is up to the store: each record is removed once, and a live one never. Stores
// that expire records themselves do not need a janitor. All methods are safe for concurrent use.
type Janitor struct {
	store    Store
	interval time.Duration
	bus      *hooks.Bus

	mu   sync.Mutex
	stop context.CancelFunc // nil: not running, or told to stop
	done chan struct{}      // closed when the last run is over; nil: there was none
}

// NewJanitor returns a janitor that is not running. Zero fields of cfg take their defaults; the error is a
// [*ConfigurationError] that lists everything that is wrong.
func NewJanitor(store Store, cfg Config, opts ...Option) (*Janitor, error) {
	cfg, o, err := settle(store, cfg, opts)
	if err != nil {
		return nil, err
	}
	return &Janitor{store: store, interval: cfg.CleanupInterval, bus: o.bus}, nil
}

// Start calls [Janitor.Run] in the background. It does nothing if that is running already.
func (j *Janitor) Start() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.stop != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	previous, done := j.done, make(chan struct{})
	j.stop, j.done = cancel, done
	go func() {
		defer close(done)
		if previous != nil {
			<-previous
		}
		j.Run(ctx)
	}()
}

// Stop ends what [Janitor.Start] began and waits until it is over. If ctx ends first, it returns the error of ctx. It
// does nothing if nothing is running.
func (j *Janitor) Stop(ctx context.Context) error {
	j.mu.Lock()
	if j.stop != nil {
		j.stop()
		j.stop = nil
	}
	done := j.done
	j.mu.Unlock()
	if done == nil {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run cleans up until ctx ends, for the first time after one interval. A cleanup that fails is told by
// hooks.IdempotencyCleaned and tried again after the next interval.
func (j *Janitor) Run(ctx context.Context) {
	for {
		pause := time.NewTimer(jittered(j.interval))
		select {
		case <-pause.C:
			j.clean(ctx)
		case <-ctx.Done():
			pause.Stop()
			return
		}
	}
}

// batch is how many records are removed at a time, to keep the transactions of databases short.
const batch = 1000

// clean removes batches of expired records until there are no more, for no longer than one interval.
func (j *Janitor) clean(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, j.interval)
	defer cancel()
	started := time.Now()
	e := hooks.IdempotencyCleaned{}
	for more := true; more; {
		var n int
		n, e.Err = j.store.CleanupExpired(limited, batch)
		e.Removed += n
		if more = e.Err == nil && n >= batch; more {
			e.Err = limited.Err() // a store may be deaf to it
			more = e.Err == nil
		}
	}
	if ctx.Err() != nil {
		e.Err = nil // told to stop
	}
	if e.Removed > 0 || e.Err != nil {
		e.Elapsed, e.At = time.Since(started), time.Now()
		hooks.Emit(ctx, j.bus, e)
	}
}

// jittered returns interval, give or take 10 %.
func jittered(interval time.Duration) time.Duration {
	return interval + time.Duration((rand.Float64()-0.5)*0.2*float64(interval))
}
