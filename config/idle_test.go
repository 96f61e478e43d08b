package config_test

import (
	"strings"
	"testing"

	"github.com/steadyfx/steady/config"
)

// A key of each kind, given where it can have no effect.
func TestKeysWithoutEffectAreMistakes(t *testing.T) {
	for name, tt := range map[string]struct{ yaml, want string }{
		"slow calls": {
			"circuit_breaker: {slow_call_rate_threshold: 0.5}",
			"circuit_breaker.slow_call_rate_threshold: has no effect while slow_call_duration is 0s (default)",
		},
		"growing waits": {
			"circuit_breaker: {max_recovery_timeout: 5m}",
			"circuit_breaker.max_recovery_timeout: has no effect while recovery_backoff_factor is 1 (default)",
		},
		"two windows": {
			"circuit_breaker: {sliding_window_calls: 100, sliding_window_seconds: 60}",
			"circuit_breaker.sliding_window_seconds: has no effect while sliding_window_calls is 100 (app.yaml)",
		},
		"jitter": {
			"retry: {jitter: false, jitter_kind: full}",
			"retry.jitter_kind: has no effect while jitter is false (app.yaml)",
		},
		"factor of another backoff": {
			"retry: {backoff: fibonacci, backoff_factor: 3}",
			"retry.backoff_factor: has no effect while backoff is fibonacci (app.yaml)",
		},
		"factor of delays that grow by themselves": {
			"retry: {jitter_kind: smooth, backoff_factor: 3}",
			"retry.backoff_factor: has no effect while jitter_kind is smooth (app.yaml)",
		},
		"time in no queue": {
			"bulkhead: {queue_size: 0, timeout: 1s}",
			"bulkhead.timeout: has no effect while queue_size is 0 (app.yaml)",
		},
		"time in no adaptive queue": {
			"adaptive_bulkhead: {queue_size: 0, timeout: 1s}",
			"adaptive_bulkhead.timeout: has no effect while queue_size is 0 (app.yaml)",
		},
		"increase of gradient2": {
			"adaptive_bulkhead: {algorithm: gradient2, increase_amount: 2}",
			"adaptive_bulkhead.increase_amount: has no effect while algorithm is gradient2 (app.yaml)",
		},
		"decrease of vegas": {
			"adaptive_bulkhead: {algorithm: vegas, decrease_factor: 0.9}",
			"adaptive_bulkhead.decrease_factor: has no effect while algorithm is vegas (app.yaml)",
		},
		"threshold of vegas": {
			"adaptive_bulkhead: {algorithm: vegas, increase_threshold: 90ms}",
			"adaptive_bulkhead.increase_threshold: has no effect while algorithm is vegas (app.yaml)",
		},
		"other threshold of vegas": {
			"adaptive_bulkhead: {algorithm: vegas, decrease_threshold: 2s}",
			"adaptive_bulkhead.decrease_threshold: has no effect while algorithm is vegas (app.yaml)",
		},
		"cache": {
			"idempotency: {cache_ttl: 1m}",
			"idempotency.cache_ttl: has no effect while cache_entries is 0 (default)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inDir(t, map[string]string{"app.yaml": "resilience:\n  " + tt.yaml})
			tree, err := config.Load(config.File("app.yaml"))
			wantMistakes(t, tree, err, "resilience."+tt.want+": change that or leave this out (app.yaml:2)")
		})
	}
	for _, section := range []string{"redis", "postgres"} {
		inDir(t, map[string]string{"app.yaml": section + ": {check_on_start: off, check_timeout: 1s}"})
		tree, err := config.Load(config.File("app.yaml"))
		wantMistakes(t, tree, err, section+".check_timeout: has no effect while check_on_start is off (app.yaml): "+
			"change that or leave this out (app.yaml:1)")
	}
}

