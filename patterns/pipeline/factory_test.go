package pipeline_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/bulkhead"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/hedge"
	"github.com/steadyfx/steady/patterns/pipeline"
	"github.com/steadyfx/steady/patterns/ratelimit"
	"github.com/steadyfx/steady/patterns/retry"
	"github.com/steadyfx/steady/patterns/throttle"
	"github.com/steadyfx/steady/patterns/timeout"
)

func TestFactorySharesInstancesBetweenPipelines(t *testing.T) {
	registry, err := circuitbreaker.NewRegistry(patterns.Instances[circuitbreaker.Config]{})
	if err != nil {
		t.Fatal(err)
	}
	f, err := pipeline.NewFactory(pipeline.FactoryConfig{
		CircuitBreakers: registry,
		Timeouts: patterns.Instances[timeout.Config]{Named: map[string]timeout.Config{
			"total": {Timeout: 5 * time.Second}, "attempt": {Timeout: time.Second},
		}},
		Pipelines: map[string]pipeline.Definition{
			"charge": {Steps: []pipeline.Reference{
				{Step: pipeline.Timeout, Instance: "total"}, {Step: pipeline.Bulkhead, Instance: "provider"},
				{Step: pipeline.Retry, Instance: "provider"}, {Step: pipeline.CircuitBreaker, Instance: "provider"},
				{Step: pipeline.Timeout, Instance: "attempt"},
			}},
			"refund": {Steps: []pipeline.Reference{{Step: pipeline.CircuitBreaker, Instance: "provider"}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	charge, err := f.Get("charge")
	if err != nil {
		t.Fatal(err)
	}
	if got := charge.String(); got != "timeout(total) > bulkhead(provider) > retry(provider) > circuit_breaker(provider) > timeout(attempt)" {
		t.Errorf("got %s", got)
	}
	refund, err := f.Get("refund")
	if err != nil {
		t.Fatal(err)
	}
	if err := registry.ForceOpen("provider"); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*pipeline.Pipeline{charge, refund} {
		if err := p.Execute(t.Context(), succeed); !errors.Is(err, circuitbreaker.ErrOpen) {
			t.Errorf("%s does not share the circuit: %v", p.Name(), err)
		}
	}
	if names := strings.Join(f.Names(), " "); names != "charge refund" {
		t.Errorf("got %s", names)
	}
}

func TestFactoryUsesTheConfigurationOfTheName(t *testing.T) {
	f, err := pipeline.NewFactory(pipeline.FactoryConfig{
		Retries: patterns.Instances[retry.Config]{
			Default: retry.DefaultConfig(), Named: map[string]retry.Config{"quick": retry.Aggressive()},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	quick, err := f.Retry("quick")
	if err != nil {
		t.Fatal(err)
	}
	other, err := f.Retry("other")
	if err != nil {
		t.Fatal(err)
	}
	if quick.Config() != retry.Aggressive() || other.Config() != retry.DefaultConfig() {
		t.Errorf("got %+v and %+v", quick.Config(), other.Config())
	}
	if again, _ := f.Retry("quick"); again != quick {
		t.Error("two policies of one name")
	}
	slots, err := f.Bulkhead("any")
	if err != nil {
		t.Fatal(err)
	}
	if m := slots.Metrics(); m.MaxConcurrent != bulkhead.DefaultConfig().MaxConcurrent ||
		m.QueueSize != bulkhead.DefaultConfig().QueueSize {
		t.Errorf("without a configuration it is not the default: %+v", m)
	}
}

func TestFactoryHasPoliciesOfEveryKind(t *testing.T) {
	f, err := pipeline.NewFactory(pipeline.FactoryConfig{
		AdaptiveBulkheads: patterns.Instances[bulkhead.AdaptiveConfig]{Named: map[string]bulkhead.AdaptiveConfig{"x": {MaxLimit: 77}}},
		AdaptiveThrottles: patterns.Instances[throttle.AdaptiveConfig]{Named: map[string]throttle.AdaptiveConfig{"x": {K: 7}}},
		Budgets:           patterns.Instances[retry.BudgetConfig]{Named: map[string]retry.BudgetConfig{"x": {Percent: 7}}},
		Hedges:            patterns.Instances[hedge.Config]{Named: map[string]hedge.Config{"x": {MaxHedges: 7}}},
		RateLimits:        patterns.Instances[ratelimit.Config]{Named: map[string]ratelimit.Config{"x": {Limit: 7}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	adaptive := bulkhead.DefaultAdaptiveConfig()
	check(t, f.AdaptiveBulkhead, "other", func(a *bulkhead.Adaptive) bool { return a.Config() == adaptive })
	check(t, f.AdaptiveBulkhead, "x", func(a *bulkhead.Adaptive) bool { return a.Config().MaxLimit == 77 })
	check(t, f.AdaptiveThrottle, "other", func(a *throttle.Adaptive) bool { return a.Config() == throttle.DefaultAdaptiveConfig() })
	check(t, f.AdaptiveThrottle, "x", func(a *throttle.Adaptive) bool { return a.Config().K == 7 })
	check(t, f.Budget, "other", func(b *retry.Budget) bool { return b.Config() == retry.DefaultBudgetConfig() })
	check(t, f.Budget, "x", func(b *retry.Budget) bool { return b.Config().Percent == 7 })
	check(t, f.Hedge, "other", func(h *hedge.Policy) bool { return h.Config() == hedge.DefaultConfig() })
	check(t, f.Hedge, "x", func(h *hedge.Policy) bool { return h.Config().MaxHedges == 7 })
	check(t, f.RateLimit, "other", func(b *ratelimit.TokenBucket) bool { return b.Config() == ratelimit.DefaultConfig() })
	check(t, f.RateLimit, "x", func(b *ratelimit.TokenBucket) bool { return b.Config().Limit == 7 })
	check(t, f.Throttle, "other", func(th *throttle.Throttler) bool { return th.Config() == throttle.DefaultConfig() })
	check(t, f.Timeout, "other", func(p *timeout.Policy) bool { return p.Config() == timeout.DefaultConfig() })
}

// check gets a policy twice, and looks at it.
func check[P comparable](t *testing.T, get func(string) (P, error), name string, right func(P) bool) {
	t.Helper()
	p, err := get(name)
	if err != nil || !right(p) {
		t.Errorf("%T %q: %+v, %v", p, name, p, err)
	}
	if again, err := get(name); err != nil || again != p {
		t.Errorf("%T %q: two of one name, %v", p, name, err)
	}
	if _, err := get(""); !errors.Is(err, patterns.ErrConfiguration) {
		t.Errorf("%T without a name: %v", p, err)
	}
}

func TestRetriesAndHedgesShareTheBudgetTheyName(t *testing.T) {
	named := map[string]retry.Config{"a": {Budget: "provider"}, "b": {Budget: "provider"}, "c": {}}
	f, err := pipeline.NewFactory(pipeline.FactoryConfig{
		Budgets: patterns.Instances[retry.BudgetConfig]{Named: map[string]retry.BudgetConfig{"provider": {Percent: 5}}},
		Retries: patterns.Instances[retry.Config]{Named: named},
		Hedges:  patterns.Instances[hedge.Config]{Default: hedge.Config{Budget: "provider"}},
		Pipelines: map[string]pipeline.Definition{
			"p": {Steps: []pipeline.Reference{{Step: pipeline.Retry, Instance: "a"}}},
			"q": {Steps: []pipeline.Reference{{Step: pipeline.Hedge, Instance: "any"}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want, err := f.Budget("provider")
	if err != nil || want.Config().Percent != 5 {
		t.Fatalf("got %+v, %v", want, err)
	}
	for name := range named {
		p, err := f.Retry(name)
		if err != nil || p.Budget() != want && name != "c" || p.Budget() != nil && name == "c" {
			t.Errorf("retry %q has the budget %v, %v", name, p.Budget(), err)
		}
	}
	h, err := f.Hedge("any")
	if err != nil || h.Budget() != want {
		t.Errorf("the hedge has the budget %v, %v", h.Budget(), err)
	}
	for range 3 {
		for _, name := range f.Names() {
			p, err := f.Get(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Execute(t.Context(), succeed); err != nil {
				t.Fatal(err)
			}
		}
	}
	if calls := want.Stats().Calls; calls != 6 {
		t.Errorf("%d calls count, want those of both pipelines", calls)
	}
}

func TestFactoryTakesWhatTheProgramGives(t *testing.T) {
	mail := answers(t, "mail")
	given := []pipeline.Member{
		{Step: pipeline.Fallback, Instance: "mail", Policy: mail},
		{Step: pipeline.Custom, Instance: "chaos", Policy: patterns.Direct{}},
		{Step: pipeline.Custom, Instance: "of no pipeline", Policy: patterns.Direct{}},
	}
	def := pipeline.Definition{Steps: []pipeline.Reference{
		{Step: pipeline.Fallback, Instance: "mail"}, {Step: pipeline.Retry, Instance: "mail"}, {Step: pipeline.Custom, Instance: "chaos"},
	}}
	f, err := pipeline.NewFactory(pipeline.FactoryConfig{Given: given, Pipelines: map[string]pipeline.Definition{"mail": def}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.Get("mail")
	if err != nil || p.Members()[0].Policy != mail || p.String() != "fallback(mail) > retry(mail) > custom(chaos)" {
		t.Errorf("got %v, %v", p, err)
	}
	_, err = pipeline.NewFactory(pipeline.FactoryConfig{Given: given[2:], Pipelines: map[string]pipeline.Definition{"mail": def}})
	const want = `pipelines.mail.steps[0].fallback: the program gives none of the name "mail"
pipelines.mail.steps[2].custom: the program gives none of the name "chaos"; given: ["of no pipeline"]`
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestWrongPoliciesAreNotTaken(t *testing.T) {
	retries, err := retry.New("a", retry.Config{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = pipeline.NewFactory(pipeline.FactoryConfig{Given: []pipeline.Member{
		{Step: pipeline.Custom, Instance: "a", Policy: patterns.Direct{}},
		{Step: pipeline.Custom, Instance: "a", Policy: patterns.Direct{}},
		{Step: pipeline.Fallback, Instance: "a", Policy: retries},
		{Step: pipeline.Retry, Instance: "a", Policy: retries},
		{Step: "cache", Instance: "a", Policy: retries},
		{Step: pipeline.Custom, Instance: "b"},
		{Step: pipeline.Custom, Policy: retries},
	}})
	const want = `given[1].step: custom(a) is given twice
given[2].policy: must be one of package patterns for a step fallback, got a *retry.Policy; any policy can be a step custom
given[3].step: retry comes from the configuration; give fallback or custom
given[4].step: unknown step "cache"; known: adaptive_bulkhead, adaptive_throttle, bulkhead, circuit_breaker, custom, fallback, hedge, rate_limit, retry, throttle, timeout, total_timeout
given[5].policy: must not be nil
given[6].name: must not be empty`
	if !errors.Is(err, patterns.ErrConfiguration) || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestFactoryReportsEveryMistakeInItsPoliciesAtOnce(t *testing.T) {
	_, err := pipeline.NewFactory(pipeline.FactoryConfig{
		Retries:   patterns.Instances[retry.Config]{Named: map[string]retry.Config{"bad": {MaxAttempts: -1}}},
		Timeouts:  patterns.Instances[timeout.Config]{Default: timeout.Config{Timeout: -1}},
		Bulkheads: patterns.Instances[bulkhead.Config]{Named: map[string]bulkhead.Config{"": {}}},
		Budgets:   patterns.Instances[retry.BudgetConfig]{Named: map[string]retry.BudgetConfig{"": {}, "b": {TTL: 1}}},
		Hedges:    patterns.Instances[hedge.Config]{Default: hedge.Config{MaxHedges: -1, Budget: "b"}},
	})
	for _, want := range []string{
		"budget.instances..name: must not be empty", "budget.instances.b.ttl: ", "hedge.default.max_hedges: ",
		"retry.instances.bad.max_attempts: ", "timeout.default.timeout: ", "bulkhead.instances..name: must not be empty",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
}

func TestNameOfABudgetIsJudged(t *testing.T) {
	_, err := pipeline.NewFactory(pipeline.FactoryConfig{
		Retries: patterns.Instances[retry.Config]{Default: retry.Config{Budget: "\x00"}},
		Hedges:  patterns.Instances[hedge.Config]{Named: map[string]hedge.Config{"a": {Budget: "\x00"}}},
	})
	for _, want := range []string{
		"retry.default.budget.name: must not hold control characters", "hedge.instances.a.budget.name: must not hold",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
}

func TestFactoryReportsEveryMistakeInItsPipelinesAtOnce(t *testing.T) {
	_, err := pipeline.NewFactory(pipeline.FactoryConfig{
		Pipelines: map[string]pipeline.Definition{
			"empty":   {},
			"unknown": {Steps: []pipeline.Reference{{Step: "cache", Instance: "a"}}},
			"twice": {Steps: []pipeline.Reference{
				{Step: pipeline.Retry, Instance: "a"}, {Step: pipeline.Retry, Instance: "a"},
			}},
			"bad": {Steps: []pipeline.Reference{{Step: pipeline.Retry, Instance: ""}}},
		},
	})
	if !errors.Is(err, patterns.ErrConfiguration) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{
		"pipelines.empty.steps: must not be empty", `pipelines.unknown.steps[0].step: unknown step "cache"`,
		`pipelines.twice.steps[1]: retry "a" is in this pipeline already`, "pipelines.bad.steps[0].name: must not be empty",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
}

func TestUnknownPipelineNamesTheKnownOnes(t *testing.T) {
	f, err := pipeline.NewFactory(pipeline.FactoryConfig{Pipelines: map[string]pipeline.Definition{
		"charge": {Steps: []pipeline.Reference{{Step: pipeline.Retry, Instance: "a"}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if p, err := f.Get("charge"); err != nil || p.Name() != "charge" {
		t.Errorf("got %v, %v", p, err)
	}
	if _, err := f.Get("chrage"); !errors.Is(err, pipeline.ErrUnknown) || !strings.Contains(err.Error(), "known: charge") ||
		patterns.Code(err) != patterns.CodeResilience {
		t.Errorf("got %v", err)
	}
	none, err := pipeline.NewFactory(pipeline.FactoryConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := none.Get("charge"); err == nil || !strings.Contains(err.Error(), "there are none") {
		t.Errorf("got %v", err)
	}
}
