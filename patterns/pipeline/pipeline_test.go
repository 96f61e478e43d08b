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
			[]string{`order: unknown step "cache"; known: bulkhead, circuit_breaker, retry, timeout`}},
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
	a := p.Add(pipeline.Timeout, "a", patterns.Direct{})
	b := p.Add(pipeline.Timeout, "b", patterns.Direct{})
	if p.String() != "retry(payments)" || a.String() != "retry(payments) > timeout(a)" ||
		b.String() != "retry(payments) > timeout(b)" {
		t.Errorf("got %s; %s; %s", p, a, b)
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
