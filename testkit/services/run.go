package services

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// stopLimit bounds the wait for a process to end.
const stopLimit = 10 * time.Second

// run is one life of a process.
type run struct {
	cmd  *exec.Cmd
	log  tail
	done chan struct{} // closed when the process and all that it forked are gone
	err  error         // of the process; to be read after done
}

// launch starts a command in a folder and in a process group of its own, where no signal of a terminal reaches it.
func launch(folder string, c command) (*run, error) {
	attr, err := attributes(c.as)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(c.program, c.args...)
	cmd.Dir = folder
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"} // no PGOPTIONS of the user, and messages in English
	cmd.SysProcAttr = attr
	cmd.WaitDelay = stopLimit / 2
	r := &run{cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &r.log, &r.log // a pipe, so that Wait also waits for the children, who hold its other end
	started := make(chan error)
	go func() {
		// The kernel ends the process when the thread that started it ends. This one lasts as long as the process.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			r.err = cmd.Wait()
			close(r.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return r, nil
}

// runToEnd runs a command until it has ended with success.
func runToEnd(ctx context.Context, folder string, c command) error {
	r, err := launch(folder, c)
	if err != nil {
		return err
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		if err := r.kill(); err != nil {
			return err
		}
		return ctx.Err()
	}
	if r.err != nil {
		return fmt.Errorf("%w\n%s", r.err, r.log.String())
	}
	return nil
}

func (r *run) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// kill ends the process and all that it forked, without their consent, and waits until they are gone.
func (r *run) kill() error {
	if r.ended() {
		return nil
	}
	if err := killTree(r.cmd.Process); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return r.wait()
}

// quit asks the process to end, and kills it if it does not.
func (r *run) quit(sig syscall.Signal) error {
	if r.ended() {
		return nil
	}
	if resume(r.cmd.Process) == nil && r.cmd.Process.Signal(sig) == nil && r.wait() == nil {
		return nil
	}
	return r.kill()
}

func (r *run) wait() error {
	limit := time.NewTimer(stopLimit)
	defer limit.Stop()
	select {
	case <-r.done:
		return nil
	case <-limit.C:
		return fmt.Errorf("process %d is still there after %v", r.cmd.Process.Pid, stopLimit)
	}
}
