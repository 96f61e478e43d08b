package services

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// begin starts a server of a kind for the test.
func begin(t *testing.T, k kind) *Process {
	t.Helper()
	t.Setenv(k.variable, "")
	return serve(t, k).process
}

func TestStopEndsEvenAPausedServerAndRemovesItsFolder(t *testing.T) {
	for _, s := range each {
		t.Run(s.kind.name, func(t *testing.T) {
			begin(t, s.kind) // or skip
			p, err := s.start(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			folder := p.folder
			if err := errors.Join(p.Pause(), p.Stop()); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s: %v, want it gone", folder, err)
			}
			l, err := net.Listen("tcp", p.Addr())
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMisuseOfAProcessIsAnError(t *testing.T) {
	p := begin(t, redisKind)
	check := func(what string, err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", what, err, want)
		}
	}
	check("second start", p.Start(t.Context()), "already runs")
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	check("second kill", p.Kill(), "does not run")
	check("pause of a killed server", p.Pause(), "does not run")
	check("resume of a killed server", p.Resume(), "does not run")
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(); err != nil {
		t.Errorf("second stop: %v", err)
	}
	check("start after stop", p.Start(t.Context()), "stopped")
}

func TestServerThatEndedByItselfIsReportedAndCanBeStarted(t *testing.T) {
	for _, s := range each {
		t.Run(s.kind.name, func(t *testing.T) {
			p := begin(t, s.kind)
			if err := p.run.cmd.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			<-p.run.done
			err := p.Kill()
			if err == nil || !strings.Contains(err.Error(), "ended by itself, signal: killed") {
				t.Errorf("kill: %v, want that it ended by itself, and how", err)
			}
			if err := p.Start(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFailedStartShowsTheLog(t *testing.T) {
	for _, s := range each {
		t.Run(s.kind.name, func(t *testing.T) {
			p := begin(t, s.kind)
			if err := p.Kill(); err != nil {
				t.Fatal(err)
			}
			taken, err := net.Listen("tcp", p.Addr())
			if err != nil {
				t.Fatal(err)
			}
			go func() { // until the listener is closed
				for {
					c, err := taken.Accept()
					if err != nil {
						return
					}
					c.Close()
				}
			}()
			err = p.Start(t.Context())
			if err == nil || !strings.Contains(err.Error(), "Address already in use") {
				t.Errorf("start on a port that is taken: %v, want the server's log", err)
			}
			if err := taken.Close(); err != nil {
				t.Fatal(err)
			}
			if err := p.Start(t.Context()); err != nil {
				t.Errorf("start on the port when it is free: %v", err)
			}
		})
	}
}

func TestPostgresProgramsOfOneVersionAreFound(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	versions := t.TempDir()
	install := func(version string, programs ...string) string {
		folder := filepath.Join(versions, version, "bin")
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, program := range programs {
			if err := os.WriteFile(filepath.Join(folder, program), nil, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		return folder
	}
	if _, err := postgresPrograms(versions); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("nothing installed: %v, want %v", err, ErrNotInstalled)
	}
	install("16", "psql") // the client alone
	if _, err := postgresPrograms(versions); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("only a client installed: %v, want %v", err, ErrNotInstalled)
	}
	install("9.6", "initdb", "postgres")
	install("9", "initdb", "postgres")
	newest := install("15", "initdb", "postgres")
	if got, err := postgresPrograms(versions); err != nil || got != newest {
		t.Errorf("got %s, %v; want %s", got, err, newest)
	}
	onPath := install("14", "initdb", "postgres")
	t.Setenv("PATH", onPath)
	if got, err := postgresPrograms(versions); err != nil || got != onPath {
		t.Errorf("got %s, %v; want that of PATH, %s", got, err, onPath)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var log tail
	for range 3 {
		if _, err := log.Write([]byte(strings.Repeat("a", tailSize-1))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := log.Write([]byte("the end")); err != nil {
		t.Fatal(err)
	}
	got := log.String()
	if len(got) != tailSize || !strings.HasSuffix(got, "athe end") {
		t.Errorf("%d bytes that end in %q, want %d with what was written last", len(got), got[len(got)-10:], tailSize)
	}
}
