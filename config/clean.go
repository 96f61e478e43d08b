package config

import (
	"encoding"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"
)

// cleaner brings what parsers and programs make of a configuration to a few types: nil, bool, int64, uint64 (only what
// int64 cannot hold), float64, string, time.Duration, []any and map[string]any. It copies, and records origins.
type cleaner struct {
	source  string
	lines   map[path]int
	origins map[path]origin
	errs    []*Error
}

func (c *cleaner) fail(at path, problem string, args ...any) {
	c.errs = append(c.errs,
		&Error{Path: at.String(), Source: c.source, Line: c.lines[at], Problem: fmt.Sprintf(problem, args...)})
}

func (c *cleaner) clean(value any, at path, depth int) any {
	if depth > maxDepth {
		c.fail(at, "nested deeper than %d levels", maxDepth)
		return nil
	}
	v := reflect.ValueOf(value)
	if at == at.key() {
		c.origins[at] = origin{source: c.source, lines: c.lines, table: value == nil || v.Kind() == reflect.Map}
	}
	if _, ok := value.(time.Duration); ok || value == nil {
		return value
	}
	if v.Kind() == reflect.Map {
		return c.table(v, at, depth)
	}
	if v.Kind() == reflect.Slice || v.Kind() == reflect.Array {
		list := make([]any, v.Len())
		for i := range list {
			list[i] = c.clean(v.Index(i).Interface(), at.item(i), depth+1)
		}
		return list
	}
	scalar, ok := cleanScalar(value, v)
	if !ok {
		c.fail(at, "a %T is not for configuration files; dates and times go in quotes", value)
	}
	return scalar
}

func (c *cleaner) table(v reflect.Value, at path, depth int) any {
	if v.Type().Key().Kind() != reflect.String {
		c.fail(at, "the keys must be text, got a %v", v.Type())
		return nil
	}
	values := make(map[string]any, v.Len())
	for key, value := range v.Seq2() {
		values[key.String()] = value.Interface()
	}
	cleaned := make(map[string]any, len(values))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if key == "" || strings.ContainsFunc(key, isControl) {
			c.fail(at, "a key must not be empty or hold control characters, got %q", key)
			continue
		}
		cleaned[key] = c.clean(values[key], at.child(key), depth+1)
	}
	return cleaned
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

func cleanScalar(value any, v reflect.Value) (any, bool) {
	// A number or text with a type of its own, such as a retry.Jitter, may have a textual form that a file would use.
	if text, ok := value.(encoding.TextMarshaler); ok && isScalarKind(v.Kind()) {
		b, err := text.MarshalText()
		return string(b), err == nil
	}
	switch {
	case v.Kind() == reflect.Bool:
		return v.Bool(), true
	case v.CanInt():
		return v.Int(), true
	case v.CanUint() && v.Uint() > math.MaxInt64:
		return v.Uint(), true
	case v.CanUint():
		return int64(v.Uint()), true
	case v.CanFloat():
		return v.Float(), true
	case v.Kind() == reflect.String:
		return v.String(), true
	}
	return nil, false
}
