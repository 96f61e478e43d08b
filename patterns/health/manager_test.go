package health_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/health"
)

func TestPitfall20MistakesAreFoundByTheConstructor(t *testing.T) {
	if _, err := health.New(health.Config{MaxAge: -1}); !errors.Is(err, patterns.ErrConfiguration) ||
		!strings.Contains(err.Error(), "max_age: ") {
		t.Errorf("got %v", err)
	}
	if _, err := health.New(health.Config{MaxAge: 1}); err != nil {
		t.Error(err)
	}
	err := (health.Config{}).Validate()
	for _, field := range []string{"version: ", "max_age: "} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("an incomplete configuration is valid: %v", err)
		}
	}
	if err := health.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
}

func TestRegisterReportsEverythingThatIsWrong(t *testing.T) {
	m := newManager(t)
	good := saying(health.Healthy)
	register(t, m, health.Check{Name: "taken", Func: good})
	for _, tc := range []struct {
		check  health.Check
		fields []string
	}{
		{health.Check{Name: strings.Repeat("x", 128), Func: good}, nil},
		{health.Check{Name: "quick", Func: good, Timeout: 1}, nil},
		{health.Check{Name: "taken", Func: good}, []string{"name"}},
		{health.Check{Name: "", Timeout: -1}, []string{"name", "func", "timeout"}},
		{health.Check{Name: strings.Repeat("x", 129), Func: good}, []string{"name"}},
		{health.Check{Name: "a\nb", Func: good}, []string{"name"}},
		{health.Check{Name: "ping", Func: health.Ping(nil)}, []string{"func"}},
	} {
		err := m.Register(tc.check)
		if (err == nil) != (tc.fields == nil) {
			t.Errorf("%q: got %v, want mistakes in %v", tc.check.Name, err, tc.fields)
		}
		for _, field := range tc.fields {
			if !errors.Is(err, patterns.ErrConfiguration) || !strings.Contains(err.Error(), field+": ") {
				t.Errorf("%q: %v does not name %s", tc.check.Name, err, field)
			}
		}
	}
	if got := len(m.RunAll(t.Context()).Checks); got != 3 {
		t.Errorf("%d checks are registered, want 3: one that is refused must leave nothing behind", got)
	}
}

func TestRunTellsHowACheckIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t)
		register(t, m, health.Check{Name: "queue", Critical: true, Func: func(context.Context) health.Report {
			time.Sleep(1500 * time.Microsecond)
			return health.Report{
				Status: health.Degraded, Message: "behind", Details: map[string]any{"behind": 7}, Err: errBoom,
			}
		}})
		got := run(t, m, "queue")
		if got.Name != "queue" || !got.Critical || got.Status != health.Degraded || got.Message != "behind" ||
			got.Latency != 1500*time.Microsecond || got.Details["behind"] != 7 || got.Err != errBoom ||
			!got.Timestamp.Equal(time.Now()) {
			t.Errorf("got %+v", got)
		}
	})
}

func TestRunOfAnUnknownCheckIsAnError(t *testing.T) {
	_, err := newManager(t).Run(t.Context(), "redis")
	var unknown *health.UnknownCheckError
	if !errors.As(err, &unknown) || unknown.Name != "redis" || !errors.Is(err, health.ErrUnknownCheck) ||
		!errors.Is(err, patterns.ErrResilience) || patterns.Code(err) != patterns.CodeResilience {
		t.Errorf("got %v", err)
	}
	if want := `unknown health check "redis": register it first`; err.Error() != want {
		t.Errorf("got %s, want %s", err, want)
	}
}

func TestZeroReportIsUnknown(t *testing.T) {
	m := newManager(t)
	register(t, m,
		health.Check{Name: "forgot", Func: func(context.Context) health.Report { return health.Report{} }},
		health.Check{Name: "invented", Func: saying(health.Unhealthy + 1)})
	for _, r := range m.RunAll(t.Context()).Checks {
		if r.Status != health.Unknown {
			t.Errorf("%s: got %d", r.Name, r.Status)
		}
	}
}

func TestMessageIsBounded(t *testing.T) {
	for _, tc := range []struct{ message, want string }{
		{strings.Repeat("x", 512), strings.Repeat("x", 512)},
		{strings.Repeat("x", 513), strings.Repeat("x", 512)},
		{strings.Repeat("x", 511) + "é", strings.Repeat("x", 511)},
	} {
		m := newManager(t)
		register(t, m, health.Check{Name: "wordy", Func: func(context.Context) health.Report {
			return health.Report{Status: health.Healthy, Message: tc.message}
		}})
		if got := run(t, m, "wordy").Message; got != tc.want {
			t.Errorf("%d bytes became %d, want %d", len(tc.message), len(got), len(tc.want))
		}
	}
}

