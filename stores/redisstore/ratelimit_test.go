package redisstore_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/ratelimit"
	"github.com/steadyfx/steady/stores/redisstore"
	"github.com/steadyfx/steady/stores/storetest"
	"github.com/steadyfx/steady/testkit/services"
)

func openRateLimit(tb testing.TB, client redis.UniversalClient) (s *redisstore.RateLimit, prefix string) {
	tb.Helper()
	prefix = "test:" + rand.Text() + ":"
	s, err := redisstore.NewRateLimit(client, redisstore.RateLimitConfig{KeyPrefix: prefix})
	if err != nil {
		tb.Fatal(err)
	}
	return s, prefix
}

// With the hot keys of the suite this is pitfall 40 as well: callers that disturb one another must not make a call fail.
func TestPitfall40RateLimitConformance(t *testing.T) {
	server := services.Redis(t)
	for _, obedient := range []bool{true, false} {
		storetest.RateLimit(t, func(t *testing.T) ratelimit.Store {
			s, _ := openRateLimit(t, dial(t, server.URL, func(o *redis.Options) { o.ContextTimeoutEnabled = obedient }))
			return s
		})
	}
}

// requests has one of each algorithm.
func requests(n, limit int, period time.Duration) map[string]ratelimit.Request {
	req := ratelimit.Request{Key: "k", N: n, Limit: limit, Period: period}
	gcra, log, counter := req, req, req
	gcra.Algorithm, log.Algorithm, counter.Algorithm = ratelimit.GCRA, ratelimit.Log, ratelimit.Counter
	gcra.Burst = limit
	return map[string]ratelimit.Request{"gcra": gcra, "log": log, "counter": counter}
}

func TestTakeIsOneRoundTripOnOneKey(t *testing.T) {
	client := connect(t)
	trips := &roundTrips{}
	client.AddHook(trips)
	for name, req := range requests(2, 3, time.Hour) {
		s, prefix := openRateLimit(t, client)
		for i := range 3 { // in the first, Redis learns the script
			trips.n.Store(0)
			d, err := s.Take(t.Context(), req)
			if err != nil || d.Allowed != (i == 0) || i > 0 && trips.n.Load() != 1 {
				t.Errorf("%s: %+v, %v, %d round trips", name, d, err, trips.n.Load())
			}
		}
		text := string(req.Algorithm) + "\x00"
		if req.Algorithm != ratelimit.GCRA {
			text += "3600000000\x00"
		}
		digest := sha256.Sum256([]byte(text + "k"))
		want := prefix + base64.RawURLEncoding.EncodeToString(digest[:])
		if keys := client.Keys(t.Context(), prefix+"*").Val(); len(keys) != 1 || keys[0] != want {
			t.Errorf("%s: got keys %q, want %q", name, keys, want)
		}
	}
}

