package idempotencyfx_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"

	"github.com/steadyfx/steady/config"
	"github.com/steadyfx/steady/idempotencyfx"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/memstore"
	"github.com/steadyfx/steady/stores/mysqlstore"
	"github.com/steadyfx/steady/stores/redisstore"
	"github.com/steadyfx/steady/stores/sqlitestore"
	"github.com/steadyfx/steady/testkit/services"
)

// The scenarios of an application that brings a backend.

// tape is a store that notes what is done to it besides its work.
type tape struct {
	*memstore.Idempotency
	ping   func(context.Context) error
	pings  int
	closed chan struct{}
	closes func() error
}

func newTape() *tape {
	mem, _ := memstore.NewIdempotency(memstore.Config{}) // of which nothing can be wrong
	return &tape{
		Idempotency: mem, ping: mem.Ping, closed: make(chan struct{}), closes: func() error { return nil },
	}
}

func (t *tape) Ping(ctx context.Context) error {
	t.pings++
	return t.ping(ctx)
}

func (t *tape) Close() error {
	defer close(t.closed)
	return t.closes()
}

// on adds the store under a name.
func (t *tape) on(name string) fx.Option {
	return idempotencyfx.WithBackend(name, func(idempotency.Config) (*tape, error) { return t, nil })
}

func isTape(t *testing.T, store idempotency.Store) {
	t.Helper()
	if _, ok := store.(*tape); !ok {
		t.Fatalf("the store is a %T", store)
	}
}

func TestFileOfSQLiteSurvivesTheApplication(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.db")
	runs := 0
	for range 2 {
		var file sqlitestore.Config
		tree, err := config.Load(config.Section("sqlite", &file), config.Env([]string{"STEADY_SQLITE__PATH=" + path}))
		if err != nil {
			t.Fatal(err)
		}
		var guard *idempotency.Guard
		app := fxtest.New(t, fx.NopLogger, idempotencyfx.Durable, fx.Supply(tree, file),
			idempotencyfx.WithBackend("sqlite", sqlitestore.NewIdempotency), fx.Populate(&guard))
		app.RequireStart()
		_, err = idempotency.Do(t.Context(), guard, idempotency.Call{Operation: "charge", Key: "k"},
			func(context.Context) (int, error) { runs++; return runs, nil })
		if err != nil {
			t.Fatal(err)
		}
		app.RequireStop()
	}
	if runs != 1 {
		t.Fatalf("%d runs", runs)
	}
}

