package idempotencyfx_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"

	"github.com/steadyfx/steady/idempotencyfx"
	"github.com/steadyfx/steady/patterns/health"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/resiliencefx"
	"github.com/steadyfx/steady/stores/memstore"
	"github.com/steadyfx/steady/testkit"
)

// What stands on the store: the guard, its options, its middleware and its health check.

// charge runs an operation under the key "k", and returns its receipt.
func charge(ctx context.Context, guard *idempotency.Guard) (string, error) {
	result, err := idempotency.Do(ctx, guard, idempotency.Call{Operation: "charge", Key: "k"},
		func(context.Context) (string, error) { return "receipt", nil })
	return result.Value, err
}

// vault is where an application has its keys.
type vault struct{ secret []byte }

func (v vault) key() idempotency.Option {
	return idempotency.WithEncryption(idempotency.EncryptionKey{ID: "1", Secret: v.secret})
}

// seeing is a store that sees what is stored.
type seeing struct {
	idempotency.Store
	stored *[]string
}

func (s seeing) Complete(
	ctx context.Context, key string, token idempotency.Token, value []byte, ttl time.Duration,
) error {
	*s.stored = append(*s.stored, string(value))
	return s.Store.Complete(ctx, key, token, value, ttl)
}

func TestGuardTakesItsOptionsFromTheContainer(t *testing.T) {
	declined := errors.New("declined")
	keys := fx.Supply(vault{secret: make([]byte, 32)})
	for name, test := range map[string]struct {
		opts   fx.Option
		sealed bool
		once   bool // what fails is a result
	}{
		"none":      {opts: fx.Options()},
		"one":       {opts: fx.Options(keys, fx.Provide(idempotencyfx.AsOption(vault.key))), sealed: true},
		"that fail": {opts: fx.Provide(idempotencyfx.AsOption(func() (idempotency.Option, error) { return nil, nil }))},
		"several": {opts: fx.Options(keys, fx.Provide(
			idempotencyfx.AsOption(vault.key),
			idempotencyfx.AsOption(func() idempotency.Option {
				return idempotency.WithRecordedErrors(idempotency.ErrorValue("declined", declined))
			}),
			idempotencyfx.AsOption(func() idempotency.MiddlewareOption { return idempotency.WithRequiredKey() }), // not for the guard
		)), sealed: true, once: true},
	} {
		t.Run(name, func(t *testing.T) {
			var stored []string
			_, guard := testkit.New[*idempotency.Guard](t, fx.Options(idempotencyfx.Module, test.opts,
				fx.Decorate(func(s idempotency.Store) idempotency.Store { return seeing{s, &stored} })))
			for range 2 {
				if receipt, err := charge(t.Context(), guard); receipt != "receipt" || err != nil {
					t.Fatalf("got %q, %v", receipt, err)
				}
			}
			if open := strings.Contains(strings.Join(stored, ""), "receipt"); len(stored) != 1 || open == test.sealed {
				t.Errorf("stored is %q", stored)
			}
			runs := 0
			for range 2 {
				_, err := idempotency.Do(t.Context(), guard, idempotency.Call{Operation: "charge", Key: "declined"},
					func(context.Context) (int, error) { runs++; return 0, declined })
				if !errors.Is(err, declined) {
					t.Errorf("got %v", err)
				}
			}
			if once := runs == 1; once != test.once {
				t.Errorf("%d runs", runs)
			}
		})
	}
}

func TestMistakesInOptionsFailTheBuild(t *testing.T) {
	for name, test := range map[string]struct {
		opt  fx.Option
		want string
	}{
		"without what it depends on": {fx.Provide(idempotencyfx.AsOption(vault.key)), "missing type: idempotencyfx_test.vault"},
		"wrong key":                  {fx.Options(fx.Supply(vault{}), fx.Provide(idempotencyfx.AsOption(vault.key))), "encryption[0]: must have a secret"},
		"failed": {fx.Provide(idempotencyfx.AsOption(func() (idempotency.Option, error) { return nil, errors.New("vault is sealed") })),
			"vault is sealed"},
		// Nobody would ask for these.
		"several at once": {fx.Provide(idempotencyfx.AsOption(func() []idempotency.Option { return nil })),
			"AsOption was given, func() []idempotency.Option: its first result must be an idempotency.Option"},
		"no function": {fx.Provide(idempotencyfx.AsOption(vault{}.key())), "AsOption was given, idempotency.Option: "},
		"nothing":     {fx.Provide(idempotencyfx.AsOption(nil)), "AsOption was given, <nil>: "},
		"no result":   {fx.Provide(idempotencyfx.AsOption(func() {})), "AsOption was given, func(): "},
	} {
		t.Run(name, func(t *testing.T) {
			wantText(t, mustNotBuild(t, idempotencyfx.Module, test.opt, fx.Invoke(func(*idempotency.Guard) {})), test.want)
		})
	}
}

