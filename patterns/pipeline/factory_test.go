package pipeline_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/bulkhead"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/pipeline"
	"github.com/steadyfx/steady/patterns/retry"
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

func TestFactoryReportsEveryMistakeInItsPoliciesAtOnce(t *testing.T) {
	_, err := pipeline.NewFactory(pipeline.FactoryConfig{
		Retries:   patterns.Instances[retry.Config]{Named: map[string]retry.Config{"bad": {MaxAttempts: -1}}},
		Timeouts:  patterns.Instances[timeout.Config]{Default: timeout.Config{Timeout: -1}},
		Bulkheads: patterns.Instances[bulkhead.Config]{Named: map[string]bulkhead.Config{"": {}}},
	})
	for _, want := range []string{
		"retry.instances.bad.max_attempts: ", "timeout.default.timeout: ", "bulkhead.instances..name: must not be empty",
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
		`pipelines.twice.steps: names retry "a" twice`, "pipelines.bad.steps[0].name: must not be empty",
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
	if _, err := f.Get("chrage"); !errors.Is(err, pipeline.ErrUnknown) || !strings.Contains(err.Error(), "known: charge") {
		t.Fatalf("got %v", err)
	}
}
