package mysqlstore_test

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

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

// few connections, because to make them anew takes longer than anything else.
const few = 8

// opened returns how to open a store over connections of cfg, with a table that is there before anything goes wrong.
func opened(server *services.Server, cfg *mysql.Config, connections int) func(*testing.T) idempotency.Store {
	return func(t *testing.T) idempotency.Store {
		t.Helper()
		table := newTable()
		if err := openTable(t, connect(t, server, nil), table).EnsureSchema(t.Context()); err != nil {
			t.Fatal(err)
		}
		db := dial(t, cfg)
		db.SetMaxOpenConns(connections)
		return openTable(t, db, table)
	}
}

// through returns how to open a store on server behind a proxy.
func through(t *testing.T, p *faults.Proxy, server *services.Server) func(*testing.T) idempotency.Store {
	t.Helper()
	cfg := config(t, server)
	cfg.Addr = p.Addr()
	return opened(server, cfg, few)
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

// The store repeats what it can when an answer is lost.
func TestHistoriesOverABadNetwork(t *testing.T) {
	server := sharedServer(t)
	p := faults.New(t, server.Addr())
	open := through(t, p, server)
	inject(t, p, faults.Mix{
		CutRequest: 0.03, CutAnswer: 0.03, DelayRequest: 0.03, DelayAnswer: 0.03, Delay: 10 * time.Millisecond,
	})
	histories.Idempotency(t, open, histories.Options{Repeats: true})
}

// Where no answer is lost nothing is carried out twice, so that clients can also set and delete.
func TestHistoriesOverASlowNetworkThatLosesRequests(t *testing.T) {
	server := sharedServer(t)
	p := faults.New(t, server.Addr())
	open := through(t, p, server)
	inject(t, p, faults.Mix{CutRequest: 0.05, DelayRequest: 0.05, DelayAnswer: 0.05, Delay: 10 * time.Millisecond})
	histories.Idempotency(t, open, histories.Options{Histories: some})
}

func TestHistoriesWhileTheNetworkComesAndGoes(t *testing.T) {
	server := sharedServer(t)
	p := faults.New(t, server.Addr())
	histories.Idempotency(t, through(t, p, server), histories.Options{
		Histories: some, Timeout: 100 * time.Millisecond, Repeats: true,
		Disturb: func(random *rand.Rand) {
			pause(random, 100*time.Millisecond)
			[]func(){p.Blackhole, p.Refuse, p.Cut}[random.IntN(3)]()
			pause(random, 150*time.Millisecond)
			p.Restore()
		},
	})
}

func TestHistoriesOfAServerThatFails(t *testing.T) {
	server := services.MySQL(t)
	if !server.Owned() {
		t.Skip("this test changes its server: unset STEADY_TEST_MYSQL_URL to give it one of its own")
	}
	t.Run("Paused", func(t *testing.T) {
		histories.Idempotency(t, opened(server, config(t, server), few), histories.Options{
			Histories: some, Timeout: 200 * time.Millisecond,
			Disturb: func(random *rand.Rand) {
				pause(random, 100*time.Millisecond)
				server.Pause()
				pause(random, 300*time.Millisecond)
				server.Resume()
			},
		})
	})
	t.Run("Killed", func(t *testing.T) {
		p := faults.New(t, server.Addr())
		histories.Idempotency(t, through(t, p, server), histories.Options{
			Histories: 2 * some, Timeout: time.Minute, Repeats: true,
			Disturb: func(random *rand.Rand) {
				pause(random, 500*time.Millisecond)
				p.Blackhole() // clients lose answers, and wait for the server to come back
				server.Kill()
				server.Start()
				p.Restore()
			},
		})
	})
}

func TestHistoriesWhileConnectionsAreKilled(t *testing.T) {
	server := sharedServer(t)
	cfg, admin := config(t, server), connect(t, server, nil)
	killed := 0
	histories.Idempotency(t, opened(server, cfg, few), histories.Options{
		Histories: some, Repeats: true,
		Disturb: func(random *rand.Rand) {
			pause(random, 20*time.Millisecond)
			var id int64
			if err := admin.QueryRowContext(t.Context(), "SELECT id FROM information_schema.processlist "+
				"WHERE user = SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AND id <> CONNECTION_ID() ORDER BY RAND() LIMIT 1",
			).Scan(&id); err != nil {
				return // nobody is connected
			}
			if _, err := admin.ExecContext(t.Context(), "KILL "+strconv.FormatInt(id, 10)); err == nil {
				killed++ // else it has ended by itself
			}
		},
	})
	if killed == 0 {
		t.Error("no connection was killed")
	}
}

// Statements that meet a lock are rolled back at once and repeated.
func TestHistoriesWhereLocksAreNotWaitedFor(t *testing.T) {
	server := sharedServer(t)
	admin, table := connect(t, server, nil), newTable()
	if err := openTable(t, admin, table).EnsureSchema(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg := config(t, server)
	cfg.Params = map[string]string{"innodb_lock_wait_timeout": "0"}
	db, m := meddle(t, cfg)
	histories.Idempotency(t, func(t *testing.T) idempotency.Store { return openTable(t, db, table) },
		histories.Options{
			Histories: some,
			Disturb: func(random *rand.Rand) {
				pause(random, 10*time.Millisecond)
				tx, err := admin.BeginTx(t.Context(), nil)
				if err != nil {
					t.Error(err)
					return
				}
				exec(t, tx, "SELECT state FROM "+table+" FOR UPDATE")
				pause(random, 5*time.Millisecond)
				if err := tx.Rollback(); err != nil {
					t.Error(err)
				}
			},
		})
	const lockTimeout = 1205
	if m.failed(lockTimeout) == 0 {
		t.Error("no statement was rolled back")
	}
}

func TestHistoriesWhenThePoolIsExhausted(t *testing.T) {
	server := sharedServer(t)
	histories.Idempotency(t, opened(server, config(t, server), 3), histories.Options{
		Histories: some, Timeout: 50 * time.Millisecond,
	})
}
