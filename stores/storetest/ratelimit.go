package storetest

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/ratelimit"
)

// RateLimit checks that the stores that open returns are what [ratelimit.Store] says, for every algorithm. Each check
// gets a store of its own, which must be empty; what has to be closed, open registers with t.Cleanup.
func RateLimit(t *testing.T, open func(t *testing.T) ratelimit.Store, opts ...Option) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	for _, c := range rateChecks {
		for _, algorithm := range algorithms {
			t.Run(c.name+"/"+string(algorithm), func(t *testing.T) {
				run := func(t *testing.T) { c.run(&rateSuite{TB: t, store: open(t), algorithm: algorithm}) }
				if o.inBubble {
					synctest.Test(t, run)
				} else {
					run(t)
				}
			})
		}
	}
}

// age is a period of which next to nothing passes during a check, however slow the machine is.
const age = 24 * time.Hour

var algorithms = []ratelimit.Algorithm{ratelimit.GCRA, ratelimit.Log, ratelimit.Counter}

// rateSuite is what a check works with: a test to report to, the store to ask, and how it is to limit.
type rateSuite struct {
	testing.TB
	store     ratelimit.Store
	algorithm ratelimit.Algorithm
}

type rateCheck struct {
	name string
	run  func(s *rateSuite)
}

var rateChecks = []rateCheck{
	{"LimitIsAllowedAndThenRefused", limitIsAllowedAndThenRefused},
	{"SeveralAreAllOrNone", severalAreAllOrNone},
	{"DeniedCallsChangeNothing", deniedCallsChangeNothing},
	{"DeniedCallIsAllowedWhenItSays", deniedCallIsAllowedWhenItSays},
	{"NoWindowHoldsTooMany", noWindowHoldsTooMany},
	{"KeysOfLimitsAreBytes", keysOfLimitsAreBytes},
	{"LimitsOfOneKeyAreApart", limitsOfOneKeyAreApart},
	{"RequestsOutOfRangeAreRefused", requestsOutOfRangeAreRefused},
	{"ContextThatIsOverTakesNothing", contextThatIsOverTakesNothing},
	{"ErrorsHoldNoKey", errorsHoldNoKey},
	{"RacersGetTheLimitAndNoMore", racersGetTheLimitAndNoMore},
	{"RacersForSeveralGetNoMoreThanTheLimit", racersForSeveralGetNoMoreThanTheLimit},
}

// request asks for n calls of at most limit in a period.
func (s *rateSuite) request(key string, n, limit int, period time.Duration) ratelimit.Request {
	req := ratelimit.Request{Key: key, N: n, Algorithm: s.algorithm, Limit: limit, Period: period}
	if s.algorithm == ratelimit.GCRA {
		req.Burst = limit
	}
	return req
}

// take wants an answer in which what does not belong to the decision is zero.
func (s *rateSuite) take(req ratelimit.Request) ratelimit.Decision {
	s.Helper()
	d, err := s.store.Take(s.Context(), req)
	if err != nil {
		s.Fatalf("take: %v", err)
	}
	s.sound(d, req)
	return d
}

func (s *rateSuite) sound(d ratelimit.Decision, req ratelimit.Request) {
	s.Helper()
	if d.Allowed != (d.RetryAfter == 0) || d.RetryAfter < 0 || d.RetryAfter > 2*req.Period {
		s.Errorf("allowed %v with a wait of %v, period %v", d.Allowed, d.RetryAfter, req.Period)
	}
	if d.Remaining < 0 || d.Remaining > req.Limit || d.Allowed && d.Remaining > req.Limit-req.N {
		s.Errorf("%d calls are said to remain, limit %d", d.Remaining, req.Limit)
	}
}

// wants wants a decision and what remains.
func (s *rateSuite) wants(req ratelimit.Request, allowed bool, remaining int, what string) {
	s.Helper()
	if d := s.take(req); d.Allowed != allowed || d.Remaining != remaining {
		s.Errorf("%s: allowed %v, %d remain, want %v and %d", what, d.Allowed, d.Remaining, allowed, remaining)
	}
}

