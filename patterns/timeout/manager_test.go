package timeout_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/timeout"
)

func newManager(tb testing.TB, limit time.Duration, opts ...timeout.Option) *timeout.Manager {
	tb.Helper()
	m, err := timeout.NewManager(timeout.Config{Timeout: limit, Message: "Too slow"}, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func configure(tb testing.TB, m *timeout.Manager, operation string, limit time.Duration) {
	tb.Helper()
	if err := m.Configure(operation, limit); err != nil {
		tb.Fatal(err)
	}
}

func TestManagerHasALimitForEachOperation(t *testing.T) {
	m := newManager(t, time.Minute)
	configure(t, m, "charge", time.Second)
	configure(t, m, "report", time.Hour)
	configure(t, m, "charge", 2*time.Second)
	for operation, want := range map[string]time.Duration{
		"charge": 2 * time.Second, "report": time.Hour, "refund": time.Minute, "": time.Minute,
	} {
		if got := m.For(operation); got != want {
			t.Errorf("%q: %v, want %v", operation, got, want)
		}
	}
}

func TestManagerRejectsMistakes(t *testing.T) {
	if m, err := timeout.NewManager(timeout.Config{Timeout: -1}); m != nil || !errors.Is(err, patterns.ErrConfiguration) {
		t.Errorf("got %v, %v", m, err)
	}
	m := newManager(t, time.Minute)
	for _, tc := range []struct {
		operation string
		limit     time.Duration
		field     string
	}{
		{"charge", 0, "timeout: "},
		{"charge", -time.Second, "timeout: "},
		{"", time.Second, "name: "},
		{"a\x00b", time.Second, "name: "},
	} {
		err := m.Configure(tc.operation, tc.limit)
		if !errors.Is(err, patterns.ErrConfiguration) || !strings.Contains(err.Error(), tc.field) {
			t.Errorf("%q %v: got %v", tc.operation, tc.limit, err)
		}
	}
	if got := m.For("charge"); got != time.Minute {
		t.Errorf("a mistake changed the limit to %v", got)
	}
}

func TestManagerRunsUnderTheLimitOfTheOperation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &hooks.Bus{}
		announced := map[string]time.Duration{}
		hooks.On(bus, func(_ context.Context, e hooks.TimedOut) { announced[e.Operation] = e.Limit })
		m := newManager(t, time.Minute, timeout.WithBus(bus))
		configure(t, m, "charge", time.Second)
		for operation, want := range map[string]time.Duration{"charge": time.Second, "refund": time.Minute} {
			begun := time.Now()
			err := m.Run(t.Context(), operation, untilDone)
			var e *timeout.Error
			if !errors.As(err, &e) || e.Operation != operation || e.Limit != want || e.Message != "Too slow" {
				t.Errorf("%s: got %#v", operation, err)
			}
			if time.Since(begun) != want || announced[operation] != want {
				t.Errorf("%s: after %v, announced %v", operation, time.Since(begun), announced[operation])
			}
		}
		if err := m.Run(t.Context(), "charge", func(context.Context) error { return errBoom }); err != errBoom {
			t.Errorf("got %v", err)
		}
	})
}

func TestCallKeepsTheLimitItBeganWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, time.Minute)
		begun := time.Now()
		_ = m.Run(t.Context(), "charge", func(ctx context.Context) error {
			configure(t, m, "charge", time.Second)
			return untilDone(ctx)
		})
		if time.Since(begun) != time.Minute {
			t.Errorf("ended after %v", time.Since(begun))
		}
	})
}

func TestManagerMayBeConfiguredWhileItRuns(t *testing.T) {
	const writers, each = 8, 200
	operation := func(writer, n int) string { return fmt.Sprintf("operation %d.%d", writer, n) }
	m := newManager(t, time.Minute)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for n := range each {
				configure(t, m, operation(i, n), time.Second)
			}
		})
	}
	wg.Go(func() {
		for n := range each {
			if limit := m.For(operation(0, n)); limit != time.Minute && limit != time.Second {
				t.Errorf("limit %v", limit)
			}
			if err := m.Run(t.Context(), operation(1, n), func(context.Context) error { return nil }); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	for i := range writers {
		for n := range each {
			if m.For(operation(i, n)) != time.Second {
				t.Fatalf("the limit of %s is lost", operation(i, n))
			}
		}
	}
}

func TestManagerConfiguredFromAConfigSaysItsMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := timeout.NewManager(timeout.Config{Timeout: time.Second, Message: "Too slow"})
		if err != nil {
			t.Fatal(err)
		}
		for operation, cfg := range map[string]timeout.Config{
			"report": {Timeout: 2 * time.Second, Message: "Report is late"}, "mail": {Message: "Mail is late"}, "other": {},
		} {
			if err := m.ConfigureFrom(operation, cfg); err != nil {
				t.Fatal(err)
			}
		}
		for operation, want := range map[string]struct {
			limit   time.Duration
			message string
		}{"report": {2 * time.Second, "Report is late"}, "mail": {time.Second, "Mail is late"}, "other": {time.Second, "Too slow"}} {
			err := m.Run(t.Context(), operation, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
			var late *timeout.Error
			if !errors.As(err, &late) || late.Limit != want.limit || !strings.HasPrefix(err.Error(), want.message) {
				t.Errorf("%s: got %v", operation, err)
			}
		}
		if err := m.ConfigureFrom("", timeout.Config{Timeout: -1}); !errors.Is(err, patterns.ErrConfiguration) {
			t.Errorf("got %v", err)
		}
	})
}

