package redisstore_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"math"
	"os"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/redisstore"
)

// Times that no test outlives, and that it waits for.
const (
	long  = 10 * time.Minute
	short = 20 * time.Millisecond
)

func TestConfigurationIsChecked(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"}) // nothing connects
	cluster, ring := redis.NewClusterClient(&redis.ClusterOptions{}), redis.NewRing(&redis.RingOptions{})
	t.Cleanup(func() {
		if err := errors.Join(client.Close(), cluster.Close(), ring.Close()); err != nil {
			t.Error(err)
		}
	})
	for name, tc := range map[string]struct {
		client redis.UniversalClient
		prefix string
		fields []string
	}{
		"no client":             {nil, "", []string{"client"}},
		"nil client":            {(*redis.Client)(nil), "", []string{"client"}},
		"nil cluster client":    {(*redis.ClusterClient)(nil), "", []string{"client"}},
		"long prefix":           {client, strings.Repeat("p", 65), []string{"key_prefix"}},
		"control character":     {client, "a\nb", []string{"key_prefix"}},
		"hash tag":              {client, "{app}:", []string{"key_prefix"}},
		"closing brace":         {client, "app}", []string{"key_prefix"}},
		"everything is wrong":   {nil, strings.Repeat("{\x7f", 40), []string{"client", "key_prefix", "key_prefix", "key_prefix"}},
		"nothing is wrong":      {client, strings.Repeat("é:", 21), nil},
		"nothing is said":       {client, "", nil},
		"a cluster is a client": {cluster, "", nil},
		"so is a ring":          {ring, "", nil},
		"and what hides one":    {struct{ redis.UniversalClient }{client}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := redisstore.NewIdempotency(tc.client, redisstore.Config{KeyPrefix: tc.prefix})
			if (err == nil) != (tc.fields == nil) {
				t.Fatalf("got error %v, want mistakes in %v", err, tc.fields)
			}
			if err == nil {
				return
			}
			var configuration *idempotency.ConfigurationError
			var field *patterns.FieldError
			if !errors.As(err, &configuration) || !errors.As(err, &field) {
				t.Fatalf("got %T, want a *ConfigurationError with a *FieldError", err)
			}
			for _, want := range tc.fields {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not name %s", err, want)
				}
			}
			if got := strings.Count(err.Error(), "\n") + 1; got != len(tc.fields) {
				t.Errorf("got %d mistakes, want %d: %v", got, len(tc.fields), err)
			}
		})
	}
}

func TestRedisKeyIsPrefixAndDigest(t *testing.T) {
	client := connect(t)
	prefix := "test:" + rand.Text() + ":"
	s := openAt(t, client, prefix)
	claim(t, s, idempotency.ClaimRequest{Key: "order-1", Lease: long})
	digest := sha256.Sum256([]byte("order-1"))
	want := prefix + base64.RawURLEncoding.EncodeToString(digest[:])
	keys, err := client.Keys(t.Context(), prefix+"*").Result()
	if err != nil || len(keys) != 1 || keys[0] != want {
		t.Errorf("got keys %q, error %v, want %q", keys, err, want)
	}
}

func TestPrefixesKeepStoresApart(t *testing.T) {
	client := connect(t)
	one, two := open(t, client), open(t, client)
	claim(t, one, idempotency.ClaimRequest{Key: "k", Lease: long})
	if c := claim(t, two, idempotency.ClaimRequest{Key: "k", Lease: long}); c.Outcome != idempotency.Acquired {
		t.Errorf("claim under another prefix: got %v, want acquired", c.Outcome)
	}
}