func limitIsAllowedAndThenRefused(s *rateSuite) {
	for _, limit := range []int{1, 5, 100} {
		key := strconv.Itoa(limit)
		for left := limit - 1; left >= 0; left-- {
			s.wants(s.request(key, 1, limit, age), true, left, "within the limit")
		}
		s.wants(s.request(key, 1, limit, age), false, 0, "beyond the limit")
	}
}

func severalAreAllOrNone(s *rateSuite) {
	s.wants(s.request("k", 3, 5, age), true, 2, "3 of 5")
	s.wants(s.request("k", 3, 5, age), false, 2, "3 of the 2 that remain")
	s.wants(s.request("k", 2, 5, age), true, 0, "2 of the 2 that remain")
	s.wants(s.request("all", 5, 5, age), true, 0, "all at once")
	s.wants(s.request("all", 5, 5, age), false, 0, "all again")
	const many = 5000
	s.wants(s.request("many", many, many, age), true, 0, "many at once")
	s.wants(s.request("many", many, many, age), false, 0, "many again")
}

func deniedCallsChangeNothing(s *rateSuite) {
	s.take(s.request("k", 4, 5, age))
	wait := 3 * age
	for range 50 {
		d := s.take(s.request("k", 2, 5, age))
		if d.Allowed || d.RetryAfter > wait {
			s.Fatalf("allowed %v, to be asked again in %v, before it was %v", d.Allowed, d.RetryAfter, wait)
		}
		wait = d.RetryAfter
	}
	s.wants(s.request("k", 1, 5, age), true, 0, "the one that was left")
}

// deniedCallIsAllowedWhenItSays also finds out whether short periods are kept: whole seconds would be too age.
func deniedCallIsAllowedWhenItSays(s *rateSuite) {
	const limit = 4
	s.take(s.request("k", limit, limit, 3*short))
	for _, n := range []int{1, 1, 1, 1, 3, 2, 4, 1} {
		<-time.After(short / 4) // so that calls leave the window one after the other
		var d ratelimit.Decision
		for asked := 0; !d.Allowed; asked++ {
			d = s.take(s.request("k", n, limit, 3*short))
			if asked == 1 && !d.Allowed {
				s.Fatalf("%d calls are denied when they should be allowed, for another %v", n, d.RetryAfter)
			}
			<-time.After(d.RetryAfter)
		}
	}
}

// noWindowHoldsTooMany takes what it can get for some twenty periods. What is allowed is so at a time between the question
// and the answer.
func noWindowHoldsTooMany(s *rateSuite) {
	const limit, period = 5, 2 * short
	most := limit
	if s.algorithm != ratelimit.Log {
		most = 2*limit - 1
	}
	var asked, answered []time.Time
	const questions = 250
	for i := range questions {
		before := time.Now()
		if s.take(s.request("k", 1, limit, period)).Allowed {
			asked, answered = append(asked, before), append(answered, time.Now())
		}
		<-time.After(time.Duration(i*7%19) * period / 100)
	}
	for i := most; i < len(asked); i++ {
		if apart := answered[i].Sub(asked[i-most]); apart < period-time.Microsecond { // the clock may be no finer
			s.Fatalf("%d calls within %v, limit %d in %v", most+1, apart, limit, period)
		}
	}
	if len(asked) <= most {
		s.Errorf("only %d of %d calls were allowed in %d periods", len(asked), questions, questions*9/100)
	}
}

func keysOfLimitsAreBytes(s *rateSuite) {
	for _, key := range []string{
		"k", "K", "k ", " k", "k\x00", "k\x00a", "é", "e\u0301", "\xff", "\xfe", "{k}", "*", strings.Repeat("k", 600),
		strings.Repeat("k", 600) + "a",
	} {
		s.wants(s.request(key, 1, 1, age), true, 0, "first call of a key")
	}
}

func limitsOfOneKeyAreApart(s *rateSuite) {
	for _, algorithm := range algorithms {
		other := *s
		other.algorithm = algorithm
		s.wants(other.request("k", 1, 1, age), true, 0, "first call of an algorithm")
	}
	if s.algorithm != ratelimit.GCRA {
		s.wants(s.request("k", 1, 1, 2*age), true, 0, "first call of a period")
	}
}

