package bulkhead

import (
	"sync"
	"sync/atomic"
)

// slots counts who runs and keeps who waits in line.
//
// The word holds two numbers: in its upper half the callers that wait, and in its lower half the slots in use, less the
// limit, plus full. So the lower half is full when no slot is free, and above it while a limit that was lowered is
// exceeded. Whoever wants n slots can have them if the word plus n is at most full, which it never is while somebody
// waits. So slots are taken by compare-and-swap while nobody waits, and under the mutex, in the order of the line, while
// somebody does. They are given back by an addition in either case: whoever finds a waiter in the word after it then
// serves the line, and whoever joins the line finds the slot in the word before.
//
// The upper half always changes under the mutex, so whoever holds that finds as many waiters in line as the word says.
type slots struct {
	_    [64]byte // the word is written by every call: keep it off the cache lines of what is only read
	word atomic.Uint64
	_    [56]byte

	limit  atomic.Uint64 // of slots; changes under the mutex
	places atomic.Uint64 // in the line; changes under the mutex

	mu       sync.Mutex
	line     line
	heaviest uint64 // that any waiter has asked for so far
}

const (
	full      = 1 << 31
	oneWaiter = 1 << 32
)

// open makes the slots ready for use.
func (s *slots) open(limit, places uint64) {
	s.limit.Store(limit)
	s.places.Store(places)
	s.word.Store(full - limit)
}

// load returns how many slots there are and are in use, and how many callers may wait and do, all at one moment.
func (s *slots) load() (limit, inUse, places, waiters int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(s.limit.Load()), s.inUse(), int(s.places.Load()), int(s.word.Load() / oneWaiter)
}

// inUse returns how many slots are in use. Without the mutex it may be off by the difference that a resize makes.
func (s *slots) inUse() int { return int(s.word.Load()%oneWaiter + s.limit.Load() - full) }

// take takes n slots if nobody waits and they are free.
func (s *slots) take(n uint64) bool {
	for {
		word := s.word.Load()
		if word+n > full { // any waiter makes it so
			return false
		}
		if s.word.CompareAndSwap(word, word+n) {
			return true
		}
	}
}

// full reports whether neither n slots nor a place in the line are free.
func (s *slots) full(n uint64) bool {
	word := s.word.Load()
	return word+n > full && word/oneWaiter >= s.places.Load()
}

// join puts a caller that wants n slots at the end of the line. The answer is waiting; or granted, if they are free by
// now, tooHeavy or gone, and then there is no waiter.
func (s *slots) join(n uint64) (w *waiter, answer state) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n > s.limit.Load() {
		return nil, tooHeavy
	}
	for {
		word := s.word.Load()
		switch {
		case word+n <= full:
			if s.word.CompareAndSwap(word, word+n) {
				return nil, granted
			}
		case word/oneWaiter >= s.places.Load():
			return nil, gone
		default:
			if s.word.CompareAndSwap(word, word+oneWaiter) {
				w = &waiter{n: n, called: make(chan struct{})}
				s.line.push(w)
				s.heaviest = max(s.heaviest, n)
				return w, waiting
			}
		}
	}
}

// leave takes w out of the line, unless it has been called meanwhile. Those behind may fit where w did not.
func (s *slots) leave(w *waiter) {
	s.mu.Lock()
	var called line
	if w.state == waiting {
		s.remove(w, gone)
		called = s.serve()
	}
	s.mu.Unlock()
	called.call()
}

// release frees n slots, and gives them to the first in the line if there is one. It is one addition where nobody waits:
// under contention that is half the price of a compare-and-swap.
func (s *slots) release(n uint64) {
	if s.word.Add(-n) < oneWaiter {
		return
	}
	s.mu.Lock()
	called := s.serve()
	s.mu.Unlock()
	called.call()
}

// resize changes the limit and the length of the line. Who runs goes on, and who waits keeps its place, except who
// wants more slots than there are from now on.
func (s *slots) resize(limit, places uint64) {
	s.mu.Lock()
	s.word.Add(s.limit.Load() - limit)
	s.limit.Store(limit)
	s.places.Store(places)
	refused := s.refuse(limit)
	called := s.serve()
	s.mu.Unlock()
	refused.call()
	called.call()
}

// refuse takes everybody out of the line who wants more than limit slots. The mutex must be held.
func (s *slots) refuse(limit uint64) (refused line) {
	if s.heaviest <= limit {
		return refused
	}
	for w := s.line.first; w != nil; {
		next := w.next
		if w.n > limit {
			s.remove(w, tooHeavy)
			refused.push(w)
		}
		w = next
	}
	return refused
}

// serve gives the free slots to the first in the line, as far as they go. The mutex must be held.
func (s *slots) serve() (served line) {
	for w := s.line.first; w != nil; w = s.line.first {
		if s.word.Load()%oneWaiter+w.n > full {
			break // those behind wait too, or w might wait for ever
		}
		s.remove(w, granted)
		served.push(w)
	}
	return served
}

// remove takes w out of the line and of the word, and its slots if it has been granted them. The mutex must be held.
func (s *slots) remove(w *waiter, why state) {
	s.line.remove(w)
	w.state = why
	var n uint64
	if why == granted {
		n = w.n
	}
	s.word.Add(n - oneWaiter) // at once, so that nobody takes the slots in between
}

// waiter is a caller in the line.
type waiter struct {
	n          uint64        // slots it wants
	called     chan struct{} // closed when it has been taken out of the line by somebody else
	state      state         // guarded by the mutex, final once called or left
	prev, next *waiter
}

// state says what became of a waiter.
type state uint8

const (
	waiting  state = iota
	granted        // it has its slots
	tooHeavy       // it wants more slots than there are
	gone           // it gave up, or there was no place for it
)

// line is a doubly linked list, so that a waiter who gives up leaves from the middle at no cost.
type line struct{ first, last *waiter }

func (l *line) push(w *waiter) {
	w.prev = l.last
	if l.last == nil {
		l.first = w
	} else {
		l.last.next = w
	}
	l.last = w
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
	w.prev, w.next = nil, nil
}

// call wakes everybody in a line that is nobody else's.
func (l *line) call() {
	for w := l.first; w != nil; w = w.next {
		close(w.called)
	}
}
