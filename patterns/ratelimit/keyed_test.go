package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/ratelimit"
)

func TestKeysDoNotTakeFromOneAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus hooks.Bus
		var events []hooks.RateLimited
		hooks.On(&bus, func(_ context.Context, e hooks.RateLimited) { events = append(events, e) })
		k := newKeyed(t, ratelimit.KeyedConfig{Limit: 2}, ratelimit.WithBus(&bus))
		for _, key := range []string{"ada", "bob"} {
			for i := range 3 {
				if got := k.TryAcquire(key); got != (i < 2) {
					t.Errorf("%s, call %d: %v", key, i, got)
				}
			}
		}
		if k.RetryAfter("ada") != 500*time.Millisecond || k.RetryAfter("cyd") != 0 {
			t.Errorf("%v and %v", k.RetryAfter("ada"), k.RetryAfter("cyd"))
		}
		want := hooks.RateLimited{Name: "api", RetryAfter: 500 * time.Millisecond, At: time.Now()}
		if len(events) != 2 || events[0] != want || k.Name() != "api" || k.Keys() != 2 {
			t.Errorf("%+v, %d keys", events, k.Keys())
		}
		stats := ratelimit.Stats{Name: "api", Limit: 2, Period: time.Second, Total: 6, Allowed: 4, Denied: 2}
		if s := k.Stats(); s != stats {
			t.Errorf("got %+v, want %+v", s, stats)
		}
	})
}

// A key that is limited stays so, however many others come: an LRU cache would forget it.
func TestPitfall40FloodOfKeysResetsNoLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeyed(t, ratelimit.KeyedConfig{Limit: 5, Period: time.Hour, MaxKeys: 100})
		for k.TryAcquire("ada") {
		}
		allowed := 0
		for i := range 10_000 {
			if k.TryAcquire(fmt.Sprint("key ", i)) {
				allowed++
			}
		}
		if k.TryAcquire("ada") {
			t.Error("the flood has reset the limit")
		}
		if k.Keys() != 100 || allowed != 99+5 { // with a bucket of their own, and with the shared one
			t.Errorf("%d keys, %d calls of other keys were allowed", k.Keys(), allowed)
		}
		time.Sleep(2 * time.Hour)
		if k.Keys() != 0 {
			t.Errorf("%d keys are kept although nobody uses them", k.Keys())
		}
	})
}

func TestKeyOfTheSharedBucketGetsNoFreshOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeyed(t, ratelimit.KeyedConfig{Limit: 4, Period: 4 * time.Hour, MaxKeys: 1})
		k.TryAcquire("ada")
		time.Sleep(4 * time.Hour)
		if k.Keys() != 1 {
			t.Errorf("%d keys", k.Keys())
		}
		time.Sleep(4*time.Hour - time.Second)
		for k.TryAcquire("bob") { // shared
		}
		time.Sleep(time.Second) // now there is room
		if k.TryAcquire("bob") || k.Keys() != 0 {
			t.Errorf("a fresh bucket; %d keys", k.Keys())
		}
	})
}

func TestKeyThatIsUsedAgainCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeyed(t, ratelimit.KeyedConfig{Limit: 10})
		for range 5 {
			k.TryAcquire("ada")
			k.TryAcquire("bob")
			time.Sleep(1100 * time.Millisecond)
		}
		k.TryAcquire("ada")
		if k.Keys() != 2 {
			t.Errorf("%d keys, want 2", k.Keys())
		}
	})
}

// described is what clients can be told of.
type described interface{ RateLimit() patterns.RateLimit }

func TestKeyIsAPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type request struct{}
		var bus hooks.Bus
		var events []hooks.RateLimited
		hooks.On(&bus, func(ctx context.Context, e hooks.RateLimited) {
			if ctx.Value(request{}) != 1 {
				t.Error("the event is not of this call")
			}
			events = append(events, e)
		})
		k := newKeyed(t, ratelimit.KeyedConfig{Limit: 2, Period: time.Minute, Burst: 3}, ratelimit.WithBus(&bus))
		ctx := context.WithValue(t.Context(), request{}, 1)
		errBoom := errors.New("boom")
		runs := 0
		op := func(context.Context) error { runs++; return errBoom }
		composed := patterns.Compose(k.For("ada"), k.For("ada"))
		for _, p := range []patterns.Policy{k.For("ada"), composed, k.For("bob")} {
			if err := p.Execute(ctx, op); err != errBoom || !patterns.IsSequential(p) {
				t.Error(err)
			}
		}
		for _, p := range []patterns.Policy{k.For("ada"), composed} {
			before := time.Now()
			e := limited(t, p.Execute(ctx, op))
			want := ratelimit.LimitedError{Name: "api", Limit: 2, Period: time.Minute, RetryAfter: 30 * time.Second}
			if *e != want || time.Since(before) != 0 {
				t.Errorf("got %+v after %v", e, time.Since(before))
			}
		}
		ended, cancel := context.WithCancel(ctx)
		cancel()
		err := k.For("bob").Execute(ended, op)
		if _, ok := errors.AsType[*ratelimit.CanceledError](err); !ok || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		for key, want := range map[string]patterns.RateLimit{
			"ada": {Reset: 30 * time.Second}, "bob": {Remaining: 2}, "cyd": {Remaining: 3},
		} {
			want.Name, want.Quota, want.Window = "api", 2, time.Minute
			if got := k.For(key).(described).RateLimit(); got != want {
				t.Errorf("%s: got %+v, want %+v", key, got, want)
			}
		}
		want := hooks.RateLimited{Name: "api", RetryAfter: 30 * time.Second, At: time.Now()}
		if len(events) != 2 || events[0] != want || runs != 3 || k.Keys() != 2 {
			t.Errorf("%+v, %d runs, %d keys", events, runs, k.Keys())
		}
		if s := k.Stats(); s.Allowed != 4 || s.Denied != 3 {
			t.Errorf("%+v", s)
		}
	})
}

