package services

import (
	"context"
	"errors"
	"syscall"
)

// ErrNotInstalled is matched by errors that mean: a server's program is not on this machine. The message says what to
// install.
var ErrNotInstalled = errors.New("not installed")

// kind is what differs between servers.
type kind struct {
	name     string
	variable string         // of the environment, with the URL of one that runs
	example  string         // of such a URL
	port     string         // that clients assume
	quit     syscall.Signal // ends it quickly and leaves nothing behind; data need not survive

	// prepare fills a new folder and returns how to run the server with it at an address of this machine.
	prepare func(ctx context.Context, folder, addr string) (command, error)
	ping    func(ctx context.Context, url string) error
	cleanUp func(folder string) // what a killed server left outside of its folder; may be nil
}

func ping(ctx context.Context, k kind, url string) error {
	ctx, cancel := context.WithTimeout(ctx, pingLimit)
	defer cancel()
	return k.ping(ctx, url)
}

// command is how to run a server.
type command struct {
	url     string
	program string
	args    []string
	as      *account // nil: the account of this program
}
