package redisstore_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/state"
	"github.com/steadyfx/steady/stores/redisstore"
)

// openState returns a store on client. Its prefix is its own, so that it is empty on any server.
func openState(tb testing.TB, client redis.UniversalClient) *redisstore.State {
	tb.Helper()
	return openStateAt(tb, client, "test:"+rand.Text()+":")
}

func openStateAt(tb testing.TB, client redis.UniversalClient, prefix string) *redisstore.State {
	tb.Helper()
	s, err := redisstore.NewState(client, redisstore.StateConfig{KeyPrefix: prefix})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// impatient makes a client tell at once that it cannot connect. After as many failures as its pool is large, it would
// also leave a goroutine behind that sleeps for a second.
func impatient(o *redis.Options) { o.DialerRetries, o.MaxRetries, o.PoolSize = 1, -1, 1000 }

func swap(tb testing.TB, s state.Store, key string, old state.Version, data string, ttl time.Duration) state.Version {
	tb.Helper()
	v, swapped, err := s.CompareAndSwap(tb.Context(), key, old, []byte(data), ttl)
	if err != nil || !swapped {
		tb.Fatalf("swap of version %d: swapped %v, error %v", old, swapped, err)
	}
	return v
}

func TestStateConfigurationIsChecked(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"}) // nothing connects
	defer client.Close()
	for name, tc := range map[string]struct {
		client redis.UniversalClient
		prefix string
		fields []string
	}{
		"no client":           {nil, "", []string{"client"}},
		"nil client":          {(*redis.Client)(nil), "", []string{"client"}},
		"long prefix":         {client, strings.Repeat("p", 65), []string{"key_prefix"}},
		"control character":   {client, "a\nb", []string{"key_prefix"}},
		"hash tag":            {client, "{app}:", []string{"key_prefix"}},
		"everything is wrong": {nil, strings.Repeat("{\x7f", 40), []string{"client", "key_prefix", "key_prefix", "key_prefix"}},
		"nothing is wrong":    {client, strings.Repeat("é:", 21), nil},
		"nothing is said":     {client, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := redisstore.NewState(tc.client, redisstore.StateConfig{KeyPrefix: tc.prefix})
			if tc.fields == nil {
				if err != nil {
					t.Errorf("got error %v, want none", err)
				}
				return
			}
			var configuration *state.ConfigurationError
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

func TestStateKeyIsPrefixAndDigest(t *testing.T) {
	client := connect(t)
	digest := sha256.Sum256([]byte("payments"))
	for prefix, want := range map[string]string{"": "state:", "test:" + rand.Text() + ":": ""} {
		if want == "" {
			want = prefix
		}
		key := want + base64.RawURLEncoding.EncodeToString(digest[:])
		t.Cleanup(func() { client.Del(context.WithoutCancel(t.Context()), key) })
		swap(t, openStateAt(t, client, prefix), "payments", 0, "open", long)
		if n, err := client.Exists(t.Context(), key).Result(); n != 1 || err != nil {
			t.Errorf("prefix %q: %s is not there, error %v", prefix, key, err)
		}
	}
}

func TestVersionIsTheServersTime(t *testing.T) {
	client := connect(t)
	s := openState(t, client)
	last := state.Version(0)
	next := func(what string, old state.Version) {
		t.Helper()
		before := client.Time(t.Context()).Val().UnixMicro()
		v := swap(t, s, "k", old, "v", long)
		after := client.Time(t.Context()).Val().UnixMicro()
		if v <= last || int64(v) < before || int64(v) > after {
			t.Fatalf("%s: got version %d after %d, want one between %d and %d", what, v, last, before, after)
		}
		last = v
	}
	next("first swap", 0)
	next("second swap", last)
	if deleted, err := s.Delete(t.Context(), "k", last); !deleted || err != nil {
		t.Fatal(deleted, err)
	}
	next("after a deletion", 0)
}

// A server's clock that was set back does not take versions back.
func TestVersionsGrowWhenTheClockGoesBack(t *testing.T) {
	client := connect(t)
	prefix := "test:" + rand.Text() + ":"
	s := openStateAt(t, client, prefix)
	ctx := t.Context()
	version := swap(t, s, "k", 0, "v", long)
	// The version is as if it came from a time two hours ahead.
	ahead := version + state.Version(2*time.Hour.Microseconds())
	const rewrite = `
local r = redis.call('GET', KEYS[1])
return redis.call('SET', KEYS[1], 's' .. struct.pack('<dd', ARGV[1], ARGV[1]) .. string.sub(r, 18))`
	if err := client.Eval(ctx, rewrite, []string{client.Keys(ctx, prefix+"*").Val()[0]}, int64(ahead)).Err(); err != nil {
		t.Fatal(err)
	}
	if v, _, err := s.Get(ctx, "k"); err != nil || v.Version != ahead || v.Age != 0 {
		t.Errorf("got version %d aged %v, error %v, want %d aged 0", v.Version, v.Age, err, ahead)
	}
	if v := swap(t, s, "k", ahead, "v", long); v != ahead+1 {
		t.Errorf("swap: got version %d, want %d", v, ahead+1)
	}
	if deleted, err := s.Delete(ctx, "k", ahead+1); !deleted || err != nil {
		t.Fatal(deleted, err)
	}
	if v := swap(t, s, "k", 0, "v", short); v != ahead+2 {
		t.Errorf("swap after a deletion: got version %d, want %d", v, ahead+2)
	}
	for v, err := range s.Watch(ctx, "k") {
		if err != nil || v.Version == 0 {
			break
		}
	}
	if v := swap(t, s, "k", 0, "v", long); v != ahead+3 {
		t.Errorf("swap after expiry: got version %d, want %d", v, ahead+3)
	}
}

func TestPitfall30RedisForgetsStateInTime(t *testing.T) {
	client := connect(t)
	prefix := "test:" + rand.Text() + ":"
	s := openStateAt(t, client, prefix)
	ctx := t.Context()
	left := func(what string, min, max time.Duration) {
		t.Helper()
		// Redis counts in milliseconds, and we add one for each of two numbers.
		ttl := client.PTTL(ctx, client.Keys(ctx, prefix+"*").Val()[0]).Val()
		if ttl <= min || ttl > max+3*time.Millisecond {
			t.Errorf("%s: Redis forgets the value in %v, want more than %v and at most %v", what, ttl, min, max)
		}
	}
	v := swap(t, s, "k", 0, "v", time.Hour)
	left("a value for an hour", time.Hour, time.Hour+time.Minute)
	v = swap(t, s, "k", v, "v", time.Millisecond)
	left("a value for a millisecond", 30*time.Second, time.Minute+time.Millisecond)
	if _, err := s.Delete(ctx, "k", v); err != nil { // or it has expired
		t.Fatal(err)
	}
	v = swap(t, s, "k", 0, "v", 0)
	if ttl := client.PTTL(ctx, client.Keys(ctx, prefix+"*").Val()[0]).Val(); ttl != -1 {
		t.Errorf("a value without expiry: Redis forgets it in %v", ttl)
	}
	if deleted, err := s.Delete(ctx, "k", v); !deleted || err != nil {
		t.Fatal(deleted, err)
	}
	left("a deleted value", 30*time.Second, time.Minute)
}

func TestEveryStateOperationIsOneRoundTrip(t *testing.T) {
	client := connect(t)
	trips := &roundTrips{}
	client.AddHook(trips)
	s := openState(t, client)
	ctx := t.Context()
	for round := range 2 { // in the first, Redis learns the scripts
		var version state.Version
		for _, o := range []struct {
			name string
			call func()
		}{
			{"swap", func() { version = swap(t, s, "k", 0, "v", long) }},
			{"refused swap", func() {
				if _, swapped, err := s.CompareAndSwap(ctx, "k", 0, nil, 0); swapped || err != nil {
					t.Error(swapped, err)
				}
			}},
			{"get", func() {
				if _, found, err := s.Get(ctx, "k"); !found || err != nil {
					t.Error(found, err)
				}
			}},
			{"delete", func() {
				if deleted, err := s.Delete(ctx, "k", version); !deleted || err != nil {
					t.Error(deleted, err)
				}
			}},
		} {
			trips.n.Store(0)
			o.call()
			if n := trips.n.Load(); round == 1 && n != 1 {
				t.Errorf("%s: %d round trips, want 1", o.name, n)
			}
		}
	}
}

func TestForgottenStateScriptsAreSentAgain(t *testing.T) {
	client := connect(t)
	s := openState(t, client)
	for range 2 {
		if err := client.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		swap(t, s, rand.Text(), 0, "v", long)
	}
}

// A client that repeated a write whose answer it has lost would be told that somebody else was faster.
func TestWriteWhoseAnswerIsLostIsNotRepeated(t *testing.T) {
	for _, obedient := range []bool{false, true} {
		w := newWire(t)
		client := connect(t, w.under, func(o *redis.Options) { o.ContextTimeoutEnabled = obedient })
		s := openState(t, client)
		ctx := t.Context()
		swap(t, s, "known", 0, "v", long) // Redis learns the script
		if _, err := s.Delete(ctx, "known", 1); err != nil {
			t.Fatal(err)
		}
		unknown := func(what string, done bool, err error) {
			t.Helper()
			var unavailable *state.BackendError
			if done || !errors.As(err, &unavailable) {
				t.Errorf("%s with its answer lost: done %v, error %v, want a *BackendError", what, done, err)
			}
		}
		w.loseAnswer.Store(true)
		_, swapped, err := s.CompareAndSwap(ctx, "k", 0, []byte("v"), long)
		unknown("swap", swapped, err)
		w.loseAnswer.Store(true)
		v, found, err := s.Get(ctx, "k")
		if !found || err != nil || string(v.Data) != "v" || w.loseAnswer.Load() {
			t.Errorf("get with its answer lost: got %q, found %v, error %v, want what was swapped", v.Data, found, err)
		}
		w.loseAnswer.Store(true)
		deleted, err := s.Delete(ctx, "k", v.Version)
		unknown("delete", deleted, err)
		if _, found, err := s.Get(ctx, "k"); found || err != nil {
			t.Errorf("after the deletion: found %v, error %v", found, err)
		}
	}
}

func TestForeignDataUnderAStateKeyIsAStoreError(t *testing.T) {
	client := connect(t)
	prefix := "test:" + rand.Text() + ":"
	s := openStateAt(t, client, prefix)
	ctx := t.Context()
	swap(t, s, "k", 0, "v", long)
	key := client.Keys(ctx, prefix+"*").Val()[0]
	for name, write := range map[string]func() error{
		"another type":     func() error { return client.LPush(ctx, key, "s3cr3t").Err() },
		"a short text":     func() error { return client.Set(ctx, key, "s3cr3t", 0).Err() },
		"a text too short": func() error { return client.Set(ctx, key, "s"+strings.Repeat("1", 23), 0).Err() },
		"another text":     func() error { return client.Set(ctx, key, strings.Repeat("r3cr3ts3cr3t", 40), 0).Err() },
	} {
		t.Run(name, func(t *testing.T) {
			if err := errors.Join(client.Del(ctx, key).Err(), write()); err != nil {
				t.Fatal(err)
			}
			_, found, getErr := s.Get(ctx, "k")
			_, swapped, swapErr := s.CompareAndSwap(ctx, "k", 0, nil, long)
			deleted, deleteErr := s.Delete(ctx, "k", 1)
			if found || swapped || deleted {
				t.Errorf("found %v, swapped %v, deleted %v", found, swapped, deleted)
			}
			errs := map[string]error{"get": getErr, "swap": swapErr, "delete": deleteErr}
			for _, err := range s.Watch(ctx, "k") {
				errs["watch"] = err
				break
			}
			for op, err := range errs {
				var store *state.StoreError
				if !errors.As(err, &store) || store.Backend != "redis" || store.Op != op || strings.Contains(err.Error(), "s3cr3t") {
					t.Errorf("%s: got error %v, want a *StoreError of redis that hides the data", op, err)
				}
			}
		})
	}
}

// To take an error for absence made replicas that had just started overwrite what the others had agreed on.
func TestPitfall29ServerThatIsDownIsNotAbsence(t *testing.T) {
	server := owned(t)
	s := openState(t, dial(t, server.URL, impatient))
	ctx := t.Context()
	version := swap(t, s, "k", 0, "open", long)
	server.Kill()
	v, found, getErr := s.Get(ctx, "k")
	_, swapped, swapErr := s.CompareAndSwap(ctx, "k", 0, []byte("closed"), long)
	deleted, deleteErr := s.Delete(ctx, "k", version)
	if found || v.Version != 0 || swapped || deleted {
		t.Errorf("found %v, version %d, swapped %v, deleted %v of a server that is down", found, v.Version, swapped, deleted)
	}
	for op, err := range map[string]error{"get": getErr, "swap": swapErr, "delete": deleteErr} {
		var unavailable *state.BackendError
		if !errors.As(err, &unavailable) || unavailable.Op != op {
			t.Errorf("%s: got error %v, want a *BackendError", op, err)
		}
	}
	server.Start()
	if v, found, err := s.Get(ctx, "k"); err != nil || !found || v.Version != version {
		t.Errorf("the server is back: got version %d, found %v, error %v, want %d", v.Version, found, err, version)
	}
}

func TestLongTTLsSurvive(t *testing.T) {
	s := openState(t, connect(t))
	const century = 100 * 365 * 24 * time.Hour
	for _, ttl := range []time.Duration{century, 1<<63 - 1} {
		swap(t, s, ttl.String(), 0, "v", ttl)
		if v, found, err := s.Get(t.Context(), ttl.String()); err != nil || !found || v.ExpiresIn < century-time.Hour {
			t.Errorf("a value for %v: found %v, expires in %v, error %v", ttl, found, v.ExpiresIn, err)
		}
	}
}

// stateAnswering also answers the commands that are not repeated.
type stateAnswering struct{ answering }

func (a stateAnswering) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(_ context.Context, cmd redis.Cmder) error {
		if c, ok := cmd.(interface{ SetVal(any) }); ok && a.err == nil {
			c.SetVal(a.reply)
		}
		cmd.SetErr(a.err)
		return a.err
	}
}

func withStateAnswer(t *testing.T, a answering) *redisstore.State {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true})
	t.Cleanup(func() { client.Close() })
	client.AddHook(stateAnswering{a})
	return openState(t, client)
}

func TestErrorsOfTheServerForState(t *testing.T) {
	for _, tc := range []struct {
		err   error
		store bool // a StoreError, else a BackendError
	}{
		{serverError("READONLY You can't write against a read only replica."), false},
		{serverError("OOM command not allowed when used memory > 'maxmemory'. script: 0123, on @user_script:3."), false},
		{serverError("NOPERM User app has no permissions to run the 'evalsha' command"), false},
		{serverError("ERR unknown command 'evalsha', with args beginning with: '0123' '1' 's3cr3t'"), false},
		{io.EOF, false},
		{redis.ErrPoolTimeout, false},
		{redis.ErrClosed, false},
		{serverError("WRONGTYPE Operation against a key holding the wrong kind of value"), true},
		{redis.Nil, true},
	} {
		s := withStateAnswer(t, answering{err: tc.err})
		_, _, getErr := s.Get(t.Context(), "k")
		_, _, swapErr := s.CompareAndSwap(t.Context(), "k", 0, []byte("s3cr3t"), 0)
		for op, err := range map[string]error{"get": getErr, "swap": swapErr} {
			var store *state.StoreError
			var unavailable *state.BackendError
			if errors.As(err, &store) != tc.store || errors.As(err, &unavailable) == tc.store || !errors.Is(err, state.ErrState) {
				t.Errorf("%s, %v: got a %T, want a *StoreError: %v", op, tc.err, err, tc.store)
			}
			if strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("%s: the error tells the data: %v", op, err)
			}
		}
	}
}