// A bucket that is forgotten must not be missed: the model forgets nothing.
func TestKeyedBehavesLikeBucketsThatAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ rapid.TB }{t}, func(t *rapid.T) {
			limit, burst := rapid.IntRange(1, 3).Draw(t, "limit"), rapid.IntRange(1, 5).Draw(t, "burst")
			k := newKeyed(t, ratelimit.KeyedConfig{Limit: limit, Burst: burst})
			buckets := map[string]*model{}
			bucket := func(key string) *model {
				if buckets[key] == nil {
					interval := (time.Second + time.Duration(limit) - 1) / time.Duration(limit)
					buckets[key] = newTokens(interval, burst)
				}
				buckets[key].settle(time.Now())
				return buckets[key]
			}
			keys := rapid.SampledFrom([]string{"ada", "bob", "cyd"})
			t.Repeat(map[string]func(*rapid.T){
				"try": func(t *rapid.T) {
					key := keys.Draw(t, "key")
					if got, want := k.TryAcquire(key), bucket(key).try(1); got != want {
						t.Fatalf("%s: %v, the model says %v", key, got, want)
					}
				},
				"run": func(t *rapid.T) {
					key := keys.Draw(t, "key")
					ran := false
					err := k.For(key).Execute(context.Background(), func(context.Context) error { ran = true; return nil })
					if want := bucket(key).try(1); ran != want || (err == nil) != want {
						t.Fatalf("%s: ran %v, %v, the model says %v", key, ran, err, want)
					}
				},
				"look": func(t *rapid.T) {
					key := keys.Draw(t, "key")
					if got, want := k.RetryAfter(key), bucket(key).room(1); got != want {
						t.Fatalf("%s: %v, the model says %v", key, got, want)
					}
					left := 0
					for left < burst && bucket(key).room(left+1) == 0 {
						left++
					}
					got := k.For(key).(described).RateLimit()
					if got.Remaining != left || got.Reset != bucket(key).room(1) {
						t.Fatalf("%s: %+v, the model says %d are left", key, got, left)
					}
				},
				"time": func(t *rapid.T) {
					time.Sleep(time.Duration(rapid.IntRange(1, 6000).Draw(t, "milliseconds")) * time.Millisecond)
				},
			})
		})
	})
}

func TestRacingCallersOfKeysGetTheirTokensAndNoMore(t *testing.T) {
	k := newKeyed(t, ratelimit.KeyedConfig{Limit: 50, Period: time.Hour})
	var allowed atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 2000 {
				if k.TryAcquire(fmt.Sprint(i % 10)) {
					allowed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if allowed.Load() != 500 || k.Keys() != 10 {
		t.Errorf("%d calls were allowed for %d keys", allowed.Load(), k.Keys())
	}
}

func TestKeyedConfigurationIsChecked(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  ratelimit.KeyedConfig
		want string
	}{
		{"zero", ratelimit.KeyedConfig{}, ""},
		{"default", ratelimit.DefaultKeyedConfig(), ""},
		{"limit", ratelimit.KeyedConfig{Limit: -1}, "limit"},
		{"period", ratelimit.KeyedConfig{Period: -1}, "period"},
		{"burst", ratelimit.KeyedConfig{Burst: -1}, "burst"},
		{"keys", ratelimit.KeyedConfig{MaxKeys: -1}, "max_keys"},
		{"too many keys", ratelimit.KeyedConfig{MaxKeys: 1<<30 + 1}, "max_keys"},
	} {
		check(t, tt.name, tt.want, func() error { _, err := ratelimit.NewKeyed("api", tt.cfg); return err })
	}
	check(t, "name", "name", func() error { _, err := ratelimit.NewKeyed("", ratelimit.KeyedConfig{}); return err })
	if err := ratelimit.DefaultKeyedConfig().Validate(); err != nil {
		t.Error(err)
	}
}
