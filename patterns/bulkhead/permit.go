package bulkhead

import (
	"context"
	"sync/atomic"
)

// Permit stands for slots that are held outside of Execute.
type Permit struct {
	from  atomic.Pointer[Bulkhead] // nil once released
	slots uint64
}

// Acquire takes a slot like [Bulkhead.Execute] and leaves it to the caller to release it, by all means with defer. The
// error is a [*RejectedError].
func (b *Bulkhead) Acquire(ctx context.Context) (*Permit, error) { return b.AcquireN(ctx, 1) }

// AcquireN takes n slots at once, or none, for a call that weighs as much as n. In the queue it has one place, and
// nobody overtakes it, even if there are slots enough for who waits behind it. It is rejected at once if n is less than
// 1 or more than the slots there are, free or not.
func (b *Bulkhead) AcquireN(ctx context.Context, n int) (*Permit, error) {
	if err := b.acquire(ctx, n); err != nil {
		return nil, err
	}
	return b.permit(n), nil
}

// TryAcquire takes a slot if one is free at once and nobody waits. A caller that tries in vain is not counted as
// rejected and causes no event.
func (b *Bulkhead) TryAcquire() (*Permit, bool) { return b.TryAcquireN(1) }

// TryAcquireN is TryAcquire for n slots, all of them or none.
func (b *Bulkhead) TryAcquireN(n int) (*Permit, bool) {
	if n < 1 || !b.slots.take(uint64(n)) {
		return nil, false
	}
	return b.permit(n), true
}

func (b *Bulkhead) permit(n int) *Permit {
	p := &Permit{slots: uint64(n)}
	p.from.Store(b)
	return p
}

// Release gives the slots back. Only the first call counts, so it may be called more than once and from several
// goroutines.
func (p *Permit) Release() {
	if b := p.from.Swap(nil); b != nil {
		b.slots.release(p.slots)
	}
}
