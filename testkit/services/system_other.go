//go:build !unix

package services

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
)

var errSystem = fmt.Errorf("starting servers on %s: %w", runtime.GOOS, errors.ErrUnsupported)

func attributes(*account) (*syscall.SysProcAttr, error) { return nil, errSystem }

func suspend(*os.Process) error { return errSystem }

func resume(*os.Process) error { return errSystem }

func killTree(*os.Process) error { return errSystem }
