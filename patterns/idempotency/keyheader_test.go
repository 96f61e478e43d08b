package idempotency_test

import (
	"strings"
	"testing"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// quote writes a key as a String of RFC 8941, for which there is one way only.
func quote(key string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key) + `"`
}

func TestKeyHeader(t *testing.T) {
	for _, test := range []struct{ field, key string }{ // "": refused
		{`abc`, `abc`},
		{` abc	`, `abc`},
		{`a b`, `a b`},
		{`a,b`, `a,b`},
		{`a;b=c`, `a;b=c`},
		{`8e03978e-40d5-43dd-bc93-6894a57f9324`, `8e03978e-40d5-43dd-bc93-6894a57f9324`},
		{`"8e03978e-40d5-43dd-bc93-6894a57f9324"`, `8e03978e-40d5-43dd-bc93-6894a57f9324`},
		{` "abc" `, `abc`},
		{`" abc "`, ` abc `},
		{`"a\"b\\c"`, `a"b\c`},
		{`"a,b;c"`, `a,b;c`},
		{`"abc";a`, `abc`},
		{`"abc"; a=1;b=-1.5;*c="x\"y";d=tok/en:x;e=:aGk=:;f=?1`, `abc`},
		{`a"`, `a"`},
		{`'abc'`, `'abc'`},

		{``, ``},
		{` `, ``},
		{`""`, ``},
		{`"`, ``},
		{`"abc`, ``},
		{`"abc\"`, ``},
		{`"abc\`, ``},
		{`"a\bc"`, ``},
		{`"a\u0041"`, ``},
		{`"abc"d`, ``},
		{`"abc" d`, ``},
		{`"abc", "abc"`, ``},
		{`"abc" ;a`, ``},
		{`"abc";`, ``},
		{`"abc";A`, ``},
		{`"abc";a=`, ``},
		{`"abc";a=?2`, ``},
		{`"abc";a="`, ``},
		{`"abc";a=1;;b`, ``},
		{"\"a\tb\"", ``},
		{"a\tb", ``},
		{"a\x00b", ``},
		{"a\x7fb", ``},
		{"\"a\x7fb\"", ``},
		{"é", ``},
		{"\"é\"", ``},
		{"\xff", ``},
		{strings.Repeat("x", 65), ``},
		{quote(strings.Repeat("x", 65)), ``},
		{strings.Repeat("x", 64), strings.Repeat("x", 64)},
		{quote(strings.Repeat(`"`, 64)), strings.Repeat(`"`, 64)},
	} {
		key, err := idempotency.ParseKey([]string{test.field}, 64)
		if key != test.key || (err == nil) != (test.key != "") {
			t.Errorf("%q: got %q and %v, want %q", test.field, key, err, test.key)
		}
	}
}

func TestKeyHeaderOfOtherServers(t *testing.T) {
	for _, parse := range []func([]string, int) (string, error){idempotency.ParseKey, idempotency.ParseStrictKey} {
		key, err := parse(nil, 64)
		wantEqual(t, "none", key, "")
		wantEqual(t, "error", err, nil)
		key, err = parse([]string{`"k"`}, 64)
		wantEqual(t, "one", key, "k")
		wantEqual(t, "error", err, nil)
		for _, lines := range [][]string{{`"k"`, `"k"`}, {""}, {`"secret`}} {
			_, err = parse(lines, 64)
			malformed := errorAs[*idempotency.MalformedKeyError](t, err)
			wantEqual(t, "code", malformed.Code(), idempotency.CodeKeyMalformed)
			if malformed.Problem == "" || strings.Contains(err.Error(), "secret") {
				t.Errorf("error: %v", err)
			}
		}
	}
	_, err := idempotency.ParseStrictKey([]string{"k"}, 64)
	wantError[*idempotency.MalformedKeyError](t, err)
}

func FuzzKeyHeader(f *testing.F) {
	for _, seed := range []string{`abc`, `"abc"`, `"a\"\\b";c=1`, `"`, `\`, "\x00", "é", ` "x" `, `"";a`, `"x";a="\""`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, field string) {
		const limit = 64
		key, err := idempotency.ParseKey([]string{field}, limit)
		if err != nil {
			if key != "" {
				t.Errorf("%q: key %q with error %v", field, key, err)
			}
			return
		}
		strict, err := idempotency.ParseStrictKey([]string{field}, limit)
		if wellFormed := err == nil; wellFormed != strings.HasPrefix(strings.Trim(field, " \t"), `"`) || wellFormed && strict != key {
			t.Errorf("%q: strictly %q, %v", field, strict, err)
		}
		if key == "" || len(key) > limit {
			t.Errorf("%q: key of %d bytes", field, len(key))
		}
		for _, c := range []byte(key) {
			if c < ' ' || c > '~' {
				t.Errorf("%q: key %q is not printable ASCII", field, key)
			}
		}
		if again, err := idempotency.ParseKey([]string{quote(key)}, limit); again != key || err != nil {
			t.Errorf("%q: %q quoted is %q, %v", field, key, again, err)
		}
		trimmed := strings.Trim(field, " \t")
		rest, quoted := strings.CutPrefix(trimmed, quote(key))
		if raw := trimmed == key; raw == quoted || quoted && rest != "" && rest[0] != ';' {
			t.Errorf("%q is neither %q nor the same quoted", field, key)
		}
	})
}
