package config_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/steadyfx/steady/config"
	"github.com/steadyfx/steady/patterns/pipeline"
)

func TestPipelines(t *testing.T) {
	want := map[string]pipeline.Definition{
		"payments": {Steps: []pipeline.Reference{
			{Step: pipeline.Timeout, Instance: "total"},
			{Step: pipeline.Bulkhead, Instance: "payments"},
			{Step: pipeline.Retry, Instance: "payments"},
			{Step: pipeline.CircuitBreaker, Instance: "provider"},
			{Step: pipeline.Timeout, Instance: "provider.attempt"},
		}},
		"search": {Steps: []pipeline.Reference{{Step: pipeline.CircuitBreaker, Instance: "provider"}}},
	}
	inDir(t, map[string]string{
		"a.yaml": `
resilience:
  bulkhead: {max_concurrent: 3}
  timeout: {instances: {total: {}, provider.attempt: {timeout: 2}}}
  circuit_breaker: {instances: {provider: }}
  pipelines:
    payments:
      steps:
        - timeout: total
        - bulkhead
        - retry
        - circuit_breaker: provider
        - timeout: provider.attempt
    search: {steps: [circuit_breaker: provider]}
`,
		"a.toml": `
[resilience.timeout.instances]
total = {}
"provider.attempt" = {timeout = 2}
[resilience.circuit_breaker.instances.provider]
[resilience.pipelines]
payments.steps = [{timeout = "total"}, "bulkhead", "retry", {circuit_breaker = "provider"}, {timeout = "provider.attempt"}]
search.steps = [{circuit_breaker = "provider"}]
`,
		"a.json": `{"resilience": {
			"timeout": {"instances": {"total": null, "provider.attempt": {"timeout": 2}}},
			"circuit_breaker": {"instances": {"provider": {}}},
			"pipelines": {
				"payments": {"steps": [{"timeout": "total"}, "bulkhead", "retry", {"circuit_breaker": "provider"},
					{"timeout": "provider.attempt"}]},
				"search": {"steps": [{"circuit_breaker": "provider"}]}
			}}}`,
	})
	for _, name := range []string{"a.yaml", "a.toml", "a.json"} {
		tree := load(t, config.File(name))
		if got := tree.Resilience.Pipelines; !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n%+v, want\n%+v", name, got, want)
		}
	}
	// A step that is only a kind has no instance of its own, and gets what the section says.
	tree := load(t, config.File("a.yaml"))
	if got := tree.Resilience.Bulkhead.For("payments").MaxConcurrent; got != 3 {
		t.Errorf("the bulkhead has %d slots, want those of its section", got)
	}
}

const kinds = "adaptive_bulkhead, adaptive_throttle, bulkhead, circuit_breaker, custom, fallback, hedge, rate_limit, " +
	"retry, throttle, timeout, total_timeout"

