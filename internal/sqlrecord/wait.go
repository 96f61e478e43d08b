package sqlrecord

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Pauses between attempts.
const (
	firstPause   = time.Millisecond
	longestPause = 32 * time.Millisecond
)

// Pause waits before another attempt, the longer the more there were, or returns the error of ctx.
func Pause(ctx context.Context, attempts int) error {
	longest := min(firstPause<<min(attempts, 10), longestPause)
	pause := time.NewTimer(firstPause/2 + rand.N(longest))
	defer pause.Stop()
	select {
	case <-pause.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Blame names the context where it is the reason for err: what a driver returns need not say so.
func Blame(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	reason := ctx.Err()
	if reason == nil || errors.Is(err, reason) {
		return err
	}
	return fmt.Errorf("%w: %w", reason, err)
}