// request sends a payment of a tenant with a key.
func request(handler http.Handler, tenant, key, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/payments", strings.NewReader(body))
	r.Header.Set("Tenant", tenant)
	if key != "" {
		r.Header.Set(idempotency.KeyHeader, key)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

func tenant(r *http.Request) string { return r.Header.Get("Tenant") }

func TestMiddlewareComesConfigured(t *testing.T) {
	runs := 0
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { runs++; w.WriteHeader(http.StatusCreated) })
	app := fx.Options(idempotencyfx.Module, fx.Supply(idempotency.Scope(tenant)),
		idempotencyfx.Configure(idempotency.Config{MaxRequestBody: 5, MaxKeyLength: 3}),
		fx.Provide(idempotencyfx.AsOption(func() idempotency.MiddlewareOption { return idempotency.WithRequiredKey() }),
			idempotencyfx.AsOption(func() idempotency.MiddlewareOption { return nil })))
	_, middleware := testkit.New[idempotencyfx.Middleware](t, app)
	guarded := middleware(handler)
	for _, step := range []struct {
		tenant, key, body string
		status, runs      int
	}{
		{"a", "k", "10", http.StatusCreated, 1},
		{"a", "k", "10", http.StatusCreated, 1},
		{"a", "k", "11", http.StatusUnprocessableEntity, 1},
		{"b", "k", "11", http.StatusCreated, 2}, // of another scope
		{"", "k", "10", http.StatusForbidden, 2},
		{"a", "", "10", http.StatusBadRequest, 2}, // of the option
		{"a", "long", "10", http.StatusBadRequest, 2},
		{"a", "l", "100000", http.StatusRequestEntityTooLarge, 2},
	} {
		if got := request(guarded, step.tenant, step.key, step.body); got.Code != step.status || runs != step.runs {
			t.Errorf("%+v: got %d, %d runs: %s", step, got.Code, runs, got.Body)
		}
	}
}

func TestMiddlewareNeedsAScope(t *testing.T) {
	wantText(t, mustNotBuild(t, idempotencyfx.Module, fx.Invoke(func(idempotencyfx.Middleware) {})), "missing type: idempotency.Scope")
}

// healthOf returns the check of the store, if there is one.
func healthOf(t *testing.T, manager *health.Manager) (health.Result, bool) {
	t.Helper()
	result, err := manager.Run(t.Context(), "idempotency")
	return result, err == nil
}

func TestStoreIsAHealthCheckWhileTheApplicationRuns(t *testing.T) {
	for name, test := range map[string]struct {
		opts     []fx.Option
		critical bool
	}{
		"Module":      {[]fx.Option{idempotencyfx.Module}, false},
		"Durable":     {[]fx.Option{idempotencyfx.Durable}, true},
		"own manager": {[]fx.Option{idempotencyfx.Durable, fx.Decorate(func() (*health.Manager, error) { return health.New(health.Config{}) })}, true},
		"replaced":    {[]fx.Option{idempotencyfx.Durable, fx.Replace(health.Default())}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				brought := newTape()
				var manager *health.Manager
				app := fxtest.New(t, fx.NopLogger, resiliencefx.Module, brought.on("tape"), fx.Options(test.opts...),
					fx.Populate(&manager), fx.Invoke(func(*idempotency.Guard) {}))
				if _, there := healthOf(t, manager); there {
					t.Error("the check is there before the start")
				}
				app.RequireStart()
				if got, _ := healthOf(t, manager); got.Status != health.Healthy || got.Critical != test.critical {
					t.Errorf("got %+v", got)
				}
				time.Sleep(2 * time.Second) // no result is given again
				brought.ping = func(context.Context) error { return errors.New("broken by hunter2") }
				got, _ := healthOf(t, manager)
				if got.Status != health.Unhealthy || strings.Contains(got.String(), "hunter2") {
					t.Errorf("got %+v", got)
				}
				time.Sleep(2 * time.Second)
				brought.ping = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
				if got, _ := healthOf(t, manager); got.Status != health.Unhealthy || got.Latency >= time.Second {
					t.Errorf("a probe of Kubernetes would not have waited: %+v", got)
				}
				app.RequireStop()
				if _, there := healthOf(t, manager); there {
					t.Error("the check has outlived the application")
				}
			})
		})
	}
}

