package pgstore_test

import (
	"context"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/testkit/faults"
	"github.com/steadyfx/steady/testkit/histories"
	"github.com/steadyfx/steady/testkit/services"
)

// some is how many histories one kind of trouble gets beside those of TestHistoriesOverABadNetwork.
const some = 16

// pause waits, in a test that plays with a real server: for longest at the most.
func pause(random *rand.Rand, longest time.Duration) {
	<-time.After(time.Duration(random.Int64N(int64(longest))))
}

// opened returns how to open a store on a pool of its own, with its table.
func opened(change ...func(*pgxpool.Config)) func(*testing.T) idempotency.Store {
	return func(t *testing.T) idempotency.Store {
		s := open(t, connect(t, change...))
		await(t, "the table is there", func() bool { return s.EnsureSchema(t.Context()) == nil })
		return s
	}
}

// behind makes a pool connect to a proxy.
func behind(p *faults.Proxy) func(*pgxpool.Config) {
	return func(c *pgxpool.Config) {
		c.ConnConfig.DialFunc = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, p.Addr())
		}
	}
}

// on makes a pool connect to a server of the test's own.
func on(t *testing.T, server *services.Server) func(*pgxpool.Config) {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(server.URL)
	must(t, err)
	return func(c *pgxpool.Config) { c.ConnConfig = cfg.ConnConfig.Copy() }
}

// The store repeats what it can when an answer is lost.
func TestHistoriesOverABadNetwork(t *testing.T) {
	share(t)
	p := faults.New(t, shared.addr)
	mix := faults.Mix{CutRequest: 0.01, CutAnswer: 0.01, DelayRequest: 0.02, DelayAnswer: 0.02, Delay: 10 * time.Millisecond}
	must(t, p.Inject(mix))
	histories.Idempotency(t, opened(behind(p)), histories.Options{Repeats: true, Histories: 96})
	for _, f := range []faults.Fault{faults.CutRequest, faults.CutAnswer, faults.DelayRequest, faults.DelayAnswer} {
		if p.Count(f) == 0 {
			t.Errorf("%v never happened", f)
		}
	}
}

// Where no answer is lost nothing is carried out twice, so that clients can also set and delete.
func TestHistoriesOverANetworkThatLosesRequests(t *testing.T) {
	share(t)
	p := faults.New(t, shared.addr)
	must(t, p.Inject(faults.Mix{CutRequest: 0.02, DelayRequest: 0.05, DelayAnswer: 0.05, Delay: 10 * time.Millisecond}))
	histories.Idempotency(t, opened(behind(p)), histories.Options{Histories: some})
}

func TestHistoriesWhileTheNetworkComesAndGoes(t *testing.T) {
	share(t)
	p := faults.New(t, shared.addr)
	histories.Idempotency(t, opened(behind(p)), histories.Options{
		Histories: some, Timeout: 250 * time.Millisecond, Repeats: true,
		Disturb: func(random *rand.Rand) {
			pause(random, 200*time.Millisecond)
			[]func(){p.Blackhole, p.Refuse, p.Cut}[random.IntN(3)]()
			pause(random, 80*time.Millisecond)
			p.Restore()
		},
	})
}

func TestHistoriesWhileConnectionsAreKilled(t *testing.T) {
	admin := connect(t)
	name := newTable()
	killed := 0
	histories.Idempotency(t, opened(with("application_name", name)), histories.Options{
		Histories: some, Repeats: true,
		Disturb: func(random *rand.Rand) {
			pause(random, 40*time.Millisecond)
			killed += kill(t, admin, name, "random() < 0.1")
		},
	})
	if killed == 0 {
		t.Error("no connection was killed")
	}
}

func TestHistoriesWhereTransactionsAreSerializable(t *testing.T) {
	var failed failures
	serializable := opened(with("default_transaction_isolation", "serializable"), func(c *pgxpool.Config) {
		c.ConnConfig.Tracer = &failed
	})
	for range 10 { // two or three statements fail in a round, so that in some rounds none does
		histories.Idempotency(t, serializable, histories.Options{Histories: some})
		if failed.n.Load() > 0 {
			return
		}
	}
	t.Error("no statement failed")
}

func TestHistoriesWhenThePoolIsExhausted(t *testing.T) {
	histories.Idempotency(t, opened(func(c *pgxpool.Config) { c.MaxConns = 2 }), histories.Options{
		Histories: some, Timeout: 20 * time.Millisecond,
	})
}

func TestHistoriesOfAServerThatFails(t *testing.T) {
	server := services.Postgres(t)
	if !server.Owned() {
		t.Skip("this test stops its server: unset STEADY_TEST_POSTGRES_URL to give it one of its own")
	}
	t.Run("Paused", func(t *testing.T) {
		histories.Idempotency(t, opened(on(t, server)), histories.Options{
			Histories: some, Timeout: 250 * time.Millisecond, Repeats: true,
			Disturb: func(random *rand.Rand) {
				pause(random, 200*time.Millisecond)
				server.Pause()
				pause(random, 80*time.Millisecond)
				server.Resume()
			},
		})
	})
	t.Run("Killed", func(t *testing.T) {
		histories.Idempotency(t, opened(on(t, server)), histories.Options{
			Histories: some, Timeout: 500 * time.Millisecond, Repeats: true,
			Disturb: func(random *rand.Rand) {
				pause(random, 500*time.Millisecond)
				server.Kill()
				server.Start()
			},
		})
	})
}
