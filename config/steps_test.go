package config_test

import (
	"context"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/steadyfx/steady/config"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/bulkhead"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/fallback"
	"github.com/steadyfx/steady/patterns/hedge"
	"github.com/steadyfx/steady/patterns/pipeline"
	"github.com/steadyfx/steady/patterns/ratelimit"
	"github.com/steadyfx/steady/patterns/retry"
	"github.com/steadyfx/steady/patterns/throttle"
)

// factory makes what a program makes of a configuration, with all that its pipelines want to be given.
func factory(t *testing.T, r config.Resilience) *pipeline.Factory {
	t.Helper()
	breakers, err := circuitbreaker.NewRegistry(r.CircuitBreaker)
	if err != nil {
		t.Fatal(err)
	}
	throttles, err := throttle.NewRegistry(r.Throttle)
	if err != nil {
		t.Fatal(err)
	}
	f, err := pipeline.NewFactory(pipeline.FactoryConfig{
		CircuitBreakers: breakers, Throttles: throttles,
		AdaptiveBulkheads: r.AdaptiveBulkhead, AdaptiveThrottles: r.AdaptiveThrottle, Budgets: r.Budget,
		Bulkheads: r.Bulkhead, Hedges: r.Hedge, RateLimits: r.RateLimit, Retries: r.Retry, Timeouts: r.Timeout,
		Given: given(t, r.Pipelines), Pipelines: r.Pipelines,
	})
	if err != nil {
		t.Fatalf("what Load accepts cannot be built: %v", err)
	}
	return f
}

func given(t *testing.T, pipelines map[string]pipeline.Definition) []pipeline.Member {
	t.Helper()
	members := map[pipeline.Reference]pipeline.Member{}
	for _, def := range pipelines {
		for _, ref := range def.Steps {
			m := pipeline.Member{Step: ref.Step, Instance: ref.Instance}
			switch ref.Step {
			case pipeline.Custom:
				m.Policy = patterns.Direct{}
			case pipeline.Fallback:
				chain, err := fallback.New[struct{}](ref.Instance)
				if err != nil {
					t.Fatal(err)
				}
				m.Policy = fallback.NewPolicy(chain)
			default:
				continue
			}
			members[ref] = m
		}
	}
	var all []pipeline.Member
	for _, m := range members {
		all = append(all, m)
	}
	return all
}