func TestKeysWithAnEffectAreNoMistakes(t *testing.T) {
	inDir(t, map[string]string{"app.yaml": `
resilience:
  circuit_breaker:
    instances:
      slow: {slow_call_duration: 1s, slow_call_rate_threshold: 0.5}
      patient: {recovery_backoff_factor: 2, max_recovery_timeout: 5m, sliding_window_seconds: 30}
      seldom: {sliding_window_calls: 100, sliding_window_seconds: 0, max_recovery_timeout: 0}
      steady: {sliding_window_calls: 0, sliding_window_seconds: 60}
  retry:
    instances:
      a: {jitter: true, jitter_kind: full, backoff_factor: 3}
      b: {jitter_kind: equal, backoff: exponential, backoff_factor: 3}
      c: {jitter: false, jitter_kind: "", backoff_factor: 3}
      d: {jitter: 0.5, jitter_kind: fraction}
  bulkhead: {queue_size: 1, timeout: 1s}
  adaptive_bulkhead: {algorithm: aimd, increase_amount: 2, decrease_factor: 0.9, increase_threshold: 1s, decrease_threshold: 2s, timeout: 1s}
  idempotency: {cache_entries: 10, cache_ttl: 1m}
redis: {check_on_start: warn, check_timeout: 1s}
postgres: {check_timeout: 1s}
`})
	load(t, config.File("app.yaml"))
}

