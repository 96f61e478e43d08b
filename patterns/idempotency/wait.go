package idempotency

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/steadyfx/steady/patterns"
)

// Between two looks at a key that a call in another process holds, a call that waits pauses for about firstPause, then
// for twice that, and so on up to maxPause.
const (
	firstPause = 20 * time.Millisecond
	maxPause   = 500 * time.Millisecond
)

// await waits until nobody else holds the key, or until the deadline: then the claim is still InProgress. If the wait
// ended early with the caller, or the store does not answer, the error says so. A store that is not available is asked
// again: that somebody is acting is known.
func (g *Guard) await(
	ctx, caller context.Context, req ClaimRequest, tx Transaction, deadline time.Time, held Claim,
) (asked time.Time, claim Claim, err error) {
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		// First listen, then look: nobody can give the key back between the two without being heard.
		settled, leave := g.waiting.enter(req.Key)
		asked = time.Now()
		claim, err = g.claim(ctx, req, tx, deadline)
		_, unavailable := errors.AsType[*BackendError](err)
		left := time.Until(deadline)
		switch {
		case err != nil && !unavailable:
			leave()
			return asked, Claim{}, err
		case err == nil && claim.Outcome != InProgress:
			leave()
			return asked, claim, nil
		case err == nil:
			held = claim
		}
		if left <= 0 {
			leave()
			return asked, held, err
		}
		next := time.NewTimer(min(left, max(held.RetryAfter, minLease), jitter(pause)))
		select {
		case <-settled:
			pause = firstPause / 2 // whoever acts next is worth a fresh look
		case <-next.C:
		case <-caller.Done():
		}
		next.Stop()
		leave()
		if caller.Err() != nil {
			return asked, held, patterns.Ended(caller)
		}
	}
}

// jitter returns d or up to half of it less, so that those who wait do not all look at once.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

// waitingRoom lets calls of one guard tell each other that a key is free or its result is there. The zero value is
// empty.
type waitingRoom struct {
	guests atomic.Int64 // asked before the lock, so that calls for which nobody waits do not take it

	mu   sync.Mutex
	keys map[string]*waiters
}

// waiters are the calls that wait for a key to be settled next.
type waiters struct {
	guests  int
	settled chan struct{}
}

// enter returns a channel that is closed when a call that held the key has settled it, and what to call when nobody
// listens to that any more.
func (w *waitingRoom) enter(key string) (settled <-chan struct{}, leave func()) {
	w.guests.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	same := w.keys[key]
	if same == nil {
		same = &waiters{settled: make(chan struct{})}
		if w.keys == nil {
			w.keys = map[string]*waiters{}
		}
		w.keys[key] = same
	}
	same.guests++
	return same.settled, func() { w.leave(key, same) }
}

func (w *waitingRoom) leave(key string, same *waiters) {
	w.guests.Add(-1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if same.guests--; same.guests == 0 && w.keys[key] == same {
		delete(w.keys, key)
	}
}

// settle wakes all who wait for the key.
func (w *waitingRoom) settle(key string) {
	if w.guests.Load() == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if same := w.keys[key]; same != nil {
		close(same.settled)
		delete(w.keys, key)
	}
}
