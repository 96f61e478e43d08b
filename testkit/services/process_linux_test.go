package services

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// runs reports whether a process does, and is not only waiting for its parent to notice its end.
func runs(t *testing.T, pid int) bool {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z") && !strings.HasPrefix(after, "X")
}

// mustEnd waits for processes to end.
func mustEnd(t *testing.T, pids ...int) {
	t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	limit := time.After(stopLimit)
	for _, pid := range pids {
		for runs(t, pid) {
			select {
			case <-again.C:
			case <-limit:
				t.Fatalf("process %d still runs", pid)
			}
		}
	}
}

func processes(t *testing.T, p *Process) []int {
	t.Helper()
	below, err := descendants(p.run.cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return append(below, p.run.cmd.Process.Pid)
}

func TestStopLeavesNoProcess(t *testing.T) {
	for _, s := range each {
		t.Run(s.kind.name, func(t *testing.T) {
			p := begin(t, s.kind)
			pids := processes(t, p)
			if err := p.Stop(); err != nil {
				t.Fatal(err)
			}
			mustEnd(t, pids...)
		})
	}
}

func TestKillTakesBusyBackendsOfPostgres(t *testing.T) {
	p := begin(t, postgresKind)
	c, err := pgx.Connect(t.Context(), p.URL)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		_, err := c.Exec(context.Background(), "SELECT count(*) FROM generate_series(1, 1e12::bigint)")
		ended <- err
	}()
	backend := int(c.PgConn().PID())
	pids := processes(t, p)
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("the query of a killed server ended without an error")
	}
	<-c.PgConn().CleanupDone()
	mustEnd(t, append(pids, backend)...)
	if err := p.Start(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestCommandThatFailsShowsItsOutput(t *testing.T) {
	err := runToEnd(t.Context(), t.TempDir(), command{program: "/bin/sh", args: []string{"-c", "echo no room; exit 3"}})
	var status *exec.ExitError
	if !errors.As(err, &status) || status.ExitCode() != 3 || !strings.Contains(err.Error(), "no room") {
		t.Errorf("got %v, want exit status 3 and the output", err)
	}
}

func TestCommandEndsWithItsContext(t *testing.T) {
	folder := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	script := "echo $$ > pid; (while :; do :; done); echo not reached" // the loop is a process of its own
	err := runToEnd(ctx, folder, command{program: "/bin/sh", args: []string{"-c", script}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
	var pid int
	if text, err := os.ReadFile(filepath.Join(folder, "pid")); err == nil && len(text) > 0 { // else it had not begun
		if _, err := fmt.Sscan(string(text), &pid); err != nil {
			t.Fatal(err)
		}
		mustEnd(t, pid)
	}
}

func TestKilledPostgresLeavesNoSharedMemory(t *testing.T) {
	p := begin(t, postgresKind)
	lock, err := os.ReadFile(filepath.Join(p.folder, dataFolder, "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	postmaster, _, _ := strings.Cut(string(lock), "\n")
	if !ownsSegment(t, postmaster) {
		t.Fatal("PostgreSQL has no segment: this test sees nothing")
	}
	if err := errors.Join(p.Kill(), p.Stop()); err != nil {
		t.Fatal(err)
	}
	if ownsSegment(t, postmaster) {
		t.Error("its segment is still there")
	}
}

// ownsSegment reports whether a shared memory segment was made by a process.
func ownsSegment(t *testing.T, pid string) bool {
	t.Helper()
	table, err := os.ReadFile("/proc/sysvipc/shm")
	if err != nil {
		t.Fatal(err)
	}
	const creator = 4 // column
	for line := range strings.Lines(string(table)) {
		if columns := strings.Fields(line); columns[creator] == pid {
			return true
		}
	}
	return false
}

func TestServerEndsWithTheProgramThatStartedIt(t *testing.T) {
	begin(t, redisKind) // or skip
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close() // only held open
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	var folder string
	if _, err := fmt.Sscan(line, &pid, &folder); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil { // nobody else is left to do it
			t.Error(err)
		}
	})
	if !runs(t, pid) {
		t.Fatalf("process %d does not run", pid)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var killed *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &killed) {
		t.Fatalf("the program ended with %v", err)
	}
	mustEnd(t, pid)
}

func TestProcessTableWithOddNames(t *testing.T) {
	pid, parent, err := parseStat([]byte("42 (a) R 7 (b) S 41 1 1"))
	if err != nil || pid != 42 || parent != 41 {
		t.Errorf("got %d, %d, %v; want 42, 41", pid, parent, err)
	}
	for _, bad := range []string{"", "42", "42 (a", "x (a) S 1", "42 (a) S x"} {
		if _, _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q was read without an error", bad)
		}
	}
}