func TestFenceIsTheServersTime(t *testing.T) {
	client := connect(t)
	s := open(t, client)
	last := int64(0)
	next := func(what string) idempotency.Claim {
		t.Helper()
		before := client.Time(t.Context()).Val().UnixMicro()
		c := claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long})
		after := client.Time(t.Context()).Val().UnixMicro()
		if c.Outcome != idempotency.Acquired || c.Fence <= last || c.Fence < before || c.Fence > after {
			t.Fatalf("%s: got %v with fence %d after %d, want one between %d and %d", what, c.Outcome, c.Fence, last, before, after)
		}
		last = c.Fence
		return c
	}
	first := next("first claim")
	if err := s.Release(t.Context(), "k", first.Token); err != nil {
		t.Fatal(err)
	}
	next("after a release")
	if err := s.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	next("after a delete")
}

// A server's clock that was set back does not take the fence back while the record lives.
func TestFenceGrowsWhenTheClockGoesBack(t *testing.T) {
	client := connect(t)
	prefix := "test:" + rand.Text() + ":"
	s := openAt(t, client, prefix)
	c := claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long})
	key := client.Keys(t.Context(), prefix+"*").Val()[0]
	// The fence is as if it came from a time two hours ahead, and the lease is over.
	ahead := c.Fence + 2*time.Hour.Microseconds()
	const rewrite = `
local r = redis.call('GET', KEYS[1])
local state, owner = struct.unpack('<c1c16', r)
return redis.call('SET', KEYS[1], struct.pack('<c1c16dd', state, owner, ARGV[1], 0) .. struct.pack('<d', 1) .. string.sub(r, 42))`
	if err := client.Eval(t.Context(), rewrite, []string{key}, ahead).Err(); err != nil {
		t.Fatal(err)
	}
	if next := claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long}); next.Outcome != idempotency.Acquired || next.Fence != ahead+1 {
		t.Errorf("claim: got %v with fence %d, want acquired with %d", next.Outcome, next.Fence, ahead+1)
	}
	if err := s.Set(t.Context(), "k", nil, long); err != nil {
		t.Fatal(err)
	}
	if rec, _, err := s.GetRecord(t.Context(), "k"); err != nil || rec.Fence != ahead+2 {
		t.Errorf("set: got fence %d, error %v, want %d", rec.Fence, err, ahead+2)
	}
}

func TestRedisForgetsRecordsInTime(t *testing.T) {
	client := connect(t)
	prefix := "test:" + rand.Text() + ":"
	s := openAt(t, client, prefix)
	ctx := t.Context()
	left := func(what string, min, max time.Duration) {
		t.Helper()
		key := client.Keys(ctx, prefix+"*").Val()[0]
		// Redis counts in milliseconds, and we add one; what has passed since is little beside the minutes.
		if ttl := client.PTTL(ctx, key).Val(); ttl <= min || ttl > max+2*time.Millisecond {
			t.Errorf("%s: Redis forgets the record in %v, want more than %v and at most %v", what, ttl, min, max)
		}
	}
	const hour = time.Hour
	c := claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: short, Retention: 5 * hour})
	left("claim with a long retention", 4*hour, 5*hour+short)
	if err := s.Extend(ctx, "k", c.Token, hour); err != nil {
		t.Fatal(err)
	}
	left("extended", 5*hour, 6*hour)
	if err := s.Extend(ctx, "k", c.Token, 2*hour); err != nil {
		t.Fatal(err)
	}
	left("extended again", 6*hour, 7*hour)
	if err := s.Complete(ctx, "k", c.Token, nil, 2*hour); err != nil {
		t.Fatal(err)
	}
	left("complete", hour, 2*hour)
	if err := s.Set(ctx, "k", nil, 0); err != nil {
		t.Fatal(err)
	}
	if ttl := client.PTTL(ctx, client.Keys(ctx, prefix+"*").Val()[0]).Val(); ttl != -1 {
		t.Errorf("set without expiry: Redis forgets the record in %v", ttl)
	}
	if err := s.Delete(ctx, "k"); err != nil {
		t.Fatal(err)
	}
	c = claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: short})
	left("claim with neither long", 30*time.Second, time.Minute+short)
	if err := s.Extend(ctx, "k", c.Token, 3*hour); err != nil {
		t.Fatal(err)
	}
	if err := s.Release(ctx, "k", c.Token); err != nil {
		t.Fatal(err)
	}
	left("released", 30*time.Second, time.Minute)
	c = claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: 3 * hour})
	left("claim with a long lease", 5*hour, 6*hour)
	if err := s.Complete(ctx, "k", c.Token, nil, 0); err != nil {
		t.Fatal(err)
	}
	if ttl := client.PTTL(ctx, client.Keys(ctx, prefix+"*").Val()[0]).Val(); ttl != -1 {
		t.Errorf("complete without expiry: Redis forgets the record in %v", ttl)
	}
}