func TestStateReplies(t *testing.T) {
	for _, tc := range []struct {
		reply any
		want  state.Value // of version 0: a StoreError
	}{
		{[]any{int64(7), int64(-5), int64(1500), "v"}, state.Value{Data: []byte("v"), Version: 7, ExpiresIn: 1500 * time.Microsecond}},
		{[]any{int64(7), int64(2), int64(0), ""}, state.Value{Data: []byte{}, Version: 7, Age: 2 * time.Microsecond}},
		{reply: nil}, {reply: "s3cr3t"}, {reply: int64(1)}, {reply: []any{int64(1)}},
		{reply: []any{int64(0), int64(0), int64(0), "s3cr3t"}}, {reply: []any{"7", int64(0), int64(0), "s3cr3t"}},
		{reply: []any{int64(7), "0", int64(0), "s3cr3t"}}, {reply: []any{int64(7), int64(0), 1.5, "s3cr3t"}},
		{reply: []any{int64(7), int64(0), int64(0), nil}}, {reply: map[any]any{"s3cr3t": 1}},
	} {
		v, found, err := withStateAnswer(t, answering{reply: tc.reply}).Get(t.Context(), "k")
		if tc.want.Version != 0 {
			if err != nil || !found || !reflect.DeepEqual(v, tc.want) {
				t.Errorf("reply %v: got %+v, found %v, error %v, want %+v", tc.reply, v, found, err, tc.want)
			}
			continue
		}
		var store *state.StoreError
		if found || !errors.As(err, &store) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("reply %v: found %v, error %v, want a *StoreError that hides it", tc.reply, found, err)
		}
	}
	for _, reply := range []any{nil, "s3cr3t", int64(-1), []any{}} {
		s := withStateAnswer(t, answering{reply: reply})
		_, swapped, swapErr := s.CompareAndSwap(t.Context(), "k", 0, nil, 0)
		deleted, deleteErr := s.Delete(t.Context(), "k", 1)
		for op, err := range map[string]error{"swap": swapErr, "delete": deleteErr} {
			var store *state.StoreError
			if swapped || deleted || !errors.As(err, &store) || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("%s, reply %v: done %v, error %v, want a *StoreError that hides it", op, reply, swapped || deleted, err)
			}
		}
	}
}
