package fallback_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/fallback"
)

func TestFirstThatSucceedsAnswers(t *testing.T) {
	for _, tt := range []struct {
		name      string
		fails     int // of the operation and the alternatives, in order
		value     string
		runs      []string
		step      string // that the event names; "": none
		byDefault bool
	}{
		{name: "operation", fails: 0, value: "primary", runs: []string{"primary"}},
		{name: "first alternative", fails: 1, value: "a", runs: []string{"primary", "a"}, step: "alternative 1"},
		{name: "second alternative", fails: 2, value: "b", runs: []string{"primary", "a", "b"}, step: "alternative 2"},
		{name: "default", fails: 3, value: "default", runs: []string{"primary", "a", "b"}, step: "default", byDefault: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var l trail
				failure := func(i int) error {
					if i < tt.fails {
						return errBoom
					}
					return nil
				}
				bus, events := used()
				opts := []fallback.Option[string]{fallback.WithBus[string](bus)}
				if tt.byDefault {
					opts = append(opts, fallback.WithDefault("default"))
				}
				c := mustNew(t, opts...).Add(
					fallback.Alternative(l.gives("a", "a", failure(1))), fallback.Alternative(l.gives("b", "b", failure(2))))
				got, err := c.Execute(t.Context(), l.gives("primary", "primary", failure(0)))
				if got != tt.value || err != nil {
					t.Errorf("got %q, %v, want %q", got, err, tt.value)
				}
				l.want(t, tt.runs...)
				if tt.step == "" {
					wantEqual(t, "events", len(*events), 0)
					return
				}
				if len(*events) != 1 {
					t.Fatalf("%d events", len(*events))
				}
				e := (*events)[0]
				wantEqual(t, "name", e.Name, "prices")
				wantEqual(t, "step", e.Step, tt.step)
				wantEqual(t, "error", e.Err, errBoom)
				wantEqual(t, "time", e.At, time.Now())
			})
		})
	}
}