// roundTrips counts the commands of a client.
type roundTrips struct{ n atomic.Int32 }

func (r *roundTrips) DialHook(next redis.DialHook) redis.DialHook { return next }
func (r *roundTrips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		r.n.Add(1)
		return next(ctx, cmd)
	}
}
func (r *roundTrips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func TestEveryOperationIsOneRoundTrip(t *testing.T) {
	client := connect(t)
	trips := &roundTrips{}
	client.AddHook(trips)
	s := open(t, client)
	ctx := t.Context()
	for round := range 2 { // in the first, Redis learns the scripts
		var held idempotency.Claim
		for _, o := range []struct {
			name string
			call func() error
		}{
			{"claim", func() (err error) {
				held, err = s.Claim(ctx, idempotency.ClaimRequest{Key: "k", Lease: long})
				return err
			}},
			{"claim in progress", func() error { _, err := s.Acquire(ctx, "k", long); return err }},
			{"extend", func() error { return s.Extend(ctx, "k", held.Token, long) }},
			{"complete", func() error { return s.Complete(ctx, "k", held.Token, []byte("result"), long) }},
			{"replay", func() error { _, err := s.Acquire(ctx, "k", long); return err }},
			{"get", func() error { _, _, err := s.Get(ctx, "k"); return err }},
			{"record", func() error { _, _, err := s.GetRecord(ctx, "k"); return err }},
			{"set", func() error { return s.Set(ctx, "k", nil, long) }},
			{"delete", func() error { return s.Delete(ctx, "k") }},
			{"claim again", func() (err error) {
				held, err = s.Claim(ctx, idempotency.ClaimRequest{Key: "k", Lease: long})
				return err
			}},
			{"release", func() error { return s.Release(ctx, "k", held.Token) }},
			{"ping", func() error { return s.Ping(ctx) }},
		} {
			trips.n.Store(0)
			if err := o.call(); err != nil {
				t.Errorf("%s: %v", o.name, err)
			}
			if n := trips.n.Load(); round == 1 && n != 1 {
				t.Errorf("%s: %d round trips, want 1", o.name, n)
			}
		}
		trips.n.Store(0)
		if n, err := s.CleanupExpired(ctx, 10); n != 0 || err != nil || trips.n.Load() != 0 {
			t.Errorf("cleanup: removed %d, error %v, %d round trips, want none", n, err, trips.n.Load())
		}
	}
}

func TestForgottenScriptsAreSentAgain(t *testing.T) {
	client := connect(t)
	s := open(t, client)
	for range 2 {
		if err := client.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		if ok, err := s.Acquire(t.Context(), rand.Text(), long); !ok || err != nil {
			t.Errorf("acquire: got %v, error %v", ok, err)
		}
	}
}

// capture keeps the last command of a client.
type capture struct{ args []any }

func (c *capture) DialHook(next redis.DialHook) redis.DialHook { return next }
func (c *capture) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.args = cmd.Args()
		return next(ctx, cmd)
	}
}
func (c *capture) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// A command that hung in the network may arrive when its repetition has long been answered.
func TestRepeatedClaimChangesNothing(t *testing.T) {
	client := connect(t)
	last := &capture{}
	client.AddHook(last)
	s := open(t, client)
	ctx := t.Context()
	c := claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long})
	before, _, err := s.GetRecord(ctx, "k")
	if err != nil {
		t.Fatal(err)
	}
	claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long})
	repeated := append([]any{}, last.args...)
	if c := claim(t, s, idempotency.ClaimRequest{Key: "other", Lease: long}); c.Outcome != idempotency.Acquired {
		t.Fatal(c.Outcome)
	}
	own := append([]any{}, last.args...)
	own[3] = repeated[3] // the Redis key
	own[4] = string(c.Token.Owner[:])

	if fence, err := client.Do(ctx, own...).Int64(); err != nil || fence != c.Fence {
		t.Errorf("repeated claim: got fence %d, error %v, want %d", fence, err, c.Fence)
	}
	if after, _, err := s.GetRecord(ctx, "k"); err != nil || !reflect.DeepEqual(after, before) {
		t.Errorf("repeated claim: the record is now %+v, error %v, want %+v", after, err, before)
	}
	if err := s.Release(ctx, "k", c.Token); err != nil {
		t.Fatal(err)
	}
	if answer, err := client.Do(ctx, own...).Slice(); err != nil || answer[0] != int64(idempotency.InProgress) {
		t.Errorf("repeated claim after its release: got %v, error %v, want in_progress", answer, err)
	}
	if c := claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long}); c.Outcome != idempotency.Acquired {
		t.Errorf("claim after a repeated one came late: got %v, want acquired", c.Outcome)
	}
}

