package idempotencyfx_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/steadyfx/steady/config"
	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/idempotencyfx"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/resiliencefx"
	"github.com/steadyfx/steady/stores/memstore"
	"github.com/steadyfx/steady/stores/redisstore"
	"github.com/steadyfx/steady/stores/sqlitestore"
	"github.com/steadyfx/steady/testkit/services"
)

// The scenarios of an application that meets Redis, one test each.

// start runs the application of opts and returns its store.
func start(t *testing.T, opts ...fx.Option) idempotency.Store {
	t.Helper()
	var store idempotency.Store
	app := fxtest.New(t, fx.NopLogger, fx.Options(opts...), fx.Populate(&store))
	app.RequireStart()
	t.Cleanup(app.RequireStop)
	return store
}

// mustNotBuild returns why fx.New refuses opts.
func mustNotBuild(t *testing.T, opts ...fx.Option) string {
	t.Helper()
	err := fx.New(fx.NopLogger, fx.Options(opts...), fx.Invoke(func(idempotency.Store) {})).Err()
	if err == nil {
		t.Fatal("the application was built")
	}
	return err.Error()
}

func wantText(t *testing.T, got string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("%q is missing in: %s", w, got)
		}
	}
}

// redisAt configures the redis section.
func redisAt(addr string) fx.Option {
	section := config.DefaultRedis()
	section.Addrs = []string{addr}
	return fx.Supply(&section)
}

