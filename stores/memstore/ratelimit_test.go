package memstore_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/ratelimit"
	"github.com/steadyfx/steady/stores/memstore"
	"github.com/steadyfx/steady/stores/storetest"
)

type fataler interface {
	Helper()
	Fatal(args ...any)
}

func openRateLimit(tb fataler, maxKeys int) *memstore.RateLimit {
	tb.Helper()
	s, err := memstore.NewRateLimit(memstore.RateLimitConfig{MaxKeys: maxKeys})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestRateLimitConformance(t *testing.T) {
	storetest.RateLimit(t, func(t *testing.T) ratelimit.Store { return openRateLimit(t, 0) }, storetest.InBubble())
}

// The bubble makes the checks fast; this makes them race.
func TestPitfall40RateLimitConformanceInRealTime(t *testing.T) {
	storetest.RateLimit(t, func(t *testing.T) ratelimit.Store { return openRateLimit(t, 0) })
}

// limiter is one of package ratelimit that can be asked for several calls.
type limiter interface {
	TryAcquireN(n int) bool
	RateLimit() patterns.RateLimit
}

// The store decides as the limiter of the same algorithm does.
func TestStoreDecidesAsTheLocalLimiters(t *testing.T) {
	for algorithm, build := range map[ratelimit.Algorithm]func(limit, burst int) (limiter, error){
		ratelimit.GCRA: func(limit, burst int) (limiter, error) {
			return ratelimit.NewTokenBucket("api", ratelimit.Config{Limit: limit, Burst: burst})
		},
		ratelimit.Counter: func(limit, _ int) (limiter, error) {
			return ratelimit.NewSlidingCounter("api", ratelimit.WindowConfig{Limit: limit})
		},
		ratelimit.Log: func(limit, _ int) (limiter, error) {
			w, err := ratelimit.NewSlidingWindow("api", ratelimit.WindowConfig{Limit: limit})
			return &oneByOne{w}, err
		},
	} {
		t.Run(string(algorithm), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rapid.Check(struct{ rapid.TB }{t}, func(t *rapid.T) {
					limit := rapid.IntRange(1, 6).Draw(t, "limit")
					req := ratelimit.Request{Key: "k", Algorithm: algorithm, Limit: limit, Period: time.Second}
					most := limit
					if algorithm == ratelimit.GCRA {
						most = rapid.IntRange(1, 6).Draw(t, "burst")
						req.Burst = most
					}
					local, err := build(limit, most)
					if err != nil {
						t.Fatal(err)
					}
					s := openRateLimit(t, 0)
					t.Repeat(map[string]func(*rapid.T){
						"time": func(t *rapid.T) {
							time.Sleep(time.Duration(rapid.IntRange(1, 2_000_000).Draw(t, "microseconds")) * time.Microsecond)
						},
						"take": func(t *rapid.T) {
							req.N = rapid.IntRange(1, most).Draw(t, "n")
							d, err := s.Take(context.Background(), req)
							if err != nil {
								t.Fatal(err)
							}
							allowed, l := local.TryAcquireN(req.N), local.RateLimit()
							if d.Allowed != allowed || d.Remaining != l.Remaining {
								t.Fatalf("%+v, the limiter says %v, %+v", d, allowed, l)
							}
							if !allowed && req.N == 1 && d.RetryAfter != l.Reset {
								t.Fatalf("to be asked again in %v, the limiter says %v", d.RetryAfter, l.Reset)
							}
						},
					})
				})
			})
		})
	}
}

func TestDenialIsExactToTheNanosecond(t *testing.T) {
	for _, algorithm := range []ratelimit.Algorithm{ratelimit.GCRA, ratelimit.Log, ratelimit.Counter} {
		synctest.Test(t, func(t *testing.T) {
			s := openRateLimit(t, 0)
			req := ratelimit.Request{Key: "k", N: 1, Algorithm: algorithm, Limit: 7, Period: time.Second}
			if algorithm == ratelimit.GCRA {
				req.Burst = 7
			}
			ask := func() ratelimit.Decision {
				t.Helper()
				d, err := s.Take(t.Context(), req)
				if err != nil {
					t.Fatal(err)
				}
				return d
			}
			for ask().Allowed {
				time.Sleep(time.Millisecond)
			}
			time.Sleep(ask().RetryAfter - 1)
			if d := ask(); d != (ratelimit.Decision{RetryAfter: 1}) {
				t.Errorf("%s: a nanosecond before it is allowed: %+v", algorithm, d)
			}
			time.Sleep(time.Nanosecond)
			if d := ask(); d != (ratelimit.Decision{Allowed: true}) {
				t.Errorf("%s: when it is allowed: %+v", algorithm, d)
			}
		})
	}
}

