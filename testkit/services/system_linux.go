package services

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

func endWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }

// childrenByParent reads the process table, because a small system has no ps.
func childrenByParent() (map[int][]int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	children := make(map[int][]int)
	for _, name := range stats {
		stat, err := os.ReadFile(name)
		if err != nil {
			continue // it ended
		}
		pid, parent, err := parseStat(stat)
		if err != nil {
			return nil, err
		}
		children[parent] = append(children[parent], pid)
	}
	return children, nil
}

// parseStat reads "PID (NAME) STATE PARENT ..." of proc(5). The name can hold spaces and parentheses.
func parseStat(stat []byte) (pid, parent int, err error) {
	head, _, _ := bytes.Cut(stat, []byte(" "))
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0, 0, fmt.Errorf("process table: cannot read %q", stat)
	}
	if pid, err = strconv.Atoi(string(head)); err != nil {
		return 0, 0, fmt.Errorf("process table: %w", err)
	}
	if parent, err = strconv.Atoi(string(fields[1])); err != nil {
		return 0, 0, fmt.Errorf("process table: %w", err)
	}
	return pid, parent, nil
}