func TestMySQLThroughTheConnectionsOfTheApplication(t *testing.T) {
	dsn, err := services.MySQLDSN(services.MySQL(t).URL)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	type dependencies struct {
		fx.In

		DB     *sql.DB
		Config mysqlstore.Config
	}
	for name, added := range map[string]fx.Option{
		"one": idempotencyfx.WithBackend("mysql", func(db *sql.DB) (*mysqlstore.Idempotency, error) {
			return mysqlstore.NewIdempotency(db, mysqlstore.Config{})
		}),
		"several": idempotencyfx.WithBackend("mysql", func(d dependencies) (idempotency.Store, error) {
			return mysqlstore.NewIdempotency(d.DB, d.Config)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			// What was looked up at the start is there: the table.
			store := start(t, idempotencyfx.Durable, selecting("mysql"), added, fx.Supply(db, mysqlstore.Config{}))
			if _, err := db.ExecContext(t.Context(), "DELETE FROM idempotency_keys"); err != nil {
				t.Fatal(err)
			}
			claim, err := store.Claim(t.Context(), idempotency.ClaimRequest{Key: "k", Lease: time.Minute})
			if err != nil || claim.Outcome != idempotency.Acquired {
				t.Fatalf("%v, %v", claim.Outcome, err)
			}
		})
		if err := db.PingContext(t.Context()); err != nil {
			t.Fatal("the connections were closed:", err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	err = fx.New(fx.NopLogger, idempotencyfx.Durable, selecting("mysql"), fx.Supply(db),
		idempotencyfx.WithBackend("mysql", func(db *sql.DB) (*mysqlstore.Idempotency, error) {
			return mysqlstore.NewIdempotency(db, mysqlstore.Config{})
		})).Start(t.Context())
	if err == nil {
		t.Fatal("the application started without its database")
	}
	wantText(t, err.Error(), `idempotencyfx: the backend "mysql" is not usable`, "database is closed")
}

func TestBackendOfTheApplicationIsAskedAtStartAndClosedAtStop(t *testing.T) {
	brought := newTape()
	var store idempotency.Store
	app := fxtest.New(t, fx.NopLogger, idempotencyfx.Module, brought.on("tape"), fx.Populate(&store))
	isTape(t, store)
	if brought.pings != 0 {
		t.Error("a constructor asked the store")
	}
	app.RequireStart()
	if brought.pings != 1 {
		t.Errorf("the store was asked %d times", brought.pings)
	}
	select {
	case <-brought.closed:
		t.Error("the store was closed before the stop")
	default:
	}
	app.RequireStop()
	<-brought.closed
}

func TestOnlyTheSelectedBackendIsOpened(t *testing.T) {
	opened := 0
	other := idempotencyfx.WithBackend("other", func(idempotency.Config) (idempotency.Store, error) {
		opened++
		return nil, errors.New("no")
	})
	isTape(t, start(t, idempotencyfx.Durable, newTape().on("tape"), other, selecting("tape")))
	isMemory(t, start(t, idempotencyfx.Module, newTape().on("tape"), other, selecting("memory")))
	start(t, idempotencyfx.Durable, idempotencyfx.UseStore(newTape()), other)
	if opened > 0 {
		t.Fatal("a backend was opened that is not selected")
	}
	wantText(t, mustNotBuild(t, idempotencyfx.Durable, other), `idempotencyfx: the backend "other" cannot be opened: no`)
}

func TestBackendKnowsTheConfigurationInForce(t *testing.T) {
	for _, configured := range []fx.Option{fx.Options(), idempotencyfx.Configure(idempotency.Config{KeyPrefix: "orders:"})} {
		var got, want idempotency.Config
		start(t, idempotencyfx.Module, configured,
			idempotencyfx.WithBackend("tape", func(cfg idempotency.Config) (idempotency.Store, error) {
				got = cfg
				return newTape(), nil
			}),
			fx.Invoke(func(p idempotencyfx.ConfigParams) {
				want = idempotency.DefaultConfig()
				if p.Config != nil {
					want = *p.Config
				}
			}))
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestBackendWithoutWhatItDependsOn(t *testing.T) {
	wantText(t, mustNotBuild(t, idempotencyfx.Module, idempotencyfx.WithBackend("sqlite", sqlitestore.NewIdempotency)),
		"missing type: sqlitestore.Config")
	wantText(t, mustNotBuild(t, idempotencyfx.Module, fx.Supply(sqlitestore.Config{}),
		idempotencyfx.WithBackend("sqlite", sqlitestore.NewIdempotency)), `"sqlite" cannot be opened`, "path: must not be empty")
	wantText(t, mustNotBuild(t, idempotencyfx.Module, newTape().on("")), "needs a name and a constructor")
	wantText(t, mustNotBuild(t, idempotencyfx.Module,
		idempotencyfx.WithBackend("tape", func(idempotency.Config) (idempotency.Store, error) { return nil, nil })),
		`"tape" cannot be opened: its constructor returned no store`)
	var none func(idempotency.Config) (*tape, error)
	wantText(t, mustNotBuild(t, idempotencyfx.Module, idempotencyfx.WithBackend("tape", none)), "needs a name and a constructor")
}

func TestStartWithoutTheBackendOfTheApplication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, test := range map[string]struct {
			ping func(context.Context) error
			want []string
		}{
			"refused": {func(context.Context) error { return errors.New("no tape") }, []string{"is not usable: no tape"}},
			"silent": {func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
				[]string{"is not usable: context deadline exceeded"}},
		} {
			brought := newTape()
			brought.ping = test.ping
			begin := time.Now()
			err := fx.New(fx.NopLogger, idempotencyfx.Durable, brought.on("tape")).Start(context.Background())
			if err == nil {
				t.Fatalf("%s: the application started", name)
			}
			wantText(t, err.Error(), append(test.want, `the backend "tape"`)...)
			if took := time.Since(begin); took > 2*time.Second {
				t.Errorf("%s: it took %v", name, took)
			}
			<-brought.closed
		}
	})
}

func TestStoreThatDoesNotCloseLeavesTimeForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		brought, over := newTape(), make(chan struct{})
		brought.closes = func() error { <-over; return nil }
		var stopped atomic.Bool
		app := fxtest.New(t, fx.NopLogger, fx.Invoke(func(lc fx.Lifecycle) { // whose hook comes after that of the store
			lc.Append(fx.StopHook(func() { stopped.Store(true) }))
		}), idempotencyfx.Durable, brought.on("tape"))
		app.RequireStart()
		ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
		defer cancel()
		err := app.Stop(ctx)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		wantText(t, err.Error(), "tape: the connections did not close in time")
		if !stopped.Load() {
			t.Error("others could not stop")
		}
		close(over)
		<-brought.closed
	})
}

