package config_test

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/steadyfx/steady/config"
	"github.com/steadyfx/steady/patterns/retry"
)

// What libraries for configurations let pass, or make of it, when they are used as they come.

func TestDurationsAreSeconds(t *testing.T) {
	tests := []struct {
		value any
		want  time.Duration
	}{
		{5, 5 * time.Second},
		{1.5, 1500 * time.Millisecond},
		{0.1, 100 * time.Millisecond},
		{"5", 5 * time.Second},
		{"1.5", 1500 * time.Millisecond},
		{"1.5s", 1500 * time.Millisecond},
		{"1m30s", 90 * time.Second},
		{"250ms", 250 * time.Millisecond},
		{250 * time.Millisecond, 250 * time.Millisecond},
		{int8(3), 3 * time.Second},
		{uint16(3), 3 * time.Second},
		{float32(0.5), 500 * time.Millisecond},
		{3600, time.Hour},
	}
	for _, tt := range tests {
		tree := load(t, config.Values(map[string]any{"resilience": map[string]any{"timeout": map[string]any{"timeout": tt.value}}}))
		if got := tree.Resilience.Timeout.Default.Timeout; got != tt.want {
			t.Errorf("%v (%T) is %v, want %v", tt.value, tt.value, got, tt.want)
		}
	}
	for _, value := range []any{"soon", "", true, 1e300, -1e300, math.NaN(), math.Inf(1), "inf", "1e99", uint64(math.MaxUint64), []int{1}} {
		tree, err := config.Load(config.Values(map[string]any{"resilience": map[string]any{"timeout": map[string]any{"timeout": value}}}))
		got := mistakes(t, tree, err)
		if len(got) != 1 || !strings.HasPrefix(got[0], `resilience.timeout.timeout: want a duration such as "1.5s", or seconds as a number, got `) {
			t.Errorf("%v: %v", value, got)
		}
	}
}

func TestWholeSecondsInEveryFormat(t *testing.T) {
	inDir(t, map[string]string{
		"a.yaml": "resilience: {timeout: {timeout: 5}}", "a.toml": "resilience.timeout.timeout = 5",
		"a.json": `{"resilience": {"timeout": {"timeout": 5}}}`,
	})
	for _, name := range []string{"a.yaml", "a.toml", "a.json"} {
		if got := load(t, config.File(name)).Resilience.Timeout.Default.Timeout; got != 5*time.Second {
			t.Errorf("%s: 5 is %v, want 5s", name, got)
		}
	}
}

func TestNullHidesNothing(t *testing.T) {
	inDir(t, map[string]string{
		"a.yaml": "resilience: {retry: {max_attempts: 7, instances: {a: {max_attempts: 8}}}}\nredis: {addrs: [x:1]}",
		"b.yaml": "resilience:\n  retry:\n    max_attempts:\n    instances:\n      a:\n      b:\nredis:\npostgres: ~\n",
		"c.json": `{"resilience": null, "redis": {"addrs": null}}`,
	})
	tree := load(t, config.File("a.yaml"), config.File("b.yaml"), config.File("c.json"),
		config.Values(map[string]any{"resilience": nil, "redis": map[string]any{"addrs": nil}}))
	got := tree.Resilience.Retry
	if got.Default.MaxAttempts != 7 || got.Named["a"].MaxAttempts != 8 {
		t.Errorf("null wiped a lower layer: %+v", got)
	}
	if b, ok := got.Named["b"]; !ok || b != got.Default {
		t.Errorf("an instance without keys is %+v, %v; want the default", b, ok)
	}
	if tree.Redis.Addrs[0] != "x:1" {
		t.Errorf("addrs are %v", tree.Redis.Addrs)
	}
	if got := tree.Source("resilience.retry.max_attempts"); got != "a.yaml" {
		t.Errorf("max_attempts comes from %q", got)
	}
}

func TestNullDoesNotHideTypo(t *testing.T) {
	inDir(t, map[string]string{"a.yaml": "resilience:\n  retri:\n"})
	tree, err := config.Load(config.File("a.yaml"))
	wantMistakes(t, tree, err, `resilience.retri: unknown key; did you mean "retry"? (a.yaml:2)`)
}

func TestKeysAreCaseSensitive(t *testing.T) {
	inDir(t, map[string]string{"a.yaml": "resilience: {retry: {Max_Attempts: 7, max_attempts: 8}}"})
	tree, err := config.Load(config.File("a.yaml"))
	wantMistakes(t, tree, err, `resilience.retry.Max_Attempts: unknown key; did you mean "max_attempts"? (a.yaml:1)`)
}