func (s *rateSuite) outOfRange(key string) map[string]ratelimit.Request {
	good := s.request(key, 1, 5, age)
	change := func(change func(*ratelimit.Request)) ratelimit.Request {
		req := good
		change(&req)
		return req
	}
	return map[string]ratelimit.Request{
		"no key":           change(func(r *ratelimit.Request) { r.Key = "" }),
		"no calls":         change(func(r *ratelimit.Request) { r.N = 0 }),
		"negative calls":   change(func(r *ratelimit.Request) { r.N = -1 }),
		"too many calls":   change(func(r *ratelimit.Request) { r.N = 6 }),
		"no limit":         change(func(r *ratelimit.Request) { r.Limit = 0 }),
		"negative limit":   change(func(r *ratelimit.Request) { r.Limit = -5 }),
		"no period":        change(func(r *ratelimit.Request) { r.Period = 0 }),
		"negative period":  change(func(r *ratelimit.Request) { r.Period = -age }),
		"period too short": change(func(r *ratelimit.Request) { r.Period = time.Millisecond - 1 }),
		"negative burst":   change(func(r *ratelimit.Request) { r.Burst = -5 }),
		"no algorithm":     change(func(r *ratelimit.Request) { r.Algorithm = "" }),
	}
}

func requestsOutOfRangeAreRefused(s *rateSuite) {
	s.wants(s.request("k", 2, 5, age), true, 3, "2 of 5")
	for what, req := range s.outOfRange("k") {
		d, err := s.store.Take(s.Context(), req)
		if !errors.Is(err, patterns.ErrConfiguration) || d != (ratelimit.Decision{}) {
			s.Errorf("%s: got %+v, error %v, want one that matches ErrConfiguration", what, d, err)
		}
	}
	s.wants(s.request("k", 3, 5, age), true, 0, "after requests out of range")
}

func contextThatIsOverTakesNothing(s *rateSuite) {
	cancelled, cancel := context.WithCancel(s.Context())
	cancel()
	late, cancelLate := context.WithDeadline(s.Context(), time.Now().Add(-time.Second))
	defer cancelLate()
	for ctx, want := range map[context.Context]error{cancelled: context.Canceled, late: context.DeadlineExceeded} {
		if d, err := s.store.Take(ctx, s.request("k", 1, 1, age)); !errors.Is(err, want) || d != (ratelimit.Decision{}) {
			s.Errorf("got %+v, error %v, want %v", d, err, want)
		}
	}
	s.wants(s.request("k", 1, 1, age), true, 0, "after calls with a context that is over")
}

func errorsHoldNoKey(s *rateSuite) {
	const secret = "s3cr3t"
	over, cancel := context.WithCancel(s.Context())
	cancel()
	_, err := s.store.Take(over, s.request(secret, 1, 1, age))
	errs := []error{err}
	for _, req := range s.outOfRange(secret) {
		_, err := s.store.Take(s.Context(), req)
		errs = append(errs, err)
	}
	for _, err := range errs {
		if err == nil || strings.Contains(err.Error(), secret) {
			s.Errorf("got error %v, want one without the key", err)
		}
	}
}

// race has 32 goroutines ask 20 times each for what ask says, and returns how many calls were allowed.
func (s *rateSuite) race(ask func(i int) ratelimit.Request) int {
	var allowed atomic.Int64
	atOnce(32, func(i int) {
		for range 20 {
			req := ask(i)
			d, err := s.store.Take(s.Context(), req)
			if err != nil {
				s.Errorf("take: %v", err)
				return
			}
			if s.sound(d, req); d.Allowed {
				allowed.Add(int64(req.N))
			}
		}
	})
	return int(allowed.Load())
}

func racersGetTheLimitAndNoMore(s *rateSuite) {
	if got := s.race(func(int) ratelimit.Request { return s.request("hot", 1, 100, age) }); got != 100 {
		s.Errorf("%d calls were allowed, limit 100", got)
	}
}

func racersForSeveralGetNoMoreThanTheLimit(s *rateSuite) {
	got := s.race(func(i int) ratelimit.Request { return s.request("hot", 2+i%4, 500, age) })
	if got < 499 || got > 500 { // the last one may be left to those who want at least two
		s.Errorf("%d calls were allowed, limit 500", got)
	}
}