// A key of another limiter lives for a whole second at least, and for ever if it never expires.
func TestPitfall41RedisForgetsLimitsWhenTheyNoLongerMatter(t *testing.T) {
	client := connect(t)
	for name, req := range requests(1, 10, 10*time.Minute) {
		s, prefix := openRateLimit(t, client)
		if _, err := s.Take(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		ttl := client.PTTL(t.Context(), client.Keys(t.Context(), prefix+"*").Val()[0]).Val()
		low, high := 9*time.Minute, 10*time.Minute
		switch req.Algorithm {
		case ratelimit.GCRA:
			low, high = 50*time.Second, time.Minute
		case ratelimit.Counter:
			high = 20 * time.Minute
		}
		if ttl < low || ttl > high+2*time.Millisecond {
			t.Errorf("%s: %v until it is forgotten, want %v to %v", name, ttl, low, high)
		}
	}
}

// The server's clock is set back when it is less than a time that is stored. Nobody gets anything for it, and nobody is
// shut out for longer than a limit lasts.
func TestPitfall37ClockThatIsSetBackMintsNothing(t *testing.T) {
	client := connect(t)
	ctx := t.Context()
	for name, req := range requests(1, 3, time.Hour) {
		s, prefix := openRateLimit(t, client)
		if _, err := s.Take(ctx, req); err != nil {
			t.Fatal(err)
		}
		key := client.Keys(ctx, prefix+"*").Val()[0]
		ahead := func(d time.Duration) float64 { return float64(client.Time(ctx).Val().Add(d).UnixMicro()) }
		var err error
		switch req.Algorithm {
		case ratelimit.GCRA: // an hour ahead, and empty
			err = client.Eval(ctx, "redis.call('SET', KEYS[1], struct.pack('<c1dd', 'g', ARGV[1], ARGV[2])) return 1", []string{key},
				ahead(time.Hour), float64(time.Hour)).Err()
		case ratelimit.Counter: // two periods ahead, and full
			err = client.Eval(ctx, "redis.call('SET', KEYS[1], struct.pack('<c1ddd', 'c', ARGV[1], 0, 3)) return 1", []string{key},
				math.Floor(ahead(2*time.Hour)/3.6e9)).Err()
		case ratelimit.Log:
			at := fmt.Sprintf("%.0f", ahead(time.Hour))
			err = errors.Join(client.Del(ctx, key).Err(), client.RPush(ctx, key, at, at, at).Err())
		}
		if err != nil {
			t.Fatal(err)
		}
		d, err := s.Take(ctx, req)
		most := 2 * time.Hour
		if req.Algorithm == ratelimit.GCRA { // a token takes no longer than it always does
			most = 20 * time.Minute
		}
		if err != nil || d.Allowed || d.Remaining != 0 || d.RetryAfter <= 0 || d.RetryAfter > most {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

// Where a product of limit and period is more than a double holds exactly, the numbers must still be right.
func TestLongPeriodsAndLargeLimitsAreExact(t *testing.T) {
	client := connect(t)
	ctx := t.Context()
	const days, limit = 100 * 24 * time.Hour, 1 << 20
	s, prefix := openRateLimit(t, client)
	req := ratelimit.Request{Key: "k", N: 1, Algorithm: ratelimit.Counter, Limit: limit, Period: days}
	if _, err := s.Take(ctx, req); err != nil {
		t.Fatal(err)
	}
	key := client.Keys(ctx, prefix+"*").Val()[0]
	now := func() *big.Int { return big.NewInt(client.Time(ctx).Val().UnixMicro()) }
	period := big.NewInt(days.Microseconds())
	index := new(big.Int).Div(now(), period).Int64()
	write := "redis.call('SET', KEYS[1], struct.pack('<c1ddd', 'c', ARGV[1], ARGV[2], ARGV[3])) return 1"
	for _, n := range []int64{1, 7, 100_000, 600_000, limit - 1, limit} {
		for _, used := range []int64{limit, limit - 3, 999_983} {
			for what, tt := range map[string]struct{ at, previous, current, end int64 }{
				"in the period before":                     {index, used, 0, index + 1},
				"in the period before, and nothing since":  {index - 1, 0, used, index + 1},
				"in this period, so that there is no room": {index, 0, used, index + 2},
			} {
				if tt.current > 0 && tt.at == index && used+n <= limit {
					continue // there is room
				}
				if err := client.Eval(ctx, write, []string{key}, tt.at, tt.previous, tt.current).Err(); err != nil {
					t.Fatal(err)
				}
				req.N = int(n)
				before := now()
				d, err := s.Take(ctx, req)
				if err != nil {
					t.Fatal(err)
				}
				// used * (end of the period - due) <= (limit - n) * period
				due := new(big.Int).Mul(big.NewInt(limit-n), period)
				due.Div(due, big.NewInt(used))
				due.Sub(new(big.Int).Mul(big.NewInt(tt.end), period), due)
				low, high := new(big.Int).Sub(due, now()).Int64(), new(big.Int).Sub(due, before).Int64()
				if got := d.RetryAfter.Microseconds(); got < max(0, low) || got > max(0, high) {
					t.Errorf("%d calls after %d %s: a wait of %d µs, want %d to %d", n, used, what, got, low, high)
				}
			}
		}
	}
}

func TestForgottenScriptsOfLimitsAreSentAgain(t *testing.T) {
	client := connect(t)
	s, _ := openRateLimit(t, client)
	for i := range 2 {
		if err := client.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		for name, req := range requests(1, 2, time.Hour) {
			if d, err := s.Take(t.Context(), req); err != nil || d.Remaining != 1-i {
				t.Errorf("%s: %+v, %v", name, d, err)
			}
		}
	}
}

func TestForeignDataIsAnErrorOfTheStore(t *testing.T) {
	client := connect(t)
	ctx := t.Context()
	for name, req := range requests(1, 2, time.Hour) {
		s, prefix := openRateLimit(t, client)
		if _, err := s.Take(ctx, req); err != nil {
			t.Fatal(err)
		}
		key := client.Keys(ctx, prefix+"*").Val()[0]
		for what, write := range map[string]func() error{
			"hash":         func() error { return client.HSet(ctx, key, "s3cr3t", "s3cr3t").Err() },
			"short text":   func() error { return client.Set(ctx, key, "s3cr3t", 0).Err() },
			"long text":    func() error { return client.Set(ctx, key, strings.Repeat("s3cr3t", 40), 0).Err() },
			"list of text": func() error { return client.RPush(ctx, key, "s3cr3t", "s3cr3t").Err() },
		} {
			if err := errors.Join(client.Del(ctx, key).Err(), write()); err != nil {
				t.Fatal(err)
			}
			_, err := s.Take(ctx, req)
			var store *ratelimit.StoreError
			if !errors.As(err, &store) || store.Backend != "redis" || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("%s, %s: got error %v, want a *StoreError of redis that hides the data", name, what, err)
			}
		}
	}
}

func limitsWithAnswer(t *testing.T, a answering) *redisstore.RateLimit {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true})
	t.Cleanup(func() { client.Close() })
	client.AddHook(a)
	s, _ := openRateLimit(t, client)
	return s
}

func TestUnexpectedRepliesAboutLimitsAreErrors(t *testing.T) {
	for _, reply := range []any{
		nil, "s3cr3t", int64(1), []any{}, []any{int64(1), int64(0)}, []any{int64(1), int64(0), "s3cr3t"},
		[]any{int64(1), int64(5), int64(0)}, []any{int64(0), int64(0), int64(0)}, []any{int64(0), int64(-5), int64(0)},
		[]any{int64(1), int64(0), int64(-1)}, []any{"1", int64(0), int64(0)}, []any{int64(1), nil, int64(0)},
	} {
		d, err := limitsWithAnswer(t, answering{reply: reply}).Take(t.Context(), requests(1, 1, time.Hour)["log"])
		var store *ratelimit.StoreError
		if !errors.As(err, &store) || strings.Contains(err.Error(), "s3cr3t") || d != (ratelimit.Decision{}) {
			t.Errorf("reply %v: %+v, error %v, want a *StoreError that hides it", reply, d, err)
		}
	}
	d, err := limitsWithAnswer(t, answering{reply: []any{int64(0), int64(7), int64(3)}}).Take(t.Context(),
		requests(1, 3, time.Hour)["log"])
	if want := (ratelimit.Decision{RetryAfter: 7 * time.Microsecond, Remaining: 3}); err != nil || d != want {
		t.Errorf("got %+v, %v, want %+v", d, err, want)
	}
}

func TestLimitsWithoutAServerAreAnError(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1})
	defer client.Close()
	s, _ := openRateLimit(t, client)
	_, err := s.Take(t.Context(), requests(1, 1, time.Hour)["gcra"])
	for _, err := range []error{err, s.Ping(t.Context())} {
		var store *ratelimit.StoreError
		if !errors.As(err, &store) || !errors.Is(err, patterns.ErrResilience) || errors.Is(err, patterns.ErrConfiguration) {
			t.Errorf("got %v, want a *StoreError", err)
		}
	}
}

