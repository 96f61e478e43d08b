package readme

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/steadyfx/steady/config"
)

// block returns the first code block of the README in a language.
func block(t *testing.T, language string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "```"+language+"\n")
	code, _, closed := strings.Cut(rest, "\n```")
	if !found || !closed {
		t.Fatalf("the README has no block of %s", language)
	}
	return code + "\n"
}

func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestProgramRunsInAModuleOfItsOwn(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	// The requirements of this module are enough for one that uses it.
	module := strings.Replace(read(t, filepath.Join(root, "go.mod")),
		"module github.com/steadyfx/steady", "module example.com/readme", 1)
	module += "\nrequire github.com/steadyfx/steady v0.0.0\n\nreplace github.com/steadyfx/steady => " + root + "\n"
	write(t, dir, "go.mod", module)
	write(t, dir, "go.sum", read(t, filepath.Join(root, "go.sum")))
	write(t, dir, "main.go", block(t, "go"))

	run := exec.CommandContext(t.Context(), "go", "run", "-mod=mod", ".")
	run.Dir = dir
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(read(t, filepath.Join(root, "README.md")), "    "+line) {
			t.Errorf("the README does not show the line %q", line)
		}
	}
	if !strings.Contains(string(out), "duplicate: true") {
		t.Errorf("got %s", out)
	}
}

func TestConfigurationLoads(t *testing.T) {
	tree, err := config.Load(config.File(write(t, t.TempDir(), "app.yaml", block(t, "yaml"))), config.Env([]string{
		"STEADY_RESILIENCE__RETRY__INSTANCES__PROVIDER__MAX_ATTEMPTS=4",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if got := tree.Resilience.Retry.For("provider"); got.MaxAttempts != 4 || got.BaseDelay.Milliseconds() != 200 {
		t.Errorf("got %+v", got)
	}
	if n := len(tree.Resilience.Pipelines["provider"].Steps); n != 5 {
		t.Errorf("the pipeline has %d steps", n)
	}
}