func TestFromAFileToThePageThatDescribesIt(t *testing.T) {
	f := factory(t, load(t, config.File("testdata/standard.yaml")).Resilience)
	var got strings.Builder
	for _, name := range f.Names() {
		p, err := f.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		got.WriteString(p.Describe().String() + "\n")
		if err := p.Execute(t.Context(), func(context.Context) error { return nil }); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	want, err := os.ReadFile("testdata/standard.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("got\n%s", got.String())
	}
}

func TestEverySectionHasInstancesThatInherit(t *testing.T) {
	inDir(t, map[string]string{"a.yaml": `
resilience:
  adaptive_bulkhead: {queue_size: 7, base: {b: {max_limit: 50}}, instances: {i: {extends: b, min_limit: 2}}}
  adaptive_throttle: {k: 3, base: {b: {window: 20}}, instances: {i: {extends: b, min_requests: 5}}}
  budget: {percent: 5, base: {b: {ttl: 20}}, instances: {i: {extends: b, min_per_second: -1}}}
  hedge: {delay: 3, base: {b: {max_hedges: 2}}, instances: {i: {extends: b, quantile: 0.9}}}
  rate_limit: {limit: 5, base: {b: {period: 2}}, instances: {i: {extends: b, max_wait: 1}}}
  throttle: {calls: 5, base: {b: {period: 2}}, instances: {i: {extends: b, strategy: sliding_window, max_wait: 1}}}
`})
	r := load(t, config.File("a.yaml")).Resilience
	adaptive := bulkhead.DefaultAdaptiveConfig()
	adaptive.QueueSize, adaptive.MaxLimit, adaptive.MinLimit = 7, 50, 2
	for got, want := range map[any]any{
		r.AdaptiveBulkhead.For("i"): adaptive,
		r.AdaptiveThrottle.For("i"): throttle.AdaptiveConfig{K: 3, Window: 20 * time.Second, MaxRejection: 0.9, MinRequests: 5},
		r.Budget.For("i"):           retry.BudgetConfig{Percent: 5, MinPerSecond: retry.None, TTL: 20 * time.Second},
		r.Hedge.For("i"):            hedge.Config{Delay: 3 * time.Second, MaxHedges: 2, Quantile: 0.9},
		r.RateLimit.For("i"):        ratelimit.Config{Limit: 5, Period: 2 * time.Second, MaxWait: time.Second},
		r.Throttle.For("i"): throttle.Config{
			Calls: 5, Period: 2 * time.Second, Strategy: throttle.SlidingWindow, MaxWait: time.Second,
		},
	} {
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	// A limit that is set must not keep the burst of the default, which is twenty times as much.
	f := factory(t, r)
	limiter, err := f.RateLimit("other")
	if err != nil || limiter.Config().Burst != 5 {
		t.Errorf("got %+v, %v", limiter.Config(), err)
	}
	throttler, err := f.Throttle("other")
	if err != nil || throttler.Config().Burst != 5 {
		t.Errorf("got %+v, %v", throttler.Config(), err)
	}
}

func TestStepsOfEveryKind(t *testing.T) {
	var steps []string
	var want []pipeline.Reference
	for _, kind := range append(pipeline.StandardOrder(), pipeline.Custom) {
		steps = append(steps, string(kind))
		want = append(want, kind.Of("p"))
	}
	if len(steps) != len(pipeline.Steps()) {
		t.Errorf("not every kind is here: %v", steps)
	}
	got := load(t, config.Values(map[string]any{"resilience": map[string]any{
		"pipelines": map[string]any{"p": map[string]any{"steps": steps}},
	}})).Resilience.Pipelines["p"].Steps
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestBudgetsThatAreNotThere(t *testing.T) {
	inDir(t, map[string]string{"a.yaml": `
resilience:
  budget: {instances: {provider: }}
  retry:
    budget: provder
    base: {b: {budget: x}}
    instances: {i: {extends: b}, j: {budget: ""}, k: {budget: provider}}
  hedge:
    instances:
      i: {budget: 5}
      j: {budget: all of them}
`})
	tree, err := config.Load(config.File("a.yaml"))
	wantMistakes(t, tree, err,
		`resilience.hedge.instances.i.budget: want text, got 5; put it in quotes (a.yaml:10)`,
		`resilience.retry.budget: no instance "provder" below resilience.budget.instances; did you mean "provider"? (a.yaml:5)`,
		`resilience.retry.base.b.budget: no instance "x" below resilience.budget.instances; known: provider (a.yaml:6)`,
		`resilience.hedge.instances.j.budget: no instance "all of them" below resilience.budget.instances; known: provider (a.yaml:11)`,
	)
}

func TestStepsThatDoNotFitTogether(t *testing.T) {
	const pipelines = `
  pipelines:
    b:
      steps:
        - total_timeout
        - timeout: long
        - fallback
    a: {steps: [retry, retry]}
`
	inDir(t, map[string]string{
		"a.yaml": "resilience:\n  timeout: {instances: {long: {timeout: 40}}}" + pipelines,
		"b.yaml": "resilience:\n  timeout: {instances: {long: {timeout: 40}}, timeout: -1}" + pipelines,
	})
	tree, err := config.Load(config.File("a.yaml"))
	wantMistakes(t, tree, err,
		`resilience.pipelines.a.steps[1]: retry "a" is in this pipeline already (a.yaml:9)`,
		`resilience.pipelines.b.steps[1]: timeout "long" allows 40s, but total_timeout "b.total" around it ends after 30s: lower the one or raise the other (a.yaml:7)`,
		`resilience.pipelines.b.steps[2]: fallback "b" is inside of total_timeout "b.total", whose errors it does not see: move it to the outermost place (a.yaml:8)`,
	)
	// With a mistake elsewhere, it is not known what the values should be.
	tree, err = config.Load(config.File("b.yaml"))
	wantMistakes(t, tree, err, "resilience.timeout.timeout: must be positive, got -1s (b.yaml:2)")
	// What a file that cannot be read says could make them fit.
	_, err = config.Load(config.File("a.yaml"), config.File("absent.yaml"))
	if err == nil || strings.Contains(err.Error(), "pipelines") {
		t.Errorf("got %v", err)
	}
}

// The defaults of all patterns fit together in the standard order, and so does every selection of them.
func TestDefaultsFitTogether(t *testing.T) {
	var def pipeline.Definition
	for _, kind := range pipeline.StandardOrder() {
		def.Steps = append(def.Steps, kind.Of("p"))
	}
	tree := config.Default()
	tree.Resilience.Pipelines = map[string]pipeline.Definition{"p": def}
	p, err := factory(t, tree.Resilience).Get("p")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`attempts multiply: retry "p" (3) and hedge "p" (2) make up to 6 of one call`}
	if got := p.Describe().Warnings; !reflect.DeepEqual(got, want) {
		t.Errorf("warnings %q", got)
	}
}