func TestWrongPipelines(t *testing.T) {
	tests := []struct{ steps, want string }{
		{"[]", ".steps: must list at least one step"},
		{"", ": must list at least one step below steps"},
		{"5", ".steps: want a list of steps, got 5"},
		{"{retry: a}", ".steps: want a list of steps, got a table"},
		{"[retri]", `.steps[0]: unknown step "retri"; did you mean "retry"?`},
		{"[budget]", `.steps[0]: unknown step "budget"; known: ` + kinds},
		{"[hedge: b]", `.steps[0].hedge: no instance "b" below resilience.hedge.instances`},
		{"[total_timeout: a]", `.steps[0].total_timeout: no instance "a" below resilience.timeout.instances`},
		{"[fallback: 5]", ".steps[0].fallback: want the name of an instance, got 5"},
		{`[fallback: ""]`, ".steps[0].fallback: the name must not be empty"},
		{"[{retri: a}]", `.steps[0]: unknown step "retri"; did you mean "retry"?`},
		{"[retry: b]", `.steps[0].retry: no instance "b" below resilience.retry.instances; did you mean "a"?`},
		{"[bulkhead: a]", `.steps[0].bulkhead: no instance "a" below resilience.bulkhead.instances`},
		{"[retry: 5]", ".steps[0].retry: want the name of an instance, got 5"},
		{"[retry: ]", ".steps[0].retry: want the name of an instance, got nothing"},
		{"[retry: {max_attempts: 3}]", ".steps[0].retry: want the name of an instance, got a table"},
		{"[5]", ".steps[0]: want a kind of step, or one kind with the name of an instance, such as {timeout: p}"},
		{"[{}]", ".steps[0]: want a kind of step, or one kind with the name of an instance, such as {timeout: p}"},
		{"[{retry: a, timeout: t}]", ".steps[0]: want a kind of step, or one kind with the name of an instance, such as {timeout: p}"},
		{"[retry, retry]", `.steps[1]: retry "p" is in this pipeline already`},
		{"[retry: a, timeout, retry: a]", `.steps[2]: retry "a" is in this pipeline already`},
	}
	for _, tt := range tests {
		t.Run(tt.steps, func(t *testing.T) {
			inDir(t, map[string]string{
				"a.yaml": "resilience:\n  retry: {instances: {a: {}}}\n  pipelines:\n    p:\n      steps: " + tt.steps,
			})
			tree, err := config.Load(config.File("a.yaml"))
			got := mistakes(t, tree, err)
			if len(got) != 1 || !strings.HasPrefix(got[0], "resilience.pipelines.p"+tt.want+" (a.yaml:") {
				t.Errorf("mistakes %q, want %q", got, tt.want)
			}
		})
	}
}

func TestLineOfStep(t *testing.T) {
	inDir(t, map[string]string{
		"a.yaml": "resilience:\n  pipelines:\n    p:\n      steps:\n      - retry\n      - timeout: x\n      - bulk\n",
	})
	tree, err := config.Load(config.File("a.yaml"))
	wantMistakes(t, tree, err,
		`resilience.pipelines.p.steps[1].timeout: no instance "x" below resilience.timeout.instances (a.yaml:6)`,
		`resilience.pipelines.p.steps[2]: unknown step "bulk"; known: `+kinds+" (a.yaml:7)",
	)
}

func TestNamesAreBounded(t *testing.T) {
	long := strings.Repeat("n", 129)
	named := map[string]any{long: map[string]any{}}
	tree, err := config.Load(config.Values(map[string]any{"resilience": map[string]any{
		"retry":   map[string]any{"base": named, "instances": named},
		"timeout": map[string]any{"instances": 5, "base": map[string]any{"b": 1}},
		"pipelines": map[string]any{
			long: map[string]any{"steps": []any{"retry"}},
			"x":  5,
		},
	}}))
	wantMistakes(t, tree, err,
		"resilience.retry.base."+long+": the name must be at most 128 bytes, got 129 (explicit value)",
		"resilience.retry.instances."+long+": the name must be at most 128 bytes, got 129 (explicit value)",
		"resilience.timeout.base.b: want a table of keys, got a number (explicit value)",
		"resilience.timeout.instances: want a table of keys, got a number (explicit value)",
		"resilience.pipelines."+long+": the name must be at most 128 bytes, got 129 (explicit value)",
		"resilience.pipelines.x: want a table of keys, got a number (explicit value)",
	)
}

func TestBaseCannotExtend(t *testing.T) {
	tree, err := config.Load(config.Values(map[string]any{"resilience": map[string]any{"retry": map[string]any{
		"base":      map[string]any{"a": map[string]any{"extends": "b"}},
		"instances": map[string]any{"i": map[string]any{"extends": 5}},
	}}}))
	wantMistakes(t, tree, err,
		"resilience.retry.base.a.extends: unknown key; known: backoff, backoff_factor, base_delay, budget, jitter, jitter_kind, max_attempts, max_delay, max_elapsed, max_retry_after (explicit value)",
		"resilience.retry.instances.i.extends: want the name of a base, got 5 (explicit value)",
	)
}