// The client repeats a command whose answer it has lost, though Redis has carried it out.
func TestLostAnswersAreRepeatedSafely(t *testing.T) {
	for _, obedient := range []bool{false, true} {
		w := newWire(t)
		s := open(t, connect(t, w.under, func(o *redis.Options) { o.ContextTimeoutEnabled = obedient }))
		ctx := t.Context()
		lose := func(what string) {
			t.Helper()
			if w.loseAnswer.Swap(true) {
				t.Fatalf("%s: no answer was lost before", what)
			}
		}
		must := func(err error, what string) {
			t.Helper()
			if err != nil {
				t.Fatalf("%s with its answer lost: %v", what, err)
			}
		}

		must(s.Ping(ctx), "ping")
		lose("claim")
		first := claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long, Fingerprint: []byte("fp")})
		if first.Outcome != idempotency.Acquired {
			t.Fatalf("claim with its answer lost: got %v, want acquired", first.Outcome)
		}
		if rec, _, err := s.GetRecord(ctx, "k"); err != nil || rec.Fence != first.Fence || first.Token.Fence != first.Fence {
			t.Errorf("got fence %d of a record with %d, error %v", first.Fence, rec.Fence, err)
		}
		if c := claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long}); c.Outcome != idempotency.InProgress {
			t.Errorf("claim of another: got %v, want in_progress", c.Outcome)
		}
		lose("extend")
		must(s.Extend(ctx, "k", first.Token, long), "extend")
		lose("complete")
		must(s.Complete(ctx, "k", first.Token, []byte("result"), long), "complete")
		lose("replay")
		if c := claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long}); c.Outcome != idempotency.Done || string(c.Value) != "result" {
			t.Errorf("replay with its answer lost: got %v with %q", c.Outcome, c.Value)
		}
		lose("acquire")
		ok, err := s.Acquire(ctx, "acquired", long)
		must(err, "acquire")
		if !ok {
			t.Error("acquire with its answer lost: got false")
		}
		second := claim(t, s, idempotency.ClaimRequest{Key: "released", Lease: long})
		lose("release")
		must(s.Release(ctx, "released", second.Token), "release")
		if c := claim(t, s, idempotency.ClaimRequest{Key: "released", Lease: long}); c.Outcome != idempotency.Acquired {
			t.Errorf("claim after a release with its answer lost: got %v", c.Outcome)
		}
		lose("set")
		must(s.Set(ctx, "k", []byte("set"), long), "set")
		lose("delete")
		must(s.Delete(ctx, "k"), "delete")
		lose("the end")
	}
}