// deadAddr returns an address at which nobody listens.
func deadAddr(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func isMemory(t *testing.T, store idempotency.Store) {
	t.Helper()
	if _, ok := store.(*memstore.Idempotency); !ok {
		t.Fatalf("the store is a %T", store)
	}
}

// isRedis claims a key, so that the client behind the store is known to work.
func isRedis(t *testing.T, store idempotency.Store) {
	t.Helper()
	if _, ok := store.(*redisstore.Idempotency); !ok {
		t.Fatalf("the store is a %T", store)
	}
	claim, err := store.Claim(t.Context(), idempotency.ClaimRequest{Key: t.Name(), Lease: time.Second, Retention: time.Second})
	if err != nil || claim.Outcome != idempotency.Acquired {
		t.Fatalf("%v, %v", claim.Outcome, err)
	}
}

func TestModuleAloneKeepsRecordsInMemory(t *testing.T) {
	isMemory(t, start(t, idempotencyfx.Module))
}

func TestModuleDoesNothingUntilAsked(t *testing.T) {
	fxtest.New(t, fx.NopLogger, idempotencyfx.Module, idempotencyfx.Redis, redisAt(deadAddr(t))).RequireStart().RequireStop()
}

// The line of the design: no option, a Redis on localhost:6379. Where none is there, one is put there.
func TestDurableWithoutAnyOption(t *testing.T) {
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr("127.0.0.1:6379"); err == nil {
		defer server.Close()
	}
	app := fx.New(fx.NopLogger, resiliencefx.Module, idempotencyfx.Durable)
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := app.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestDurableIsValidWithoutRedisButDoesNotStart(t *testing.T) {
	addr := deadAddr(t)
	if err := fx.ValidateApp(resiliencefx.Module, idempotencyfx.Durable); err != nil {
		t.Fatal(err)
	}
	app := fx.New(fx.NopLogger, resiliencefx.Module, idempotencyfx.Durable, redisAt(addr))
	if err := app.Err(); err != nil {
		t.Fatal(err)
	}
	err := app.Start(t.Context())
	if err == nil {
		t.Fatal("the application started without its store")
	}
	wantText(t, err.Error(), "redis does not answer", addr, "from the configuration: code", "connection refused",
		"start Redis there", "STEADY_REDIS__ADDRS", `check_on_start to "warn"`)
}

func TestFailedStartClosesTheOwnedClient(t *testing.T) {
	var store idempotency.Store
	laterStopped := false
	app := fx.New(fx.NopLogger, idempotencyfx.Durable, redisAt(deadAddr(t)), fx.Populate(&store),
		fx.Invoke(func(lc fx.Lifecycle) { lc.Append(fx.StopHook(func() { laterStopped = true })) }))
	if err := app.Start(t.Context()); err == nil {
		t.Fatal("the application started without its store")
	}
	if err := store.Ping(t.Context()); !errors.Is(err, redis.ErrClosed) {
		t.Errorf("the client was not closed: %v", err)
	}
	if laterStopped {
		t.Error("a hook that was not started was stopped")
	}
}

func TestStoppedApplicationHasClosedTheOwnedClient(t *testing.T) {
	var store idempotency.Store
	app := fxtest.New(t, fx.NopLogger, idempotencyfx.Durable, redisAt(services.Redis(t).Addr()), fx.Populate(&store))
	app.RequireStart()
	isRedis(t, store)
	app.RequireStop()
	if err := store.Ping(t.Context()); !errors.Is(err, redis.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestClientOfTheApplicationIsUsedAndNotClosed(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: services.Redis(t).Addr()})
	defer client.Close()
	universal := fx.Supply(fx.Annotate(client, fx.As(new(redis.UniversalClient))))
	other := redis.NewClient(&redis.Options{Addr: deadAddr(t)})
	defer other.Close()
	elsewhere := fx.Supply(fx.Annotate(other, fx.As(new(redis.UniversalClient))))
	for name, opt := range map[string]fx.Option{
		"*redis.Client":         fx.Supply(client),
		"redis.UniversalClient": universal,
		"one client, two types": fx.Options(fx.Supply(client), universal),
		"UseClient":             fx.Options(fx.Supply(client), elsewhere, idempotencyfx.UseClient[*redis.Client]()),
		"UseClient and a name": fx.Options(fx.Supply(other, fx.Annotate(client, fx.ResultTags(`name:"keys"`))),
			idempotencyfx.UseClient[*redis.Client]("keys")),
	} {
		t.Run(name, func(t *testing.T) {
			var store idempotency.Store
			app := fxtest.New(t, fx.NopLogger, resiliencefx.Module, idempotencyfx.Durable, opt, fx.Populate(&store))
			app.RequireStart()
			isRedis(t, store)
			app.RequireStop()
			if err := client.Ping(t.Context()).Err(); err != nil {
				t.Fatal("the client was closed:", err)
			}
		})
	}
}

func TestTwoClientsAreAmbiguous(t *testing.T) {
	single, other := redis.NewClient(&redis.Options{}), redis.NewClient(&redis.Options{})
	defer single.Close()
	defer other.Close()
	wantText(t,
		mustNotBuild(t, idempotencyfx.Durable, fx.Supply(single, fx.Annotate(other, fx.As(new(redis.UniversalClient))))),
		"several redis clients", "redis.UniversalClient", "*redis.Client", "idempotencyfx.UseClient")
}

type missing struct{}

func TestBrokenProviderIsNotReplacedByLocalhost(t *testing.T) {
	broken := fx.Provide(func(missing) *redis.Client { return nil })
	wantText(t, mustNotBuild(t, idempotencyfx.Durable, broken),
		"provides a *redis.Client, but none arrives", "lacks a dependency", "refusing to connect to localhost:6379")
	wantText(t, mustNotBuild(t, idempotencyfx.Durable, fx.Provide(func() *redis.Client { return nil })),
		"provides a *redis.Client, but none arrives", "returned nil")
	wantText(t, mustNotBuild(t, idempotencyfx.Durable, broken, idempotencyfx.UseClient[*redis.Client]()),
		"missing type: idempotencyfx_test.missing")
	wantText(t, mustNotBuild(t, idempotencyfx.Durable,
		fx.Provide(func() (*redis.Client, error) { return nil, errors.New("no credentials") })), "no credentials")
	wantText(t, mustNotBuild(t, idempotencyfx.Durable,
		fx.Provide(fx.Annotate(func() *redis.Client { return nil }, fx.ResultTags(`name:"keys"`)))),
		`provides a *redis.Client only under a name, such as "keys"`, "refusing to connect to localhost:6379", "UseClient")
}

// A configuration that cannot be built, or is supplied in a way that nobody looks for, is not replaced by the defaults.
func TestBrokenConfigurationIsNotReplacedByTheDefaults(t *testing.T) {
	for _, module := range []fx.Option{idempotencyfx.Module, idempotencyfx.Durable} {
		wantText(t, mustNotBuild(t, module, fx.Provide(func(missing) *config.Tree { return nil })),
			"provides a *config.Tree, but none arrives")
		wantText(t, mustNotBuild(t, module, fx.Supply(config.Tree{})), "provide a pointer")
		wantText(t, mustNotBuild(t, module, fx.Supply(idempotency.Config{})), "provide a pointer")
	}
	wantText(t, mustNotBuild(t, idempotencyfx.Durable, fx.Supply(config.Redis{})), "provide a pointer")
}

func TestConfigureOfResilienceConfiguresIdempotencyToo(t *testing.T) {
	cfg := config.Default().Resilience
	cfg.Idempotency.Backend = "tape"
	wantText(t, mustNotBuild(t, idempotencyfx.Module, resiliencefx.Module, resiliencefx.Configure(cfg)), `"tape"`)
	isMemory(t, start(t, idempotencyfx.Module, resiliencefx.Module, resiliencefx.Configure(config.Resilience{})))
}

func TestRedisSectionFromCodeIsCompletedAndChecked(t *testing.T) {
	isRedis(t, start(t, idempotencyfx.Durable, fx.Supply(&config.Redis{Addrs: []string{services.Redis(t).Addr()}})))
	text := mustNotBuild(t, idempotencyfx.Durable, fx.Supply(&config.Redis{
		Addrs: []string{"redis://:hunter2@localhost:6379"}, CheckOnStart: "never",
	}))
	wantText(t, text, "addrs[0]: must be host:port", "check_on_start: ")
	if strings.Contains(text, "hunter2") {
		t.Error("the error holds the password")
	}
}

func TestStartErrorNamesWhatIsWrong(t *testing.T) {
	server := services.Redis(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts nobody
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for name, test := range map[string]struct {
		section config.Redis
		want    []string
	}{
		"password": {config.Redis{Addrs: []string{server.Addr()}, Username: "nobody", Password: "hunter2"},
			[]string{"refuses the client", "redis.password"}},
		"database": {config.Redis{Addrs: []string{server.Addr()}, DB: 9999}, []string{"refuses the client", "redis.db"}},
		"silent": {config.Redis{Addrs: []string{silent.Addr().String()}, CheckTimeout: 50 * time.Millisecond},
			[]string{"does not answer within 50ms (redis.check_timeout)", "redis.tls"}},
	} {
		t.Run(name, func(t *testing.T) {
			app := fx.New(fx.NopLogger, idempotencyfx.Durable, fx.Supply(&test.section))
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
}

func TestUseStoreWithoutAStore(t *testing.T) {
	wantText(t, mustNotBuild(t, idempotencyfx.Module, idempotencyfx.UseStore(nil)), "UseStore was given no store")
}

func TestModuleAndRedis(t *testing.T) {
	server := services.Redis(t)
	isRedis(t, start(t, idempotencyfx.Module, idempotencyfx.Redis, redisAt(server.Addr())))
	isMemory(t, start(t, idempotencyfx.Module, idempotencyfx.Redis, redisAt(server.Addr()),
		idempotencyfx.Configure(idempotency.Config{Backend: "memory"})))
}

func TestModuleAndDurableExplainThemselves(t *testing.T) {
	for name, opt := range map[string]fx.Option{
		"module first":  fx.Options(idempotencyfx.Module, idempotencyfx.Durable),
		"durable first": fx.Options(idempotencyfx.Durable, idempotencyfx.Module),
		"module twice":  fx.Options(idempotencyfx.Module, fx.Module("library", idempotencyfx.Module)),
	} {
		t.Run(name, func(t *testing.T) {
			wantText(t, mustNotBuild(t, opt), "IncludeEitherModuleOrDurableNotBoth")
		})
	}
}

func TestDurableRefusesMemory(t *testing.T) {
	tree, err := config.Load(config.Values(map[string]any{
		"resilience": map[string]any{"idempotency": map[string]any{"backend": "memory"}},
	}))
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, mustNotBuild(t, idempotencyfx.Durable, fx.Supply(tree)),
		"Durable needs a durable backend", `"memory"`, "explicit value")
}

func TestUnknownBackendNamesTheKnown(t *testing.T) {
	wantText(t, mustNotBuild(t, idempotencyfx.Module, idempotencyfx.Configure(idempotency.Config{Backend: "redis"})),
		`unknown backend "redis"`, "known: memory", "add idempotencyfx.Redis")
	for name, remedy := range map[string]string{
		"postgres": "add idempotencyfx.Postgres to the application",
		"sqlite":   `add it to the application with idempotencyfx.WithBackend("sqlite", ...)`,
	} {
		wantText(t, mustNotBuild(t, idempotencyfx.Module, idempotencyfx.Redis,
			idempotencyfx.Configure(idempotency.Config{Backend: name})), `"`+name+`"`, "known: memory, redis", remedy)
	}
	wantText(t, mustNotBuild(t, idempotencyfx.Durable, idempotencyfx.Configure(idempotency.Config{Backend: "sqlite"})),
		"known: memory, postgres, redis")
}

func TestSeveralBackendsNeedAChoice(t *testing.T) {
	tape := fx.Supply(fx.Annotate(
		idempotencyfx.Backend{Name: "tape", Open: func(idempotency.Config) (idempotency.Store, error) {
			return memstore.NewIdempotency(memstore.Config{})
		}}, fx.ResultTags(`group:"idempotency.backends"`)))
	wantText(t, mustNotBuild(t, idempotencyfx.Module, idempotencyfx.Redis, tape), "several backends", "memory, redis, tape")
	wantText(t, mustNotBuild(t, idempotencyfx.Module, tape, tape), `two backends are called "tape"`, "another name")
	isMemory(t, start(t, idempotencyfx.Module, idempotencyfx.Redis, tape,
		idempotencyfx.Configure(idempotency.Config{Backend: "tape"})))
}

// wrapped is a decorator of a store.
type wrapped struct{ idempotency.Store }

func TestDecoratedStoreReachesTheGuard(t *testing.T) {
	asked := 0
	decorated := fx.Decorate(func(s idempotency.Store) idempotency.Store { return counting{s, &asked} })
	var guard *idempotency.Guard
	app := fxtest.New(t, fx.NopLogger, idempotencyfx.Module, decorated, fx.Populate(&guard))
	app.RequireStart()
	defer app.RequireStop()
	_, err := idempotency.Do(t.Context(), guard, idempotency.Call{Operation: "charge", Key: "k"},
		func(context.Context) (int, error) { return 1, nil })
	if err != nil || asked != 1 {
		t.Fatalf("%v; the decorator was asked %d times", err, asked)
	}
}

type counting struct {
	idempotency.Store
	claims *int
}

func (c counting) Claim(ctx context.Context, req idempotency.ClaimRequest) (idempotency.Claim, error) {
	*c.claims++
	return c.Store.Claim(ctx, req)
}

func TestOwnStoreBeatsEverything(t *testing.T) {
	mem, err := memstore.NewIdempotency(memstore.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if got := start(t, idempotencyfx.Durable, idempotencyfx.UseStore(wrapped{mem})); got != (wrapped{mem}) {
		t.Fatalf("the store is a %T", got)
	}
	wantText(t, mustNotBuild(t, idempotencyfx.Module, fx.Supply(fx.Annotate(mem, fx.As(new(idempotency.Store))))),
		"already provided")
}

// hiding is a decorator that says what it hides.
type hiding struct{ wrapped }

func (h hiding) Unwrap() idempotency.Store { return h.Store }

func TestDurableRefusesAStoreInMemory(t *testing.T) {
	mem, err := memstore.NewIdempotency(memstore.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, store := range []idempotency.Store{mem, hiding{wrapped{hiding{wrapped{mem}}}}} {
		wantText(t, mustNotBuild(t, idempotencyfx.Durable, idempotencyfx.UseStore(store)),
			"idempotencyfx: Durable needs a durable store", "UseStore", fmt.Sprintf("%T", store), "include Module")
	}
	elsewhere := idempotencyfx.Configure(idempotency.Config{Backend: "postgres"})
	isMemory(t, start(t, idempotencyfx.Module, idempotencyfx.UseStore(mem), elsewhere))
	wantText(t, mustNotBuild(t, idempotencyfx.Durable, idempotencyfx.UseStore(newTape()), elsewhere),
		"idempotencyfx: UseStore brings a *idempotencyfx_test.tape, but", `selects "postgres" (code)`, "remove one of them")
}

func TestDurableAsksTheStoreOfTheApplicationAtStart(t *testing.T) {
	brought := newTape()
	fxtest.New(t, fx.NopLogger, idempotencyfx.Durable, idempotencyfx.UseStore(brought)).RequireStart().RequireStop()
	if brought.pings != 1 {
		t.Errorf("the store was asked %d times at start", brought.pings)
	}
	select {
	case <-brought.closed:
		t.Error("the store of the application was closed")
	default:
	}

	brought.ping = func(context.Context) error { return errors.New("no tape") }
	start(t, idempotencyfx.Module, idempotencyfx.UseStore(brought))
	folder := t.TempDir()
	file, err := sqlitestore.NewIdempotency(sqlitestore.Config{Path: filepath.Join(folder, "missing", "keys.db")})
	if err != nil {
		t.Fatal(err)
	}
	for want, store := range map[string]idempotency.Store{
		"a *idempotencyfx_test.tape, is not usable: no tape": brought,
		"the folder of the file is not there":                file,
		"for schema":                                         file,
	} {
		err := fx.New(fx.NopLogger, idempotencyfx.Durable, idempotencyfx.UseStore(store)).Start(t.Context())
		if err == nil {
			t.Fatal("the application started")
		}
		wantText(t, err.Error(), "idempotencyfx: the store of UseStore", want)
	}
}

func TestReplicaIsRefusedAtStart(t *testing.T) {
	server := services.Redis(t)
	if !server.Owned() {
		t.Skip("this test changes its server: unset STEADY_TEST_REDIS_URL to give it one of its own")
	}
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	if err := client.Do(t.Context(), "REPLICAOF", "127.0.0.1", "1").Err(); err != nil {
		t.Fatal(err)
	}
	err := fx.New(fx.NopLogger, idempotencyfx.Durable, redisAt(server.Addr())).Start(t.Context())
	if err == nil {
		t.Fatal("the application started")
	}
	wantText(t, err.Error(), "redis does not write", "READONLY", "redis.master_name")
}

func TestConfigurationCanBeReplaced(t *testing.T) {
	tooLong := func(opts ...fx.Option) bool {
		var guard *idempotency.Guard
		fxtest.New(t, fx.NopLogger, idempotencyfx.Module, fx.Options(opts...), fx.Populate(&guard))
		_, err := idempotency.Do(t.Context(), guard, idempotency.Call{Operation: "charge", Key: "four"},
			func(context.Context) (int, error) { return 1, nil })
		return err != nil
	}
	short := &idempotency.Config{MaxKeyLength: 3}
	if tooLong() || tooLong(idempotencyfx.Configure(idempotency.Config{MaxKeyLength: 4})) {
		t.Error("a key of four bytes was refused")
	}
	if !tooLong(fx.Supply(short)) || !tooLong(fx.Replace(short)) ||
		!tooLong(idempotencyfx.Configure(idempotency.Config{MaxKeyLength: 4}), fx.Replace(short)) {
		t.Error("the configuration is not in force")
	}
}

func TestCheckAtStartCanWarnOrBeOff(t *testing.T) {
	for mode, warnings := range map[string]int{config.CheckWarn: 1, config.CheckOff: 0} {
		t.Run(mode, func(t *testing.T) {
			section := config.DefaultRedis()
			section.Addrs, section.CheckOnStart = []string{deadAddr(t)}, mode
			core, logs := observer.New(zap.WarnLevel)
			start(t, idempotencyfx.Durable, fx.Supply(&section, zap.New(core)))
			if n := logs.FilterMessageSnippet("redis is not usable").Len(); n != warnings {
				t.Fatalf("%d warnings", n)
			}
		})
	}
}

func TestLoggerIsNamedAndSaysWhatWasChosen(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	var own *zap.Logger
	start(t, idempotencyfx.Durable, redisAt(services.Redis(t).Addr()), fx.Supply(zap.New(core).Named("app")), fx.Populate(&own))
	if own.Name() != "app" {
		t.Errorf("the application's logger became %q", own.Name())
	}
	for message, logger := range map[string]string{
		"idempotency store selected": "app.idempotency", "redis client selected": "app.idempotency.redis",
	} {
		entries := logs.FilterMessage(message).All()
		if len(entries) != 1 || entries[0].LoggerName != logger {
			t.Errorf("%q: got %+v", message, entries)
		}
	}
	section := postgres(t)
	start(t, idempotencyfx.Durable, selecting("postgres"), fx.Supply(&section, zap.New(core).Named("app")))
	entries := logs.FilterMessage("postgres pool selected").FilterField(zap.Bool("owned", true)).All()
	if len(entries) != 1 || entries[0].LoggerName != "app.idempotency.postgres" {
		t.Errorf("got %+v", entries)
	}
}

func TestEventsReachTheLogWithAndWithoutABusOfTheApplication(t *testing.T) {
	for name, opt := range map[string]fx.Option{"alone": fx.Options(), "with resiliencefx": resiliencefx.Module} {
		t.Run(name, func(t *testing.T) {
			core, logs := observer.New(zap.DebugLevel)
			var guard *idempotency.Guard
			app := fxtest.New(t, fx.NopLogger, idempotencyfx.Module, opt, fx.Supply(zap.New(core)), fx.Populate(&guard))
			app.RequireStart()
			call := idempotency.Call{Operation: "charge", Key: "k"}
			for range 2 {
				if _, err := idempotency.Do(t.Context(), guard, call, func(context.Context) (int, error) { return 1, nil }); err != nil {
					t.Fatal(err)
				}
			}
			app.RequireStop() // drains the bus
			found := false
			for _, entry := range logs.All() {
				found = found || entry.ContextMap()["operation"] == "charge"
			}
			if !found {
				t.Fatalf("the duplicate is not in the log: %v", logs.All())
			}
		})
	}
}

// The bubble fails if the janitor outlives the application.
func TestJanitorWorksWhileTheApplicationRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, auto := range []bool{true, false} {
			mem, err := memstore.NewIdempotency(memstore.Config{})
			if err != nil {
				t.Fatal(err)
			}
			sweeps := 0
			app := fxtest.New(t, fx.NopLogger, idempotencyfx.Module, idempotencyfx.UseStore(sweeping{mem, &sweeps}),
				idempotencyfx.Configure(idempotency.Config{CleanupInterval: time.Minute, AutoCleanup: auto}),
				fx.Invoke(func(*idempotency.Guard) {}))
			app.RequireStart()
			time.Sleep(time.Hour)
			synctest.Wait()
			app.RequireStop()
			switch {
			case auto && (sweeps < 50 || sweeps > 70): // once a minute, more or less
				t.Errorf("%d sweeps in an hour", sweeps)
			case !auto && sweeps > 0:
				t.Error("the janitor was turned off and worked")
			}
		}
	})
}

type sweeping struct {
	idempotency.Store
	sweeps *int
}

func (s sweeping) CleanupExpired(ctx context.Context, limit int) (int, error) {
	*s.sweeps++
	return s.Store.CleanupExpired(ctx, limit)
}

func TestConstructorsWorkWithoutFx(t *testing.T) {
	store, err := idempotencyfx.NewStore(idempotencyfx.StoreParams{})
	if err != nil {
		t.Fatal(err)
	}
	janitor, err := idempotencyfx.NewJanitor(idempotencyfx.JanitorParams{Store: store.Store})
	if err != nil || janitor.Janitor == nil {
		t.Fatal(err)
	}
	guard, err := idempotencyfx.NewGuard(idempotencyfx.GuardParams{Store: store.Store, Bus: new(hooks.Bus)})
	if err != nil || guard.Guard == nil {
		t.Fatal(err)
	}
	middleware := idempotencyfx.NewMiddleware(idempotencyfx.MiddlewareParams{Guard: guard.Guard, Scope: idempotency.SharedScope})
	if middleware.Middleware == nil {
		t.Fatal("no middleware")
	}
	lifecycle := fxtest.NewLifecycle(t)
	for _, backend := range []idempotencyfx.Backend{
		idempotencyfx.NewRedisBackend(idempotencyfx.RedisParams{Lifecycle: lifecycle}).Backend,
		idempotencyfx.NewPostgresBackend(idempotencyfx.PostgresParams{Lifecycle: lifecycle}).Backend,
	} {
		if store, err := backend.Open(idempotency.DefaultConfig()); err != nil || store == nil || !backend.Durable {
			t.Errorf("%s: %v", backend.Name, err)
		}
	}
}
