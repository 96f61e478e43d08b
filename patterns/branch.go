package patterns

import (
	"context"
	"sync"
)

// Fork gives an attempt of a policy a place of its own for the value of [Do] or [Wrap]. A policy that runs attempts at
// the same time, or stops waiting for one, forks the context for each of them and calls [Branch.Adopt] for the one
// whose result it returns: the value is then that attempt's, and nothing of the others is ever seen.
//
// Outside of Do and Wrap, and under a [Sequential] policy, there is no value to keep apart: Fork returns ctx as it is
// and a nil Branch, which is ready to use.
func Fork(ctx context.Context) (context.Context, *Branch) {
	parent, ok := ctx.Value(branchKey{}).(*Branch)
	if !ok {
		return ctx, nil
	}
	b := &Branch{root: parent.root, parent: parent, begun: parent.count()}
	return context.WithValue(ctx, branchKey{}, b), b
}

// Branch holds the value of one attempt. It is made by [Fork]. All methods are safe for concurrent use, also on nil.
type Branch struct {
	root   *Branch // of the call; its own in the root
	parent *Branch // nil in the root
	begun  int     // successes of the parent at the fork

	mu        sync.Mutex
	successes int // that counted
	value     any // of the last of them
}

// Adopt makes the value of the attempt that of the attempt or call which it is part of. It belongs after the attempt
// has succeeded and before the policy's Execute returns. A second call does nothing.
func (b *Branch) Adopt() {
	if b == nil {
		return
	}
	if value, ok := b.result(); ok {
		b.parent.put(b.begun, value)
	}
}

type branchKey struct{}

// newRoot returns the branch of a whole call, and its context.
func newRoot(ctx context.Context) (context.Context, *Branch) {
	b := &Branch{}
	b.root = b
	return context.WithValue(ctx, branchKey{}, b), b
}

// of returns the branch in ctx, or b if ctx has none of the same call: a policy need not pass its context on.
func (b *Branch) of(ctx context.Context) *Branch {
	if found, ok := ctx.Value(branchKey{}).(*Branch); ok && found.root == b.root {
		return found
	}
	return b
}

// count returns how many successes have counted.
func (b *Branch) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.successes
}

// put keeps value if as many successes have counted as before its attempt. If there are more, another attempt that
// overlapped was first. If an attempt was made after a success, that one did not do, and this one takes its place.
func (b *Branch) put(before int, value any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.successes == before {
		b.successes++
		b.value = value
	}
}

// result returns the value, if there is one.
func (b *Branch) result() (value any, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.value, b.successes > 0
}