func TestHealthCheckAsksTheDecoratedStore(t *testing.T) {
	down := errors.New("down")
	_, manager := testkit.New[*health.Manager](t, fx.Options(resiliencefx.Module, idempotencyfx.Durable,
		fx.Decorate(func(s idempotency.Store) idempotency.Store { return unreachable{s, down} })), testkit.Idempotency())
	if got, _ := healthOf(t, manager); !errors.Is(got.Err, down) {
		t.Errorf("got %+v", got)
	}
}

type unreachable struct {
	idempotency.Store
	err error
}

func (u unreachable) Ping(context.Context) error { return u.err }

func TestHealthCheckThatCannotBe(t *testing.T) {
	wantText(t, mustNotBuild(t, idempotencyfx.Module, fx.Provide(func(missing) *health.Manager { return nil }),
		fx.Invoke(func(*idempotency.Guard) {})), "provides a *health.Manager, but none arrives")
	err := fx.New(fx.NopLogger, resiliencefx.Module, idempotencyfx.Durable, testkit.Idempotency(),
		fx.Invoke(func(m *health.Manager) error {
			return m.Register(health.Check{Name: "idempotency", Func: health.Ping(func(context.Context) error { return nil })})
		})).Start(t.Context())
	if err == nil {
		t.Fatal("the application started")
	}
	wantText(t, err.Error(), `health check "idempotency": name: is taken`)
}

// Each of them is replaced, and the others work with what took its place.
func TestDecoratorsReplaceEverything(t *testing.T) {
	mem, err := memstore.NewIdempotency(memstore.Config{})
	if err != nil {
		t.Fatal(err)
	}
	own, err := idempotency.New(mem, idempotency.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	janitor, err := idempotency.NewJanitor(mem, idempotency.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	app := fx.Options(idempotencyfx.Durable, fx.Supply(idempotency.Scope(tenant)))
	type all struct {
		fx.In

		Store      idempotency.Store
		Guard      *idempotency.Guard
		Janitor    *idempotency.Janitor
		Middleware idempotencyfx.Middleware
	}
	_, got := testkit.New[all](t, app,
		fx.Decorate(func() idempotency.Store { return mem }),
		fx.Decorate(func() *idempotency.Guard { return own }),
		fx.Decorate(func() *idempotency.Janitor { return janitor }))
	if got.Store != mem || got.Guard != own || got.Janitor != janitor {
		t.Errorf("got %+v", got)
	}
	request(got.Middleware(http.NotFoundHandler()), "a", "k", "")
	if mem.Size() != 1 {
		t.Error("the middleware has a guard of its own")
	}
	refusing := func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	}
	_, middleware := testkit.New[idempotencyfx.Middleware](t, app, testkit.Idempotency(),
		fx.Decorate(func() idempotencyfx.Middleware { return refusing }))
	if got := request(middleware(http.NotFoundHandler()), "a", "k", ""); got.Code != http.StatusTeapot {
		t.Errorf("got %d", got.Code)
	}
}

// What runs when the stop begins ends with its store: the server that runs it depends on the guard, so that its hook
// comes first.
func TestCallsUnderWayEndBeforeTheStoreIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		brought := newTape()
		var mu sync.Mutex
		var order []string
		note := func(what string) {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, what)
		}
		brought.closes = func() error { note("store closed"); return nil }
		app := fxtest.New(t, fx.NopLogger, idempotencyfx.Durable, brought.on("tape"),
			fx.Decorate(func(s idempotency.Store) idempotency.Store { return noting{s, note} }),
			fx.Invoke(func(lc fx.Lifecycle, guard *idempotency.Guard) {
				ended := make(chan error, 1)
				lc.Append(fx.StartStopHook(func() {
					go func() {
						_, err := idempotency.Do(context.Background(), guard, idempotency.Call{Operation: "charge", Key: "k"},
							func(context.Context) (int, error) { time.Sleep(5 * time.Second); return 1, nil })
						ended <- err
					}()
					synctest.Wait()
				}, func() error { note("stop begins"); return <-ended }))
			}))
		app.RequireStart().RequireStop()
		if got := strings.Join(order, ", "); got != "stop begins, completed, store closed" {
			t.Errorf("got %s", got)
		}
	})
}

type noting struct {
	idempotency.Store
	note func(string)
}

func (n noting) Complete(ctx context.Context, key string, token idempotency.Token, value []byte, ttl time.Duration) error {
	n.note("completed")
	return n.Store.Complete(ctx, key, token, value, ttl)
}