func TestInstanceNamesWithDots(t *testing.T) {
	inDir(t, map[string]string{
		"a.yaml": "resilience: {retry: {instances: {api.payments: {max_attempts: 9}, api: {max_attempts: 2}}}}",
		"b.toml": "[resilience.retry.instances.\"api.payments\"]\nbase_delay = 1.5",
	})
	got := load(t, config.File("a.yaml"), config.File("b.toml")).Resilience.Retry.Named
	want := map[string]retry.Config{"api.payments": retry.DefaultConfig(), "api": retry.DefaultConfig()}
	want["api.payments"] = retry.Config{
		MaxAttempts: 9, BaseDelay: 1500 * time.Millisecond, MaxDelay: time.Minute, BackoffFactor: 2, Jitter: 0.25,
	}
	api := want["api"]
	api.MaxAttempts = 2
	want["api"] = api
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestFilesThatParsersAccept(t *testing.T) {
	inDir(t, nil)
	tests := []struct{ name, content, want string }{
		{"dup.json", `{"redis": {"db": 1,` + "\n" + ` "db": 2}}`, "redis.db: is set twice, first in line 1 (dup.json:2)"},
		{"dup.yaml", "redis:\n  db: 1\nredis:\n  tls: true\n", "redis: is set twice, first in line 1 (dup.yaml:3)"},
		{"dup.toml", "[redis]\ndb = 1\ndb = 2\n", "dup.toml: cannot be parsed: key db is already defined"},
		{"item.json", `{"a": [{"b": 1, "b": 2}]}`, "a[0].b: is set twice, first in line 1 (item.json:1)"},
		{"two.yaml", "redis: {db: 1}\n---\nredis: {db: 2}\n", "two.yaml:2: a second document; a file holds one"},
		{"two.json", "{}{}", "two.json:1: cannot be parsed: invalid character … after top-level value"},
		{"bad2.yaml", "redis: {db: 1}\n---\na: [", "bad2.yaml:3: cannot be parsed: did not find expected node content"},
		{"int.yaml", "resilience: {retry: {instances: {404: {}}}}", "resilience.retry.instances: a key must be text; put it in quotes (int.yaml:1)"},
		{"list.yaml", "redis: {? [a] : 1}", "redis: a key must be text; put it in quotes (list.yaml:1)"},
		{"root.yaml", "- 1", "root.yaml:1: must be a table of keys at the top level"},
		{"root.json", "\n[1]", "root.json:2: must be a table of keys at the top level"},
		{"date.yaml", "redis: {username: 2001-01-01}", "redis.username: a time.Time is not for configuration files; dates and times go in quotes (date.yaml:1)"},
		{"date.toml", "redis.username = 2001-01-01", "redis.username: a toml.LocalDate is not for configuration files; dates and times go in quotes (date.toml)"},
		{"empty.json", "", "empty.json:1: cannot be parsed: unexpected end of JSON input"},
		{"syntax.json", "{\n\"a\" 1}", "syntax.json:2: cannot be parsed: invalid character … after object key"},
		{"syntax.toml", "a = 1\nb c", "syntax.toml:2: cannot be parsed: expected character ="},
		{"key.json", `{"redis": {"": 1}}`, `redis: a key must not be empty or hold control characters, got "" (key.json:1)`},
		{"key.yaml", `redis: {"a\0b": 1}`, `redis: a key must not be empty or hold control characters, got "a\x00b" (key.yaml:1)`},
		{"deep.json", `{"a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "}", "nested deeper than 32 levels"},
		{"deep.yaml", "a: " + strings.Repeat("{a: ", 40) + strings.Repeat("}", 40), "nested deeper than 32 levels"},
		{"deep.toml", "a = " + strings.Repeat("[", 40) + strings.Repeat("]", 40), "nested deeper than 32 levels"},
		{"cycle.yaml", "redis: &a {x: *a}", "nested deeper than 32 levels"},
		{"merge.yaml", "redis: &a {<<: [*a, *a]}", "nested deeper than 32 levels"},
		{"laughs.yaml", laughs(8), "too many aliases: with them the file holds more than 100000 values"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inDir(t, map[string]string{tt.name: tt.content})
			tree, err := config.Load(config.File(tt.name))
			if got := mistakes(t, tree, err); len(got) == 0 || !strings.Contains(got[0], tt.want) {
				t.Errorf("mistakes %q, want %q", got, tt.want)
			}
		})
	}
}

// laughs returns a small document that stands for 10 to the power of depth values.
func laughs(depth int) string {
	doc := "x0: &x0 [0,0,0,0,0,0,0,0,0,0]\n"
	for i := 1; i < depth; i++ {
		doc += strings.NewReplacer("$n", string(rune('0'+i)), "$m", string(rune('0'+i-1))).
			Replace("x$n: &x$n [*x$m,*x$m,*x$m,*x$m,*x$m,*x$m,*x$m,*x$m,*x$m,*x$m]\n")
	}
	return doc
}

func TestYAMLAnchorsAndMergeKeys(t *testing.T) {
	inDir(t, map[string]string{"a.yaml": `
resilience:
  retry:
    instances:
      a: &a {max_attempts: 7, base_delay: 2}
      b: {<<: *a, max_attempts: 8}
      c: *a
  timeout:
    instances:
      d: {<<: [{timeout: 1}, {timeout: 2}]}
`, "b.yaml": "resilience:\n  retry:\n    base: {x: &x {limit: 1}}\n    instances:\n      y:\n        <<: *x\n"})
	tree := load(t, config.File("a.yaml"))
	named := tree.Resilience.Retry.Named
	if a, c := named["a"], named["c"]; a.MaxAttempts != 7 || c != a {
		t.Errorf("a is %+v, c is %+v", a, c)
	}
	if b := named["b"]; b.MaxAttempts != 8 || b.BaseDelay != 2*time.Second {
		t.Errorf("b is %+v", b)
	}
	if d := tree.Resilience.Timeout.Named["d"]; d.Timeout != time.Second {
		t.Errorf("d is %+v", d)
	}
	_, err := config.Load(config.File("b.yaml"))
	wantMistakes(t, nil, err,
		"resilience.retry.base.x.limit: unknown key; known: backoff, backoff_factor, base_delay, budget, jitter, jitter_kind, max_attempts, max_delay, max_elapsed, max_retry_after (b.yaml:3)",
		"resilience.retry.instances.y.limit: unknown key; known: backoff, backoff_factor, base_delay, budget, extends, jitter, jitter_kind, max_attempts, max_delay, max_elapsed, max_retry_after (b.yaml:3)",
	)
}

func TestTypesAreStrict(t *testing.T) {
	set := func(section, key string, value any) config.Source {
		return config.Values(map[string]any{section: map[string]any{key: value}})
	}
	tests := []struct {
		section, key string
		value        any
		want         string // "": right
	}{
		{"redis", "db", 3, ""},
		{"redis", "db", 3.0, ""},
		{"redis", "db", "3", ""},
		{"redis", "db", uint8(3), ""},
		{"redis", "db", 3.5, "want an integer, got 3.5"},
		{"redis", "db", "3.0", `want an integer, got "3.0"`},
		{"redis", "db", "", `want an integer, got ""`},
		{"redis", "db", true, "want an integer, got true"},
		{"redis", "db", 1e18, "want an integer, got 1e+18"},
		{"redis", "db", uint64(math.MaxUint64), "want an integer, got 18446744073709551615"},
		{"redis", "db", map[string]any{}, "want an integer, got a table"},
		{"redis", "tls", true, ""},
		{"redis", "tls", "true", ""},
		{"redis", "tls", "yes", `want true or false, got "yes"`},
		{"redis", "tls", 1, "want true or false, got 1"},
		{"redis", "username", "", ""},
		{"redis", "username", 12, "want text, got 12; put it in quotes"},
		{"redis", "username", false, "want text, got false; put it in quotes"},
		{"redis", "addrs", "a:1, b:2", ""},
		{"redis", "addrs", [1]string{"a:1"}, ""},
		{"redis", "addrs", 5, "want a list, got 5"},
		{"redis", "addrs", "", "must hold at least one host:port"},
		{"redis", "check_on_start", "off", ""},
		{"redis", "check_on_start", "never", `must be require, warn or off, got "never"`},
		{"redis", "check_timeout", 0, "must be positive, got 0s"},
		{"postgres", "dsn", "", "must not be empty"},
		{"redis", "db", make(chan int), "a chan int is not for configuration files; dates and times go in quotes"},
		{"redis", "db", new(int), "a *int is not for configuration files; dates and times go in quotes"},
		{"redis", "db", map[any]any{1: 2}, "the keys must be text, got a map[interface {}]interface {}"},
	}
	for _, tt := range tests {
		tree, err := config.Load(set(tt.section, tt.key, tt.value))
		var want []string
		if tt.want != "" {
			want = []string{tt.section + "." + tt.key + ": " + tt.want + " (explicit value)"}
		}
		if got := mistakes(t, tree, err); !reflect.DeepEqual(got, want) {
			t.Errorf("%s.%s = %v: mistakes %q, want %q", tt.section, tt.key, tt.value, got, want)
		}
	}
}

func TestJitterIsBooleanOrFraction(t *testing.T) {
	for value, want := range map[any]retry.Jitter{
		true: retry.DefaultJitter, false: retry.NoJitter, "true": retry.DefaultJitter, 0.5: 0.5, 1: 1, 0: retry.NoJitter,
		"0.1": 0.1, retry.NoJitter: retry.NoJitter, retry.Jitter(0.3): 0.3,
	} {
		tree := load(t, config.Values(map[string]any{"resilience": map[string]any{"retry": map[string]any{"jitter": value}}}))
		if got := tree.Resilience.Retry.Default.Jitter; got != want {
			t.Errorf("%v (%T) is %v, want %v", value, value, got, want)
		}
	}
	tree, err := config.Load(config.Values(map[string]any{"resilience": map[string]any{"retry": map[string]any{"jitter": 25}}}))
	wantMistakes(t, tree, err,
		`resilience.retry.jitter: want true, false or a fraction from 0 to 1, got "25" (explicit value)`)
}

func TestCyclicValuesAreAnError(t *testing.T) {
	cyclic := map[string]any{}
	cyclic["redis"] = cyclic
	tree, err := config.Load(config.Values(cyclic))
	if got := mistakes(t, tree, err); len(got) != 1 || !strings.Contains(got[0], "nested deeper than 32 levels") {
		t.Errorf("mistakes: %q", got)
	}
}