func TestPingHidesTheErrorFromPeople(t *testing.T) {
	m := newManager(t)
	register(t, m,
		health.Check{Name: "down", Func: health.Ping(func(context.Context) error { return errBoom })},
		health.Check{Name: "up", Func: health.Ping(func(context.Context) error { return nil })})
	down := run(t, m, "down")
	if down.Status != health.Unhealthy || down.Message != "failed" || down.Err != errBoom {
		t.Errorf("got %v, %v", down, down.Err)
	}
	if up := run(t, m, "up"); up.Status != health.Healthy || up.Err != nil {
		t.Errorf("got %v, %v", up, up.Err)
	}
}

func TestChecksComeAndGo(t *testing.T) {
	m := newManager(t)
	good := saying(health.Healthy)
	register(t, m, health.Check{Name: "b", Func: good}, health.Check{Name: "c", Func: good})
	if got := names(m.RunAll(t.Context()).Checks); !slices.Equal(got, []string{"b", "c"}) {
		t.Fatalf("got %v", got)
	}
	register(t, m, health.Check{Name: "a", Func: saying(health.Unhealthy), Critical: true})
	h := m.RunAll(t.Context())
	if h.Status != health.Unhealthy || !slices.Equal(names(h.Checks), []string{"a", "b", "c"}) {
		t.Errorf("got %v", h)
	}
	if !m.Deregister("a") || m.Deregister("a") || m.Deregister("d") {
		t.Error("Deregister does not tell whether there was a check")
	}
	if h := m.RunAll(t.Context()); h.Status != health.Healthy || !slices.Equal(names(h.Checks), []string{"b", "c"}) {
		t.Errorf("got %v", h)
	}
	register(t, m, health.Check{Name: "a", Func: good})
	if got := run(t, m, "a"); got.Status != health.Healthy {
		t.Errorf("the result of another check of that name: %v", got)
	}
}

// What is closed is deregistered first, but a probe may be asking it at that moment.
func TestCheckThatIsRemovedMeanwhileDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, health.WithOnChange(func(_ context.Context, _ health.Status, now health.Result) {
			if now.Name == "redis" {
				t.Errorf("told about %v", now)
			}
		}))
		closed := make(chan struct{})
		register(t, m, health.Check{Name: "disk", Func: slow(2 * time.Second)},
			health.Check{Name: "redis", Critical: true, Func: health.Ping(func(context.Context) error {
				<-closed
				return errBoom
			})})
		go func() {
			time.Sleep(time.Second)
			m.Deregister("redis")
			if err := m.Register(health.Check{Name: "redis", Func: saying(health.Healthy)}); err != nil { // another one
				t.Error(err)
			}
			close(closed)
		}()
		if h := m.RunAll(t.Context()); h.Status != health.Healthy || !slices.Equal(names(h.Checks), []string{"disk"}) {
			t.Errorf("got %v", h)
		}
	})
}

func TestChecksRunAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t)
		for _, name := range []string{"a", "b", "c"} {
			register(t, m, health.Check{Name: name, Func: slow(3 * time.Second)})
		}
		begun := time.Now()
		h := m.RunAll(t.Context())
		if took := time.Since(begun); took != 3*time.Second || h.Status != health.Healthy {
			t.Errorf("%v after %v", h, took)
		}
	})
}

// A check may be about other checks, and a listener may look around.
func TestPitfall24CheckAndListenerMayUseTheManager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m *health.Manager
		told := 0
		m = newManager(t, health.WithOnChange(func(ctx context.Context, _ health.Status, now health.Result) {
			told++
			if again, err := m.Run(ctx, now.Name); err != nil || again.Status != now.Status {
				t.Errorf("got %v, %v, want %v", again, err, now)
			}
			m.RunAll(ctx)
			m.Deregister("other")
		}))
		register(t, m, health.Check{Name: "other", Func: saying(health.Healthy)},
			health.Check{Name: "summary", Func: func(ctx context.Context) health.Report {
				other, _ := m.Run(ctx, "other")
				if err := m.Register(health.Check{Name: "late", Func: saying(health.Healthy)}); err != nil {
					t.Error(err)
				}
				return health.Report{Status: other.Status}
			}})
		if got := run(t, m, "summary"); got.Status != health.Healthy {
			t.Errorf("got %v", got)
		}
		synctest.Wait()
		if told != 3 {
			t.Errorf("told %d times, want 3", told)
		}
	})
}

func TestDefaultIsOneManagerWithoutChecks(t *testing.T) {
	first, again := health.Default(), health.Default()
	if first != again {
		t.Error("two default managers")
	}
	h := first.RunAll(t.Context())
	if h.Status != health.Healthy || len(h.Checks) != 0 || h.Version != "unknown" {
		t.Errorf("got %+v", h)
	}
}
