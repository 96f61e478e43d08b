package memstore

import (
	"cmp"
	"context"
	"errors"
	"math"
	"math/bits"
	"sync"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/ratelimit"
)

// RateLimitConfig says how much a [RateLimit] may hold.
type RateLimitConfig struct {
	// MaxKeys is for how many keys it is known what they have used; zero: 100,000. A key is forgotten when that makes no
	// difference any more, and not before: a store that is full refuses new keys, so that nobody gets a fresh limit by
	// using many.
	MaxKeys int
}

// RateLimit is a [ratelimit.Store] in memory. Use [NewRateLimit]. It is safe for concurrent use. It is for programs of one
// process and for tests: in one process, the limiters of package ratelimit do the same with less.
type RateLimit struct {
	start time.Time
	max   int

	mu       sync.Mutex
	keys     map[rateKey]*usage
	earliest int64 // no key can be forgotten before
}

// rateKey is what a limit is kept for.
type rateKey struct {
	algorithm ratelimit.Algorithm
	period    time.Duration // of a window; 0 for a token bucket, of which it does not matter
	key       string
}

// usage is what is known of a key. Times are nanoseconds since the start of the store.
type usage struct {
	until int64 // after that, it is as if there were none

	full int64 // a token bucket: when it will be full

	index, previous, current int64 // a counter: calls in a period, counted since the start, and in the one before

	times []int64 // a log: when calls were allowed
}

var errFull = errors.New("full of keys that are in use; raise MaxKeys")

// NewRateLimit returns a store in which nothing is used. The error satisfies
// errors.Is(err, [patterns.ErrConfiguration]).
func NewRateLimit(cfg RateLimitConfig) (*RateLimit, error) {
	cfg.MaxKeys = cmp.Or(cfg.MaxKeys, 100_000)
	var checks patterns.Checks
	checks.That(cfg.MaxKeys >= 1, "max_keys", "must be at least 1, got %d", cfg.MaxKeys)
	if err := checks.Err("rate limits in memory"); err != nil {
		return nil, err
	}
	return &RateLimit{start: time.Now(), max: cfg.MaxKeys, keys: map[rateKey]*usage{}}, nil
}

// Take counts calls of a key if the limit allows them now. If the store is full, the error is a [*ratelimit.StoreError].
func (s *RateLimit) Take(ctx context.Context, req ratelimit.Request) (ratelimit.Decision, error) {
	if err := ctx.Err(); err != nil {
		return ratelimit.Decision{}, &ratelimit.StoreError{Backend: backend, Err: err}
	}
	if err := req.Validate(); err != nil {
		return ratelimit.Decision{}, err
	}
	key := rateKey{algorithm: req.Algorithm, period: req.Period, key: req.Key}
	if req.Algorithm == ratelimit.GCRA {
		key.period = 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := int64(time.Since(s.start))
	u := s.keys[key]
	if u == nil {
		if len(s.keys) >= s.max && !s.forget(now) {
			return ratelimit.Decision{}, &ratelimit.StoreError{Backend: backend, Err: errFull}
		}
		u = &usage{}
		s.keys[key] = u // the first calls of a key are always allowed
	}
	switch req.Algorithm {
	case ratelimit.Log:
		return u.log(req, now), nil
	case ratelimit.Counter:
		return u.count(req, now), nil
	default:
		return u.fill(req, now), nil
	}
}

// Keys returns for how many keys something is known. Those that could be forgotten are among them until there is need of
// room.
func (s *RateLimit) Keys() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.keys)
}

// forget makes room, if it can. mu is held.
func (s *RateLimit) forget(now int64) bool {
	if now < s.earliest {
		return false
	}
	s.earliest = math.MaxInt64
	for key, u := range s.keys {
		if u.until <= now {
			delete(s.keys, key)
		} else {
			s.earliest = min(s.earliest, u.until)
		}
	}
	return len(s.keys) < s.max
}

// fill is ratelimit.GCRA.
func (u *usage) fill(req ratelimit.Request, now int64) ratelimit.Decision {
	interval := int64(req.Interval())
	burst := interval * int64(req.Burst)
	full := max(u.full, now)
	then := full + interval*int64(req.N)
	if wait := then - now - burst; wait > 0 {
		return ratelimit.Decision{
			RetryAfter: time.Duration(wait), Remaining: int(max(0, burst-(full-now)) / interval),
		}
	}
	u.full, u.until = then, then
	return ratelimit.Decision{Allowed: true, Remaining: int((burst - (then - now)) / interval)}
}

// log is ratelimit.Log.
func (u *usage) log(req ratelimit.Request, now int64) ratelimit.Decision {
	period := int64(req.Period)
	for len(u.times) > 0 && u.times[0]+period <= now {
		u.times = u.times[1:]
	}
	if over := len(u.times) + req.N - req.Limit; over > 0 {
		return ratelimit.Decision{
			RetryAfter: time.Duration(u.times[over-1] + period - now), Remaining: max(0, req.Limit-len(u.times)),
		}
	}
	for range req.N {
		u.times = append(u.times, now)
	}
	u.until = now + period
	return ratelimit.Decision{Allowed: true, Remaining: req.Limit - len(u.times)}
}

// count is ratelimit.Counter. See ratelimit.SlidingCounter for the formula.
func (u *usage) count(req ratelimit.Request, now int64) ratelimit.Decision {
	limit, n, period := int64(req.Limit), int64(req.N), int64(req.Period)
	switch index := now / period; index - u.index {
	case 0:
	case 1:
		u.index, u.previous, u.current = index, u.current, 0
	default:
		u.index, u.previous, u.current = index, 0, 0
	}
	left := (u.index+1)*period - now // of the current period
	var wait int64
	if room := limit - u.current - n; room >= 0 {
		wait = max(0, left-coverable(room, period, u.previous))
	} else { // not in this period any more
		wait = left + period - coverable(limit-n, period, u.current)
	}
	if wait == 0 {
		u.current += n
		u.until = (u.index + 2) * period
	}
	covered, rest := scaled(u.previous, left, period)
	if rest > 0 {
		covered++
	}
	return ratelimit.Decision{
		Allowed: wait == 0, RetryAfter: time.Duration(wait), Remaining: int(max(0, limit-u.current-covered)),
	}
}

// coverable returns how much of the previous period the window may still cover, if there is room for so many of its calls.
func coverable(room, period, previous int64) int64 {
	if room >= previous {
		return period
	}
	d, _ := scaled(room, period, previous)
	return d
}

// scaled returns a*b/c and the remainder. None is negative, and a or b is less than c, or the same.
func scaled(a, b, c int64) (quotient, remainder int64) {
	high, low := bits.Mul64(uint64(a), uint64(b))
	q, r := bits.Div64(high, low, uint64(c))
	return int64(q), int64(r)
}
