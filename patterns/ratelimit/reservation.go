package ratelimit

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

// Reservation stands for tokens of a [TokenBucket] that are put aside, for a caller that does the waiting itself. It is
// made by [TokenBucket.Reserve] and safe for concurrent use.
type Reservation struct {
	bucket *TokenBucket
	answer answer
	ended  atomic.Bool
}

// Reserve puts n tokens aside, for use after a delay, whatever MaxWait is. A reservation has a place in the queue like
// a call that waits. If n is less than 1 or more than Burst, the error satisfies
// errors.Is(err, [patterns.ErrConfiguration]); if the delay were more than 70 years, it is a [*LimitedError].
func (b *TokenBucket) Reserve(n int) (*Reservation, error) {
	if err := b.check(n); err != nil {
		return nil, err
	}
	a := b.join(int64(n)*b.interval, longest, false)
	if a.entry == nil && a.delay > 0 {
		return nil, b.limited(context.Background(), a.delay)
	}
	b.allowed.Add(1)
	return &Reservation{bucket: b, answer: a}, nil
}

// Delay returns how long it takes until the tokens may be used. It becomes shorter with time, and when somebody who came
// earlier gives up.
func (r *Reservation) Delay() time.Duration {
	b, e := r.bucket, r.answer.entry
	if e == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if b.settle(now); e.granted || r.ended.Load() {
		return 0
	}
	return b.due(e, now)
}

// Cancel gives the tokens back, for a caller that has not used them: those who come later in the queue move up. That is
// possible until the delay is over. Tokens that were there at once can be given back until somebody else takes some.
// After that, they count as used, since the bucket could have overflowed otherwise. Only the first Cancel does anything.
func (r *Reservation) Cancel() {
	if r.ended.Swap(true) {
		return
	}
	b := r.bucket
	if e := r.answer.entry; e != nil && b.leave(e) || e == nil && !b.giveBack(r.answer) {
		return
	}
	b.denied.Add(1)
	b.allowed.Add(^uint64(0))
}

// giveBack undoes the taking of tokens that were there at once, unless others have taken some since.
func (b *TokenBucket) giveBack(a answer) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.settle(now)
	if b.queue.Len() == 0 {
		return b.full.CompareAndSwap(a.after, a.before)
	}
	if b.full.Load()&math.MaxInt64 != a.after {
		return false
	}
	b.publish(max(a.before, now))
	return true
}
