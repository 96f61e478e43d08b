package circuitbreaker

import (
	"context"

	"github.com/steadyfx/steady/hooks"
)

// announcement is an event that waits for the lock to be released.
type announcement struct {
	ctx   context.Context
	event hooks.Event
}

// announce queues an event. The caller holds the lock and calls deliver after it has released it.
func (b *Breaker) announce(ctx context.Context, event hooks.Event) {
	if b.bus.Wanted(event) {
		b.pending = append(b.pending, announcement{ctx, event})
	}
}

// deliver emits what is queued, in order and without the lock. While one goroutine delivers, others leave their events
// to it.
func (b *Breaker) deliver() {
	for {
		a, ok := b.nextAnnouncement()
		if !ok {
			return
		}
		b.emit(a)
	}
}

func (b *Breaker) emit(a announcement) {
	returned := false
	defer func() {
		b.mu.Lock()
		b.announcing = false
		b.mu.Unlock()
		if !returned { // a listener has ended this goroutine with runtime.Goexit: nobody else would deliver the rest
			b.deliver()
		}
	}()
	hooks.Emit(a.ctx, b.bus, a.event)
	returned = true
}

func (b *Breaker) nextAnnouncement() (announcement, bool) {
	if b.bus == nil {
		return announcement{}, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.announcing || len(b.pending) == 0 {
		return announcement{}, false
	}
	a := b.pending[0]
	b.pending = b.pending[1:]
	if len(b.pending) == 0 {
		b.pending = nil // let go of the array and the contexts in it
	}
	b.announcing = true
	return a, true
}
