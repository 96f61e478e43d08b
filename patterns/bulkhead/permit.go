package bulkhead

import (
	"context"
	"sync/atomic"
)

// Permit is a slot that is held outside of Execute.
type Permit struct {
	from atomic.Pointer[Bulkhead] // nil once released
}

// Acquire takes a slot like [Bulkhead.Execute] and leaves it to the caller to release it, by all means with defer. The
// error is a [*RejectedError].
func (b *Bulkhead) Acquire(ctx context.Context) (*Permit, error) {
	if err := b.acquire(ctx); err != nil {
		return nil, err
	}
	return b.permit(), nil
}

// TryAcquire takes a slot if one is free at once and nobody waits for it. A caller that tries in vain is not counted
// as rejected and causes no event.
func (b *Bulkhead) TryAcquire() (*Permit, bool) {
	if !b.slots.take() {
		return nil, false
	}
	return b.permit(), true
}

func (b *Bulkhead) permit() *Permit {
	p := new(Permit)
	p.from.Store(b)
	return p
}

// Release gives the slot back. Only the first call counts, so it may be called more than once and from several
// goroutines.
func (p *Permit) Release() {
	if b := p.from.Swap(nil); b != nil {
		b.slots.release()
	}
}
