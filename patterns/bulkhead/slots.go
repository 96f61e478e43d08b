package bulkhead

import (
	"sync"
	"sync/atomic"
)

// slots counts who runs and keeps who waits in line.
//
// The word holds both numbers: waiters in the upper half, slots in use in the lower. While nobody waits it is changed
// by compare-and-swap alone. Somebody waits only while all slots are in use, and then every slot that is given back
// changes hands under the mutex, without becoming free in between. The upper half changes under the mutex only, so
// whoever holds that finds as many waiters in line as the word says.
type slots struct {
	word   atomic.Uint64
	limit  uint64 // of slots
	places uint64 // in the line

	mu   sync.Mutex
	line line
}

const oneWaiter = 1 << 32

// load returns how many slots are in use and how many callers wait.
func (s *slots) load() (inUse, waiters int) {
	word := s.word.Load()
	return int(word % oneWaiter), int(word / oneWaiter)
}

// take takes a slot if nobody waits and one is free.
func (s *slots) take() bool {
	for {
		word := s.word.Load()
		if word >= s.limit { // any waiter makes it so
			return false
		}
		if s.word.CompareAndSwap(word, word+1) {
			return true
		}
	}
}

// full reports whether neither a slot nor a place in the line is free.
func (s *slots) full() bool {
	word := s.word.Load()
	return word >= s.limit && word/oneWaiter >= s.places
}

// join returns a new waiter at the end of the line; or, if a slot is free by now, nil and true; or nil and false
// if the line is full.
func (s *slots) join() (w *waiter, taken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		word := s.word.Load()
		switch {
		case word < s.limit:
			if s.word.CompareAndSwap(word, word+1) {
				return nil, true
			}
		case word/oneWaiter >= s.places:
			return nil, false
		default:
			if s.word.CompareAndSwap(word, word+oneWaiter) {
				return s.line.push(), false
			}
		}
	}
}

// leave takes w out of the line. It reports false if w has been given a slot, which is then w's to release.
func (s *slots) leave(w *waiter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !w.inLine {
		return false
	}
	s.remove(w)
	return true
}

// release gives a slot to the first in the line, or frees it.
func (s *slots) release() {
	for {
		word := s.word.Load()
		if word < oneWaiter {
			if s.word.CompareAndSwap(word, word-1) {
				return
			}
			continue
		}
		if w := s.next(); w != nil {
			close(w.granted)
			return
		}
	}
}

// next takes the first waiter out of the line. It returns nil if the last one has just left.
func (s *slots) next() *waiter {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.line.first
	if w != nil {
		s.remove(w)
	}
	return w
}

// remove takes w out of the line and of the word. The mutex must be held.
func (s *slots) remove(w *waiter) {
	s.line.remove(w)
	s.word.Add(^uint64(oneWaiter - 1))
}

// waiter is a caller in the line.
type waiter struct {
	granted    chan struct{} // closed when it has been given a slot
	inLine     bool
	prev, next *waiter
}

// line is a doubly linked list, so that a waiter who gives up leaves from the middle at no cost.
type line struct{ first, last *waiter }

func (l *line) push() *waiter {
	w := &waiter{granted: make(chan struct{}), inLine: true, prev: l.last}
	if l.last == nil {
		l.first = w
	} else {
		l.last.next = w
	}
	l.last = w
	return w
}

func (l *line) remove(w *waiter) {
	if w.prev == nil {
		l.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next, w.inLine = nil, nil, false
}