func TestReleaseIsRepeatedOnlyByItsOwner(t *testing.T) {
	s := open(t, connect(t))
	ctx := t.Context()
	first := claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long})
	for range 2 {
		if err := s.Release(ctx, "k", first.Token); err != nil {
			t.Fatalf("release: %v", err)
		}
	}
	stranger := idempotency.Token{Owner: [16]byte{1}, Fence: first.Fence}
	if err := s.Release(ctx, "k", stranger); !errors.Is(err, idempotency.ErrClaimLost) {
		t.Errorf("release of a stranger: got error %v, want ErrClaimLost", err)
	}
	claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long})
	if err := s.Release(ctx, "k", first.Token); !errors.Is(err, idempotency.ErrClaimLost) {
		t.Errorf("release after another has claimed the key: got error %v, want ErrClaimLost", err)
	}
}

// Whatever a client does with the contexts it gets, no call outlives the deadline of its own.
func TestDeadlineEndsACallThatGetsNoAnswer(t *testing.T) {
	for _, obedient := range []bool{false, true} {
		w := newWire(t)
		s := open(t, connect(t, w.under, func(o *redis.Options) {
			o.ContextTimeoutEnabled, o.ReadTimeout = obedient, time.Hour
		}))
		if err := s.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.SetLimit(short)
		w.stall()
		bounded, cancel := context.WithTimeout(t.Context(), short)
		defer cancel()
		for name, ctx := range map[string]context.Context{"deadline": bounded, "no deadline": t.Context()} {
			_, err := s.Claim(ctx, idempotency.ClaimRequest{Key: "k", Lease: long})
			var unavailable *idempotency.BackendError
			if !errors.As(err, &unavailable) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("client obeys %v, %s: got error %v, want a *BackendError with DeadlineExceeded", obedient, name, err)
			}
		}
	}
}

func TestCancelledClaimIsReleasedWhenItsAnswerComes(t *testing.T) {
	w := newWire(t)
	server := connect(t)
	opts := *server.Options()
	w.under(&opts)
	slow := redis.NewClient(&opts)
	defer slow.Close()
	prefix := "test:" + rand.Text() + ":"
	s, other := openAt(t, slow, prefix), openAt(t, server, prefix)
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.stall()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-w.written
		cancel()
	}()
	if _, err := s.Claim(ctx, idempotency.ClaimRequest{Key: "k", Lease: long}); !errors.Is(err, context.Canceled) {
		t.Fatalf("got error %v, want Canceled", err)
	}
	w.resume()
	for tries := 0; ; tries++ {
		ok, err := other.Acquire(t.Context(), "k", long)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			return
		}
		if tries == 1000 {
			t.Fatal("the claim that was given up still holds the key")
		}
		<-time.After(5 * time.Millisecond)
	}
}

func TestClosedClientIsABackendError(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	s := open(t, client)
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	var unavailable *idempotency.BackendError
	if err := s.Ping(t.Context()); !errors.As(err, &unavailable) || !errors.Is(err, redis.ErrClosed) {
		t.Errorf("got error %v, want a *BackendError with redis.ErrClosed", err)
	}
}

// A replica, and a master that must not write, answer and are of no use.
func TestServerThatDoesNotWriteIsNotAvailable(t *testing.T) {
	server := owned(t)
	client := dial(t, server.URL, once)
	s := open(t, client)
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, change := range [][]any{{"CONFIG", "SET", "min-replicas-to-write", "1"}, {"REPLICAOF", "127.0.0.1", "1"}} {
		if err := client.Do(t.Context(), change...).Err(); err != nil {
			t.Fatal(err)
		}
		var unavailable *idempotency.BackendError
		if err := s.Ping(t.Context()); !errors.As(err, &unavailable) {
			t.Errorf("%v: got error %v, want a *BackendError", change, err)
		}
	}
}

func TestResultThatIsTooLargeIsNamedAsSuch(t *testing.T) {
	s := withAnswer(t, answering{err: serverError("ERR Protocol error: invalid bulk length")})
	err := s.Complete(t.Context(), "k", idempotency.Token{}, []byte("result"), long)
	if err == nil || !strings.Contains(err.Error(), "the result is too large for the store") {
		t.Errorf("got error %v, want one that says so", err)
	}
}

