package hooks

import (
	"context"
	"sync"
)

// DefaultQueue is the length of a subscription's queue where none is given.
const DefaultQueue = 1024

// Subscription is a listener off the caller's path: a bounded queue, emptied in order by one goroutine that exists
// only while there is something in it.
type Subscription struct {
	bus    *Bus
	fn     func(Event)
	remove func()

	mu       sync.Mutex
	queue    []Event // a ring
	head, n  int
	dropped  uint64
	stopped  bool
	draining bool
	idle     chan struct{} // closed when the drainer is done; made by the first who waits
}

// Subscribe runs fn for every event of type E, or for every event if E is [Event], off the path of the call that
// caused it: one at a time, in order, from a queue of the given length (0 or less: [DefaultQueue]). An event that
// finds the queue full is dropped and counted; the call that caused it never waits. [Bus.Close] waits for what is
// queued. On a closed bus nothing is delivered.
func Subscribe[E Event](b *Bus, queue int, fn func(e E)) *Subscription {
	if b == nil {
		b = new(Bus) // on which nobody can emit
	}
	if queue <= 0 {
		queue = DefaultQueue
	}
	s := &Subscription{bus: b, queue: make([]Event, queue), fn: func(e Event) { fn(e.(E)) }}
	b.add(s) // first, so that whatever it is given is seen by Close and Stats
	s.remove = On(b, func(_ context.Context, e E) { s.push(e) })
	return s
}

func (s *Subscription) push(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped || s.n == len(s.queue) {
		s.dropped++
		return
	}
	s.queue[(s.head+s.n)%len(s.queue)] = e
	s.n++
	if !s.draining {
		s.draining = true
		go s.drain()
	}
}

func (s *Subscription) pop() (Event, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n == 0 {
		s.draining = false
		if s.idle != nil {
			close(s.idle)
			s.idle = nil
		}
		return nil, false
	}
	e := s.queue[s.head]
	s.queue[s.head] = nil
	s.head = (s.head + 1) % len(s.queue)
	s.n--
	return e, true
}

func (s *Subscription) drain() {
	empty := false
	defer func() {
		if !empty { // the listener ended this goroutine with runtime.Goexit
			go s.drain()
		}
	}()
	l := &listener{call: func(_ context.Context, e Event) { s.fn(e) }}
	for {
		e, ok := s.pop()
		if !ok {
			empty = true
			return
		}
		s.bus.deliver(context.Background(), l, e)
	}
}

func (s *Subscription) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
}

// drained waits until the queue is empty and its last event handled. If ctx ends first, it drops what is queued.
func (s *Subscription) drained(ctx context.Context) error {
	s.mu.Lock()
	if !s.draining {
		s.mu.Unlock()
		return nil
	}
	if s.idle == nil {
		s.idle = make(chan struct{})
	}
	idle := s.idle
	s.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		s.dropped += uint64(s.n)
		clear(s.queue)
		s.n = 0
		return ctx.Err()
	}
}

// Close removes the subscription from its bus and waits like [Bus.Close] for what is queued. It must not be called
// from the subscription's own function.
func (s *Subscription) Close(ctx context.Context) error {
	s.remove()
	s.stop()
	defer s.bus.forget(s) // last, so that a Bus.Close meanwhile waits too
	return s.drained(ctx)
}

// Queued returns the number of events that wait.
func (s *Subscription) Queued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

// Dropped returns the number of events that found the queue full or closed, or that a Close left unhandled.
func (s *Subscription) Dropped() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped
}
