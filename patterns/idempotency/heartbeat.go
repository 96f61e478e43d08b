package idempotency

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// heartbeat extends the claim of an execution at every third of its lease. Between two beats it is a timer and no
// goroutine.
type heartbeat struct {
	of    *execution
	lease time.Duration

	// Of the beats, which come one at a time.
	expires time.Time // the lease lasts at least until then
	failure error     // of the last beat

	mu        sync.Mutex
	timer     *time.Timer
	interrupt context.CancelFunc // ends the call of the store of the beat that runs
	stopped   bool
	ended     bool // no beat follows
	lossTold  bool
	over      chan struct{} // closed after the last beat, if stop waits for it
}

// start lets the heart beat until stop. A claim that was asked for at that time has lasted for its lease since. If the
// store says that the claim is lost, or does nothing but fail until the lease is over, the function's context is
// cancelled, the loss is published, and no beat follows: in the second case nobody may have taken the claim over, but
// from then on anybody can.
func (h *heartbeat) start(of *execution, asked time.Time) {
	h.of, h.lease = of, of.guard.cfg.Lease
	h.expires = asked.Add(h.lease)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.timer = time.AfterFunc(time.Until(asked.Add(h.lease/3)), h.beat)
}

// stop ends the heartbeat and reports whether it has published that the claim is lost. When stop returns, no beat is
// running or will run.
func (h *heartbeat) stop() (lossTold bool) {
	h.mu.Lock()
	h.stopped = true
	if !h.timer.Stop() && !h.ended {
		h.over = make(chan struct{})
	}
	if h.interrupt != nil {
		h.interrupt()
	}
	over, lossTold := h.over, h.lossTold
	h.mu.Unlock()
	if over != nil {
		<-over
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
	ctx, cancel := context.WithTimeout(context.WithoutCancel(h.of.parent), limit)
	defer cancel()
	if !h.interruptible(cancel) {
		return
	}
	switch err := h.of.extend(ctx); {
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

// interruptible lets stop end a beat by cancel, unless it was called already.
func (h *heartbeat) interruptible(cancel context.CancelFunc) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.interrupt = cancel
	return !h.stopped
}

func (h *heartbeat) rearm(next time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case next > 0 && !h.stopped:
		h.timer.Reset(next)
	case h.over != nil:
		close(h.over)
	default:
		h.ended = true
	}
}

// lose tells of the loss, unless the call is over: then its last write to the store finds out.
func (h *heartbeat) lose(cause error) {
	h.mu.Lock()
	h.lossTold = !h.stopped
	tell := h.lossTold
	h.mu.Unlock()
	if tell {
		h.of.cancel(cause)
		h.of.publishClaimLost(false)
	}
}