func TestNobodyListensIsABackendError(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1})
	defer client.Close()
	_, err := open(t, client).Acquire(t.Context(), "k", long)
	var unavailable *idempotency.BackendError
	if !errors.As(err, &unavailable) || unavailable.Backend != "redis" || unavailable.Op != "claim" ||
		patterns.Code(err) != idempotency.CodeBackend {
		t.Errorf("got error %v, want a *BackendError of redis for claim", err)
	}
}

func TestForeignDataIsAStoreError(t *testing.T) {
	client := connect(t)
	prefix := "test:" + rand.Text() + ":"
	s := openAt(t, client, prefix)
	claim(t, s, idempotency.ClaimRequest{Key: "k", Lease: long})
	key := client.Keys(t.Context(), prefix+"*").Val()[0]
	ctx := t.Context()
	for name, write := range map[string]func() error{
		"another type":  func() error { return client.LPush(ctx, key, "s3cr3t").Err() },
		"a short text":  func() error { return client.Set(ctx, key, "s3cr3t", 0).Err() },
		"a long text":   func() error { return client.Set(ctx, key, strings.Repeat("s3cr3t", 40), 0).Err() },
		"an empty text": func() error { return client.Set(ctx, key, "", 0).Err() },
	} {
		t.Run(name, func(t *testing.T) {
			if err := errors.Join(client.Del(ctx, key).Err(), write()); err != nil {
				t.Fatal(err)
			}
			_, claimErr := s.Acquire(ctx, "k", long)
			_, _, getErr := s.Get(ctx, "k")
			for op, err := range map[string]error{"claim": claimErr, "get": getErr} {
				var store *idempotency.StoreError
				if !errors.As(err, &store) || store.Backend != "redis" || store.Op != op || strings.Contains(err.Error(), "s3cr3t") {
					t.Errorf("%s: got error %v, want a *StoreError of redis that hides the data", op, err)
				}
			}
			if err := s.Delete(ctx, "k"); err != nil {
				t.Errorf("delete: %v", err)
			}
		})
	}
}

// serverError is what go-redis makes of an error of the server.
type serverError string

func (e serverError) Error() string { return string(e) }
func (serverError) RedisError()     {}

// answering makes a client that never connects and gives every command the same answer.
type answering struct {
	reply any
	err   error
	late  bool // the answer comes when the context is over
	asked *atomic.Int32
}

func (a answering) DialHook(next redis.DialHook) redis.DialHook { return next }
func (a answering) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if a.asked != nil {
			a.asked.Add(1)
		}
		if a.late {
			<-ctx.Done()
		}
		if c, ok := cmd.(*redis.Cmd); ok && a.err == nil {
			c.SetVal(a.reply)
		}
		cmd.SetErr(a.err)
		return a.err
	}
}
func (a answering) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func withAnswer(t *testing.T, a answering) *redisstore.Idempotency {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true})
	t.Cleanup(func() { client.Close() })
	client.AddHook(a)
	return open(t, client)
}