func TestKeysWithoutEffectInWhatInherits(t *testing.T) {
	const change = ": change that or leave this out"
	for name, tt := range map[string]struct {
		yaml string // the section of retries
		want []string
	}{
		"section's kind switched off in an instance": {"{jitter_kind: full, instances: {a: {jitter: false}}}", nil},
		"section's kind switched on in an instance":  {"{jitter: false, jitter_kind: full, instances: {a: {jitter: true}}}", nil},
		"base's kind switched off in an instance": {
			"{base: {b: {jitter_kind: full}}, instances: {a: {extends: b, jitter: false}}}", nil},
		"base's kind switched on in an instance": {
			"{jitter: false, base: {b: {jitter_kind: full}}, instances: {a: {extends: b, jitter: true}}}", nil},
		"section's kind switched on below a base": {
			"{jitter: false, jitter_kind: full, base: {b: {max_attempts: 2}}, instances: {a: {extends: b, jitter: true}}}", nil},
		"section's kind switched on by a base": {
			"{jitter: false, jitter_kind: full, base: {b: {jitter: true}}, instances: {a: {extends: b}}}", nil},
		"section's kind switched off by a base": {
			"{jitter_kind: full, base: {b: {jitter: false}}, instances: {a: {extends: b}}}", nil},
		"instance's kind, section's switch": {
			"{jitter: false, instances: {a: {jitter_kind: full}}}",
			[]string{"instances.a.jitter_kind: has no effect while jitter is false (app.yaml)" + change},
		},
		"instance's kind, base's switch": {
			"{base: {b: {jitter: false}}, instances: {a: {extends: b, jitter_kind: full}}}",
			[]string{"instances.a.jitter_kind: has no effect while jitter is false (app.yaml)" + change},
		},
		"section's kind switched on only where there is another": {
			"{jitter: false, jitter_kind: full, instances: {a: {jitter: true, jitter_kind: equal}}}",
			[]string{"jitter_kind: has no effect while jitter is false (app.yaml)" + change},
		},
		"base's kind switched on only beside it": {
			"{jitter: false, base: {b: {jitter_kind: full}}, instances: {a: {jitter: true}, c: {extends: b}}}",
			[]string{"base.b.jitter_kind: has no effect while jitter is false (app.yaml)" + change},
		},
		"instance's own": {
			"{instances: {a: {jitter: false, jitter_kind: full}}}",
			[]string{"instances.a.jitter_kind: has no effect while jitter is false (app.yaml)" + change},
		},
		"every place of it": {
			"{jitter: 0, jitter_kind: equal, base: {b: {jitter_kind: full}}, instances: {a: {jitter_kind: full}}}",
			[]string{
				"jitter_kind: has no effect while jitter is false (app.yaml)" + change,
				"base.b.jitter_kind: has no effect while jitter is false (app.yaml)" + change,
				"instances.a.jitter_kind: has no effect while jitter is false (app.yaml)" + change,
			},
		},
		// What cannot be known is not judged.
		"switch of the wrong type": {"{jitter: [1], jitter_kind: full}", []string{"jitter: want text, got a list"}},
		"switch of the wrong type in a base": {
			"{jitter: false, base: {b: {jitter: [1]}}, instances: {a: {extends: b, jitter_kind: full}}}",
			[]string{"base.b.jitter: want text, got a list"},
		},
		"factor of the wrong type": {
			"{backoff: constant, backoff_factor: [1]}", []string{"backoff_factor: want a number, got a list"}},
		"base that is not there": {
			"{jitter: false, instances: {a: {extends: b, jitter_kind: full}}}",
			[]string{`instances.a.extends: no base has the name "b"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inDir(t, map[string]string{"app.yaml": "resilience: {retry: " + tt.yaml + "}"})
			tree, err := config.Load(config.File("app.yaml"))
			var want []string
			for _, w := range tt.want {
				want = append(want, "resilience.retry."+w+" (app.yaml:1)")
			}
			wantMistakes(t, tree, err, want...)
		})
	}
}

// Who switches something off during an incident, by a variable or another file, need not look for what belongs to it.
func TestLaterSourceMaySwitchOffWhatAnEarlierOneConfigures(t *testing.T) {
	inDir(t, map[string]string{
		"app.yaml": `
resilience:
  circuit_breaker: {slow_call_duration: 1s, slow_call_rate_threshold: 0.5, sliding_window_seconds: 30}
  retry:
    jitter_kind: full
    instances:
      a: {jitter_kind: equal}
      b: {jitter: true, jitter_kind: equal}
  adaptive_bulkhead: {increase_amount: 2}
  idempotency: {cache_entries: 10, cache_ttl: 1m}
redis: {check_timeout: 1s}
`,
		"off.yaml": "resilience: {circuit_breaker: {sliding_window_calls: 100}}\nredis: {check_on_start: off}",
	})
	load(t, config.File("app.yaml"), config.File("off.yaml"), config.Env([]string{
		"STEADY_RESILIENCE__CIRCUIT_BREAKER__SLOW_CALL_DURATION=0",
		"STEADY_RESILIENCE__RETRY__JITTER=false",
		"STEADY_RESILIENCE__RETRY__INSTANCES__B__JITTER=false",
		"STEADY_RESILIENCE__ADAPTIVE_BULKHEAD__ALGORITHM=vegas",
	}), config.Values(map[string]any{"resilience": map[string]any{"idempotency": map[string]any{"cache_entries": 0}}}))
}

// And who sets something during an incident must know that it does nothing.
func TestLaterSourceMayNotConfigureWhatIsSwitchedOff(t *testing.T) {
	inDir(t, map[string]string{
		"app.yaml": `
resilience:
  circuit_breaker: {sliding_window_calls: 100}
  retry: {jitter: false, instances: {a: {max_attempts: 2}}}
`,
	})
	tree, err := config.Load(config.File("app.yaml"), config.Env([]string{
		"STEADY_RESILIENCE__CIRCUIT_BREAKER__SLIDING_WINDOW_SECONDS=30",
		"STEADY_RESILIENCE__RETRY__INSTANCES__A__JITTER_KIND=full",
	}), config.Values(map[string]any{"resilience": map[string]any{"retry": map[string]any{"jitter_kind": "equal"}}}))
	wantMistakes(t, tree, err,
		"resilience.circuit_breaker.sliding_window_seconds: has no effect while sliding_window_calls is 100 (app.yaml): "+
			"change that or leave this out (env STEADY_RESILIENCE__CIRCUIT_BREAKER__SLIDING_WINDOW_SECONDS)",
		"resilience.retry.jitter_kind: has no effect while jitter is false (app.yaml): "+
			"change that or leave this out (explicit value)",
		"resilience.retry.instances.a.jitter_kind: has no effect while jitter is false (app.yaml): "+
			"change that or leave this out (env STEADY_RESILIENCE__RETRY__INSTANCES__A__JITTER_KIND)",
	)
}

// The same value given once more is as late as its last source.
func TestKeyIsAsLateAsItsLastSource(t *testing.T) {
	app := config.Content("app.yaml", []byte("resilience: {retry: {jitter_kind: full}}"))
	off := config.Content("off.yaml", []byte("resilience: {retry: {jitter: false}}"))
	load(t, app, off)
	_, err := config.Load(app, off, app)
	wantMistakes(t, nil, err, "resilience.retry.jitter_kind: has no effect while jitter is false (off.yaml): "+
		"change that or leave this out (app.yaml:1)")
}

func TestUnreadableSourceMayHoldWhatSwitchesAKeyOn(t *testing.T) {
	inDir(t, map[string]string{"app.yaml": "resilience: {idempotency: {cache_ttl: 60}}"})
	_, err := config.Load(config.File("app.yaml"), config.File("absent.yaml"))
	if err == nil || strings.Contains(err.Error(), "cache_ttl") {
		t.Errorf("got %v", err)
	}
}
