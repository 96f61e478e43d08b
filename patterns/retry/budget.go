package retry

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/steadyfx/steady/patterns"
)

// None turns a part of a [BudgetConfig] off, where 0 would mean its default.
const None = -1

// BudgetConfig says how many additional attempts a [Budget] allows. A zero field takes the value of
// [DefaultBudgetConfig].
type BudgetConfig struct {
	Percent      float64       `koanf:"percent"`        // additional attempts per 100 calls, to 0.001; or None
	MinPerSecond float64       `koanf:"min_per_second"` // that are allowed however few calls there are, to 0.001; or None
	TTL          time.Duration `koanf:"ttl"`            // how long a call counts; 1 s to 1 min
}

// DefaultBudgetConfig returns 20 %, at least 10 per second, over 10 s: as the retry budget of Finagle.
func DefaultBudgetConfig() BudgetConfig {
	return BudgetConfig{Percent: 20, MinPerSecond: 10, TTL: 10 * time.Second}
}

// Validate reports everything that is wrong with c, zero fields included: it judges a complete configuration.
func (c BudgetConfig) Validate() error {
	const most = 1e6
	var checks patterns.Checks
	checks.That(c.Percent == None || c.Percent >= 0.001 && c.Percent <= 1000, "percent",
		"must be from 0.001 to 1000, or None, got %v", c.Percent)
	checks.That(c.MinPerSecond == None || c.MinPerSecond >= 0.001 && c.MinPerSecond <= most, "min_per_second",
		"must be from 0.001 to %d, or None, got %v", int(most), c.MinPerSecond)
	checks.That(c.Percent != None || c.MinPerSecond != None, "percent",
		"must not be None if min_per_second is: nothing would be allowed")
	checks.That(c.TTL >= time.Second && c.TTL <= time.Minute, "ttl", "must be from 1s to 1m, got %v", c.TTL)
	return checks.Err("")
}

func (c BudgetConfig) withDefaults() BudgetConfig {
	d := DefaultBudgetConfig()
	if c.Percent == 0 {
		c.Percent = d.Percent
	}
	if c.MinPerSecond == 0 {
		c.MinPerSecond = d.MinPerSecond
	}
	if c.TTL == 0 {
		c.TTL = d.TTL
	}
	return c
}

// Budget bounds the additional attempts, retries and hedges, that go to one dependency, so that they do not finish off
// one that is failing already. Share one among all policies that call it. Of policies inside of one another give it to
// one only, since each counts the call.
//
// In any span of time as long as TTL it allows no more attempts than MinPerSecond times TTL and Percent of the calls in
// the TTL before the last of them. Credit expires: after a quiet time there is none but the minimum. Calls are counted
// in slices of a tenth of TTL, so that credit can expire, and an attempt that was paid can weigh, by up to that much
// too early or too late, whichever allows less.
//
// The design is that of the retry budget of Finagle. It is safe for concurrent use.
type Budget struct {
	cfg        BudgetConfig
	start      time.Time
	floor, per int64 // in units: what is there without calls, and what a call adds

	calls  [slices]atomic.Uint64 // the number of the slice of time in the upper half, that of its calls in the lower
	denied atomic.Uint64

	mu    sync.Mutex // makes checking and taking one
	taken [slices]taken
}

// taken counts the attempts paid in a slice of time.
type taken struct{ slice, attempts int64 }

const (
	sliced = 10         // slices of time in a TTL
	slices = sliced + 1 // so that one that ended at most a TTL ago is kept whole
	price  = 100_000    // units that an attempt costs
)

// NewBudget returns a budget that is as full as it is after a quiet time. The error reports everything that is wrong
// with cfg, in which a zero field takes its default.
func NewBudget(cfg BudgetConfig) (*Budget, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("retry budget: %w", err)
	}
	b := &Budget{cfg: cfg, start: time.Now()}
	if cfg.Percent != None {
		b.per = int64(math.Round(cfg.Percent * price / 100))
	}
	if cfg.MinPerSecond != None {
		b.floor = int64(math.Round(cfg.MinPerSecond * cfg.TTL.Seconds() * price))
	}
	return b, nil
}

// Config returns the configuration in use, defaults filled in.
func (b *Budget) Config() BudgetConfig { return b.cfg }

// Deposit counts a call. A policy does it once for each call, before its first attempt. It takes no lock.
func (b *Budget) Deposit() {
	slice := uint64(b.now())
	place := &b.calls[slice%slices]
	for {
		old := place.Load()
		switch {
		case old>>32 > slice: // this goroutine was held up for longer than a call counts
			return
		case old>>32 < slice:
			if place.CompareAndSwap(old, slice<<32|1) {
				return
			}
		case place.CompareAndSwap(old, old+1):
			return
		}
	}
}

// TryTake pays for an additional attempt, if there is enough, and reports whether there was. A policy asks before it
// waits to make the attempt. What is paid does not come back, but expires.
func (b *Budget) TryTake() bool {
	b.mu.Lock()
	ok := b.take()
	b.mu.Unlock()
	if !ok {
		b.denied.Add(1)
	}
	return ok
}

// BudgetStats are a snapshot of a [Budget].
type BudgetStats struct {
	Calls     uint64 // that count now
	Taken     uint64 // attempts that weigh now
	Available uint64 // attempts that could be made now, if no call came
	Denied    uint64 // attempts that were not allowed since the budget was made
}

// Stats returns a snapshot.
func (b *Budget) Stats() BudgetStats {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	calls, attempts := b.callsAt(now), b.takenAt(now)
	return BudgetStats{
		Calls: uint64(calls), Taken: uint64(attempts), Denied: b.denied.Load(),
		Available: uint64(max(b.floor+calls*b.per-attempts*price, 0) / price),
	}
}

func (b *Budget) now() int64 { return int64(time.Since(b.start) / (b.cfg.TTL / sliced)) }

// take is TryTake under the lock. Calls that come meanwhile only add.
func (b *Budget) take() bool {
	now := b.now()
	if b.floor+b.callsAt(now)*b.per < (b.takenAt(now)+1)*price {
		return false
	}
	place := &b.taken[now%slices]
	if place.slice != now {
		*place = taken{slice: now}
	}
	place.attempts++
	return true
}

// callsAt returns the calls of the slice now and of those before that did not end a TTL ago or earlier.
func (b *Budget) callsAt(now int64) (sum int64) {
	for i := range b.calls {
		place := b.calls[i].Load()
		if age := now - int64(place>>32); age >= 0 && age < sliced {
			sum += int64(place & math.MaxUint32)
		}
	}
	return sum
}

// takenAt returns the attempts that were paid in the slice now and in those before that ended at most a TTL ago.
func (b *Budget) takenAt(now int64) (sum int64) {
	for _, place := range b.taken {
		if now-place.slice <= sliced {
			sum += place.attempts
		}
	}
	return sum
}
