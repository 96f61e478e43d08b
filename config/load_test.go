package config_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/steadyfx/steady/config"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/bulkhead"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/hedge"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/patterns/ratelimit"
	"github.com/steadyfx/steady/patterns/retry"
	"github.com/steadyfx/steady/patterns/throttle"
	"github.com/steadyfx/steady/patterns/timeout"
)

// inDir changes to a new directory that holds the files, so that messages show their names only.
func inDir(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, content := range files {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// load loads what must be right.
func load(t *testing.T, options ...config.Source) *config.Tree {
	t.Helper()
	tree, err := config.Load(options...)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return tree
}

// mistakes returns the message of each mistake, and checks what all of them must satisfy.
func mistakes(t *testing.T, tree *config.Tree, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	if tree != nil {
		t.Error("Load returned a tree with its error")
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("Load returned a %T, want joined errors", err)
	}
	var messages []string
	for _, e := range joined.Unwrap() {
		var mistake *config.Error
		if !errors.As(e, &mistake) {
			t.Fatalf("%v is a %T, want a *config.Error", e, e)
		}
		if !errors.Is(e, patterns.ErrConfiguration) || !errors.Is(e, patterns.ErrResilience) {
			t.Errorf("%v is neither ErrConfiguration nor ErrResilience", e)
		}
		if patterns.Code(e) != patterns.CodeResilience {
			t.Errorf("code of %v is %q", e, patterns.Code(e))
		}
		if mistake.Source == "" || mistake.Problem == "" {
			t.Errorf("incomplete: %#v", mistake)
		}
		messages = append(messages, mistake.Error())
	}
	return messages
}

func wantMistakes(t *testing.T, tree *config.Tree, err error, want ...string) {
	t.Helper()
	if got := mistakes(t, tree, err); !reflect.DeepEqual(got, want) {
		t.Errorf("mistakes:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSampleLoadsAsDefaults(t *testing.T) {
	// The sample names the backends, which is what the defaults come to if no other is wired in.
	breaker, memory := circuitbreaker.DefaultConfig(), idempotency.DefaultConfig()
	breaker.Backend, memory.Backend = circuitbreaker.MemoryBackend, idempotency.MemoryBackend
	for _, name := range []string{"testdata/sample.yaml", "testdata/sample.toml", "testdata/sample.json"} {
		t.Run(name, func(t *testing.T) {
			tree := load(t, config.File(name))
			want := config.Resilience{
				CircuitBreaker:   patterns.Instances[circuitbreaker.Config]{Default: breaker},
				Retry:            patterns.Instances[retry.Config]{Default: retry.DefaultConfig()},
				Timeout:          patterns.Instances[timeout.Config]{Default: timeout.DefaultConfig()},
				Bulkhead:         patterns.Instances[bulkhead.Config]{Default: bulkhead.DefaultConfig()},
				AdaptiveBulkhead: patterns.Instances[bulkhead.AdaptiveConfig]{Default: bulkhead.DefaultAdaptiveConfig()},
				RateLimit:        patterns.Instances[ratelimit.Config]{Default: ratelimit.Config{Limit: 100, Period: time.Second}},
				Throttle: patterns.Instances[throttle.Config]{
					Default: throttle.Config{Calls: 100, Period: time.Second, Strategy: throttle.TokenBucket}},
				AdaptiveThrottle: patterns.Instances[throttle.AdaptiveConfig]{Default: throttle.DefaultAdaptiveConfig()},
				Hedge:            patterns.Instances[hedge.Config]{Default: hedge.DefaultConfig()},
				Budget:           patterns.Instances[retry.BudgetConfig]{Default: retry.DefaultBudgetConfig()},
				Idempotency:      memory,
			}
			if !reflect.DeepEqual(tree.Resilience, want) {
				t.Errorf("resilience is\n%+v, want\n%+v", tree.Resilience, want)
			}
			if !reflect.DeepEqual(tree.Redis, config.DefaultRedis()) {
				t.Errorf("redis is %v", tree.Redis)
			}
			if tree.Postgres != config.DefaultPostgres() {
				t.Errorf("postgres is %v", tree.Postgres)
			}
			if got := tree.Source("resilience.retry.jitter"); got != name {
				t.Errorf("jitter comes from %q, want %q", got, name)
			}
			if got := tree.Source("resilience.circuit_breaker.minimum_calls"); got != "default" {
				t.Errorf("minimum_calls comes from %q, want the default", got)
			}
		})
	}
}

func TestNothingLoadsAsDefault(t *testing.T) {
	inDir(t, map[string]string{
		"empty.yaml": "", "comment.yml": "# nothing\n", "null.yaml": "---\n", "empty.toml": "", "null.json": "null",
		"none.json": "{}",
	})
	tree := load(t, nil, config.OptionalFile("absent.yaml"), config.Env([]string{"HOME=/root"}), config.Values(nil),
		config.File("empty.yaml"), config.File("comment.yml"), config.File("null.yaml"), config.File("empty.toml"),
		config.File("null.json"), config.File("none.json"))
	want := config.Default()
	if !reflect.DeepEqual(tree.Resilience, want.Resilience) || !reflect.DeepEqual(tree.Redis, want.Redis) ||
		tree.Postgres != want.Postgres {
		t.Errorf("got %+v, want %+v", tree, want)
	}
	if got := tree.Source("redis.addrs"); got != "default" {
		t.Errorf("redis.addrs comes from %q", got)
	}
}

func TestLaterSourceWinsKeyByKey(t *testing.T) {
	inDir(t, map[string]string{
		"a.yaml": "resilience: {retry: {max_attempts: 4, base_delay: 250ms, max_delay: 9}}\nredis: {addrs: [a:1, b:2]}",
		"b.toml": "[resilience.retry]\nbase_delay = 1.5\n[redis]\naddrs = [\"c:3\"]",
		"c.json": `{"resilience": {"retry": {"jitter": 0.5, "max_delay": 30}}}`,
	})
	tree := load(t,
		config.File("a.yaml"), config.File("b.toml"), config.OptionalFile("c.json"),
		config.Env([]string{"STEADY_RESILIENCE__RETRY__MAX_DELAY=40s", "STEADY_RESILIENCE__RETRY__BACKOFF_FACTOR=3"}),
		config.Values(map[string]any{"resilience": map[string]any{"retry": map[string]any{"backoff_factor": 4}}}),
	)
	want := retry.Config{
		MaxAttempts: 4, BaseDelay: 1500 * time.Millisecond, MaxDelay: 40 * time.Second, BackoffFactor: 4, Jitter: 0.5,
	}
	if got := tree.Resilience.Retry.Default; got != want {
		t.Errorf("retry is %+v, want %+v", got, want)
	}
	if got := tree.Redis.Addrs; !reflect.DeepEqual(got, []string{"c:3"}) {
		t.Errorf("addrs are %v: a list must replace a list", got)
	}
	for path, want := range map[string]string{
		"resilience.retry.max_attempts":   "a.yaml",
		"resilience.retry.base_delay":     "b.toml",
		"resilience.retry.jitter":         "c.json",
		"resilience.retry.max_delay":      "env STEADY_RESILIENCE__RETRY__MAX_DELAY",
		"resilience.retry.backoff_factor": "explicit value",
		"resilience.retry":                "a.yaml",
		"redis.db":                        "default",
		"no.such.path":                    "default",
	} {
		if got := tree.Source(path); got != want {
			t.Errorf("%s comes from %q, want %q", path, got, want)
		}
	}
}

func TestInstanceInheritsFromBaseAndSection(t *testing.T) {
	inDir(t, map[string]string{"app.yaml": `
resilience:
  retry:
    max_attempts: 4
    base:
      patient: {max_delay: 120, base_delay: 2}
    instances:
      api.payments: {extends: patient, base_delay: 500ms}
      search: {backoff_factor: 1.5}
      plain:
  circuit_breaker:
    instances:
      provider: {failure_threshold: 9}
`})
	tree := load(t, config.File("app.yaml"))
	def := retry.DefaultConfig()
	def.MaxAttempts = 4
	payments := def
	payments.MaxDelay, payments.BaseDelay = 2*time.Minute, 500*time.Millisecond
	search := def
	search.BackoffFactor = 1.5
	want := patterns.Instances[retry.Config]{
		Default: def,
		Named:   map[string]retry.Config{"api.payments": payments, "search": search, "plain": def},
	}
	if !reflect.DeepEqual(tree.Resilience.Retry, want) {
		t.Errorf("retry is\n%+v, want\n%+v", tree.Resilience.Retry, want)
	}
	provider := circuitbreaker.DefaultConfig()
	provider.FailureThreshold = 9
	if got := tree.Resilience.CircuitBreaker.For("provider"); got != provider {
		t.Errorf("circuit breaker is %+v, want %+v", got, provider)
	}
}

func TestSourceOfInheritedValues(t *testing.T) {
	inDir(t, map[string]string{
		"app.yaml": "resilience: {retry: {base: {patient: {max_delay: 120}}, instances: {pay: {extends: patient}}}}",
		"own.yaml": "resilience: {retry: {max_attempts: 4, instances: {pay: {jitter: false}}}}",
	})
	tree := load(t, config.File("app.yaml"), config.File("own.yaml"))
	for key, want := range map[string]string{
		"max_delay": "app.yaml", "max_attempts": "own.yaml", "jitter": "own.yaml", "base_delay": "default",
	} {
		if got := tree.Source("resilience.retry.instances.pay." + key); got != want {
			t.Errorf("%s comes from %q, want %q", key, got, want)
		}
	}
}

func TestEverythingWrongIsReportedAtOnce(t *testing.T) {
	inDir(t, map[string]string{"app.yaml": `
resilience:
  retry:
    max_atempts: 4
    base_delay: soon
    base:
      patient: {max_delay: 0.5}
    instances:
      pay: {extends: patent}
      once: {zzz: 1, max_attempts: 0}
      list: {jitter: [1]}
  bulkhead: 5
  timout:
redis: {password: 12345, db: x, addrs: [1]}
zz: {a: 1}
`, "over.json": `{
  "resilience": {
    "idempotency": {"ttl": -1}
  }
}`})
	tree, err := config.Load(config.File("app.yaml"), config.File("over.json"),
		config.Env([]string{"STEADY_RESILIENCE__TIMEOUT__TIMEOUT=never", "STEADY_REDIS__DBS=1"}))
	wantMistakes(t, tree, err,
		`redis.dbs: unknown key; did you mean "db"? (env STEADY_REDIS__DBS)`,
		`resilience.retry.instances.once.zzz: unknown key; known: backoff, backoff_factor, base_delay, budget, extends, jitter, jitter_kind, max_attempts, max_delay, max_elapsed, max_retry_after (app.yaml:10)`,
		`resilience.retry.max_atempts: unknown key; did you mean "max_attempts"? (app.yaml:4)`,
		`resilience.timout: unknown key; did you mean "timeout"? (app.yaml:13)`,
		`zz: unknown key; known: postgres, redis, resilience (app.yaml:15)`,
		`resilience.retry.base_delay: want a duration such as "1.5s", or seconds as a number, got "soon" (app.yaml:5)`,
		`resilience.retry.base.patient.max_delay: must be at least base_delay (1s), got 500ms (app.yaml:7)`,
		`resilience.retry.instances.list.jitter: want text, got a list (app.yaml:11)`,
		`resilience.retry.instances.once.max_attempts: must be at least 1 (the first try counts), got 0 (app.yaml:10)`,
		`resilience.retry.instances.pay.extends: no base has the name "patent"; did you mean "patient"? (app.yaml:9)`,
		`resilience.timeout.timeout: want a duration such as "1.5s", or seconds as a number, got "never" (env STEADY_RESILIENCE__TIMEOUT__TIMEOUT)`,
		`resilience.bulkhead: want a table of keys, got a number (app.yaml:12)`,
		`resilience.idempotency.ttl: must be positive, got -1s (over.json:3)`,
		`redis.addrs[0]: want text, got 1; put it in quotes (app.yaml:14)`,
		`redis.password: want text, got a number; put it in quotes (app.yaml:14)`,
		`redis.db: want an integer, got "x" (app.yaml:14)`,
	)
}

func TestErrorsAreDeterministic(t *testing.T) {
	values := map[string]any{}
	for i := range 50 {
		values[fmt.Sprint("key", i)] = map[string]any{"x": i}
	}
	values["resilience"] = map[string]any{"retry": map[string]any{"instances": values}}
	_, first := config.Load(config.Values(values))
	if first == nil {
		t.Fatal("Load accepted unknown keys")
	}
	for range 10 {
		if _, err := config.Load(config.Values(values)); err.Error() != first.Error() {
			t.Fatalf("first\n%v\nthen\n%v", first, err)
		}
	}
}

func TestContradictionIsBlamedOnWhatWasSet(t *testing.T) {
	tests := map[string]struct {
		yaml string
		want string
	}{
		"with a default": {
			"resilience: {retry: {base_delay: 90}}",
			`resilience.retry.base_delay: max_delay must be at least base_delay (1m30s), got 1m0s (app.yaml:1)`,
		},
		"of two values that are set": {
			"resilience: {retry: {base_delay: 3, max_delay: 2}}",
			`resilience.retry.max_delay: must be at least base_delay (3s), got 2s (app.yaml:1)`,
		},
		"of an instance with its section": {
			"resilience: {retry: {max_delay: 5,\ninstances: {a: {base_delay: 10}}}}",
			`resilience.retry.instances.a.base_delay: max_delay must be at least base_delay (10s), got 5s (app.yaml:2)`,
		},
		"of an instance with its base": {
			"resilience: {retry: {base: {b: {base_delay: 50}},\ninstances: {a: {extends: b, max_delay: 10}}}}",
			`resilience.retry.instances.a.max_delay: must be at least base_delay (50s), got 10s (app.yaml:2)`,
		},
		"once, not for each instance": {
			"resilience: {retry: {max_attempts: 0,\ninstances: {a: {base_delay: 10}, b: {}}}}",
			`resilience.retry.max_attempts: must be at least 1 (the first try counts), got 0 (app.yaml:1)`,
		},
		"in a section that is not of instances": {
			"redis: {addrs: [a:1, b:2],\ndb: 3}",
			`redis.db: must be 0 with several addrs: a cluster has one database (for sentinels set master_name), got 3 (app.yaml:2)`,
		},
		"in one item of a list": {
			"redis:\n  addrs:\n  - a:1\n  - redis://b:2",
			`redis.addrs[1]: must be host:port, not a URL; user, password and database have keys of their own (app.yaml:4)`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inDir(t, map[string]string{"app.yaml": tt.yaml})
			tree, err := config.Load(config.File("app.yaml"))
			wantMistakes(t, tree, err, tt.want)
		})
	}
}

func TestEveryPlaceOfAMistakeIsReported(t *testing.T) {
	inDir(t, map[string]string{"app.yaml": "resilience: {retry: {max_attempts: 0,\ninstances: {a: {max_attempts: 0}}}}"})
	tree, err := config.Load(config.File("app.yaml"))
	wantMistakes(t, tree, err,
		`resilience.retry.max_attempts: must be at least 1 (the first try counts), got 0 (app.yaml:1)`,
		`resilience.retry.instances.a.max_attempts: must be at least 1 (the first try counts), got 0 (app.yaml:2)`,
	)
}

func TestUnreadableSources(t *testing.T) {
	inDir(t, map[string]string{
		"app.ini": "", "bad.yaml": "a: [1", "big.json": `"` + strings.Repeat("x", 1<<20) + `"`,
		"good.yaml": "resilience: {retry: {max_atempts: 1, max_attempts: 0, instances: {a: {extends: b}}}}",
	})
	tree, err := config.Load(config.File("absent.yaml"), config.File("app.ini"), config.OptionalFile("bad.yaml"),
		config.File("big.json"), config.File("."), config.File("good.yaml"),
		config.Env([]string{"STEADY_RESILIENCE__RETRY__INSTANCES__C__MAX_ATTEMPTS=1"}))
	wantMistakes(t, tree, err,
		"absent.yaml: open: no such file or directory",
		"app.ini: unknown kind of file; known: .yaml, .yml, .toml, .json",
		"bad.yaml:1: cannot be parsed: did not find expected …",
		"big.json: larger than 1048576 bytes",
		".: read: is a directory",
		// What is missing or out of range may be put right by a file that could not be read; a typo is a typo.
		`resilience.retry.max_atempts: unknown key; did you mean "max_attempts"? (good.yaml:1)`,
	)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error("the error of the operating system is not in the tree of errors")
	}
}

func TestValuesAreCopied(t *testing.T) {
	addrs := []string{"a:1"}
	redis := map[string]any{"addrs": addrs, "username": nil}
	values := map[string]any{"redis": redis}
	tree := load(t, config.Values(values), config.Values(map[string]any{"redis": map[string]any{"master_name": "m"}}))
	addrs[0] = "changed"
	if tree.Redis.Addrs[0] != "a:1" {
		t.Error("the tree shares memory with the values")
	}
	if len(redis) != 2 || len(values) != 1 {
		t.Errorf("Load changed the values: %v", values)
	}
}
