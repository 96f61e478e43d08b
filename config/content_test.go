package config_test

import (
	"slices"
	"testing"

	"github.com/steadyfx/steady/config"
)

func TestContentIsAFileThatTheProgramHolds(t *testing.T) {
	tree := load(t,
		config.Content("built-in.yaml", []byte("resilience:\n  retry: {max_attempts: 7}\n")),
		config.Values(map[string]any{"redis": map[string]any{"db": 1}}))
	if got := tree.Resilience.Retry.Default.MaxAttempts; got != 7 {
		t.Errorf("max_attempts = %d, want 7", got)
	}
	if got := tree.Source("resilience.retry.max_attempts"); got != "built-in.yaml" {
		t.Errorf("source = %q, want the name of the content", got)
	}
	tree, err := config.Load(config.Content("built-in.yaml", []byte("redis:\n  db: zero\n")))
	want := []string{`redis.db: want an integer, got "zero" (built-in.yaml:2)`}
	if got := mistakes(t, tree, err); !slices.Equal(got, want) {
		t.Errorf("mistakes = %q, want %q", got, want)
	}
}
