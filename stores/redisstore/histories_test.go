package redisstore_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/testkit/faults"
	"github.com/steadyfx/steady/testkit/histories"
	"github.com/steadyfx/steady/testkit/services"
)

// some is how many histories one kind of trouble gets beside those of TestHistoriesOverABadNetwork.
const some = 32

// once is a client that leaves it to its caller to repeat what failed, and that gives up in time.
func once(o *redis.Options) {
	o.MaxRetries, o.DialerRetries, o.ContextTimeoutEnabled = -1, 1, true
}

// pause waits, in a test that plays with a real server.
func pause(d time.Duration) { <-time.After(d) }

// through returns how to open a store on server behind a proxy.
func through(t *testing.T, p *faults.Proxy, server *services.Server, change ...func(*redis.Options)) func(*testing.T) idempotency.Store {
	t.Helper()
	url, err := p.URL(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return func(t *testing.T) idempotency.Store { return open(t, dial(t, url, change...)) }
}

func inject(t *testing.T, p *faults.Proxy, m faults.Mix) {
	t.Helper()
	if err := p.Inject(m); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for f, probability := range map[faults.Fault]float64{
			faults.CutRequest: m.CutRequest, faults.CutAnswer: m.CutAnswer,
			faults.DelayRequest: m.DelayRequest, faults.DelayAnswer: m.DelayAnswer,
		} {
			if (p.Count(f) > 0) != (probability > 0) {
				t.Errorf("%v happened %d times, at a probability of %v", f, p.Count(f), probability)
			}
		}
	})
}

func TestHistoriesOverABadNetwork(t *testing.T) {
	server := services.Redis(t)
	p := faults.New(t, server.Addr())
	inject(t, p, faults.Mix{
		CutRequest: 0.03, CutAnswer: 0.03, DelayRequest: 0.03, DelayAnswer: 0.03, Delay: 10 * time.Millisecond,
	})
	histories.Idempotency(t, through(t, p, server, once), histories.Options{})
}

// The client that people use unless they say otherwise sends a command again when its answer is lost.
func TestHistoriesOfAClientThatRepeats(t *testing.T) {
	server := services.Redis(t)
	p := faults.New(t, server.Addr())
	inject(t, p, faults.Mix{CutRequest: 0.05, CutAnswer: 0.1, DelayAnswer: 0.03, Delay: 10 * time.Millisecond})
	histories.Idempotency(t, through(t, p, server), histories.Options{Histories: some, Repeats: true})
}

func TestHistoriesWhileTheNetworkComesAndGoes(t *testing.T) {
	server := services.Redis(t)
	p := faults.New(t, server.Addr())
	histories.Idempotency(t, through(t, p, server, once), histories.Options{
		Histories: some, Timeout: 30 * time.Millisecond,
		Disturb: func(random *rand.Rand) {
			pause(time.Duration(random.IntN(40)) * time.Millisecond)
			[]func(){p.Blackhole, p.Refuse, p.Cut}[random.IntN(3)]()
			pause(time.Duration(random.IntN(40)) * time.Millisecond)
			p.Restore()
		},
	})
}

func TestHistoriesWhileTheServerIsPaused(t *testing.T) {
	server := owned(t)
	histories.Idempotency(t, func(t *testing.T) idempotency.Store { return open(t, dial(t, server.URL, once)) }, histories.Options{
		Histories: some, Timeout: 30 * time.Millisecond,
		Disturb: func(random *rand.Rand) {
			pause(time.Duration(random.IntN(40)) * time.Millisecond)
			server.Pause()
			pause(time.Duration(random.IntN(40)) * time.Millisecond)
			server.Resume()
		},
	})
}

func TestHistoriesAcrossCrashes(t *testing.T) {
	server := owned(t)
	histories.Idempotency(t, func(t *testing.T) idempotency.Store { return open(t, dial(t, server.URL, once)) }, histories.Options{
		Histories: some / 2, Timeout: 100 * time.Millisecond,
		Disturb: func(random *rand.Rand) {
			pause(time.Duration(random.IntN(60)) * time.Millisecond)
			server.Kill()
			server.Start()
		},
	})
}

func TestHistoriesWhileScriptsAreForgotten(t *testing.T) {
	server := owned(t)
	client := dial(t, server.URL)
	histories.Idempotency(t, func(t *testing.T) idempotency.Store { return open(t, dial(t, server.URL, once)) }, histories.Options{
		Histories: some,
		Disturb: func(*rand.Rand) {
			if err := client.ScriptFlush(t.Context()).Err(); err != nil {
				t.Error(err)
			}
			pause(time.Millisecond)
		},
	})
}

// A master that was demoted answers READONLY until it is one again.
func TestHistoriesOfAServerThatIsDemoted(t *testing.T) {
	server := owned(t)
	client := dial(t, server.URL)
	replicaOf := func(host, port string) {
		if err := client.Do(t.Context(), "REPLICAOF", host, port).Err(); err != nil {
			t.Error(err)
		}
	}
	histories.Idempotency(t, func(t *testing.T) idempotency.Store { return open(t, dial(t, server.URL, once)) }, histories.Options{
		Histories: some,
		Disturb: func(random *rand.Rand) {
			pause(time.Duration(random.IntN(40)) * time.Millisecond)
			replicaOf("127.0.0.1", "1")
			pause(time.Duration(random.IntN(10)) * time.Millisecond)
			replicaOf("NO", "ONE")
		},
	})
}

func TestHistoriesWhenThePoolIsExhausted(t *testing.T) {
	server := services.Redis(t)
	histories.Idempotency(t, func(t *testing.T) idempotency.Store {
		return open(t, dial(t, server.URL, once, func(o *redis.Options) { o.PoolSize, o.PoolTimeout = 3, 2*time.Millisecond }))
	}, histories.Options{Histories: some})
}
