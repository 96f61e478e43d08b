package ratelimit

import (
	"container/list"
	"context"
	"time"

	"github.com/steadyfx/steady/patterns"
)

// entry is a place in the queue of a limiter: a call that waits, or a reservation, for which nobody does.
type entry struct {
	cost    int64
	due     int64         // of a SlidingCounter: when it will be served; guarded by the mutex of the limiter
	granted bool          // guarded by the mutex of the limiter
	turn    chan struct{} // says that there is news; nil for a reservation
	place   *list.Element
}

// enqueue puts an entry at the end of q.
func enqueue(q *list.List, cost int64, waits bool) *entry {
	e := &entry{cost: cost}
	if waits {
		e.turn = make(chan struct{}, 1)
	}
	e.place = q.PushBack(e)
	return e
}

// grant takes e out of q because it has got what it waited for.
func (e *entry) grant(q *list.List) {
	q.Remove(e.place)
	e.granted = true
	e.call()
}

func (e *entry) call() {
	select {
	case e.turn <- struct{}{}:
	default: // it has been called already, or nobody waits
	}
}

// leader returns the first entry of q that somebody waits for, or nil. It alone sets a timer; when that is over it
// serves all whose time has come, and the next one leads.
func leader(q *list.List) *entry {
	for at := q.Front(); at != nil; at = at.Next() {
		if e := at.Value.(*entry); e.turn != nil {
			return e
		}
	}
	return nil
}

// callLeader lets the leader find out that it is one, or that its time has changed.
func callLeader(q *list.List) {
	if e := leader(q); e != nil {
		e.call()
	}
}

// queue is a limiter that a call can wait for.
type queue interface {
	// look serves all whose time has come. If that was not e, and e leads, after is the time until it should look
	// again; 0 means when it is called.
	look(e *entry) (granted bool, after time.Duration)

	// leave takes e out of the queue, unless its time has come before.
	leave(e *entry) (granted bool)
}

// wait returns when e has got what it waits for, or has left because ctx ended.
func wait(ctx context.Context, q queue, e *entry) (granted bool) {
	var timer *time.Timer
	for {
		granted, after := q.look(e)
		if granted {
			return true
		}
		var expired <-chan time.Time
		if after > 0 {
			if timer == nil {
				timer = time.NewTimer(after)
				defer timer.Stop()
			} else {
				timer.Reset(after)
			}
			expired = timer.C
		}
		select {
		case <-expired:
		case <-e.turn:
		case <-ctx.Done():
			return q.leave(e)
		}
	}
}

// budget returns how long a call may wait: at most maxWait, and not until the deadline of ctx. If there is neither bound,
// ctx says whether it may wait at all.
func budget(ctx context.Context, maxWait time.Duration) time.Duration {
	deadline, ok := ctx.Deadline()
	switch {
	case ok:
		return min(maxWait, time.Until(deadline)-1)
	case maxWait == longest && patterns.BoundedWaits(ctx):
		return 0
	default:
		return maxWait
	}
}
