//go:build unix

package services

import (
	"errors"
	"os"
	"syscall"
)

func attributes(as *account) (*syscall.SysProcAttr, error) {
	a := &syscall.SysProcAttr{Setpgid: true}
	if as != nil {
		a.Credential = &syscall.Credential{Uid: as.user, Gid: as.group}
	}
	endWithParent(a)
	return a, nil
}

// suspend stops a process and all that it forked: itself first, so that nothing is forked unseen.
func suspend(root *os.Process) error {
	if err := root.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for before := -1; ; {
		below, err := descendants(root.Pid)
		if err == nil {
			err = signalAll(below, syscall.SIGSTOP)
		}
		if err != nil || len(below) == before {
			return err
		}
		before = len(below)
	}
}

// resume lets a process and all that it forked run again.
func resume(root *os.Process) error { return signalTree(root, syscall.SIGCONT) }

// killTree ends a process and all that it forked.
func killTree(root *os.Process) error {
	if err := suspend(root); err != nil {
		return err
	}
	return signalTree(root, syscall.SIGKILL)
}

func signalTree(root *os.Process, sig syscall.Signal) error {
	below, err := descendants(root.Pid)
	if err != nil {
		return err
	}
	return errors.Join(signalAll(below, sig), root.Signal(sig))
}

func signalAll(pids []int, sig syscall.Signal) error {
	for _, pid := range pids {
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return os.NewSyscallError("kill", err)
		}
	}
	return nil
}

// descendants returns what a process forked, what that forked, and so on. Process groups do not tell: each process of
// PostgreSQL has its own.
func descendants(root int) ([]int, error) {
	children, err := childrenByParent()
	if err != nil {
		return nil, err
	}
	below := children[root]
	for i := 0; i < len(below); i++ {
		below = append(below, children[below[i]]...)
	}
	return below, nil
}
