package retry_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/retry"
)

func TestPresetsAreThoseOfTheReferencesAndValid(t *testing.T) {
	tests := []struct {
		name string
		got  retry.Config
		want retry.Config
	}{
		{"default", retry.DefaultConfig(), retry.Config{
			MaxAttempts: 3, BaseDelay: time.Second, MaxDelay: 60 * time.Second, BackoffFactor: 2, Jitter: 0.25,
		}},
		{"aggressive", retry.Aggressive(), retry.Config{
			MaxAttempts: 5, BaseDelay: 100 * time.Millisecond, MaxDelay: 2 * time.Second, BackoffFactor: 1.5, Jitter: 0.25,
		}},
		{"conservative", retry.Conservative(), retry.Config{
			MaxAttempts: 3, BaseDelay: 2 * time.Second, MaxDelay: 30 * time.Second, BackoffFactor: 2, Jitter: 0.25,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.got != tt.want {
				t.Errorf("got %+v, want %+v", tt.got, tt.want)
			}
			if err := tt.got.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestZeroFieldsTakeTheirDefaults(t *testing.T) {
	if got := mustNew(t, retry.Config{}).Config(); got != retry.DefaultConfig() {
		t.Errorf("zero Config became %+v", got)
	}
	if got := mustNew(t, retry.Config{BaseDelay: time.Hour}).Config().MaxDelay; got != time.Hour {
		t.Errorf("with a base delay of 1h and no maximum, the maximum became %v", got)
	}
	whole := retry.Config{MaxAttempts: 1, BaseDelay: 1, MaxDelay: 2, BackoffFactor: 1, Jitter: 1}
	if got := mustNew(t, whole).Config(); got != whole {
		t.Errorf("%+v was changed to %+v", whole, got)
	}
}

func TestConfigurationMistakesAreReportedTogether(t *testing.T) {
	_, err := retry.New("a\x00b", retry.Config{
		MaxAttempts: -1, BaseDelay: -time.Second, MaxDelay: -time.Minute, BackoffFactor: 0.5, Jitter: 2,
	})
	if !errors.Is(err, patterns.ErrConfiguration) || !errors.Is(err, patterns.ErrResilience) {
		t.Fatalf("errors.Is fails for %v", err)
	}
	if patterns.Code(err) != patterns.CodeResilience {
		t.Errorf("code %q", patterns.Code(err))
	}
	for _, field := range []string{"name", "max_attempts", "base_delay", "max_delay", "backoff_factor", "jitter"} {
		if !strings.Contains(err.Error(), field+": must be ") && !strings.Contains(err.Error(), field+": must not ") {
			t.Errorf("nothing about %s in: %v", field, err)
		}
	}
	if !strings.HasPrefix(err.Error(), `retry "a\x00b": `) {
		t.Errorf("the policy is not named first: %v", err)
	}
}

func TestValidateJudgesEachField(t *testing.T) {
	tests := []struct {
		name   string
		change func(*retry.Config)
		field  string // "" if valid
	}{
		{"one attempt", func(c *retry.Config) { c.MaxAttempts = 1 }, ""},
		{"no attempt", func(c *retry.Config) { c.MaxAttempts = 0 }, "max_attempts"},
		{"no base delay", func(c *retry.Config) { c.BaseDelay = 0 }, "base_delay"},
		{"maximum equal to base", func(c *retry.Config) { c.MaxDelay = c.BaseDelay }, ""},
		{"maximum below base", func(c *retry.Config) { c.MaxDelay = c.BaseDelay - 1 }, "max_delay"},
		{"constant delay", func(c *retry.Config) { c.BackoffFactor = 1 }, ""},
		{"shrinking delay", func(c *retry.Config) { c.BackoffFactor = 0.99 }, "backoff_factor"},
		{"factor not a number", func(c *retry.Config) { c.BackoffFactor = math.NaN() }, "backoff_factor"},
		{"no jitter", func(c *retry.Config) { c.Jitter = retry.NoJitter }, ""},
		{"full jitter", func(c *retry.Config) { c.Jitter = 1 }, ""},
		{"zero jitter", func(c *retry.Config) { c.Jitter = 0 }, "jitter"},
		{"too much jitter", func(c *retry.Config) { c.Jitter = 1.01 }, "jitter"},
		{"negative jitter", func(c *retry.Config) { c.Jitter = -0.5 }, "jitter"},
		{"jitter not a number", func(c *retry.Config) { c.Jitter = retry.Jitter(math.NaN()) }, "jitter"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := retry.DefaultConfig()
			tt.change(&cfg)
			err := cfg.Validate()
			if tt.field == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var field *patterns.FieldError
			if !errors.As(err, &field) || field.Field != tt.field {
				t.Errorf("want a mistake in %s, got %v", tt.field, err)
			}
		})
	}
}

func TestJitterIsReadFromText(t *testing.T) {
	tests := []struct {
		text string
		want retry.Jitter
		ok   bool
	}{
		{"true", retry.DefaultJitter, true},
		{"false", retry.NoJitter, true},
		{"0", retry.NoJitter, true},
		{"0.0", retry.NoJitter, true},
		{"0.5", 0.5, true},
		{"1", 1, true},
		{"1.5", 0, false},
		{"-0.1", 0, false},
		{"-1", 0, false},
		{"NaN", 0, false},
		{"t", 0, false},
		{"", 0, false},
		{"yes", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			var got retry.Jitter
			err := got.UnmarshalText([]byte(tt.text))
			if (err == nil) != tt.ok || got != tt.want {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestJitterKeepsItsMeaningThroughText(t *testing.T) {
	meaning := func(j retry.Jitter) retry.Jitter {
		if j == 0 {
			return retry.DefaultJitter // what the zero value means in a Config
		}
		return j
	}
	rapid.Check(t, func(t *rapid.T) {
		want := retry.Jitter(rapid.OneOf(
			rapid.SampledFrom([]float64{float64(retry.NoJitter), 0, 1}), rapid.Float64Range(0, 1),
		).Draw(t, "jitter"))
		text, err := want.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var got retry.Jitter
		if err := got.UnmarshalText(text); err != nil {
			t.Fatal(err)
		}
		if meaning(got) != meaning(want) {
			t.Fatalf("%v was written as %q and read as %v", float64(want), text, float64(got))
		}
	})
}
