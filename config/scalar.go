package config

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// setScalar sets out to a value as [cleaner] leaves it, or returns what is wrong and leaves out as it is.
func setScalar(out reflect.Value, value any, secret bool) (problem string) {
	if text, ok := out.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return setText(text, value, secret)
	}
	want, ok := setKind(out, value)
	if ok {
		return ""
	}
	got := describe(value, secret)
	if _, isText := value.(string); out.Kind() == reflect.String && !isText {
		got += "; put it in quotes"
	}
	return "want " + want + ", got " + got
}

func setText(out encoding.TextUnmarshaler, value any, secret bool) (problem string) {
	var text string
	switch v := value.(type) {
	case string:
		text = v
	case float64:
		text = strconv.FormatFloat(v, 'g', -1, 64)
	case bool, int64, uint64, time.Duration:
		text = fmt.Sprint(v)
	default:
		return "want text, got " + describe(value, secret)
	}
	if err := out.UnmarshalText([]byte(text)); err != nil {
		if secret {
			return "is not valid"
		}
		return err.Error()
	}
	return ""
}

// setKind sets out if its kind of value is what value is. What it wants is text for a message.
func setKind(out reflect.Value, value any) (want string, ok bool) {
	switch {
	case out.Type() == durationType:
		d, ok := asDuration(value)
		if ok {
			out.SetInt(int64(d))
		}
		return `a duration such as "1.5s", or seconds as a number`, ok
	case out.Kind() == reflect.Bool:
		b, ok := asBool(value)
		if ok {
			out.SetBool(b)
		}
		return "true or false", ok
	case out.CanInt():
		n, ok := asInt(value)
		if ok = ok && !out.OverflowInt(n); ok {
			out.SetInt(n)
		}
		return wantInt(out.Type().Bits()), ok
	case out.CanUint():
		n, ok := asUint(value)
		if ok = ok && !out.OverflowUint(n); ok {
			out.SetUint(n)
		}
		return fmt.Sprintf("an integer from 0 to %d", uint64(math.MaxUint64)>>(64-out.Type().Bits())), ok
	case out.CanFloat():
		f, ok := asFloat(value)
		if ok = ok && !out.OverflowFloat(f); ok {
			out.SetFloat(f)
		}
		return "a number", ok
	}
	s, ok := value.(string)
	if ok {
		out.SetString(s)
	}
	return "text", ok
}

func wantInt(bits int) string {
	if bits == 64 {
		return "an integer"
	}
	return fmt.Sprintf("an integer from %d to %d", int64(-1)<<(bits-1), int64(1)<<(bits-1)-1)
}

func asBool(value any) (bool, bool) {
	switch v := value.(type) {
	case bool:
		return v, true
	case string:
		b, err := strconv.ParseBool(v)
		return b, err == nil
	}
	return false, false
}

func asInt(value any) (int64, bool) {
	switch v := value.(type) {
	case int64:
		return v, true
	case float64: // JSON has no other numbers
		return int64(v), isExact(v)
	case string:
		n, err := strconv.ParseInt(v, 10, 64)
		return n, err == nil
	}
	return 0, false
}

func asUint(value any) (uint64, bool) {
	switch v := value.(type) {
	case int64:
		return uint64(v), v >= 0
	case uint64:
		return v, true
	case float64:
		return uint64(v), v >= 0 && isExact(v)
	case string:
		n, err := strconv.ParseUint(v, 10, 64)
		return n, err == nil
	}
	return 0, false
}

// isExact reports whether f is an integer that no rounding has touched.
func isExact(f float64) bool { return f == math.Trunc(f) && math.Abs(f) <= 1<<53 }

func asFloat(value any) (float64, bool) {
	switch v := value.(type) {
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	case float64:
		return v, isFinite(v)
	case string:
		f, err := strconv.ParseFloat(v, 64)
		return f, err == nil && isFinite(f)
	}
	return 0, false
}

func isFinite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

// asDuration reads numbers, also as text, as seconds, rounded to nanoseconds.
func asDuration(value any) (time.Duration, bool) {
	switch v := value.(type) {
	case time.Duration:
		return v, true
	case string:
		if d, err := time.ParseDuration(v); err == nil {
			return d, true
		}
	}
	seconds, ok := asFloat(value)
	ns := math.Round(seconds * float64(time.Second))
	return time.Duration(ns), ok && math.Abs(ns) < math.MaxInt64
}

// asList reads text as items that are separated by commas.
func asList(value any) ([]any, bool) {
	switch v := value.(type) {
	case []any:
		return v, true
	case string:
		if strings.TrimSpace(v) == "" {
			return nil, true
		}
		var items []any
		for item := range strings.SplitSeq(v, ",") {
			items = append(items, strings.TrimSpace(item))
		}
		return items, true
	}
	return nil, false
}

// describe returns what a message says of a value: of one that may be a secret only of which kind it is.
func describe(value any, secret bool) string {
	switch v := value.(type) {
	case nil:
		return "nothing"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	case string:
		if secret {
			return "text"
		}
		return strconv.Quote(v)
	case bool:
		if secret {
			return "true or false"
		}
		return strconv.FormatBool(v)
	default:
		if secret {
			return "a number"
		}
		return fmt.Sprint(v)
	}
}