func TestZeroDefaultIsADefault(t *testing.T) {
	got, err := mustNew(t, fallback.WithDefault[*int](nil)).Execute(t.Context(),
		func(context.Context) (*int, error) { return new(int), errBoom })
	if got != nil || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestErrorJoinsEveryCause(t *testing.T) {
	var l trail
	bus, events := used()
	c := mustNew(t, fallback.WithBus[string](bus)).Add(fallback.Alternative(l.gives("cache", "old", errStale)))
	got, err := c.Execute(t.Context(), l.gives("primary", "half", errBoom))
	if got != "" {
		t.Errorf("the value of a failed attempt is returned: %q", got)
	}
	for _, target := range []error{fallback.ErrAllFailed, patterns.ErrResilience, errBoom, errStale} {
		if !errors.Is(err, target) {
			t.Errorf("%v does not match %v", err, target)
		}
	}
	if failed, ok := errors.AsType[*fallback.Error](err); !ok || failed.Name != "prices" || len(failed.Causes) != 2 ||
		failed.Causes[0] != errBoom || failed.Causes[1] != errStale || failed.Stopped != nil {
		t.Errorf("got %+v", failed)
	}
	wantEqual(t, "code", patterns.Code(err), "LEX_ERR_RES_005")
	wantEqual(t, "text", err.Error(), `all fallbacks failed for "prices": boom; stale`)
	wantEqual(t, "events", len(*events), 0)
}

func TestErrorOfACallThatRanIsNoRejection(t *testing.T) {
	refuses := func(context.Context) (int, error) { return 0, rejection{"circuit"} }
	fails := func(context.Context) (int, error) { return 0, errBoom }
	for _, tt := range []struct {
		name        string
		first, then func(context.Context) (int, error)
		rejected    bool
	}{
		{"all refused", refuses, refuses, true},
		{"operation refused, alternative ran", refuses, fails, false},
		{"operation ran, alternative refused", fails, refuses, false},
	} {
		_, err := mustNew[int](t).Add(fallback.Alternative(tt.then)).Execute(t.Context(), tt.first)
		wantEqual(t, tt.name+": rejected", errors.Is(err, patterns.ErrRejected), tt.rejected)
		wantEqual(t, tt.name+": open", errors.Is(err, errOpen), true)
		if r, ok := errors.AsType[rejection](err); !ok || r.name != "circuit" {
			t.Errorf("%s: the rejection cannot be read from %v", tt.name, err)
		}
		if !strings.Contains(err.Error(), "rejected") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestHandlerHasTheLastWord(t *testing.T) {
	var l trail
	errMissing := errors.New("missing")
	bus, events := used()
	c := mustNew(t, fallback.WithDefault("default"), fallback.WithBus[string](bus)).
		Add(fallback.Alternative(l.gives("alternative", "alternative", nil))).
		On(errMissing, func(_ context.Context, err error) (string, error) { return "partial", err }).
		On(errStale, func(_ context.Context, err error) (string, error) { return "handled " + err.Error(), nil }).
		On(errStale, func(context.Context, error) (string, error) { return "never", nil })

	got, err := c.Execute(t.Context(), l.gives("primary", "", errors.Join(errMissing, errOpen)))
	if got != "" || !errors.Is(err, errMissing) || errors.Is(err, fallback.ErrAllFailed) {
		t.Errorf("the error that is to pass: got %q, %v", got, err)
	}
	wantEqual(t, "events after a handler that failed", len(*events), 0)
	if got, err = c.Execute(t.Context(), l.gives("primary", "", errStale)); got != "handled stale" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	l.want(t, "primary", "primary")
	if len(*events) != 1 || (*events)[0].Step != "handler" || (*events)[0].Err != errStale {
		t.Errorf("events: %+v", *events)
	}
	if got, err = c.Execute(t.Context(), l.gives("primary", "", errBoom)); got != "alternative" || err != nil {
		t.Errorf("an error without a handler: got %q, %v", got, err)
	}
}

func TestStepsInOrder(t *testing.T) {
	calls := 0
	third := func(context.Context) (string, error) {
		if calls++; calls < 3 {
			return "", errBoom
		}
		return "third time", nil
	}
	c := mustNew[string](t)
	got, err := c.Add(fallback.Retry[string](times(2)), fallback.Degrade("never")).Execute(t.Context(), third)
	if got != "third time" || err != nil || calls != 3 {
		t.Errorf("retry: got %q, %v after %d calls", got, err, calls)
	}
	calls = 0
	if _, err = c.Add(fallback.Retry[string](nil)).Execute(t.Context(), third); !errors.Is(err, errBoom) || calls != 2 {
		t.Errorf("retry without a policy: got %v after %d calls", err, calls)
	}
	calls = 0
	got, err = c.Add(
		fallback.DegradeFunc(func(context.Context, error) (string, error) { return "", errStale }),
		fallback.DegradeFunc(func(_ context.Context, err error) (string, error) { return "without: " + err.Error(), nil }),
	).Execute(t.Context(), third)
	if got != "without: boom" || err != nil {
		t.Errorf("degrade: got %q, %v", got, err)
	}
	if got, err = c.Add(fallback.Degrade("less")).Execute(t.Context(), third); got != "less" || err != nil {
		t.Errorf("degrade: got %q, %v", got, err)
	}
}

func TestWhatFailedForGoodIsNotRepeated(t *testing.T) {
	errGood := errors.Join(patterns.ErrPermanent, errBoom)
	for _, tt := range []struct {
		name  string
		errs  []error // of the operation, one after the other
		calls int
		value string
	}{
		{"at once", []error{errGood, nil}, 1, "other"},
		{"when it was repeated", []error{errBoom, errGood, nil}, 2, "other"},
		{"only the alternative", []error{errBoom, errBoom, nil}, 3, "operation"},
	} {
		calls := 0
		alternative := func(context.Context) (string, error) { return "", errGood }
		c := mustNew(t, fallback.WithDefault("other")).Add(fallback.Alternative(alternative),
			fallback.Retry[string](nil), fallback.Retry[string](nil))
		got, err := c.Execute(t.Context(), func(context.Context) (string, error) {
			calls++
			return "operation", tt.errs[calls-1]
		})
		if got != tt.value || err != nil || calls != tt.calls {
			t.Errorf("%s: got %q, %v after %d calls", tt.name, got, err, calls)
		}
	}
}

func TestStepsWithoutAFunctionAreLeftOut(t *testing.T) {
	c := mustNew[int](t).Add(fallback.Step[int]{}, fallback.Alternative[int](nil), fallback.DegradeFunc[int](nil)).
		On(errBoom, nil)
	_, err := c.Execute(t.Context(), func(context.Context) (int, error) { return 0, errBoom })
	if failed, ok := errors.AsType[*fallback.Error](err); !ok || len(failed.Causes) != 1 {
		t.Errorf("got %v", err)
	}
}

// Pitfall 21: an executor whose methods change the receiver and return it as if it were a copy.
func TestPitfall21AddAndOnDoNotChangeTheReceiver(t *testing.T) {
	failing := fallback.Alternative(func(context.Context) (string, error) { return "", errStale })
	base := mustNew[string](t).Add(failing, failing, failing) // in a slice that has room for one more
	left, right := base.Add(fallback.Degrade("left")), base.Add(fallback.Degrade("right"))
	handled := base.On(errBoom, func(context.Context, error) (string, error) { return "handled", nil })
	fails := func(context.Context) (string, error) { return "", errBoom }
	for _, tt := range []struct {
		chain *fallback.Chain[string]
		want  string
	}{{left, "left"}, {right, "right"}, {handled, "handled"}, {base, ""}} {
		if got, _ := tt.chain.Execute(t.Context(), fails); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestCancellationStopsTheChain(t *testing.T) {
	errGone := errors.New("client went away")
	for _, tt := range []struct {
		name   string
		during string // what is running when the caller goes
		runs   []string
	}{
		{"in the operation", "primary", []string{"primary"}},
		{"in a step", "a", []string{"primary", "a"}},
	} {
		var l trail
		ctx, cancel := context.WithCancelCause(t.Context())
		step := func(name string) func(context.Context) (string, error) {
			return func(ctx context.Context) (string, error) {
				if name == tt.during {
					cancel(errGone)
				}
				return l.gives(name, name, errBoom)(ctx)
			}
		}
		c := mustNew(t, fallback.WithDefault("default")).
			Add(fallback.Alternative(step("a")), fallback.Alternative(step("b")), fallback.Degrade("less"))
		got, err := c.Execute(ctx, step("primary"))
		if got != "" {
			t.Errorf("%s: got %q", tt.name, got)
		}
		for _, target := range []error{context.Canceled, errGone, errBoom, patterns.ErrResilience} {
			if !errors.Is(err, target) {
				t.Errorf("%s: %v does not match %v", tt.name, err, target)
			}
		}
		if errors.Is(err, fallback.ErrAllFailed) || !strings.HasPrefix(err.Error(), `fallback "prices": stopped: `) {
			t.Errorf("%s: not everything was tried, but the error is %v", tt.name, err)
		}
		l.want(t, tt.runs...)
	}
}

func TestAfterTheDeadlineOnlyWhatTakesNoTimeIsLeft(t *testing.T) {
	for _, tt := range []struct {
		name  string
		steps []fallback.Step[string]
		opts  []fallback.Option[string]
		want  string
	}{
		{"degrade", []fallback.Step[string]{fallback.Degrade("less")}, nil, "less"},
		{"default", nil, []fallback.Option[string]{fallback.WithDefault("default")}, "default"},
		{"nothing", nil, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				var l trail
				c := mustNew(t, tt.opts...).
					Add(fallback.Alternative(l.gives("a", "a", nil)), fallback.Retry[string](times(5))).Add(tt.steps...)
				got, err := c.Execute(ctx, func(ctx context.Context) (string, error) {
					<-ctx.Done()
					return l.gives("primary", "", ctx.Err())(ctx)
				})
				wantEqual(t, "value", got, tt.want)
				l.want(t, "primary")
				if tt.want == "" && (!errors.Is(err, context.DeadlineExceeded) || errors.Is(err, fallback.ErrAllFailed)) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

func TestPanicPassesUnlessRecoveryIsAskedFor(t *testing.T) {
	panics := func(context.Context) (string, error) { panic(errBoom) }
	fails := func(context.Context) (string, error) { return "", errStale }
	handler := func(context.Context, error) (string, error) { panic(errBoom) }
	for _, tt := range []struct {
		name      string
		chain     func(*fallback.Chain[string]) *fallback.Chain[string]
		operation func(context.Context) (string, error)
	}{
		{"operation", func(c *fallback.Chain[string]) *fallback.Chain[string] { return c }, panics},
		{"step", func(c *fallback.Chain[string]) *fallback.Chain[string] {
			return c.Add(fallback.Alternative(panics))
		}, fails},
		{"retry", func(c *fallback.Chain[string]) *fallback.Chain[string] {
			return c.Add(fallback.Retry[string](times(1)))
		}, panics},
		{"handler", func(c *fallback.Chain[string]) *fallback.Chain[string] { return c.On(errStale, handler) }, fails},
	} {
		_, err := tt.chain(mustNew(t, fallback.WithRecover[string]())).Execute(t.Context(), tt.operation)
		panicked, ok := errors.AsType[*fallback.PanicError](err)
		if !ok || !errors.Is(err, fallback.ErrPanicked) || !errors.Is(err, errBoom) || !errors.Is(err, patterns.ErrResilience) {
			t.Errorf("%s: got %v", tt.name, err)
			continue
		}
		wantEqual(t, tt.name+": name", panicked.Name, "prices")
		wantEqual(t, tt.name+": value", panicked.Value, any(errBoom))
		wantEqual(t, tt.name+": text", panicked.Error(), `fallback "prices": panic: boom`)
		wantEqual(t, tt.name+": code", panicked.Code(), "LEX_ERR_RES_001")
		if !strings.Contains(string(panicked.Stack), "chain_test.go") {
			t.Errorf("%s: the stack is not that of the panic:\n%s", tt.name, panicked.Stack)
		}

		func() {
			defer func() { wantEqual(t, tt.name+": panic without recovery", recover(), any(errBoom)) }()
			_, _ = tt.chain(mustNew[string](t)).Execute(t.Context(), tt.operation)
		}()
	}
}

func TestRecoveredPanicLeadsToTheNextStep(t *testing.T) {
	c := mustNew(t, fallback.WithRecover[string]()).Add(fallback.Degrade("less"))
	got, err := c.Execute(t.Context(), func(context.Context) (string, error) { panic("no error") })
	if got != "less" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	c = mustNew(t, fallback.WithRecover[string]()).On(fallback.ErrPanicked,
		func(_ context.Context, err error) (string, error) { return err.Error(), nil })
	got, err = c.Execute(t.Context(), func(context.Context) (string, error) { panic("no error") })
	if got != `fallback "prices": panic: no error` || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestGoexitPassesEvenWithRecovery(t *testing.T) {
	returned := false
	var wg sync.WaitGroup
	c := mustNew(t, fallback.WithRecover[int](), fallback.WithDefault(1))
	wg.Go(func() {
		_, _ = c.Execute(t.Context(), func(context.Context) (int, error) { runtime.Goexit(); return 0, nil })
		returned = true
	})
	wg.Wait()
	if returned {
		t.Error("the goroutine went on")
	}
}

func TestMistakesInTheName(t *testing.T) {
	for _, name := range []string{"", "a\nb", strings.Repeat("n", 129)} {
		if c, err := fallback.New[int](name); c != nil || !errors.Is(err, patterns.ErrConfiguration) {
			t.Errorf("%q: got %v, %v", name, c, err)
		}
	}
	wantEqual(t, "name", mustNew[int](t).Name(), "prices")
}

func TestOneChainServesManyCallsAtOnce(t *testing.T) {
	c := mustNew(t, fallback.WithRecover[int]()).Add(fallback.Retry[int](times(1)),
		fallback.DegradeFunc(func(_ context.Context, err error) (int, error) {
			return err.(interface{ number() int }).number(), nil
		}))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := i; n < 800; n += 8 {
				got, err := c.Execute(t.Context(), func(context.Context) (int, error) { return 0, numbered(n) })
				if got != n || err != nil {
					t.Errorf("got %d, %v, want %d", got, err, n)
				}
			}
		})
	}
	wg.Wait()
}

type numbered int

func (n numbered) Error() string { return "numbered" }
func (n numbered) number() int   { return int(n) }
