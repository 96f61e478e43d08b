package config_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/steadyfx/steady/config"
)

// loadTwice checks what holds for every input: no panic, only mistakes as errors, the same ones each time.
func loadTwice(t *testing.T, options func(app *payments) []config.Source) {
	t.Helper()
	app, again := defaultPayments(), defaultPayments()
	tree, err := config.Load(options(&app)...)
	mistakes(t, tree, err)
	if _, err2 := config.Load(options(&again)...); fmt.Sprint(err) != fmt.Sprint(err2) {
		t.Errorf("first\n%v\nthen\n%v", err, err2)
	}
	if err != nil {
		return
	}
	if tree == nil {
		t.Fatal("neither a tree nor an error")
	}
	for name, p := range tree.Resilience.Pipelines {
		if len(p.Steps) == 0 {
			t.Errorf("pipeline %q has no steps", name)
		}
	}
	factory(t, tree.Resilience) // fails if any of it cannot be built
	for _, v := range []interface{ Validate() error }{
		tree.Resilience.Idempotency, tree.Redis, tree.Postgres, app,
	} {
		if err := v.Validate(); err != nil {
			t.Errorf("%T: %v", v, err)
		}
	}
}

func FuzzEnv(f *testing.F) {
	f.Add("STEADY_RESILIENCE__RETRY__MAX_ATTEMPTS=5\nSTEADY_REDIS__ADDRS=a:1,b:2")
	f.Add("STEADY_RESILIENCE__RETRY__INSTANCES__API_PAYMENTS__MAX_ATTEMPTS=5\nSTEADY_PORT=tcp://x")
	f.Add("STEADY_REDIS=oops\nSTEADY_REDIS__DB=2\nSTEADY_redis__db=3\nSTEADY___=1\nSTEADY_____\n=\n")
	f.Add("STEADY_PAYMENTS__REGIONS__EU__TIMEOUT=1h\nSTEADY_PAYMENTS__LABELS__TEAM=x\nSTEADY_PAYMENTS__LEVEL=WARN+2")
	f.Add("STEADY_RESILIENCE__PIPELINES__PAY__STEPS=bulkhead, retry")
	base := config.Values(map[string]any{
		"resilience": map[string]any{
			"retry":     map[string]any{"instances": map[string]any{"api.payments": nil, "api-payments2": nil, "..": nil}},
			"pipelines": map[string]any{"pay": map[string]any{"steps": []string{"retry"}}},
		},
		"payments": map[string]any{"regions": map[string]any{"eu": nil}, "labels": map[string]any{"team": "x"}},
	})
	f.Fuzz(func(t *testing.T, environ string) {
		loadTwice(t, func(app *payments) []config.Source {
			return []config.Source{base, config.Section("payments", app), config.Env(strings.Split(environ, "\n"))}
		})
	})
}

func FuzzYAML(f *testing.F) {
	for _, name := range []string{"testdata/sample.yaml", "testdata/good.yaml", "testdata/standard.yaml", "testdata/mistakes.yaml",
		"testdata/sample.json"} {
		content, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	for _, s := range []string{
		"a: &a [*a]", "redis: &a {<<: *a}", "redis: {<<: [{db: 1}, 5]}", "? [a]\n: 1", "a: 1\n---\nb: 2", laughs(6), "redis: {db: !!int x}",
		"payments: {mirrors: [{url: x}, ~], regions: {eu: {timeout: 1s}}, level: INFO}", "%YAML 1.1\n---\n", "\xff\xfea", "&a ~: *a",
		"resilience: {pipelines: {p: {steps: [retry, {timeout: ~}, {}, [], ~]}}}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		loadTwice(t, func(app *payments) []config.Source {
			return []config.Source{config.Content("app.yaml", content), config.Section("payments", app)}
		})
	})
}