func TestErrorsOfTheServer(t *testing.T) {
	for _, tc := range []struct {
		err   error
		store bool // a StoreError, else a BackendError
	}{
		{serverError("READONLY You can't write against a read only replica."), false},
		{serverError("LOADING Redis is loading the dataset in memory"), false},
		{serverError("OOM command not allowed when used memory > 'maxmemory'. script: 0123, on @user_script:3."), false},
		{serverError("ERR Error running script (call to f_0123): @user_script:3: -OOM command not allowed"), false},
		{serverError("CLUSTERDOWN The cluster is down"), false},
		{serverError("MISCONF Redis is configured to save RDB snapshots"), false},
		{serverError("NOAUTH Authentication required."), false},
		{serverError("NOPERM User app has no permissions to run the 'evalsha' command"), false},
		{serverError("BUSY Redis is busy running a script."), false},
		{serverError("ERR max number of clients reached"), false},
		{io.EOF, false},
		{redis.ErrPoolTimeout, false},
		{redis.ErrClosed, false},
		{context.DeadlineExceeded, false},
		{serverError("WRONGTYPE Operation against a key holding the wrong kind of value"), true},
		{serverError("ERR Error running script (call to f_0123): @user_script:3: WRONGTYPE Operation against a key"), true},
		{serverError("ERR bad argument #2 to 'unpack' (data string too short) script: 0123, on @user_script:3."), true},
		{serverError("ERR Protocol error: invalid bulk length"), true},
		{redis.Nil, true},
	} {
		s := withAnswer(t, answering{err: tc.err})
		_, claimErr := s.Acquire(t.Context(), "k", long)
		for op, err := range map[string]error{"claim": claimErr, "complete": s.Complete(t.Context(), "k", idempotency.Token{}, nil, 0)} {
			var store *idempotency.StoreError
			var unavailable *idempotency.BackendError
			if errors.As(err, &store) != tc.store || errors.As(err, &unavailable) == tc.store || !errors.Is(err, idempotency.ErrIdempotency) {
				t.Errorf("%s, %v: got a %T, want a *StoreError: %v", op, tc.err, err, tc.store)
			}
			if tc.err != redis.Nil && !errors.Is(err, tc.err) {
				t.Errorf("%s, %v: the cause is not in %v", op, tc.err, err)
			}
		}
	}
}

func TestContextThatIsOverIsNotUsed(t *testing.T) {
	var asked atomic.Int32
	s := withAnswer(t, answering{reply: int64(1), asked: &asked})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Acquire(ctx, "k", long); !errors.Is(err, context.Canceled) || asked.Load() != 0 {
		t.Errorf("got error %v after %d commands, want Canceled after none", err, asked.Load())
	}
}

// A client that obeys a deadline calls it a timeout of the network.
func TestTimeoutAtTheDeadlineIsThatOfTheContext(t *testing.T) {
	s := withAnswer(t, answering{err: os.ErrDeadlineExceeded, late: true})
	s.SetLimit(time.Millisecond)
	err := s.Complete(t.Context(), "k", idempotency.Token{}, nil, 0)
	var unavailable *idempotency.BackendError
	if !errors.As(err, &unavailable) || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got error %v, want a *BackendError with both reasons", err)
	}
}

func TestSpansAreInRange(t *testing.T) {
	for _, tc := range []struct {
		reply []any
		want  idempotency.Claim
	}{
		{[]any{int64(2), int64(7), int64(0), int64(0), ""}, idempotency.Claim{
			Outcome: idempotency.InProgress, Fence: 7, RetryAfter: time.Millisecond,
		}},
		{[]any{int64(2), int64(7), int64(math.MaxInt64), int64(0), ""}, idempotency.Claim{
			Outcome: idempotency.InProgress, Fence: 7, RetryAfter: math.MaxInt64,
		}},
		{[]any{int64(3), int64(7), int64(0), int64(-5), "v"}, idempotency.Claim{
			Outcome: idempotency.Done, Fence: 7, Value: []byte("v"),
		}},
		{[]any{int64(3), int64(7), int64(1), int64(1500), "v"}, idempotency.Claim{
			Outcome: idempotency.Done, Fence: 7, Value: []byte("v"), Age: 1500 * time.Microsecond, ExpiresIn: time.Microsecond,
		}},
		{[]any{int64(3), int64(7), int64(math.MaxInt64), int64(0), "v"}, idempotency.Claim{
			Outcome: idempotency.Done, Fence: 7, Value: []byte("v"), ExpiresIn: math.MaxInt64,
		}},
	} {
		got := claim(t, withAnswer(t, answering{reply: tc.reply}), idempotency.ClaimRequest{Key: "k", Lease: long})
		if !reflect.DeepEqual(got, tc.want) {
			t.Errorf("reply %v: got %+v, want %+v", tc.reply, got, tc.want)
		}
	}
}