// A server that stalls costs a call no more than its deadline, whatever the client does.
func TestStalledServerCostsALimitNoMoreThanItsDeadline(t *testing.T) {
	for _, obedient := range []bool{false, true} {
		w := newWire(t)
		s, _ := openRateLimit(t, connect(t, w.under, func(o *redis.Options) { o.ContextTimeoutEnabled = obedient }))
		if err := s.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.stall()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err := s.Take(ctx, requests(1, 1, time.Hour)["gcra"])
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("obedient %v: got %v", obedient, err)
		}
		cancel()
		w.resume()
	}
}

// Replicas go on by themselves while Redis is gone, each for its part, and come back to the limit that they share.
func TestReplicasShareALimitAgainAfterAnOutage(t *testing.T) {
	server, err := services.StartRedis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	store, _ := openRateLimit(t, dial(t, server.URL, func(o *redis.Options) { o.ContextTimeoutEnabled = true }))
	var bus hooks.Bus
	var degraded, recovered atomic.Int32
	hooks.On(&bus, func(context.Context, hooks.RateLimiterDegraded) { degraded.Add(1) })
	hooks.On(&bus, func(context.Context, hooks.RateLimiterRecovered) { recovered.Add(1) })
	var replicas []*ratelimit.Distributed
	for range 2 {
		d, err := ratelimit.NewDistributed("mails", ratelimit.DistributedConfig{
			Limit: 10, Period: 100 * time.Hour, Timeout: 5 * time.Second, Replicas: 2,
		}, store, ratelimit.WithBus(&bus))
		if err != nil {
			t.Fatal(err)
		}
		replicas = append(replicas, d)
	}
	// takes returns how many calls each replica gets of so many.
	takes := func(n int) (got [2]int) {
		for i, d := range replicas {
			for range n {
				if d.TryAcquire() {
					got[i]++
				}
			}
		}
		return got
	}
	if got := takes(3); got != [2]int{3, 3} || degraded.Load() != 0 {
		t.Errorf("together: %v, degraded %d times", got, degraded.Load())
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if got := takes(7); got != [2]int{5, 5} || degraded.Load() != 2 {
		t.Errorf("without Redis: %v, degraded %d times", got, degraded.Load())
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	total := 0
	for recovered.Load() < 2 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("no recovery")
		}
		got := takes(1)
		total += got[0] + got[1]
	}
	got := takes(7)
	if total += got[0] + got[1]; total != 4 {
		t.Errorf("together again: %d calls, want the 4 that are left", total)
	}
}

func TestRateLimitConfigurationIsChecked(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"}) // nothing connects
	defer client.Close()
	for name, tc := range map[string]struct {
		client redis.UniversalClient
		prefix string
		fields int
	}{
		"nothing is wrong":    {client, "", 0},
		"no client":           {nil, "", 1},
		"nil client":          {(*redis.Client)(nil), "", 1},
		"everything is wrong": {nil, strings.Repeat("{\x7f", 40), 4},
	} {
		_, err := redisstore.NewRateLimit(tc.client, redisstore.RateLimitConfig{KeyPrefix: tc.prefix})
		got := 0
		if err != nil {
			got = strings.Count(err.Error(), "\n") + 1
		}
		if got != tc.fields || got > 0 && !errors.Is(err, patterns.ErrConfiguration) {
			t.Errorf("%s: got %v, want %d mistakes", name, err, tc.fields)
		}
	}
}
