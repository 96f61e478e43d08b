package idempotency

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// heartbeat extends a claim at every third of its lease. Between two beats it is a timer and no goroutine.
type heartbeat struct {
	lease  time.Duration
	extend func(context.Context) error
	lost   func(cause error)

	ctx    context.Context // of the beats: not the caller's to cancel, it ends with stop
	cancel context.CancelFunc

	// Of the beats, which come one at a time.
	expires time.Time // the lease lasts at least until then
	failure error     // of the last beat

	mu       sync.Mutex
	timer    *time.Timer
	stopped  bool
	lossTold bool
	over     chan struct{} // closed after the last beat, unless stop came between two beats
}

// startHeartbeat calls extend until stop. A claim that was asked for at that time has lasted for its lease since. If
// extend says that the claim is lost, or does nothing but fail until the lease is over, lost is called, once, and
// nothing follows: in the second case nobody may have taken the claim over, but from then on anybody can.
func startHeartbeat(
	ctx context.Context, lease time.Duration, asked time.Time, extend func(context.Context) error, lost func(error),
) *heartbeat {
	h := &heartbeat{lease: lease, extend: extend, lost: lost, expires: asked.Add(lease), over: make(chan struct{})}
	h.ctx, h.cancel = context.WithCancel(context.WithoutCancel(ctx))
	h.mu.Lock()
	defer h.mu.Unlock()
	h.timer = time.AfterFunc(time.Until(asked.Add(lease/3)), h.beat)
	return h
}

// stop ends the heartbeat and reports whether it has called lost. When stop returns, no beat is running or will run.
func (h *heartbeat) stop() bool {
	h.mu.Lock()
	h.stopped = true
	betweenBeats := h.timer.Stop()
	lossTold := h.lossTold
	h.mu.Unlock()
	h.cancel()
	if !betweenBeats {
		<-h.over
	}
	return lossTold
}

func (h *heartbeat) beat() {
	var next time.Duration // none
	defer func() { h.rearm(next) }()

	began := time.Now()
	left := h.expires.Sub(began)
	limit := min(h.lease/3, maxStoreTime)
	switch {
	case left > 0:
		limit = min(limit, left)
	case h.failure != nil:
		h.lose(fmt.Errorf("%w: %w", ErrClaimLost, h.failure))
		return
	}
	ctx, cancel := context.WithTimeout(h.ctx, limit)
	defer cancel()
	switch err := h.extend(ctx); {
	case err == nil:
		h.expires, h.failure = began.Add(h.lease), nil
		next = h.lease / 3
	case errors.Is(err, ErrClaimLost):
		h.lose(err)
	default:
		h.failure = err
		next = max(1, min(h.lease/12, time.Until(h.expires)))
	}
}

func (h *heartbeat) rearm(next time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if next > 0 && !h.stopped {
		h.timer.Reset(next)
		return
	}
	close(h.over)
}

// lose tells of the loss, unless the call is over: then its last write to the store finds out.
func (h *heartbeat) lose(cause error) {
	h.mu.Lock()
	h.lossTold = !h.stopped
	tell := h.lossTold
	h.mu.Unlock()
	if tell {
		h.lost(cause)
	}
}
