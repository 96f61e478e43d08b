package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// message is an order to be shipped.
type message struct {
	ID     string
	Order  string
	number int
}

// queue delivers like the queues of message brokers: what is not acknowledged comes again, and now and then what is
// acknowledged does, too.
type queue struct {
	messages   []message
	deliveries atomic.Int64
}

const (
	atOnce      = 4 // messages
	maxAttempts = 50
	pause       = 20 * time.Millisecond // before a message comes again
)

func newQueue(n int) *queue {
	q := &queue{}
	for i := range n {
		q.messages = append(q.messages, message{ID: fmt.Sprintf("msg-%d", i), Order: fmt.Sprintf("order-%d", i), number: i})
	}
	return q
}

// deliver hands every message to two consumers at the same time and, when both have acknowledged it, to a third.
func (q *queue) deliver(ctx context.Context, handle func(context.Context, message) error) error {
	var (
		delivering sync.WaitGroup
		mu         sync.Mutex
		failed     []error
	)
	slots := make(chan struct{}, atOnce)
	for _, m := range q.messages {
		slots <- struct{}{}
		delivering.Go(func() {
			defer func() { <-slots }()
			first, second := make(chan error, 1), make(chan error, 1)
			go func() { first <- q.untilAcknowledged(ctx, m, handle) }()
			go func() { second <- q.untilAcknowledged(ctx, m, handle) }()
			err := errors.Join(<-first, <-second)
			if err == nil {
				err = q.untilAcknowledged(ctx, m, handle)
			}
			mu.Lock()
			defer mu.Unlock()
			failed = append(failed, err)
		})
	}
	delivering.Wait()
	return errors.Join(failed...)
}

// untilAcknowledged delivers m again and again until handle returns no error, and gives up after many attempts.
func (q *queue) untilAcknowledged(
	ctx context.Context, m message, handle func(context.Context, message) error,
) (err error) {
	for range maxAttempts {
		q.deliveries.Add(1)
		if err = handle(ctx, m); err == nil {
			return nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return fmt.Errorf("message %s is not acknowledged: %w", m.ID, err)
}