// oneByOne takes several calls one by one, if there is room for all.
type oneByOne struct{ *ratelimit.SlidingWindow }

func (w *oneByOne) TryAcquireN(n int) bool {
	if w.RateLimit().Remaining < n {
		return false
	}
	for range n {
		w.TryAcquire()
	}
	return true
}

func take(tb testing.TB, s *memstore.RateLimit, key string, limit int, period time.Duration) (bool, error) {
	tb.Helper()
	d, err := s.Take(tb.Context(), ratelimit.Request{
		Key: key, N: 1, Algorithm: ratelimit.Counter, Limit: limit, Period: period,
	})
	return d.Allowed, err
}

// A full store refuses new keys and forgets none that is in use: an LRU cache would reset limits.
func TestPitfall40FloodOfKeysResetsNoLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openRateLimit(t, 100)
		if ok, err := take(t, s, "ada", 1, time.Hour); !ok || err != nil {
			t.Fatal(ok, err)
		}
		var full *ratelimit.StoreError
		refused := 0
		for i := range 1000 {
			if _, err := take(t, s, strconv.Itoa(i), 1, time.Hour); errors.As(err, &full) {
				refused++
			}
		}
		if ok, err := take(t, s, "ada", 1, time.Hour); ok || err != nil || refused != 901 || s.Keys() != 100 {
			t.Errorf("allowed %v, %v; %d keys were refused, %d are kept", ok, err, refused, s.Keys())
		}
		time.Sleep(2*time.Hour - 1)
		if _, err := take(t, s, "bob", 1, time.Hour); err == nil {
			t.Error("a key was forgotten early")
		}
		time.Sleep(time.Nanosecond)
		if ok, err := take(t, s, "bob", 1, time.Hour); !ok || err != nil || s.Keys() != 1 {
			t.Errorf("allowed %v, %v; %d keys are kept, want the new one alone", ok, err, s.Keys())
		}
	})
}

func TestKeyIsKeptAsLongAsItMatters(t *testing.T) {
	for algorithm, matters := range map[ratelimit.Algorithm]time.Duration{
		ratelimit.GCRA: time.Second, ratelimit.Log: 10 * time.Second, ratelimit.Counter: 20 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			s := openRateLimit(t, 1)
			req := ratelimit.Request{Key: "k", N: 1, Algorithm: algorithm, Limit: 10, Period: 10 * time.Second}
			if algorithm == ratelimit.GCRA {
				req.Burst = 10
			}
			other := req
			other.Key = "other"
			if _, err := s.Take(t.Context(), req); err != nil {
				t.Fatal(err)
			}
			time.Sleep(matters - 1)
			if _, err := s.Take(t.Context(), other); err == nil {
				t.Errorf("%s: forgotten early", algorithm)
			}
			time.Sleep(time.Nanosecond)
			if _, err := s.Take(t.Context(), other); err != nil {
				t.Errorf("%s: %v", algorithm, err)
			}
		})
	}
}

func TestRateLimitConfigurationIsChecked(t *testing.T) {
	_, err := memstore.NewRateLimit(memstore.RateLimitConfig{MaxKeys: -1})
	var field *patterns.FieldError
	if !errors.Is(err, patterns.ErrConfiguration) || !errors.As(err, &field) || field.Field != "max_keys" {
		t.Errorf("got %v", err)
	}
}

func ExampleRateLimit() {
	store, err := memstore.NewRateLimit(memstore.RateLimitConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	cfg := ratelimit.DistributedConfig{Limit: 3, Period: time.Hour}
	for range 2 { // of those who share the limit
		mails, err := ratelimit.NewDistributed("mails", cfg, store)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(mails.TryAcquire(), mails.TryAcquire())
	}
	// Output:
	// true true
	// true false
}

func BenchmarkRateLimit(b *testing.B) {
	s := openRateLimit(b, 0)
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = strconv.Itoa(i)
	}
	req := ratelimit.Request{N: 1, Limit: 1000, Period: time.Second}
	for _, algorithm := range []ratelimit.Algorithm{ratelimit.GCRA, ratelimit.Log, ratelimit.Counter} {
		if req.Algorithm, req.Burst = algorithm, 0; algorithm == ratelimit.GCRA {
			req.Burst = 1000
		}
		b.Run(string(algorithm), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				req.Key = keys[i%len(keys)]
				if _, err := s.Take(b.Context(), req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
