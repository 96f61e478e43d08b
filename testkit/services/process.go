package services

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

const (
	startLimit = time.Minute // for a server to answer; PostgreSQL needs seconds for a new folder on a busy machine
	pingLimit  = 5 * time.Second
	pingEvery  = 20 * time.Millisecond
)

// Process is a server that this package started, on a loopback port and in a temporary folder of its own. On Linux it
// ends with the process that started it even if that crashes, and only the folder stays. Its methods must not be called
// at the same time.
type Process struct {
	// URL is what clients connect with: redis://127.0.0.1:PORT/0,
	// postgres://USER:PASSWORD@127.0.0.1:PORT/DATABASE?sslmode=disable or mysql://USER:PASSWORD@127.0.0.1:PORT/DATABASE
	// (see [MySQLDSN]).
	URL string

	kind   kind
	addr   string
	folder string // empty: stopped for good
	server command
	run    *run // nil: killed, or not started yet
}

func start(ctx context.Context, k kind) (*Process, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "steady-services-") // not testing's, which another user could not enter
	if err != nil {
		return nil, fmt.Errorf("services: %w", err)
	}
	p := &Process{kind: k, addr: addr, folder: folder}
	if p.server, err = k.prepare(ctx, folder, addr); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	p.URL = p.server.url
	if err := p.Start(ctx); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}

// Addr returns the server's host and port.
func (p *Process) Addr() string { return p.addr }

// Start starts the server again after [Process.Kill], on the same port and with its data, and returns when it answers,
// or after a minute at most. An error holds the end of the server's log.
func (p *Process) Start(ctx context.Context) error {
	if p.folder == "" {
		return fmt.Errorf("services: the %s was stopped and its data removed: start another one", p.kind.name)
	}
	if p.run != nil && !p.run.ended() {
		return fmt.Errorf("services: the %s already runs", p.kind.name)
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	r, err := launch(p.folder, p.server)
	if err != nil {
		return fmt.Errorf("services: %s did not start: %w", p.kind.name, err)
	}
	if err := p.awaitAnswer(ctx, r); err != nil {
		err = fmt.Errorf("services: %s did not start: %w\n%s", p.kind.name, err, r.log.String())
		return errors.Join(err, r.kill())
	}
	p.run = r
	return nil
}

func (p *Process) awaitAnswer(ctx context.Context, r *run) error {
	again := time.NewTicker(pingEvery)
	defer again.Stop()
	for {
		err := ping(ctx, p.kind, p.server.url)
		if r.ended() { // whoever answered, it was not ours
			return fmt.Errorf("it ended, %v", r.cmd.ProcessState)
		}
		if err == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-r.done:
		case <-ctx.Done():
			return fmt.Errorf("it does not answer: %w (last: %w)", ctx.Err(), err)
		}
	}
}

// Kill ends the server and all its processes as a crash would, without a chance to write or to say goodbye, and
// returns when they are gone. What it acknowledged before is there after [Process.Start].
func (p *Process) Kill() error {
	if err := p.running(); err != nil {
		return err
	}
	if err := p.run.kill(); err != nil {
		return fmt.Errorf("services: %s cannot be killed: %w", p.kind.name, err)
	}
	p.run = nil
	return nil
}

// Pause stops the server and all its processes from running. Connections stay open and new ones are still accepted
// by the system, but nothing answers until [Process.Resume]. If the present program crashes meanwhile, processes of
// PostgreSQL stay behind.
func (p *Process) Pause() error {
	if err := p.running(); err != nil {
		return err
	}
	if err := suspend(p.run.cmd.Process); err != nil {
		return fmt.Errorf("services: %s cannot be paused: %w", p.kind.name, err)
	}
	return nil
}

// Resume undoes [Process.Pause]. On a server that is not paused it does nothing.
func (p *Process) Resume() error {
	if err := p.running(); err != nil {
		return err
	}
	if err := resume(p.run.cmd.Process); err != nil {
		return fmt.Errorf("services: %s cannot be resumed: %w", p.kind.name, err)
	}
	return nil
}

func (p *Process) running() error {
	if p.run == nil {
		return fmt.Errorf("services: the %s does not run", p.kind.name)
	}
	if p.run.ended() {
		return fmt.Errorf("services: the %s ended by itself, %v\n%s",
			p.kind.name, p.run.cmd.ProcessState, p.run.log.String())
	}
	return nil
}

// Stop ends the server, whatever state it is in, and removes its data. It may be called more than once.
func (p *Process) Stop() error {
	if p.folder == "" {
		return nil
	}
	var err error
	if p.run != nil {
		err = p.run.quit(p.kind.quit)
	}
	if p.kind.cleanUp != nil {
		p.kind.cleanUp(p.folder)
	}
	err = errors.Join(err, os.RemoveAll(p.folder))
	p.run, p.folder = nil, ""
	if err != nil {
		return fmt.Errorf("services: %s cannot be stopped: %w", p.kind.name, err)
	}
	return nil
}
