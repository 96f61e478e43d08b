package config_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/steadyfx/steady/config"
	"github.com/steadyfx/steady/patterns/pipeline"
)

func TestEnvironmentSetsEveryKindOfValue(t *testing.T) {
	tree := load(t, config.Env([]string{
		"STEADY_RESILIENCE__RETRY__MAX_ATTEMPTS=5",
		"STEADY_RESILIENCE__RETRY__BACKOFF_FACTOR=1.5",
		"STEADY_RESILIENCE__RETRY__JITTER=false",
		"STEADY_RESILIENCE__TIMEOUT__TIMEOUT=5",
		"STEADY_RESILIENCE__BULKHEAD__TIMEOUT=250ms",
		"STEADY_RESILIENCE__IDEMPOTENCY__AUTO_CLEANUP=false",
		"STEADY_REDIS__ADDRS=a:1, b:2",
		"STEADY_POSTGRES__DSN=postgres://u:p@h/db?x=y",
	}))
	r := tree.Resilience
	if r.Retry.Default.MaxAttempts != 5 || r.Retry.Default.BackoffFactor != 1.5 || r.Retry.Default.Jitter != -1 ||
		r.Timeout.Default.Timeout != 5*time.Second || r.Bulkhead.Default.Timeout != 250*time.Millisecond ||
		r.Idempotency.AutoCleanup {
		t.Errorf("resilience is %+v", r)
	}
	if !reflect.DeepEqual(tree.Redis.Addrs, []string{"a:1", "b:2"}) {
		t.Errorf("addrs are %q", tree.Redis.Addrs)
	}
	if tree.Postgres.DSN != "postgres://u:p@h/db?x=y" {
		t.Error("the DSN is cut at its equals sign")
	}
}

func TestEnvironmentOfTheProcess(t *testing.T) {
	t.Setenv("STEADY_REDIS__DB", "3")
	if got := load(t, config.Env(nil)).Redis.DB; got != 3 {
		t.Errorf("db is %d, want 3", got)
	}
	if got := load(t, config.Env([]string{})).Redis.DB; got != 0 {
		t.Errorf("db is %d from an environment that is empty", got)
	}
}

func TestEnvironmentFindsNamesOfFiles(t *testing.T) {
	inDir(t, map[string]string{"app.yaml": `
resilience:
  retry:
    base: {Patient Base: {}}
    instances: {api.payments: {}, search-v2: {extends: Patient Base}}
  pipelines: {pay: {steps: [retry]}}
`})
	tree := load(t,
		config.Env([]string{ // may come first: names of later sources count too
			"STEADY_RESILIENCE__RETRY__INSTANCES__API_PAYMENTS__MAX_ATTEMPTS=7",
			"STEADY_RESILIENCE__RETRY__INSTANCES__SEARCH_V2__MAX_ATTEMPTS=8",
			"STEADY_RESILIENCE__RETRY__BASE__PATIENT_BASE__BASE_DELAY=2s",
			"STEADY_RESILIENCE__PIPELINES__PAY__STEPS=bulkhead,retry",
			"STEADY_RESILIENCE__BULKHEAD__INSTANCES__MINE__QUEUE_SIZE=0",
		}),
		config.File("app.yaml"),
		config.Values(map[string]any{"resilience": map[string]any{
			"bulkhead":  map[string]any{"instances": map[string]any{"mine": nil}},
			"pipelines": map[string]any{"pay": map[string]any{"steps": nil}},
		}}),
	)
	named := tree.Resilience.Retry.Named
	if len(named) != 2 || named["api.payments"].MaxAttempts != 7 || named["search-v2"].MaxAttempts != 8 ||
		named["search-v2"].BaseDelay != 2*time.Second {
		t.Errorf("retries are %+v", named)
	}
	if got := tree.Resilience.Bulkhead.Named["mine"].QueueSize; got != 0 {
		t.Errorf("queue_size is %d", got)
	}
	if got := tree.Source("resilience.retry.instances.api.payments.max_attempts"); !strings.HasPrefix(got, "env STEADY_") {
		t.Errorf("max_attempts comes from %q", got)
	}
	// The file comes later than the environment here, so its list of steps stands.
	want := pipeline.Definition{Steps: []pipeline.Reference{{Step: pipeline.Retry, Instance: "pay"}}}
	if got := tree.Resilience.Pipelines["pay"]; !reflect.DeepEqual(got, want) {
		t.Errorf("pipeline is %+v, want %+v", got, want)
	}
}

