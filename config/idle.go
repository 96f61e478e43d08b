package config

import (
	"encoding"
	"fmt"
	"reflect"

	"github.com/steadyfx/steady/patterns/bulkhead"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/patterns/retry"
)

// idle is a rule: some keys have no effect on a configuration because of what another one says.
type idle[C any] struct {
	keys []string
	by   string
	when func(C) bool
}

func idleInCircuitBreakers() []idle[circuitbreaker.Config] {
	return []idle[circuitbreaker.Config]{
		{[]string{"slow_call_rate_threshold"}, "slow_call_duration",
			func(c circuitbreaker.Config) bool { return c.SlowCallDuration == 0 }},
		{[]string{"max_recovery_timeout"}, "recovery_backoff_factor",
			func(c circuitbreaker.Config) bool { return c.RecoveryBackoffFactor == 1 }},
		{[]string{"sliding_window_seconds"}, "sliding_window_calls",
			func(c circuitbreaker.Config) bool { return c.SlidingWindowCalls > 0 }},
	}
}

func idleInRetries() []idle[retry.Config] {
	return []idle[retry.Config]{
		{[]string{"jitter_kind"}, "jitter", func(c retry.Config) bool { return c.Jitter == retry.NoJitter }},
		{[]string{"backoff_factor"}, "backoff", func(c retry.Config) bool {
			return c.Backoff == retry.Constant || c.Backoff == retry.Linear || c.Backoff == retry.Fibonacci
		}},
		{[]string{"backoff_factor"}, "jitter_kind", func(c retry.Config) bool {
			return c.Jitter != retry.NoJitter && (c.JitterKind == retry.DecorrelatedJitter || c.JitterKind == retry.SmoothJitter)
		}},
	}
}

func idleInBulkheads() []idle[bulkhead.Config] {
	return []idle[bulkhead.Config]{
		{[]string{"timeout"}, "queue_size", func(c bulkhead.Config) bool { return c.QueueSize == 0 }},
	}
}

func idleInAdaptiveBulkheads() []idle[bulkhead.AdaptiveConfig] {
	return []idle[bulkhead.AdaptiveConfig]{
		{[]string{"timeout"}, "queue_size", func(c bulkhead.AdaptiveConfig) bool { return c.QueueSize == 0 }},
		{[]string{"increase_amount", "decrease_factor", "increase_threshold", "decrease_threshold"}, "algorithm",
			func(c bulkhead.AdaptiveConfig) bool {
				return c.Algorithm == bulkhead.Gradient2 || c.Algorithm == bulkhead.Vegas
			}},
	}
}

func idleInIdempotency() []idle[idempotency.Config] {
	return []idle[idempotency.Config]{
		{[]string{"cache_ttl"}, "cache_entries", func(c idempotency.Config) bool { return c.CacheEntries == 0 }},
	}
}

func idleInRedis() []idle[Redis] {
	return []idle[Redis]{
		{[]string{"check_timeout"}, "check_on_start", func(r Redis) bool { return r.CheckOnStart == CheckOff }},
	}
}

func idleInPostgres() []idle[Postgres] {
	return []idle[Postgres]{
		{[]string{"check_timeout"}, "check_on_start", func(p Postgres) bool { return p.CheckOnStart == CheckOff }},
	}
}

// reportIdle reports keys that have an effect neither where they are given nor in what inherits them. A key that a later
// source switches off may stay: whoever does that in a hurry need not look for what belongs to it.
func reportIdle[C any](d *decoder, levels []*level[C], rules []idle[C]) {
	if d.partial {
		return
	}
	for _, rule := range rules {
		for _, key := range rule.keys {
			inUse := map[*level[C]]bool{}
			for _, l := range levels {
				if giver := l.giver(key); giver != nil && !idles(d, l, rule, key) {
					inUse[giver] = true
				}
			}
			for _, l := range levels {
				if l.giver(key) == l && !inUse[l] {
					d.add(l.at.child(key), idleBecause(d, l, rule.by), nil)
				}
			}
		}
	}
}

// giver returns the level that a level has the value of a key from, nil for the default.
func (l *level[C]) giver(key string) *level[C] {
	for l != nil {
		if _, set := l.table[key]; set {
			return l
		}
		l = l.parent
	}
	return nil
}

// idles reports whether a rule leaves a key without effect on a level, which has it from somewhere. A zero says nothing
// that could have one, and of what has been reported already the value is not known.
func idles[C any](d *decoder, l *level[C], rule idle[C], key string) bool {
	if !rule.when(l.config) || field(l.config, key).IsZero() || d.failed[l.giver(key).at.child(key)] {
		return false
	}
	if by := l.giver(rule.by); by != nil && d.failed[by.at.child(rule.by)] || d.failed[l.at.child("extends")] {
		return false
	}
	given, _ := d.origin(l.at.child(key))
	by, _ := d.origin(l.at.child(rule.by)) // a default is not later than the first source
	return by.layer <= given.layer
}

func idleBecause[C any](d *decoder, l *level[C], by string) string {
	source := defaultSource
	if from, ok := d.origin(l.at.child(by)); ok {
		source = from.source
	}
	value := field(l.config, by).Interface()
	if text, ok := value.(encoding.TextMarshaler); ok {
		if b, err := text.MarshalText(); err == nil {
			value = string(b)
		}
	}
	return fmt.Sprintf("has no effect while %s is %v (%s): change that or leave this out", by, value, source)
}

// field returns the value of the field that a key configures.
func field(config any, key string) reflect.Value {
	v := reflect.ValueOf(config)
	for i := range v.NumField() {
		if keyOf(v.Type().Field(i)) == key {
			return v.Field(i)
		}
	}
	return reflect.Value{}
}
