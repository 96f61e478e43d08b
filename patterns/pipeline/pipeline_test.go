package pipeline_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/bulkhead"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/pipeline"
	"github.com/steadyfx/steady/patterns/ratelimit"
	"github.com/steadyfx/steady/patterns/retry"
	"github.com/steadyfx/steady/patterns/timeout"
)

var errDown = errors.New("dependency down")

func succeed(context.Context) error { return nil }

// full has every step. Its retry policy tries three times without much delay.
func full() pipeline.Config {
	return pipeline.Config{
		Bulkhead:       &bulkhead.Config{MaxConcurrent: 2},
		CircuitBreaker: &circuitbreaker.Config{},
		Retry:          &retry.Config{MaxAttempts: 3, BaseDelay: time.Millisecond},
		Timeout:        &timeout.Config{Timeout: time.Second},
	}
}

func newPipeline(t testing.TB, cfg pipeline.Config, opts ...pipeline.Option) *pipeline.Pipeline {
	t.Helper()
	p, err := pipeline.New("payments", cfg, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func limit(t *testing.T, d time.Duration) *timeout.Policy {
	t.Helper()
	p, err := timeout.New("limit", timeout.Config{Timeout: d})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestOrder(t *testing.T) {
	tests := []struct {
		name string
		cfg  func(*pipeline.Config)
		want string
	}{
		{"default", func(*pipeline.Config) {},
			"bulkhead(payments) > circuit_breaker(payments) > retry(payments) > timeout(payments)"},
		{"default without two steps", func(c *pipeline.Config) { c.Bulkhead, c.Retry = nil, nil },
			"circuit_breaker(payments) > timeout(payments)"},
		{"own", func(c *pipeline.Config) {
			c.Order = []pipeline.Step{pipeline.Timeout, pipeline.Retry, pipeline.CircuitBreaker, pipeline.Bulkhead}
		}, "timeout(payments) > retry(payments) > circuit_breaker(payments) > bulkhead(payments)"},
		{"several of a kind", func(c *pipeline.Config) {
			c.Named = map[pipeline.Step]patterns.Policy{"outer": limit(t, 5*time.Second), "chaos": patterns.Direct{}}
			c.Bulkhead = nil
			c.Order = []pipeline.Step{"outer", pipeline.Retry, pipeline.CircuitBreaker, pipeline.Timeout, "chaos"}
		}, "timeout(outer) > retry(payments) > circuit_breaker(payments) > timeout(payments) > custom(chaos)"},
		{"none", func(c *pipeline.Config) { *c = pipeline.Config{} }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := full()
			tt.cfg(&cfg)
			p := newPipeline(t, cfg)
			if p.String() != tt.want {
				t.Errorf("got %s", p)
			}
			if !p.Sequential() {
				t.Error("all steps are sequential")
			}
			if err := p.Execute(t.Context(), func(context.Context) error { return errDown }); !errors.Is(err, errDown) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// The order decides what a circuit breaker sees: each attempt, or the call with all its attempts.
func TestOrderIsWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := func(order ...pipeline.Step) (attempts int, state circuitbreaker.State) {
			p := newPipeline(t, pipeline.Config{
				CircuitBreaker: &circuitbreaker.Config{FailureThreshold: 2},
				Retry:          &retry.Config{MaxAttempts: 3, BaseDelay: time.Millisecond},
				Order:          order,
			})
			_ = p.Execute(t.Context(), func(context.Context) error { attempts++; return errDown })
			for _, m := range p.Members() {
				if b, ok := m.Policy.(*circuitbreaker.Breaker); ok {
					state = b.State()
				}
			}
			return attempts, state
		}
		if n, s := run(pipeline.CircuitBreaker, pipeline.Retry); n != 3 || s != circuitbreaker.Closed {
			t.Errorf("breaker outside: %d attempts, %v", n, s)
		}
		if n, s := run(pipeline.Retry, pipeline.CircuitBreaker); n != 2 || s != circuitbreaker.Open {
			t.Errorf("retry outside: %d attempts, %v", n, s)
		}
	})
}

func TestMistakesAreReportedAtOnce(t *testing.T) {
	tests := []struct {
		name string
		cfg  func(*pipeline.Config)
		want []string
	}{
		{"left out", func(c *pipeline.Config) { c.Order = []pipeline.Step{pipeline.Retry} }, []string{
			"order: leaves out bulkhead, which is configured", "order: leaves out circuit_breaker", "order: leaves out timeout",
		}},
		{"not configured", func(c *pipeline.Config) { c.Bulkhead = nil; c.Order = pipeline.DefaultOrder() },
			[]string{"order: names bulkhead, which is not configured"}},
		{"unknown", func(c *pipeline.Config) { c.Order = append(pipeline.DefaultOrder(), "cache") },
			[]string{`order: unknown step "cache"; known: adaptive_bulkhead, `}},
		{"beyond the default order", func(c *pipeline.Config) { c.RateLimit = &ratelimit.Config{} },
			[]string{"order: leaves out rate_limit, which is configured; set Order, or use Standard"}},
		{"named", func(c *pipeline.Config) {
			c.Named = map[pipeline.Step]patterns.Policy{"retry": patterns.Direct{}, "a": nil, "": patterns.Direct{}, "b": patterns.Direct{}}
			c.Order = append(pipeline.DefaultOrder(), "b", "b")
		}, []string{
			"named.retry.name: is that of a step of its own", "named.a.policy: must not be nil", "named..name: must not be empty",
			"order: names b twice", "order: leaves out a, which is configured",
		}},
		{"a budget for nothing", func(c *pipeline.Config) { c.Retry, c.Budget = nil, new(retry.Budget) },
			[]string{"budget: pays for nothing: there is neither a retry nor a hedge"}},
		{"a budget that only has a name", func(c *pipeline.Config) { c.Retry.Budget = "x" },
			[]string{`retry.budget: names "x", which is not there; give it with WithBudget`}},
		{"twice", func(c *pipeline.Config) { c.Order = append(pipeline.DefaultOrder(), pipeline.Retry) },
			[]string{"order: names retry twice"}},
		{"in the steps", func(c *pipeline.Config) {
			c.Retry.MaxAttempts, c.Bulkhead.MaxConcurrent, c.CircuitBreaker.MinimumCalls, c.Timeout.Timeout = -1, -1, -1, -1
		}, []string{"retry.max_attempts: ", "bulkhead.max_concurrent: ", "circuit_breaker.minimum_calls: ", "timeout.timeout: "}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := full()
			tt.cfg(&cfg)
			_, err := pipeline.New("payments", cfg)
			if !errors.Is(err, patterns.ErrConfiguration) {
				t.Fatalf("got %v", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is missing in: %v", want, err)
				}
			}
		})
	}
}

func TestAddMakesACopy(t *testing.T) { // pitfall 21: composing changes the receiver
	p := newPipeline(t, pipeline.Config{Retry: &retry.Config{}})
	add := func(instance string) *pipeline.Pipeline {
		added, err := p.Add(pipeline.Custom, instance, patterns.Direct{})
		if err != nil {
			t.Fatal(err)
		}
		return added
	}
	a, b := add("a"), add("b")
	if p.String() != "retry(payments)" || a.String() != "retry(payments) > custom(a)" ||
		b.String() != "retry(payments) > custom(b)" {
		t.Errorf("got %s; %s; %s", p, a, b)
	}
}

func TestAddRunsThePolicyInside(t *testing.T) {
	limit, err := timeout.New("attempt", timeout.Config{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPipeline(t, pipeline.Config{Retry: &retry.Config{}}).Add(pipeline.Timeout, "attempt", limit)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		err := p.Execute(t.Context(), func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		if !errors.Is(err, timeout.ErrTimeout) || !errors.Is(err, retry.ErrExhausted) {
			t.Errorf("got %v", err)
		}
	})
}

func TestAddReportsMistakes(t *testing.T) {
	short := newPipeline(t, pipeline.Config{Timeout: &timeout.Config{Timeout: time.Second}})
	long, err := timeout.New("long", timeout.Config{Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		step     pipeline.Step
		instance string
		policy   patterns.Policy
		want     string
	}{
		{"cache", "a", patterns.Direct{}, `steps[1].step: unknown step "cache"; known: adaptive_bulkhead, `},
		{pipeline.Timeout, "a", patterns.Direct{}, "steps[1].policy: must be one of package patterns for a step timeout, got a patterns.Direct"},
		{pipeline.Retry, "a", long, "steps[1].policy: must be one of package patterns for a step retry, got a *timeout.Policy"},
		{pipeline.Custom, "a", nil, "steps[1].policy: must not be nil"},
		{pipeline.Custom, "", patterns.Direct{}, "steps[1].name: must not be empty"},
		{pipeline.Timeout, "long", long, `steps[1]: timeout "long" allows 1m0s`},
		{pipeline.TotalTimeout, "long", long, `steps[1]: total_timeout "long" allows 1m0s`},
		{pipeline.Custom, "long", patterns.Compose(patterns.Direct{}, long), `steps[1]: timeout "long" allows 1m0s`},
	}
	for _, tt := range tests {
		_, err := short.Add(tt.step, tt.instance, tt.policy)
		if !errors.Is(err, patterns.ErrConfiguration) || !strings.HasPrefix(err.Error(), `pipeline "payments": `+tt.want) {
			t.Errorf("%s %q: got %v, want %s", tt.step, tt.instance, err, tt.want)
		}
	}
}

func TestPipelineComposes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outer := newPipeline(t, pipeline.Config{Retry: &retry.Config{MaxAttempts: 2, BaseDelay: time.Millisecond}})
		inner := newPipeline(t, pipeline.Config{Timeout: &timeout.Config{Timeout: time.Second}})
		attempts := 0
		err := patterns.Compose(outer, inner).Execute(t.Context(), func(ctx context.Context) error {
			attempts++
			<-ctx.Done()
			return ctx.Err()
		})
		if attempts != 2 || !errors.Is(err, timeout.ErrTimeout) || !errors.Is(err, retry.ErrExhausted) {
			t.Fatalf("%d attempts, %v", attempts, err)
		}
	})
}

func TestStepsAnnounceOnTheBus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := new(hooks.Bus)
		seen := map[string]bool{}
		hooks.On(bus, func(_ context.Context, e hooks.Event) { seen[e.EventName()] = true })
		cfg := full()
		cfg.CircuitBreaker.FailureThreshold = 1
		p := newPipeline(t, cfg, pipeline.WithBus(bus))
		_ = p.Execute(t.Context(), func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		_ = p.Execute(t.Context(), succeed)
		for _, want := range []string{"timeout.expired", "retry.attempted", "retry.exhausted", "circuit_breaker.opened", "circuit_breaker.rejected"} {
			if !seen[want] {
				t.Errorf("%s was not announced; seen: %v", want, seen)
			}
		}
	})
}
