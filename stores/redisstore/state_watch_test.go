package redisstore_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/steadyfx/steady/patterns/state"
	"github.com/steadyfx/steady/testkit/services"
)

const (
	never = time.Hour       // a poll that no test lives to see
	soon  = 5 * time.Second // far below it
)

type turn struct {
	state.Value
	err error
}

// watch watches a key until the test ends, or the returned function is called.
func watch(t *testing.T, s state.Store, key string) (turns chan turn, end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	turns = make(chan turn)
	var wg sync.WaitGroup
	wg.Go(func() {
		for v, err := range s.Watch(ctx, key) {
			select {
			case turns <- turn{v, err}:
			case <-ctx.Done():
			}
		}
	})
	end = func() { cancel(); wg.Wait() }
	t.Cleanup(end)
	return turns, end
}

// next takes turns until one is right.
func next(t *testing.T, turns chan turn, what string, right func(turn) bool) turn {
	t.Helper()
	late := time.After(6 * soon)
	for {
		select {
		case got := <-turns:
			if right(got) {
				return got
			}
		case <-late:
			t.Fatalf("%s did not come", what)
		}
	}
}

func at(version state.Version) func(turn) bool {
	return func(got turn) bool { return got.err == nil && got.Version == version }
}

func failed(got turn) bool { return got.err != nil }

// listeners returns the ids of the connections that listen to a server.
func listeners(t *testing.T, client *redis.Client) (ids []string) {
	t.Helper()
	list, err := client.Do(t.Context(), "CLIENT", "LIST", "TYPE", "pubsub").Text()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(list) {
		id, _, _ := strings.Cut(line, " ")
		ids = append(ids, strings.TrimPrefix(id, "id="))
	}
	return ids
}

func TestWatchIsToldOfChangesAtOnce(t *testing.T) {
	server := services.Redis(t)
	client := dial(t, server.URL)
	prefix := "test:" + rand.Text() + ":"
	s, other := openStateAt(t, client, prefix), openStateAt(t, dial(t, server.URL), prefix)
	s.SetPace(never, time.Millisecond)
	turns, _ := watch(t, s, "k")
	next(t, turns, "the first turn", at(0))
	eventually(t, "the watch listens", func() bool { return len(listeners(t, client)) == 1 })
	for n := range 20 {
		version := swap(t, other, "k", 0, fmt.Sprint(n), long)
		next(t, turns, "a swap by another process", at(version))
		if deleted, err := other.Delete(t.Context(), "k", version); !deleted || err != nil {
			t.Fatal(deleted, err)
		}
		next(t, turns, "a deletion by another process", at(0))
	}
	version := swap(t, other, "k", 0, "v", short)
	next(t, turns, "the end of a value", func(got turn) bool { return got.err == nil && got.Version != version })
}

// Between the first look and the moment from which Redis sends word, nobody would tell.
func TestWatchLooksAgainWhenItListens(t *testing.T) {
	server := services.Redis(t)
	gate := make(chan struct{})
	client := dial(t, server.URL, func(o *redis.Options) {
		o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return &subscriber{Conn: conn, before: gate}, err
		}
	})
	prefix := "test:" + rand.Text() + ":"
	s, other := openStateAt(t, client, prefix), openStateAt(t, dial(t, server.URL), prefix)
	s.SetPace(never, time.Millisecond)
	turns, _ := watch(t, s, "k")
	next(t, turns, "the first turn", at(0))
	version := swap(t, other, "k", 0, "v", long)
	close(gate)
	next(t, turns, "a change before the watch could listen", at(version))
}

func TestWatchListensAgainWhenItsConnectionIsLost(t *testing.T) {
	server := services.Redis(t)
	client := dial(t, server.URL)
	s := openState(t, client)
	s.SetPace(never, time.Millisecond)
	turns, _ := watch(t, s, "k")
	next(t, turns, "the first turn", at(0))
	version := state.Version(0)
	for range 3 {
		var before []string
		eventually(t, "the watch listens", func() bool { before = listeners(t, client); return len(before) == 1 })
		if err := client.ClientKillByFilter(t.Context(), "ID", before[0]).Err(); err != nil {
			t.Fatal(err)
		}
		version = swap(t, s, "k", version, "v", long)
		next(t, turns, "a change while nobody listened", at(version))
	}
}

// subscriber is a connection that can be made to wait before it subscribes, and to hear nothing after.
type subscriber struct {
	net.Conn
	before     <-chan struct{}
	deaf       *atomic.Bool
	asked      *atomic.Int32 // how often a connection was asked whether it is there: the most of any
	pings      atomic.Int32
	subscribed atomic.Bool
}

func (s *subscriber) Write(p []byte) (int, error) {
	command := strings.ToLower(string(p))
	switch {
	case strings.Contains(command, "\r\nsubscribe\r\n"):
		s.subscribed.Store(true)
		if s.before != nil {
			<-s.before
		}
	case s.subscribed.Load() && s.asked != nil && strings.Contains(command, "\r\nping\r\n"):
		if n := s.pings.Add(1); n > s.asked.Load() {
			s.asked.Store(n)
		}
	}
	return s.Conn.Write(p)
}

func (s *subscriber) Read(p []byte) (int, error) {
	for s.deaf != nil && s.subscribed.Load() && s.deaf.Load() {
		if _, err := s.Conn.Read(make([]byte, 1024)); err != nil {
			return 0, err
		}
	}
	return s.Conn.Read(p)
}

