package sqlrecord

import (
	"context"
	"errors"
	"sync/atomic"
)

// ErrClosed is returned by [Lazy.Get] after [Lazy.Close].
var ErrClosed = errors.New("the store is closed")

// Lazy is a value that is made when it is first needed. Use [NewLazy].
type Lazy[T any] struct {
	open  func(context.Context) (*T, error)
	value atomic.Pointer[T]
	turn  chan struct{} // holds a token unless somebody makes the value; closed: nobody may
}

// NewLazy returns a value that open makes. Where open fails, the next to need the value calls it again; no two calls run
// at the same time.
func NewLazy[T any](open func(context.Context) (*T, error)) *Lazy[T] {
	l := &Lazy[T]{open: open, turn: make(chan struct{}, 1)}
	l.turn <- struct{}{}
	return l
}

// Get returns the value, which it makes within ctx if need be.
func (l *Lazy[T]) Get(ctx context.Context) (*T, error) {
	if v := l.value.Load(); v != nil {
		return v, nil
	}
	select {
	case _, ok := <-l.turn:
		if !ok {
			return nil, ErrClosed
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { l.turn <- struct{}{} }()
	if v := l.value.Load(); v != nil {
		return v, nil
	}
	v, err := l.open(ctx)
	if err == nil {
		l.value.Store(v)
	}
	return v, err
}

// Forget lets the next to need the value make it again. It is for values that need no closing.
func (l *Lazy[T]) Forget() { l.value.Store(nil) }

// Close returns the value, if it was made, for the caller to close. If it is being made, Close waits. Nobody gets or makes
// it after that.
func (l *Lazy[T]) Close() *T {
	if _, ok := <-l.turn; ok {
		close(l.turn)
	}
	return l.value.Swap(nil)
}