// manage returns a manager with the operation "report" configured from cfg.
func manage(t *testing.T, def, cfg timeout.Config, opts ...timeout.Option) *timeout.Manager {
	t.Helper()
	m, err := timeout.NewManager(def, opts...)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.ConfigureFrom("report", cfg); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestManagerDetachesTheOperationsThatSaySo(t *testing.T) {
	plain, detached := timeout.Config{Timeout: time.Second}, timeout.Config{Timeout: time.Second, Detached: true}
	for name, tc := range map[string]struct {
		def, cfg      timeout.Config
		opts          []timeout.Option
		report, other bool // whether they are detached
	}{
		"none":                     {plain, plain, nil, false, false},
		"one":                      {plain, detached, nil, true, false},
		"all but one":              {detached, plain, nil, false, true},
		"all":                      {detached, detached, nil, true, true},
		"all, by an option":        {plain, plain, []timeout.Option{timeout.WithDetached()}, true, true},
		"one, with another option": {plain, detached, []timeout.Option{timeout.WithBus(&hooks.Bus{})}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := manage(t, tc.def, tc.cfg, tc.opts...)
				for operation, detached := range map[string]bool{"report": tc.report, "other": tc.other} {
					begun, want, abandoned := time.Now(), time.Minute, 0
					if detached {
						want, abandoned = time.Second, 1
					}
					err := m.Run(t.Context(), operation, deaf(time.Minute, func() error { return nil }))
					if time.Since(begun) != want || errors.Is(err, timeout.ErrAbandoned) != detached || m.Abandoned() != abandoned {
						t.Errorf("%s: %v after %v, %d abandoned", operation, err, time.Since(begun), m.Abandoned())
					}
					time.Sleep(time.Minute)
					synctest.Wait()
					if m.Abandoned() != 0 {
						t.Errorf("%s is still counted", operation)
					}
				}
			})
		})
	}
}

func TestDetachedOperationOfAManagerIsLikeADetachedPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &hooks.Bus{}
		ended := make(chan hooks.AbandonedEnded, 1)
		hooks.On(bus, func(_ context.Context, e hooks.AbandonedEnded) { ended <- e })
		cfg := timeout.Config{Timeout: time.Second, Message: "Report is late", Detached: true}
		m := manage(t, timeout.DefaultConfig(), cfg, timeout.WithBus(bus))
		p, err := timeout.New("report", cfg)
		if err != nil {
			t.Fatal(err)
		}
		late := func() error { panic("late") }
		got, want := m.Run(t.Context(), "report", deaf(time.Minute, late)), p.Execute(t.Context(), deaf(time.Minute, late))
		if got == nil || got.Error() != want.Error() || !errors.Is(got, timeout.ErrTimeout) || !errors.Is(got, timeout.ErrAbandoned) {
			t.Errorf("got %v, want %v", got, want)
		}
		time.Sleep(time.Minute) // until both have ended
		if e := <-ended; e.Operation != "report" || e.Ran != time.Minute || e.Panic != "late" {
			t.Errorf("announced %+v", e)
		}
		defer func() {
			if value := recover(); value != "early" {
				t.Errorf("the panic of an operation that is waited for became %v", value)
			}
		}()
		_ = m.Run(t.Context(), "report", func(context.Context) error { panic("early") })
	})
}

func TestConfigureKeepsWhatTheManagerSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := manage(t, timeout.Config{Message: "Too slow", Detached: true}, timeout.Config{Message: "Report is late"})
		configure(t, m, "report", time.Second)
		err := m.Run(t.Context(), "report", deaf(time.Minute, boom))
		var late *timeout.Error
		if !errors.As(err, &late) || late.Message != "Too slow" || late.Limit != time.Second || m.Abandoned() != 1 {
			t.Errorf("got %v, %d abandoned", err, m.Abandoned())
		}
		time.Sleep(time.Minute)
	})
}
