package sqlitestore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/sqlitestore"
)

// asProcess makes the test binary a process that claims and completes keys of the file that it names, and tells of each
// that it has completed, until it is killed.
const asProcess = "STEADY_SQLITESTORE_AS_PROCESS"

func storeResults(path string) error {
	ctx := context.Background()
	s, err := sqlitestore.NewIdempotency(sqlitestore.Config{Path: path})
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		key := strconv.Itoa(i)
		c, err := s.Claim(ctx, idempotency.ClaimRequest{Key: key, Lease: long, Retention: long})
		if err != nil {
			return err
		}
		if c.Outcome != idempotency.Acquired {
			continue
		}
		if err := s.Complete(ctx, key, c.Token, []byte("process "+key), long); err != nil {
			return err
		}
		fmt.Println(key)
	}
}

// start starts such a process. Its lines end when it is killed.
func start(t *testing.T, path string) (lines *bufio.Scanner, kill func()) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), asProcess+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill() //nolint:errcheck // it is over, unless the test has failed
		var killed *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &killed) {
			t.Errorf("the process ended with %v", err)
		}
	})
	return bufio.NewScanner(out), func() {
		t.Helper()
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestResultsSurviveTheDeathOfTheirProcess(t *testing.T) {
	path := newPath(t)
	for range 3 {
		lines, kill := start(t, path)
		stored := map[string]bool{}
		for lines.Scan() {
			stored[lines.Text()] = true
			if len(stored) == 20 {
				kill() // in the midst of the next
			}
		}
		if len(stored) < 20 {
			t.Fatalf("the process said %v", stored)
		}
		s := open(t, path)
		for key := range stored {
			c := claim(t, s, idempotency.ClaimRequest{Key: key, Lease: long})
			if c.Outcome != idempotency.Done || string(c.Value) != "process "+key {
				t.Errorf("%s: got %v with %q", key, c.Outcome, c.Value)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestProcessesShareAFile(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	ours := map[string]bool{}
	try := func(key string) {
		t.Helper()
		c := claim(t, s, idempotency.ClaimRequest{Key: key, Lease: long})
		if c.Outcome != idempotency.Acquired {
			return
		}
		ours[key] = true
		if err := s.Complete(t.Context(), key, c.Token, []byte("ours"), long); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	const from, to = 60, 90
	try(strconv.Itoa(from))

	// Both go through the same keys, we from well ahead.
	lines, kill := start(t, path)
	theirs := map[string]bool{}
	if !lines.Scan() {
		t.Fatal("the process said nothing")
	}
	theirs[lines.Text()] = true
	for i := from; i < to; i++ {
		try(strconv.Itoa(i))
	}
	for lines.Scan() {
		key := lines.Text()
		if theirs[key] = true; key == strconv.Itoa(to) {
			kill()
		}
	}
	for i := range to {
		key := strconv.Itoa(i)
		if ours[key] == theirs[key] {
			t.Errorf("%s: acquired by us: %v, by the other process: %v; want one of us", key, ours[key], theirs[key])
		}
		value, found, err := s.Get(t.Context(), key)
		if err != nil || !found || strings.HasPrefix(string(value), "process") != theirs[key] {
			t.Errorf("%s: found %v with %q, error %v, acquired by the other process: %v", key, found, value, err, theirs[key])
		}
	}
}
