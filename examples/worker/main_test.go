package main

import (
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEachOrderIsShippedOnceHoweverOftenTheQueueDelivers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "worker.db")
	for _, want := range []string{"shipped 20 orders", "shipped 0 orders"} { // the second run knows what the first has done
		var out strings.Builder
		if err := run(t.Context(), []string{"-file", file, "-messages", "20"}, &out); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); !strings.Contains(got, want) || !strings.Contains(got, "20 messages, delivered ") {
			t.Errorf("want %q in %q", want, got)
		}
	}
}

func TestFileThatCannotBeIsReported(t *testing.T) {
	if err := run(t.Context(), []string{"-file", filepath.Join(t.TempDir(), "none", "worker.db")}, new(strings.Builder)); err == nil {
		t.Error("a file that cannot be was accepted")
	}
}