func TestWrongVariables(t *testing.T) {
	inDir(t, map[string]string{"app.yaml": `
resilience:
  retry:
    instances: {a.b: {}, a-b: {}, search: {}}
`})
	tests := []struct{ environ, want string }{
		{"STEADY_RESILIENCE__RETRY__MAX_ATEMPTS=1",
			`resilience.retry.max_atempts: unknown key; did you mean "max_attempts"? (env STEADY_RESILIENCE__RETRY__MAX_ATEMPTS)`},
		{"STEADY_RESILENCE__RETRY__MAX_ATTEMPTS=1",
			`resilence: unknown key; did you mean "resilience"? (env STEADY_RESILENCE__RETRY__MAX_ATTEMPTS)`},
		{"STEADY_TEST__X=1",
			`test: unknown key; known: postgres, redis, resilience (env STEADY_TEST__X)`},
		{"STEADY_RESILIENCE__RETRY__INSTANCES__SERCH__MAX_ATTEMPTS=1",
			`resilience.retry.instances.serch: there is nothing of this name in a file; did you mean "search"? (env STEADY_RESILIENCE__RETRY__INSTANCES__SERCH__MAX_ATTEMPTS)`},
		{"STEADY_RESILIENCE__TIMEOUT__INSTANCES__X__TIMEOUT=1",
			`resilience.timeout.instances.x: there is nothing of this name in a file (env STEADY_RESILIENCE__TIMEOUT__INSTANCES__X__TIMEOUT)`},
		{"STEADY_RESILIENCE__RETRY__INSTANCES__A_B__MAX_ATTEMPTS=1",
			`resilience.retry.instances.a-b: can be any of ["a-b" "a.b"]; set it in a file (env STEADY_RESILIENCE__RETRY__INSTANCES__A_B__MAX_ATTEMPTS)`},
		{"STEADY_REDIS=localhost",
			`redis: is a table of keys, not a value; add two underscores and one of them to the name of the variable (env STEADY_REDIS)`},
		{"STEADY_RESILIENCE__RETRY__INSTANCES=1",
			`resilience.retry.instances: is a table of keys, not a value; add two underscores and one of them to the name of the variable (env STEADY_RESILIENCE__RETRY__INSTANCES)`},
		{"STEADY_REDIS__DB__MAX=1", `redis.db: is a value, not a table of keys (env STEADY_REDIS__DB__MAX)`},
		{"STEADY___DB=1", `env STEADY___DB: unknown key; known: postgres, redis, resilience`},
		{"STEADY_REDIS__DB=many", `redis.db: want an integer, got "many" (env STEADY_REDIS__DB)`},
	}
	for _, tt := range tests {
		tree, err := config.Load(config.File("app.yaml"), config.Env([]string{tt.environ}))
		wantMistakes(t, tree, err, tt.want)
	}
}

// With the environment provider of koanf the outcome of the first two depends on the order of a map.
func TestConflictsOfVariablesAreErrors(t *testing.T) {
	environ := []string{"STEADY_REDIS=oops", "STEADY_REDIS__DB=2", "STEADY_redis__db=3", "STEADY_REDIS__DB__X=4"}
	want := []string{
		"redis: is a table of keys, not a value; add two underscores and one of them to the name of the variable (env STEADY_REDIS)",
		"redis.db: is a value, not a table of keys (env STEADY_REDIS__DB__X)",
		"redis.db: is also set by env STEADY_REDIS__DB (env STEADY_redis__db)",
	}
	for range 20 {
		slices.Reverse(environ)
		tree, err := config.Load(config.Env(environ))
		wantMistakes(t, tree, err, want...)
	}
}

func TestFirstOfTwoVariablesOfOneNameCounts(t *testing.T) {
	if got := load(t, config.Env([]string{"STEADY_REDIS__DB=1", "STEADY_REDIS__DB=2"})).Redis.DB; got != 1 {
		t.Errorf("db is %d, os.Getenv would say 1", got)
	}
}

func TestForeignVariablesAreIgnored(t *testing.T) {
	tree := load(t, config.Env([]string{
		"STEADY_SERVICE_HOST=10.0.0.1", "STEADY_PORT=tcp://10.0.0.1:80", "STEADY_PORT_80_TCP_ADDR=10.0.0.1",
		"STEADY_REDIS_PORT=tcp://10.0.0.2:6379", "STEADY_TEST_REDIS_URL=redis://h", "STEADY_=x", "STEADYX=1", "PATH=/bin",
		"noequals", "STEADY_REDIS__DB",
	}))
	want := []string{
		"STEADY_", "STEADY_PORT", "STEADY_PORT_80_TCP_ADDR", "STEADY_REDIS_PORT", "STEADY_SERVICE_HOST",
		"STEADY_TEST_REDIS_URL",
	}
	if got := tree.Ignored(); !reflect.DeepEqual(got, want) {
		t.Errorf("ignored %q, want %q", got, want)
	}
	tree.Ignored()[0] = "changed"
	if tree.Ignored()[0] != "STEADY_" {
		t.Error("the caller can change the tree")
	}
}
