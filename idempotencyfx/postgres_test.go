package idempotencyfx_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/steadyfx/steady/config"
	"github.com/steadyfx/steady/idempotencyfx"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/resiliencefx"
	"github.com/steadyfx/steady/stores/pgstore"
	"github.com/steadyfx/steady/testkit"
)

// The scenarios of an application that meets PostgreSQL.

// selecting configures the backend.
func selecting(backend string) fx.Option {
	cfg := idempotency.DefaultConfig()
	cfg.Backend = backend
	return idempotencyfx.Configure(cfg)
}

// connect returns a pool of the application.
func connect(t *testing.T, dsn string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// isPostgres claims a key, so that the pool behind the store is known to work.
func isPostgres(t *testing.T, store idempotency.Store) {
	t.Helper()
	if _, ok := store.(*pgstore.Idempotency); !ok {
		t.Fatalf("the store is a %T", store)
	}
	claim, err := store.Claim(t.Context(), idempotency.ClaimRequest{Key: t.Name(), Lease: time.Second, Retention: time.Second})
	if err != nil || claim.Outcome != idempotency.Acquired {
		t.Fatalf("%v, %v", claim.Outcome, err)
	}
}

func TestConfigurationAloneSelectsPostgres(t *testing.T) {
	section := postgres(t)
	tree, err := config.Load(config.Values(map[string]any{
		"resilience": map[string]any{"idempotency": map[string]any{"backend": "postgres"}},
		"postgres":   map[string]any{"dsn": section.DSN, "schema": section.Schema, "table": "keys"},
	}))
	if err != nil {
		t.Fatal(err)
	}
	for name, modules := range map[string]fx.Option{
		"Durable alone":     idempotencyfx.Durable,
		"Durable beside":    fx.Options(resiliencefx.Module, idempotencyfx.Durable),
		"Module":            fx.Options(idempotencyfx.Module, idempotencyfx.Postgres),
		"Module with Redis": fx.Options(idempotencyfx.Module, idempotencyfx.Redis, idempotencyfx.Postgres),
	} {
		t.Run(name, func(t *testing.T) { isPostgres(t, start(t, modules, fx.Supply(tree))) })
	}
	execute(t, "SELECT key FROM "+section.Schema+".keys") // it is there
}

func TestModuleWithPostgresNeedsNoChoice(t *testing.T) {
	section := postgres(t)
	isPostgres(t, start(t, idempotencyfx.Module, idempotencyfx.Postgres, fx.Supply(&section)))
	isMemory(t, start(t, idempotencyfx.Module, idempotencyfx.Postgres, fx.Supply(&section), selecting("memory")))
}

func TestPoolOfTheApplicationIsUsedAndNotClosed(t *testing.T) {
	section := postgres(t)
	pool := connect(t, section.DSN)
	section.DSN = "postgres://" + deadAddr(t) + "/app" // which is not looked at
	type orders struct{ *pgxpool.Pool }
	elsewhere := connect(t, section.DSN)
	underName := fx.Supply(fx.Annotate(pool, fx.ResultTags(`name:"keys"`)), fx.Annotate(elsewhere, fx.ResultTags(`name:"orders"`)))
	for name, opt := range map[string]fx.Option{
		"the only one":      fx.Supply(pool),
		"one without name":  fx.Supply(pool, fx.Annotate(elsewhere, fx.ResultTags(`name:"orders"`))),
		"two names":         fx.Options(underName, idempotencyfx.UsePool[*pgxpool.Pool]("keys")),
		"a type of its own": fx.Options(fx.Supply(elsewhere, orders{pool}), idempotencyfx.UsePool[orders]()),
	} {
		t.Run(name, func(t *testing.T) {
			var store idempotency.Store
			app := fxtest.New(t, fx.NopLogger, idempotencyfx.Durable, selecting("postgres"), fx.Supply(&section), opt, fx.Populate(&store))
			app.RequireStart()
			isPostgres(t, store)
			app.RequireStop()
			if err := pool.Ping(t.Context()); err != nil {
				t.Fatal("the pool was closed:", err)
			}
		})
	}
}

func TestBrokenPoolIsNotReplacedByLocalhost(t *testing.T) {
	durable := fx.Options(idempotencyfx.Durable, selecting("postgres"))
	broken := fx.Provide(func(missing) *pgxpool.Pool { return nil })
	dsn := func(dsn string) fx.Option { return fx.Supply(&config.Postgres{DSN: dsn}) }
	pools := fx.Provide(
		fx.Annotate(func() *pgxpool.Pool { return nil }, fx.ResultTags(`name:"orders"`)),
		fx.Annotate(func() *pgxpool.Pool { return nil }, fx.ResultTags(`name:"reports"`)))
	for name, test := range map[string]struct {
		opt  fx.Option
		want []string
	}{
		"missing dependency": {broken, []string{"provides a *pgxpool.Pool, but none arrives", "refusing to connect to localhost:5432/app"}},
		"even with a DSN": {fx.Options(broken, dsn("postgres://u:hunter2@db/keys")),
			[]string{"none arrives", "refusing to connect to db:5432/keys"}},
		"nil":    {fx.Provide(func() *pgxpool.Pool { return nil }), []string{"none arrives", "returned nil"}},
		"failed": {fx.Provide(func() (*pgxpool.Pool, error) { return nil, errors.New("no credentials") }), []string{"no credentials"}},
		"chosen": {fx.Options(broken, idempotencyfx.UsePool[*pgxpool.Pool]()), []string{"missing type: idempotencyfx_test.missing"}},
		"chosen and nil": {fx.Options(pools, idempotencyfx.UsePool[*pgxpool.Pool]("orders")),
			[]string{"postgres: pool: must not be nil"}},
		"names only": {pools, []string{`provides a *pgxpool.Pool only under a name, such as "`, "idempotencyfx.UsePool"}},
		"chosen twice": {fx.Options(pools, idempotencyfx.UsePool[*pgxpool.Pool]("orders"), idempotencyfx.UsePool[*pgxpool.Pool]("reports")),
			[]string{"UsePool is given more than once"}},
		"section by value": {fx.Supply(config.Postgres{}), []string{"provides a config.Postgres; provide a pointer"}},
		"mode":             {fx.Supply(&config.Postgres{CheckOnStart: "never"}), []string{"postgres, from default: check_on_start: "}},
		"table":            {fx.Supply(&config.Postgres{Table: "a b"}), []string{"postgres: table: must be letters"}},
	} {
		t.Run(name, func(t *testing.T) {
			text := mustNotBuild(t, durable, test.opt)
			wantText(t, text, test.want...)
			if strings.Contains(text, "hunter2") {
				t.Error("the error holds the password")
			}
		})
	}
	// A DSN that somebody has written is no fallback.
	if err := fx.New(fx.NopLogger, durable, pools, dsn("postgres://db/keys")).Err(); err != nil {
		t.Error(err)
	}
}

func TestPasswordOfADSNIsNeverPrinted(t *testing.T) {
	address := deadAddr(t)
	for _, dsn := range []string{ // some of which cannot be read
		"postgres://app:hunter2@" + address + "/app",
		"postgres://app:hunter2@" + address + ":port/app",
		"postgres://app:hunter2/@" + address + "/app",
		"postgres://app:1/hunter2@" + address + "/app",
		"postgres://app:1@hunter2@" + address + "/app",
		"postgres://app:#hunter2@" + address + "/app",
		"postgres://app:%hunter2@" + address + "/app",
		"postgres://" + address + "/app?password=hunter2&sslmode=hunter2",
		"host=127.0.0.1 port=1 password=hunter2",
		"host=127.0.0.1 port=1 password = 'hunter2",
		"host=127.0.0.1 password=a hunter2",
		"app:hunter2@" + address,
		"hunter2",
	} {
		core, logs := observer.New(zap.DebugLevel)
		section := config.Postgres{DSN: dsn, CheckOnStart: config.CheckWarn, CheckTimeout: 100 * time.Millisecond}
		printed := ""
		app := fx.New(fx.Supply(&section, zap.New(core)), fx.NopLogger, idempotencyfx.Durable, selecting("postgres"))
		if err := app.Err(); err != nil {
			wantText(t, err.Error(), "postgres, from code: dsn: ", "%40")
			if !errors.Is(err, patterns.ErrConfiguration) {
				t.Errorf("%v is not an ErrConfiguration", err)
			}
			printed = err.Error()
		} else {
			if err := app.Start(t.Context()); err != nil {
				t.Errorf("%s: %v", dsn, err)
			}
			if err := app.Stop(t.Context()); err != nil {
				t.Errorf("%s: %v", dsn, err)
			}
			if n := logs.FilterMessageSnippet("postgres is not usable").Len(); n != 1 {
				t.Errorf("%s: %d warnings", dsn, n)
			}
		}
		for _, entry := range logs.All() {
			for _, field := range entry.Context {
				if e, ok := field.Interface.(error); ok {
					printed += e.Error()
				}
				printed += field.String
			}
			printed += entry.Message
		}
		if strings.Contains(printed, "hunter2") {
			t.Errorf("%s: the password is in %s", dsn, printed)
		}
	}
}

func TestStartErrorOfPostgresNamesWhatIsWrong(t *testing.T) {
	section := postgres(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts nobody
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	server, err := url.Parse(section.DSN)
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(*url.URL)) config.Postgres {
		u := *server
		change(&u)
		return config.Postgres{DSN: u.String(), Schema: section.Schema}
	}
	slow := with(func(u *url.URL) { u.Host = silent.Addr().String() })
	slow.CheckTimeout = 50 * time.Millisecond
	dead := deadAddr(t)
	execute(t, "CREATE TABLE "+section.Schema+".wrong (key text)")
	execute(t, "CREATE ROLE "+section.Schema+" LOGIN PASSWORD 'hunter2'")
	t.Cleanup(func() { execute(t, "DROP ROLE "+section.Schema) })
	// One that may neither create a table nor look into the schema.
	stranger := with(func(u *url.URL) { u.User = url.UserPassword(section.Schema, "hunter2") })
	misfit, nowhere := section, section
	misfit.Table, nowhere.Schema = "wrong", "nobody_made_it"
	for name, test := range map[string]struct {
		section config.Postgres
		want    []string
	}{
		"dead": {with(func(u *url.URL) { u.Host = dead }), []string{
			"postgres does not answer (" + dead + "/postgres, from the configuration: code)", "connection refused",
			"start PostgreSQL there", "STEADY_POSTGRES__DSN", `check_on_start to "warn"`}},
		"silent": {slow, []string{
			"does not answer within 50ms (postgres.check_timeout)", silent.Addr().String(), "check the host of postgres.dsn"}},
		"password": {with(func(u *url.URL) { u.User = url.UserPassword("steady", "hunter2") }),
			[]string{"refuses the client", "check user, password and database of postgres.dsn"}},
		"database": {with(func(u *url.URL) { u.Path = "/nobody_made_it" }), []string{"refuses the client", "nobody_made_it"}},
		"privileges": {stranger, []string{
			"has no usable table", "this role may not use the schema", "grant it USAGE", "postgres.schema"}},
		"columns": {misfit, []string{"has no usable table", "has no column owner uuid", "postgres.table"}},
		"schema":  {nowhere, []string{"has no usable table", "there is no schema for the table"}},
	} {
		t.Run(name, func(t *testing.T) {
			app := fx.New(fx.NopLogger, idempotencyfx.Durable, selecting("postgres"), fx.Supply(&test.section))
			err := app.Start(t.Context())
			if err == nil {
				t.Fatal("the application started")
			}
			wantText(t, err.Error(), test.want...)
			if strings.Contains(err.Error(), "hunter2") {
				t.Error("the error holds the password")
			}
		})
	}
	t.Run("pool of the application", func(t *testing.T) {
		app := fx.New(fx.NopLogger, idempotencyfx.Durable, selecting("postgres"), fx.Supply(connect(t, "postgres://"+dead+"/app")))
		err := app.Start(t.Context())
		if err == nil || !errors.As(err, new(*pgconn.ConnectError)) {
			t.Fatalf("got %v", err)
		}
		wantText(t, err.Error(), "*pgxpool.Pool of the application", dead, "check the pool that the application provides")
	})
}

func TestPostgresCanBeAwayAtTheStart(t *testing.T) {
	dead := deadAddr(t)
	for mode, warnings := range map[string]int{config.CheckWarn: 1, config.CheckOff: 0} {
		t.Run(mode, func(t *testing.T) {
			core, logs := observer.New(zap.WarnLevel)
			store := start(t, idempotencyfx.Durable, selecting("postgres"), fx.Supply(zap.New(core),
				&config.Postgres{DSN: "postgres://" + dead + "/app", CheckOnStart: mode}))
			if n := logs.FilterMessageSnippet("postgres is not usable").Len(); n != warnings {
				t.Errorf("%d warnings", n)
			}
			_, err := store.Claim(t.Context(), idempotency.ClaimRequest{Key: "k", Lease: time.Second})
			if _, ok := errors.AsType[*idempotency.BackendError](err); !ok {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestOwnPoolEndsWithTheApplication(t *testing.T) {
	section := postgres(t)
	unreachable := section
	unreachable.DSN = "postgres://" + deadAddr(t) + "/app"
	before := goleak.IgnoreCurrent()
	durable := fx.Options(fx.NopLogger, idempotencyfx.Durable, selecting("postgres"))
	for name, run := range map[string]func(t *testing.T) idempotency.Store{
		"stopped": func(t *testing.T) (store idempotency.Store) {
			app := fxtest.New(t, durable, fx.Supply(&section), fx.Populate(&store)).RequireStart()
			isPostgres(t, store)
			app.RequireStop()
			return store
		},
		"not started, because the check failed": func(t *testing.T) (store idempotency.Store) {
			if err := fx.New(durable, fx.Supply(&unreachable), fx.Populate(&store)).Start(t.Context()); err == nil {
				t.Fatal("the application started")
			}
			return store
		},
		"not started, because something else failed": func(t *testing.T) (store idempotency.Store) {
			app := fx.New(durable, fx.Supply(&section), fx.Populate(&store),
				fx.Invoke(func(lc fx.Lifecycle) { lc.Append(fx.StartHook(func() error { return errors.New("no") })) }))
			if err := app.Start(t.Context()); err == nil {
				t.Fatal("the application started")
			}
			return store
		},
		"stopped without having been used": func(t *testing.T) (store idempotency.Store) {
			unchecked := section
			unchecked.CheckOnStart = config.CheckOff
			fxtest.New(t, durable, fx.Supply(&unchecked), fx.Populate(&store)).RequireStart().RequireStop()
			return store
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := run(t)
			var backend *idempotency.BackendError
			if err := store.Ping(t.Context()); !errors.As(err, &backend) || !strings.Contains(err.Error(), "closed pool") {
				t.Errorf("the pool was not closed: %v", err)
			}
			if err := goleak.Find(before); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("not built", func(t *testing.T) {
		for _, backend := range []string{"postgres", "redis"} {
			mustNotBuild(t, durable, fx.Decorate(func(cfg *idempotency.Config) *idempotency.Config {
				cfg.Backend = backend
				return cfg
			}), fx.Supply(&section), fx.Invoke(func(idempotency.Store) error { return errors.New("no") }))
		}
		if err := goleak.Find(before); err != nil {
			t.Error(err)
		}
	})
}

// outer is a decorator that can be seen through.
type outer struct{ idempotency.Store }

func (o outer) Unwrap() idempotency.Store { return o.Store }

// The guard's record and the application's rows in one transaction, through one pool.
func TestGuardJoinsTransactionsOfTheApplication(t *testing.T) {
	section := postgres(t)
	execute(t, "CREATE TABLE "+section.Schema+".payments (id text)")
	pool := connect(t, section.DSN)
	_, guard := testkit.New[*idempotency.Guard](t, fx.Options(idempotencyfx.Durable, selecting("postgres"), fx.Supply(pool, &section),
		fx.Decorate(func(s idempotency.Store) idempotency.Store { return outer{s} })))
	call := idempotency.Call{Operation: "charge", Key: "k"}
	for duplicate := range 2 {
		result, err := pgstore.Do(t.Context(), guard, pool, call, func(ctx context.Context, tx pgx.Tx) (string, error) {
			_, err := tx.Exec(ctx, "INSERT INTO "+section.Schema+".payments VALUES ('p')")
			return "receipt", err
		})
		if err != nil || result.Value != "receipt" || result.IsDuplicate != (duplicate == 1) {
			t.Fatalf("got %+v, %v", result, err)
		}
	}
	var rows int
	if err := pool.QueryRow(t.Context(), "SELECT count(*) FROM "+section.Schema+".payments").Scan(&rows); err != nil || rows != 1 {
		t.Errorf("%d rows, %v", rows, err)
	}
}
