package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/steadyfx/steady/examples/payments/report"
	"github.com/steadyfx/steady/examples/payments/service"
)

const crashDelay = 500 * time.Millisecond // before a killed replica is started again

// fleet is the service as several processes that share a store.
type fleet struct {
	setups   []setup
	journals []string
	folder   string
	tell     func(happening)
	stderr   io.Writer
	progress *report.Progress
	turn     atomic.Uint64
	kills    atomic.Int64

	mu       sync.Mutex
	replicas []*replica
}

// startFleet starts n replicas. The caller stops the fleet, also after an error.
func startFleet(
	ctx context.Context, n int, s setup, tell func(happening), stderr io.Writer, progress *report.Progress,
) (f *fleet, err error) {
	f = &fleet{tell: tell, stderr: zapcore.Lock(zapcore.AddSync(stderr)), progress: progress}
	if f.folder, err = os.MkdirTemp("", "payments-"); err != nil {
		return f, err
	}
	for i := range n {
		journal := filepath.Join(f.folder, fmt.Sprintf("journal-%d", i+1))
		f.journals = append(f.journals, journal)
		f.setups = append(f.setups, s.with("payments", map[string]any{"journal": journal}))
		r, err := startReplica(ctx, f.setups[i], tell, f.stderr)
		if err != nil {
			return f, err
		}
		f.replicas = append(f.replicas, r)
	}
	return f, nil
}

// url returns that of each replica in turn, also of one that is dead.
func (f *fleet) url() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.replicas[f.turn.Add(1)%uint64(len(f.replicas))].url
}

// crashes kills each replica once in the given time, and starts it again.
func (f *fleet) crashes(ctx context.Context, total time.Duration) error {
	every := total / time.Duration(len(f.setups)+1)
	for i := range f.setups {
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return nil
		}
		if err := f.crash(ctx, i, crashDelay); err != nil {
			return err
		}
	}
	return nil
}

// crash kills a replica, and starts it again after a while, or at once if ctx ends before.
func (f *fleet) crash(ctx context.Context, i int, delay time.Duration) error {
	f.mu.Lock()
	victim := f.replicas[i]
	f.mu.Unlock()
	if err := victim.kill(); err != nil {
		return err
	}
	f.kills.Add(1)
	f.progress.Say("killed process %d of the service; it is started again in %v", victim.pid(), delay)
	select {
	case <-time.After(delay):
	case <-ctx.Done():
	}
	next, err := startReplica(context.WithoutCancel(ctx), f.setups[i], f.tell, f.stderr)
	if err != nil {
		return fmt.Errorf("after the kill: %w", err)
	}
	f.mu.Lock()
	f.replicas[i] = next
	f.mu.Unlock()
	f.progress.Say("the service is back, process %d", next.pid())
	return nil
}

// entries returns the payments that the replicas have accepted.
func (f *fleet) entries() ([]service.Entry, error) {
	ledger, err := service.ReadLedger(f.journals...)
	if err != nil {
		return nil, err
	}
	return ledger.Entries(), nil
}

func (f *fleet) stop() error {
	var errs []error
	for _, r := range f.replicas {
		errs = append(errs, r.stop())
	}
	return errors.Join(append(errs, os.RemoveAll(f.folder))...)
}