func TestChoiceOfTheBackend(t *testing.T) {
	kept := fx.Supply(fx.Annotate(idempotencyfx.Backend{Name: "cache", Open: func(idempotency.Config) (idempotency.Store, error) {
		return memstore.NewIdempotency(memstore.Config{})
	}}, fx.ResultTags(`group:"idempotency.backends"`)))
	silent := config.DefaultRedis()
	silent.CheckOnStart = config.CheckOff
	noRedis := fx.Supply(&silent)
	for name, test := range map[string]struct {
		opts []fx.Option
		want string // type of the store, or a part of the error
	}{
		"Durable":                             {[]fx.Option{idempotencyfx.Durable, noRedis}, "redis"},
		"Durable and one added":               {[]fx.Option{idempotencyfx.Durable, newTape().on("tape")}, "tape"},
		"Durable, one added, another chosen":  {[]fx.Option{idempotencyfx.Durable, newTape().on("tape"), noRedis, selecting("redis")}, "redis"},
		"Durable and one that is not durable": {[]fx.Option{idempotencyfx.Durable, kept, noRedis}, "redis"},
		"Durable, one durable and one not":    {[]fx.Option{idempotencyfx.Durable, kept, newTape().on("tape")}, "tape"},
		"Durable and two added": {[]fx.Option{idempotencyfx.Durable, newTape().on("tape"), newTape().on("disk")},
			"several backends are part of the application (disk, memory, postgres, redis, tape); select one with"},
		"Durable and one not durable chosen": {[]fx.Option{idempotencyfx.Durable, kept, selecting("cache")},
			`Durable needs a durable backend, but resilience.idempotency.backend selects "cache" (code)`},
		"Durable and one of its own": {[]fx.Option{idempotencyfx.Durable, idempotencyfx.Postgres},
			`two backends are called "postgres"; Durable has that one already: remove the other, and select it with`},
		"Module and one twice": {[]fx.Option{idempotencyfx.Module, newTape().on("tape"), newTape().on("tape")},
			`two backends are called "tape"; remove one, or give it another name`},
		"Module and memory": {[]fx.Option{idempotencyfx.Module, newTape().on("memory")}, `two backends are called "memory"`},
		"Module and two": {[]fx.Option{idempotencyfx.Module, idempotencyfx.Redis, idempotencyfx.Postgres},
			"several backends are part of the application (memory, postgres, redis)"},
		"Module and one that is not durable": {[]fx.Option{idempotencyfx.Module, kept}, "memory"},
	} {
		t.Run(name, func(t *testing.T) {
			var store idempotency.Store
			if err := fx.New(fx.NopLogger, fx.Options(test.opts...), fx.Populate(&store)).Err(); err != nil {
				wantText(t, err.Error(), test.want)
				return
			}
			if got := kindOf(store); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
	_, err := idempotencyfx.NewStore(idempotencyfx.StoreParams{Required: true})
	if err == nil {
		t.Fatal("there is a durable store, and no backend")
	}
	wantText(t, err.Error(), "Durable needs a durable backend, and the application has none")
}

func kindOf(store idempotency.Store) string {
	switch store.(type) {
	case *memstore.Idempotency:
		return "memory"
	case *redisstore.Idempotency:
		return "redis"
	case *tape:
		return "tape"
	default:
		return "another"
	}
}
