//go:build unix && !linux

package services

import (
	"bufio"
	"bytes"
	"fmt"
	"os/exec"
	"syscall"
)

// endWithParent does nothing: only Linux can do it for every process.
func endWithParent(*syscall.SysProcAttr) {}

func childrenByParent() (map[int][]int, error) {
	table, err := exec.Command("ps", "-A", "-o", "pid=", "-o", "ppid=").Output()
	if err != nil {
		return nil, fmt.Errorf("process table: ps: %w", err)
	}
	children := make(map[int][]int)
	for lines := bufio.NewScanner(bytes.NewReader(table)); lines.Scan(); {
		var pid, parent int
		if _, err := fmt.Sscan(lines.Text(), &pid, &parent); err != nil {
			return nil, fmt.Errorf("process table: ps: %w", err)
		}
		children[parent] = append(children[parent], pid)
	}
	return children, nil
}
