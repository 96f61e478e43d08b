package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"strings"
	"time"

	"go.uber.org/fx"

	"github.com/steadyfx/steady/examples/payments/service"
	"github.com/steadyfx/steady/hooks"
)

// replicaRole is the argument that makes this program a replica: the service alone, as the setup on its standard input
// says, until that ends. A replica writes the line "ready" with its URL, and then what happens, one line each.
const replicaRole = "replica"

const ready = "ready "

// beReplica is a replica. The interrupt of a terminal reaches it too, and is left to who started it.
func beReplica(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) error {
	ctx = context.WithoutCancel(ctx)
	var s setup
	input := json.NewDecoder(stdin)
	if err := input.Decode(&s); err != nil {
		return fmt.Errorf("setup of the replica: %w", err)
	}
	c, err := s.load()
	if err != nil {
		return err
	}
	var server *service.Server
	lines := log.New(stdout, "", 0)
	app := newApp(c, stderr, fx.Populate(&server),
		fx.Invoke(func(bus *hooks.Bus) { listen(bus, func(h happening) { lines.Println(h) }) }))
	stop, err := start(ctx, app)
	if err != nil {
		return err
	}
	lines.Println(ready + server.URL())
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, io.MultiReader(input.Buffered(), stdin)) // to its end, whatever that is
		close(ended)
	}()
	select {
	case <-ended:
		return stop()
	case signal := <-app.Wait():
		return errors.Join(fmt.Errorf("the service ended by itself with code %d", signal.ExitCode), stop())
	}
}

// start starts an application, and returns what stops it.
func start(ctx context.Context, app *fx.App) (stop func() error, err error) {
	starting, cancel := context.WithTimeout(ctx, app.StartTimeout())
	defer cancel()
	if err := app.Start(starting); err != nil {
		return nil, err
	}
	return func() error {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), app.StopTimeout())
		defer cancel()
		return app.Stop(stopping)
	}, nil
}

// replica is a process of the service.
type replica struct {
	url   string
	cmd   *exec.Cmd
	input io.Closer
	ended chan struct{} // closed when the process is gone
	err   error         // how it ended
}

// startReplica starts one, and returns when it is ready.
func startReplica(ctx context.Context, s setup, tell func(happening), stderr io.Writer) (*replica, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	r := &replica{ended: make(chan struct{})}
	r.cmd = exec.CommandContext(context.WithoutCancel(ctx), program, replicaRole)
	r.cmd.Stderr = stderr
	input, err := r.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	r.input = input
	output, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	err = json.NewEncoder(input).Encode(s)
	lines := bufio.NewScanner(output)
	if err == nil && lines.Scan() {
		r.url = strings.TrimPrefix(lines.Text(), ready)
	}
	go func() {
		for lines.Scan() {
			tell(happening(lines.Text()))
		}
		r.err = r.cmd.Wait()
		close(r.ended)
	}()
	if r.url == "" {
		return nil, errors.Join(errors.New("the replica did not start"), err, r.stop())
	}
	return r, nil
}

func (r *replica) pid() int { return r.cmd.Process.Pid }

// kill ends the process at once, as kill -9 does.
func (r *replica) kill() error {
	err := r.cmd.Process.Kill()
	<-r.ended
	return err
}

const stopLimit = 20 * time.Second

// stop lets the process end in order.
func (r *replica) stop() error {
	_ = r.input.Close() // of a process that is gone it is closed
	select {
	case <-r.ended:
		return r.err
	case <-time.After(stopLimit):
		return errors.Join(errors.New("the replica did not end in time"), r.kill())
	}
}
