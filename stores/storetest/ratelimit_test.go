package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns/ratelimit"
	"github.com/steadyfx/steady/stores/memstore"
)

func openRateLimit(t *testing.T) ratelimit.Store {
	t.Helper()
	s, err := memstore.NewRateLimit(memstore.RateLimitConfig{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSuitePassesARightRateLimit(t *testing.T) { RateLimit(t, openRateLimit, InBubble()) }

// taking is a store that consists of its one method.
type taking func(ctx context.Context, req ratelimit.Request) (ratelimit.Decision, error)

func (f taking) Take(ctx context.Context, req ratelimit.Request) (ratelimit.Decision, error) {
	return f(ctx, req)
}

// decisions replaces the answers to requests, and requests those requests, of a right store.
func decisions(change func(req ratelimit.Request, d *ratelimit.Decision)) func(ratelimit.Store) ratelimit.Store {
	return func(s ratelimit.Store) ratelimit.Store {
		return taking(func(ctx context.Context, req ratelimit.Request) (ratelimit.Decision, error) {
			d, err := s.Take(ctx, req)
			if err == nil {
				change(req, &d)
			}
			return d, err
		})
	}
}

func requests(change func(req *ratelimit.Request)) func(ratelimit.Store) ratelimit.Store {
	return func(s ratelimit.Store) ratelimit.Store {
		return taking(func(ctx context.Context, req ratelimit.Request) (ratelimit.Decision, error) {
			if err := req.Validate(); err != nil {
				return ratelimit.Decision{}, err
			}
			change(&req)
			return s.Take(ctx, req)
		})
	}
}

var rateMistakes = []struct {
	name     string
	caughtBy []string
	spoil    func(ratelimit.Store) ratelimit.Store
}{
	{"everything is allowed", []string{"LimitIsAllowedAndThenRefused", "NoWindowHoldsTooMany", "RacersGetTheLimitAndNoMore"},
		decisions(func(_ ratelimit.Request, d *ratelimit.Decision) { d.Allowed, d.RetryAfter = true, 0 })},
	{"nothing is said of what remains", []string{"LimitIsAllowedAndThenRefused", "SeveralAreAllOrNone"},
		decisions(func(_ ratelimit.Request, d *ratelimit.Decision) { d.Remaining = 0 })},
	{"one too many", []string{"LimitIsAllowedAndThenRefused", "NoWindowHoldsTooMany"},
		func(s ratelimit.Store) ratelimit.Store {
			return requests(func(req *ratelimit.Request) {
				if req.Limit++; req.Burst > 0 {
					req.Burst++
				}
			})(s)
		}},
	{"no wait is told", []string{"LimitIsAllowedAndThenRefused", "DeniedCallIsAllowedWhenItSays"},
		decisions(func(_ ratelimit.Request, d *ratelimit.Decision) { d.RetryAfter = 0 })},
	{"the wait is half", []string{"DeniedCallIsAllowedWhenItSays"},
		decisions(func(_ ratelimit.Request, d *ratelimit.Decision) { d.RetryAfter = (d.RetryAfter + 1) / 2 })},
	{"the wait is whole seconds", []string{"DeniedCallIsAllowedWhenItSays"}, // pitfall 41
		decisions(func(_ ratelimit.Request, d *ratelimit.Decision) {
			d.RetryAfter = (d.RetryAfter + time.Second - 1).Truncate(time.Second)
		})},
	{"several are one", []string{"SeveralAreAllOrNone", "RacersForSeveralGetNoMoreThanTheLimit"},
		requests(func(req *ratelimit.Request) { req.N = 1 })},
	{"several are as many as there are", []string{"SeveralAreAllOrNone"}, inPart},
	{"denied calls count", []string{"DeniedCallsChangeNothing"}, growing},
	{"keys are folded", []string{"KeysOfLimitsAreBytes"},
		requests(func(req *ratelimit.Request) { req.Key = strings.ToLower(req.Key) })},
	{"keys are cut", []string{"KeysOfLimitsAreBytes"},
		requests(func(req *ratelimit.Request) { req.Key = req.Key[:min(len(req.Key), 512)] })},
	{"algorithms share a key", []string{"LimitsOfOneKeyAreApart"},
		requests(func(req *ratelimit.Request) { req.Algorithm, req.Burst = ratelimit.Log, 0 })},
	{"a fixed window", []string{"NoWindowHoldsTooMany"}, fixedWindow}, // pitfall 39
	{"negative calls add tokens", []string{"RequestsOutOfRangeAreRefused"}, // pitfall 41
		func(s ratelimit.Store) ratelimit.Store {
			return taking(func(ctx context.Context, req ratelimit.Request) (ratelimit.Decision, error) {
				if req.N < 1 {
					return ratelimit.Decision{Allowed: true, Remaining: req.Limit}, nil
				}
				return s.Take(ctx, req)
			})
		}},
	{"the context is ignored", []string{"ContextThatIsOverTakesNothing"},
		func(s ratelimit.Store) ratelimit.Store {
			return taking(func(ctx context.Context, req ratelimit.Request) (ratelimit.Decision, error) {
				return s.Take(context.WithoutCancel(ctx), req)
			})
		}},
	{"the error quotes the key", []string{"ErrorsHoldNoKey"},
		func(s ratelimit.Store) ratelimit.Store {
			return taking(func(ctx context.Context, req ratelimit.Request) (ratelimit.Decision, error) {
				d, err := s.Take(ctx, req)
				if err != nil {
					err = fmt.Errorf("%s: %w", req.Key, err)
				}
				return d, err
			})
		}},
	{"callers who disturb one another fail", []string{"RacersGetTheLimitAndNoMore"}, // pitfall 40
		func(s ratelimit.Store) ratelimit.Store {
			var inside atomic.Int32
			return taking(func(ctx context.Context, req ratelimit.Request) (ratelimit.Decision, error) {
				inside.Add(1)
				defer inside.Add(-1)
				if runtime.Gosched(); inside.Load() > 1 {
					return ratelimit.Decision{}, errors.New("contention")
				}
				return s.Take(ctx, req)
			})
		}},
}

// inPart takes what there is when that is not enough.
func inPart(s ratelimit.Store) ratelimit.Store {
	return taking(func(ctx context.Context, req ratelimit.Request) (ratelimit.Decision, error) {
		d, err := s.Take(ctx, req)
		if err == nil && !d.Allowed && d.Remaining > 0 {
			req.N = d.Remaining
			return s.Take(ctx, req)
		}
		return d, err
	})
}

// growing makes who asks again wait longer.
func growing(s ratelimit.Store) ratelimit.Store {
	denied := time.Duration(0)
	return decisions(func(_ ratelimit.Request, d *ratelimit.Decision) {
		if !d.Allowed {
			denied++
			d.RetryAfter += denied
		}
	})(s)
}

// fixedWindow counts anew whenever a period begins.
func fixedWindow(ratelimit.Store) ratelimit.Store {
	start, index, used := time.Now(), time.Duration(0), 0
	return taking(func(_ context.Context, req ratelimit.Request) (ratelimit.Decision, error) {
		now := time.Since(start) + req.Period/2 // which does not begin with the first call
		if now/req.Period != index {
			index, used = now/req.Period, 0
		}
		if used+req.N > req.Limit {
			return ratelimit.Decision{RetryAfter: req.Period - now%req.Period, Remaining: req.Limit - used}, nil
		}
		used += req.N
		return ratelimit.Decision{Allowed: true, Remaining: req.Limit - used}, nil
	})
}

// rateFailures runs a check in a bubble, for one algorithm, and returns what it complained about.
func rateFailures(
	t *testing.T, c rateCheck, algorithm ratelimit.Algorithm, spoil func(ratelimit.Store) ratelimit.Store,
) (complaints []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{TB: t}
		store := openRateLimit(t)
		done := make(chan struct{})
		go func() { // of its own, for Fatalf to end
			defer close(done)
			c.run(&rateSuite{TB: r, store: spoil(store), algorithm: algorithm})
		}()
		<-done
		complaints = r.errors
	})
	return complaints
}

// TestEveryCheckOfLimitsCatchesItsMistake spoils a right store in one way at a time and wants the check that is there for
// it to complain, about one algorithm at least: not all of them can make every mistake.
func TestEveryCheckOfLimitsCatchesItsMistake(t *testing.T) {
	caught := map[string]bool{}
	for _, m := range rateMistakes {
		t.Run(m.name, func(t *testing.T) {
			for _, name := range m.caughtBy {
				caught[name] = true
				i := slices.IndexFunc(rateChecks, func(c rateCheck) bool { return c.name == name })
				if i < 0 {
					t.Fatalf("there is no check %s", name)
				}
				complaints := 0
				for _, algorithm := range algorithms {
					complaints += len(rateFailures(t, rateChecks[i], algorithm, m.spoil))
				}
				if complaints == 0 {
					t.Errorf("check %s passes", name)
				}
			}
		})
	}
	for _, c := range rateChecks {
		if !caught[c.name] {
			t.Errorf("no mistake shows that check %s can fail", c.name)
		}
	}
}
