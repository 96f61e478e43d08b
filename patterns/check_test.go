package patterns_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/steadyfx/steady/patterns"
)

func TestChecksReportEveryMistakeAtOnce(t *testing.T) {
	var checks patterns.Checks
	checks.That(true, "fine", "must not be reported")
	checks.That(false, "max_attempts", "must be at least %d, got %d", 1, 0)
	checks.That(false, "jitter", "must be a fraction")
	err := checks.Err(`retry "payments"`)
	if want := "retry \"payments\": max_attempts: must be at least 1, got 0\njitter: must be a fraction"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	var first *patterns.FieldError
	if !errors.As(err, &first) || *first != (patterns.FieldError{Field: "max_attempts", Problem: "must be at least 1, got 0"}) {
		t.Errorf("got %+v", first)
	}
	if !errors.Is(err, patterns.ErrConfiguration) || !errors.Is(err, patterns.ErrResilience) {
		t.Errorf("errors.Is fails for %v", err)
	}
	if errors.Is(err, patterns.ErrRejected) {
		t.Errorf("%v is taken for a rejection", err)
	}
	if code := patterns.Code(err); code != patterns.CodeResilience {
		t.Errorf("code %q", code)
	}
	if got := checks.Err("").Error(); strings.Contains(got, "payments") || !strings.HasPrefix(got, "max_attempts: ") {
		t.Errorf("without an owner: %q", got)
	}
}

func TestChecksWithoutMistakesAreNoError(t *testing.T) {
	var checks patterns.Checks
	checks.That(true, "fine", "must not be reported")
	checks.Name("payments")
	if err := checks.Err("retry"); err != nil {
		t.Error(err)
	}
	if err := checks.Err(""); err != nil {
		t.Error(err)
	}
}

func TestIncludedMistakesKeepTheirFieldsBelowThePath(t *testing.T) {
	var inner patterns.Checks
	inner.That(false, "max_attempts", "must be at least 1")
	inner.That(false, "jitter", "must be a fraction")
	other := errors.New("other")
	tests := []struct {
		name string
		path string
		err  error
		want []string
	}{
		{"nothing", "retry", nil, nil},
		{"fields", "retry", inner.Err(""), []string{"retry.max_attempts: must be at least 1", "retry.jitter: must be a fraction"}},
		{"fields of an owner", "retry", inner.Err(`retry "payments"`),
			[]string{"retry.max_attempts: must be at least 1", "retry.jitter: must be a fraction"}},
		{"no path", "", inner.Err(""), []string{"max_attempts: must be at least 1", "jitter: must be a fraction"}},
		{"fields of an owner, no path", "", inner.Err(`retry "payments"`),
			[]string{`retry "payments": max_attempts: must be at least 1`, "jitter: must be a fraction"}},
		{"several errors, none a field", "retry", fmt.Errorf("%w, then %w", other, other), []string{"other, then other"}},
		{"not a field", "retry", errors.Join(inner.Err(""), other),
			[]string{"retry.max_attempts: must be at least 1", "retry.jitter: must be a fraction", "other"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var checks patterns.Checks
			checks.Include(tt.path, tt.err)
			err := checks.Err("")
			if len(tt.want) == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if got := strings.Split(err.Error(), "\n"); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestNames(t *testing.T) {
	tests := []struct {
		name string
		ok   bool
	}{
		{"payments", true},
		{"orders/eu west (2)", true},
		{"зaкaзы", true},
		{strings.Repeat("x", 128), true},
		{strings.Repeat("x", 129), false},
		{"", false},
		{"a\nb", false},
		{"a\x00", false},
		{"\x1b[31m", false},
		{"a\x7f", false},
		{"a\u0085b", false},  // next line
		{"\u009b31m", false}, // control sequence introducer
	}
	for _, tt := range tests {
		var checks patterns.Checks
		checks.Name(tt.name)
		err := checks.Err("")
		if (err == nil) != tt.ok {
			t.Errorf("%q: got %v", tt.name, err)
		}
		var field *patterns.FieldError
		if err != nil && (!errors.As(err, &field) || field.Field != "name") {
			t.Errorf("%q: the mistake is not in the name: %v", tt.name, err)
		}
	}
}
