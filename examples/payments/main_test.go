package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain makes the test binary the program, where a test starts it as a replica.
func TestMain(m *testing.M) {
	if slices.Equal(os.Args[1:], []string{replicaRole}) {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	goleak.VerifyTestMain(m)
}

// do runs the program.
func do(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, err strings.Builder
	code = run(ctx, args, strings.NewReader(""), &out, &err)
	return code, out.String(), err.String()
}

// eventually waits until ok, which must become true while the run goes on.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	limit := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-again.C:
		case <-limit:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func TestRunEndsWithTheTableAndAVerdict(t *testing.T) {
	code, stdout, stderr := do(t.Context(), "-duration", "4s", "-seed", "7")
	if code != exitOK {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	for _, want := range []string{
		"seed 7", "keys in memory", `circuit breaker "provider": open`, "payments accepted", "charges at the provider",
		"latency p99", "PASS: ",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("want %q in\n%s", want, stdout)
		}
	}
}

func TestConfigurationDecidesOnTheStoreUnlessAFlagDoes(t *testing.T) {
	t.Setenv("STEADY_RESILIENCE__IDEMPOTENCY__BACKEND", "redis")
	for flag, want := range map[string]string{"": "redis", "memory": "memory"} {
		_, stdout, _ := do(t.Context(), "-store", flag, "-duration", "1ns")
		if !strings.Contains(stdout, "idempotency keys in "+want) {
			t.Errorf("-store %q: want keys in %s, got\n%s", flag, want, stdout)
		}
	}
}

func TestRunThatProvesNothingFails(t *testing.T) {
	code, stdout, _ := do(t.Context(), "-duration", "1ns")
	if code != exitFail || !strings.Contains(stdout, "FAIL: this run proves nothing") {
		t.Errorf("exit %d\n%s", code, stdout)
	}
}

func TestInterruptedRunEndsWithTheTable(t *testing.T) {
	ctx, interrupt := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer interrupt()
	code, stdout, stderr := do(ctx, "-duration", "1h")
	if code == exitUsage || !strings.Contains(stdout, "payments accepted") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
}

func TestEveryMistakeInTheConfigurationIsPrinted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bad.yaml")
	content := `
payments:
  listen: 0.0.0.0:80
  currencis: [EUR]
resilience:
  retry: {max_attempts: 0, base_delay: soon}
  circuit_braker: {}
`
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := do(t.Context(), "-config", file)
	if code != exitUsage || stdout != "" {
		t.Errorf("exit %d, %q", code, stdout)
	}
	lines := strings.Split(strings.TrimSpace(stderr), "\n")[1:] // after the heading
	for _, want := range []string{
		"payments.listen: ", "payments.currencis: ", "resilience.retry.max_attempts: ", "resilience.retry.base_delay: ",
		"resilience.circuit_braker: ",
	} {
		found := 0
		for _, line := range lines {
			if strings.HasPrefix(line, want) && strings.Contains(line, file) {
				found++
			}
		}
		if found != 1 {
			t.Errorf("%d lines about %s", found, want)
		}
	}
	if len(lines) != 5 {
		t.Errorf("%d mistakes, want 5:\n%s", len(lines), stderr)
	}
}

func TestWrongUse(t *testing.T) {
	for _, test := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"unknown store", []string{"-store", "mongo"}, exitUsage, `unknown store "mongo"; choose one of: memory, sqlite, redis, postgres, mysql`},
		{"unknown flag", []string{"-stor", "redis"}, exitUsage, "-stor"},
		{"argument", []string{"redis"}, exitUsage, `unexpected argument "redis"`},
		{"no time", []string{"-duration", "0s"}, exitUsage, "must be positive"},
		{"missing file", []string{"-config", "/does/not/exist.yaml"}, exitUsage, "/does/not/exist.yaml"},
		{"replicas without a store", []string{"-replicas", "1", "-store", "memory"}, exitUsage, "choose another store"},
		{"too many replicas", []string{"-replicas", "10", "-store", "sqlite"}, exitUsage, "0 to 9 replicas, got 10"},
		{"help", []string{"-h"}, exitOK, "-store"},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, stdout, stderr := do(t.Context(), test.args...)
			if code != test.code || stdout != "" || !strings.Contains(stderr, test.want) {
				t.Errorf("exit %d, stdout %q, stderr %q; want %d and %q", code, stdout, stderr, test.code, test.want)
			}
		})
	}
}