// The other end may be gone without a word.
func TestConnectionOnWhichNothingIsHeardIsReplaced(t *testing.T) {
	server := services.Redis(t)
	var deaf atomic.Bool
	var asked atomic.Int32
	client := dial(t, server.URL, func(o *redis.Options) {
		o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return &subscriber{Conn: conn, deaf: &deaf, asked: &asked}, err
		}
	})
	s := openState(t, client)
	s.SetPace(20*time.Millisecond, time.Millisecond)
	turns, _ := watch(t, s, "k")
	next(t, turns, "the first turn", at(0))
	eventually(t, "a connection that answers is asked again", func() bool { return asked.Load() > 2 })
	var first []string
	eventually(t, "the watch listens", func() bool { first = listeners(t, client); return len(first) == 1 })
	deaf.Store(true)
	eventually(t, "the connection is replaced", func() bool { return !slices.Contains(listeners(t, client), first[0]) })
	deaf.Store(false)
	version := swap(t, s, "k", 0, "v", long)
	next(t, turns, "a change", at(version))
}

func TestWatchesShareOneConnection(t *testing.T) {
	server := services.Redis(t)
	client := dial(t, server.URL)
	s := openState(t, client)
	s.SetPace(never, time.Millisecond)
	var ends []func()
	for n := range 40 {
		turns, end := watch(t, s, fmt.Sprint(n/2)) // two of each key
		next(t, turns, "the first turn", at(0))
		ends = append(ends, end)
	}
	eventually(t, "the watches listen", func() bool { return len(listeners(t, client)) > 0 })
	if n := len(listeners(t, client)); n != 1 {
		t.Errorf("40 watches have %d connections, want 1", n)
	}
	for _, end := range ends[1:] {
		end()
	}
	if n := len(listeners(t, client)); n != 1 {
		t.Errorf("the last watch has %d connections, want 1", n)
	}
	ends[0]()
	eventually(t, "the connection is given back", func() bool { return len(listeners(t, client)) == 0 })
	turns, _ := watch(t, s, "0")
	next(t, turns, "the first turn of a later watch", at(0))
	eventually(t, "a later watch listens", func() bool { return len(listeners(t, client)) == 1 })
	version := swap(t, s, "0", 0, "v", long)
	next(t, turns, "a change", at(version))
}

// A value that the watch already knows is told again after an error: it says that the watch can see.
func TestWatchComesBackWithTheServer(t *testing.T) {
	server := owned(t)
	client := dial(t, server.URL, impatient)
	s := openState(t, client)
	s.SetPace(never, time.Millisecond)
	version := swap(t, s, "k", 0, "v", long)
	turns, _ := watch(t, s, "k")
	next(t, turns, "the first turn", at(version))
	for range 2 {
		eventually(t, "the watch listens", func() bool { return len(listeners(t, client)) == 1 })
		version = swap(t, s, "k", version, "v", long)
		next(t, turns, "word of a change", at(version))
		server.Kill()
		got := next(t, turns, "an error", failed)
		var unavailable *state.BackendError
		if !errors.As(got.err, &unavailable) || unavailable.Op != "watch" || got.Version != 0 {
			t.Errorf("got version %d with %v, want a *BackendError of watch", got.Version, got.err)
		}
		server.Start()
		next(t, turns, "the value as it was", at(version))
	}
}

// A user of Redis 6 or later may be kept from channels.
func TestWatchPollsWhereItMayNotListen(t *testing.T) {
	server := services.Redis(t)
	admin := dial(t, server.URL)
	user := "u" + rand.Text()
	if err := admin.Do(t.Context(), "ACL", "SETUSER", user, "on", ">secret", "~*", "+@all", "resetchannels").Err(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Do(context.WithoutCancel(t.Context()), "ACL", "DELUSER", user) })
	s := openState(t, dial(t, server.URL, func(o *redis.Options) { o.Username, o.Password = user, "secret" }))
	s.SetPace(20*time.Millisecond, time.Millisecond)
	turns, _ := watch(t, s, "k")
	next(t, turns, "the first turn", at(0))
	version := swap(t, s, "k", 0, "v", long)
	next(t, turns, "a swap", at(version))
	if deleted, err := s.Delete(t.Context(), "k", version); !deleted || err != nil {
		t.Errorf("deleted %v, error %v", deleted, err)
	}
	next(t, turns, "a deletion", at(0))
}

// A Ring panics when it is asked to subscribe and none of its shards works.
func TestRingWithoutShardsIsAnError(t *testing.T) {
	ring := redis.NewRing(&redis.RingOptions{
		Addrs: map[string]string{"one": "127.0.0.1:1"}, HeartbeatFrequency: time.Millisecond,
		DialerRetries: 1, MaxRetries: -1, PoolSize: 1000,
	})
	t.Cleanup(func() { ring.Close() })
	eventually(t, "the ring has no shard", func() bool { return ring.Len() == 0 })
	s := openState(t, ring)
	s.SetPace(time.Millisecond, time.Millisecond)
	turns, _ := watch(t, s, "k")
	for range 20 {
		var unavailable *state.BackendError
		if got := next(t, turns, "an error", failed); !errors.As(got.err, &unavailable) {
			t.Fatalf("got error %v, want a *BackendError", got.err)
		}
	}
}

func TestStalledServerDoesNotHoldUpTheEndOfAWatch(t *testing.T) {
	for _, obedient := range []bool{false, true} {
		w := newWire(t)
		client := connect(t, w.under, func(o *redis.Options) { o.ContextTimeoutEnabled = obedient })
		s := openState(t, client)
		s.SetPace(time.Millisecond, time.Millisecond)
		s.SetStateLimit(50 * time.Millisecond)
		turns, end := watch(t, s, "k")
		next(t, turns, "the first turn", at(0))
		w.stall()
		got := next(t, turns, "an error", failed)
		if !errors.Is(got.err, context.DeadlineExceeded) && !errors.Is(got.err, os.ErrDeadlineExceeded) {
			t.Errorf("got error %v, want one of the deadline", got.err)
		}
		end()
		w.resume()
	}
}
