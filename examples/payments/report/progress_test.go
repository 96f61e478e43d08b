package report

import (
	"context"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestProgressElsewhereIsPlainLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		p := NewProgress(&out)
		ctx, cancel := context.WithTimeout(t.Context(), 2*everyElsewhere+1)
		defer cancel()
		p.Say("begins")
		p.Note("circuit %s", "open")
		p.Show(ctx, func() string { return "status" })
		p.Say("ends")
		if got, want := out.String(), "begins\ncircuit open\nstatus\nstatus\nends\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestProgressOnATerminalIsOneLineBelowWhatIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		p := &Progress{out: &out, terminal: true}
		ctx, cancel := context.WithTimeout(t.Context(), everyOnTerminal+1)
		defer cancel()
		n := 0
		go func() {
			time.Sleep(everyOnTerminal)
			synctest.Wait()
			p.Note("shown by the status")
			p.Say("said")
		}()
		p.Show(ctx, func() string { n++; return "status" })
		status := cutLine + "status" + wrapLine
		want := clearLine + status + clearLine + "said\n" + status + clearLine
		if got := out.String(); got != want || n != 1 {
			t.Errorf("got %q after %d, want %q", got, n, want)
		}
	})
}

func TestFileIsNoTerminal(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if NewProgress(file).terminal {
		t.Error("a file was taken for a terminal")
	}
}
