package hooks

import (
	"context"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Bus carries events from those who cause them to those who listen. The zero value is ready, a nil *Bus carries
// nothing, and all methods and functions of a Bus are safe for concurrent use. A Bus must not be copied.
type Bus struct {
	listeners [kinds]atomic.Pointer[[]*listener]

	mu            sync.Mutex // guards changes of listeners, and subscriptions
	subscriptions []*Subscription
	closed        bool
	dropped       uint64 // by subscriptions that are gone

	panics atomic.Uint64
}

type listener struct{ call func(context.Context, Event) }

// On runs fn in line for every event of type E, a struct and no pointer, or for every event if E is [Event]: on the
// goroutine that caused it, before that goes on, in the order in which the listeners were added. (A circuit breaker
// keeps its transitions in order: one that comes while another goroutine tells of the one before is told by that one.)
// The context is the one of the call that caused the event. The returned function removes fn; it may be called more than once, and from fn. An event that is
// on its way meanwhile can still reach fn.
func On[E Event](b *Bus, fn func(ctx context.Context, e E)) (remove func()) {
	if b == nil {
		return func() {}
	}
	l := &listener{call: func(ctx context.Context, e Event) {
		if e, ok := e.(E); ok {
			fn(ctx, e)
		}
	}}
	b.mu.Lock()
	defer b.mu.Unlock()
	wanted := kindsOf[E]()
	for _, k := range wanted {
		b.setListeners(k, append(b.listenersOf(k), l))
	}
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, k := range wanted {
			b.setListeners(k, slices.DeleteFunc(b.listenersOf(k), func(other *listener) bool { return other == l }))
		}
	}
}

// kindsOf returns the kinds of event that a value of type E can hold.
func kindsOf[E Event]() []kind {
	var zero E
	if Event(zero) != nil {
		return []kind{zero.kind()}
	}
	all := make([]kind, kinds)
	for k := range all {
		all[k] = kind(k)
	}
	return all
}

// listenersOf returns a copy, because emitters read the published slice without a lock.
func (b *Bus) listenersOf(k kind) []*listener {
	if published := b.listeners[k].Load(); published != nil {
		return slices.Clone(*published)
	}
	return nil
}

func (b *Bus) setListeners(k kind, ls []*listener) {
	if len(ls) == 0 {
		b.listeners[k].Store(nil)
		return
	}
	b.listeners[k].Store(&ls)
}

// Wanted reports whether anybody listens to events like e, whose content does not matter. Ask before you make an event
// that is costly to make.
func (b *Bus) Wanted(e Event) bool { return b != nil && b.listeners[e.kind()].Load() != nil }

// Emit hands e to everybody who listens to it. It returns when all listeners of [On] have; it never blocks on those of
// [Subscribe]. Without a listener it costs one load and no allocation. No lock may be held by the caller that a
// listener could want.
func Emit[E Event](ctx context.Context, b *Bus, e E) {
	if b == nil {
		return
	}
	ls := b.listeners[e.kind()].Load()
	if ls == nil {
		return
	}
	event := Event(e) // the one allocation, shared by all
	for _, l := range *ls {
		b.deliver(ctx, l, event)
	}
}

// deliver calls one listener and contains its panic. A runtime.Goexit passes.
func (b *Bus) deliver(ctx context.Context, l *listener, e Event) {
	defer func() {
		value := recover()
		if value == nil {
			return
		}
		b.panics.Add(1)
		if _, nested := e.(ListenerPanicked); !nested { // else a listener of panics that panics would go on for ever
			Emit(ctx, b, ListenerPanicked{Event: e.EventName(), Value: value, Stack: debug.Stack(), At: time.Now()})
		}
	}()
	l.call(ctx, e)
}

// Stats are counts since the bus was made.
type Stats struct {
	Panics  uint64 // calls of listeners that panicked
	Queued  int    // events that wait in the queues of subscriptions now
	Dropped uint64 // events that found the queue of a subscription full or closed, or that a Close left unhandled
}

// Stats returns a snapshot.
func (b *Bus) Stats() Stats {
	if b == nil {
		return Stats{}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Stats{Panics: b.panics.Load(), Dropped: b.dropped}
	for _, sub := range b.subscriptions {
		s.Queued += sub.Queued()
		s.Dropped += sub.Dropped()
	}
	return s
}

// Close stops all subscriptions from taking new events and waits until what is queued has been handled, or until ctx
// ends; then it returns the context's error and what is left is dropped. Listeners of [On] keep working, so that
// the last events of a shutdown are not lost. Close may be called more than once, but not from a subscription's
// function.
func (b *Bus) Close(ctx context.Context) error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	subs := b.currentSubscriptions()
	for _, sub := range subs {
		sub.stop()
	}
	var err error
	for _, sub := range subs {
		if e := sub.drained(ctx); e != nil {
			err = e
		}
	}
	return err
}

func (b *Bus) currentSubscriptions() []*Subscription {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.subscriptions)
}

func (b *Bus) add(s *Subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s.stopped = b.closed
	b.subscriptions = append(b.subscriptions, s)
}

func (b *Bus) forget(s *Subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.subscriptions, s); i >= 0 {
		b.subscriptions = slices.Delete(b.subscriptions, i, i+1)
		b.dropped += s.Dropped()
	}
}