// Some proxies know no scripts, and quote what they were asked.
func TestQuotedArgumentsAreNotTold(t *testing.T) {
	s := withAnswer(t, answering{err: serverError("ERR unknown command 'evalsha', with args beginning with: '0123' '1' 's3cr3t'")})
	err := s.Complete(t.Context(), "k", idempotency.Token{}, []byte("s3cr3t"), 0)
	var unavailable *idempotency.BackendError
	if !errors.As(err, &unavailable) || strings.Contains(err.Error(), "s3cr3t") || !strings.Contains(err.Error(), "evalsha") {
		t.Errorf("got error %v, want one that names the command and hides its arguments", err)
	}
}

func TestUnexpectedRepliesAreStoreErrors(t *testing.T) {
	for _, reply := range []any{
		nil, "s3cr3t", 1.5, []any{}, []any{int64(1)}, []any{int64(0), int64(1), int64(0), int64(0), ""},
		[]any{int64(5), int64(1), int64(0), int64(0), ""}, []any{int64(1), int64(1), int64(0), int64(0), ""},
		[]any{int64(2), "s3cr3t", int64(0), int64(0), ""}, []any{int64(3), int64(1), int64(0), int64(0), nil},
		[]any{int64(2), int64(1), "0", int64(0), ""}, []any{int64(3), int64(1), int64(1), "0", ""},
		[]any{"2", int64(1), int64(0), int64(0), ""}, []any{int64(2), int64(1), int64(0), ""},
		[]any{"c", int64(1), int64(1), int64(1), "", nil}, []any{"x", int64(1), int64(1), int64(1), "", "s3cr3t"},
		[]any{"c", nil, int64(1), int64(1), "", ""}, []any{"c", int64(1), 1.5, int64(1), "", ""}, map[any]any{"s3cr3t": 1},
	} {
		s := withAnswer(t, answering{reply: reply})
		_, claimErr := s.Acquire(t.Context(), "k", long)
		_, found, recordErr := s.GetRecord(t.Context(), "k")
		if none, ok := reply.([]any); ok && len(none) == 0 { // means that there is no record
			if found || recordErr != nil {
				t.Errorf("record of an empty reply: found %v, error %v", found, recordErr)
			}
			recordErr = &idempotency.StoreError{}
		}
		for op, err := range map[string]error{
			"claim": claimErr, "record": recordErr, "extend": s.Extend(t.Context(), "k", idempotency.Token{}, long),
		} {
			var store *idempotency.StoreError
			if !errors.As(err, &store) || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("%s, reply %v: got error %v, want a *StoreError that hides it", op, reply, err)
			}
		}
	}
}

// Redis 7 and RESP3 have more than one way to write a number, but what our scripts return is always an integer.
func TestLongTimesSurvive(t *testing.T) {
	s := open(t, connect(t))
	const century = 100 * 365 * 24 * time.Hour
	for _, d := range []time.Duration{century, 1<<63 - 1} {
		key := d.String()
		c := claim(t, s, idempotency.ClaimRequest{Key: key, Lease: d, Retention: d})
		if c.Outcome != idempotency.Acquired {
			t.Fatalf("claim for %v: got %v", d, c.Outcome)
		}
		if c := claim(t, s, idempotency.ClaimRequest{Key: key, Lease: d}); c.RetryAfter < century-time.Hour {
			t.Errorf("claim for %v: retry after %v", d, c.RetryAfter)
		}
		if err := s.Complete(t.Context(), key, c.Token, nil, d); err != nil {
			t.Fatalf("complete for %v: %v", d, err)
		}
		rec, found, err := s.GetRecord(t.Context(), key)
		if err != nil || !found || rec.ExpiresAt.Sub(rec.CreatedAt) < century {
			t.Errorf("complete for %v: expires at %v, found %v, error %v", d, rec.ExpiresAt, found, err)
		}
	}
}
