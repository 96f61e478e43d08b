package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/steadyfx/steady/config"
	"github.com/steadyfx/steady/examples/payments/report"
	"github.com/steadyfx/steady/testkit/services"
)

const (
	lookLimit    = 500 * time.Millisecond
	restartDelay = 3 * time.Second // long enough to see what the service does without Redis
)

// provideRedis sees to it that there is a Redis at the configured address: the one that is there or, where nobody
// listens, one of its own, whose address it puts into the section. The returned function stops that one.
func provideRedis(ctx context.Context, section *config.Redis, progress *report.Progress) (stop func() error, err error) {
	configured := strings.Join(section.Addrs, ", ")
	if anyoneListens(ctx, section.Addrs) {
		progress.Say("using the Redis at %s", configured)
		return func() error { return nil }, nil
	}
	process, err := services.StartRedis(ctx)
	if err != nil {
		return nil, fmt.Errorf("nobody listens at redis.addrs (%s), and none could be started there: %w", configured, err)
	}
	progress.Say("nobody listens at %s: started a Redis at %s, process %d; kill it to see what happens",
		configured, process.Addr(), process.PID())
	*section = config.DefaultRedis()
	section.Addrs = []string{process.Addr()}

	supervised, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var supervisor sync.WaitGroup
	supervisor.Go(func() { supervise(supervised, process, restartDelay, progress) })
	return func() error {
		cancel()
		supervisor.Wait()
		return process.Stop()
	}, nil
}

func anyoneListens(ctx context.Context, addrs []string) bool {
	dialer := net.Dialer{Timeout: lookLimit}
	for _, addr := range addrs {
		if conn, err := dialer.DialContext(ctx, "tcp", addr); err == nil {
			_ = conn.Close() // nothing was sent
			return true
		}
	}
	return false
}

// supervise starts the process again some time after it has ended, on the same port and with its data, until ctx ends.
func supervise(ctx context.Context, process *services.Process, delay time.Duration, progress *report.Progress) {
	for {
		select {
		case <-process.Ended():
		case <-ctx.Done():
			return
		}
		progress.Say("Redis is gone; it is started again in %v", delay)
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return
		}
		switch err := process.Start(ctx); {
		case ctx.Err() != nil:
			return
		case err != nil:
			progress.Say("Redis stays away: %v", err)
			return
		}
		progress.Say("Redis is back, process %d", process.PID())
	}
}
