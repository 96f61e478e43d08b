package memstore

import (
	"context"
	"iter"
	"sync"
	"time"

	"github.com/steadyfx/steady/patterns/state"
)

// State is a [state.Store] in memory. Use [NewState]. All methods are safe for concurrent use.
//
// It is shared by what is in one process: several instances of a pattern, or the "replicas" of a test. A version is one
// more than that of the last write to the store, whatever its key. Values expire to the nanosecond; those that nobody
// asks for any more are removed as others come. A watch needs no goroutine, is told of every change at once, and never
// yields an error.
type State struct {
	start time.Time

	mu       sync.Mutex
	version  state.Version
	values   map[string]stateValue
	sweepAt  int // as many values as this are reason to look for expired ones
	audience map[string]*audience
}

// minSweep is as many values as may be there without anybody looking for expired ones.
const minSweep = 256

type stateValue struct {
	data     string
	version  state.Version
	written  int64 // times are those of State.now
	deadline int64
}

// audience is who watches a key.
type audience struct {
	size    int
	changed chan struct{} // closed and replaced at each change
}

// NewState returns an empty store.
func NewState() *State {
	return &State{
		start: time.Now(), values: map[string]stateValue{}, sweepAt: minSweep, audience: map[string]*audience{},
	}
}

// Get returns the value of a key.
func (s *State) Get(ctx context.Context, key string) (v state.Value, found bool, err error) {
	if err := checkStateContext(ctx, "get"); err != nil {
		return state.Value{}, false, err
	}
	v = s.read(key).value()
	return v, v.Version != 0, nil
}

// CompareAndSwap stores data for ttl (0: without expiry) if the key is at version old, where 0 is the version of an
// absent key, and returns the new version.
func (s *State) CompareAndSwap(ctx context.Context, key string, old state.Version, data []byte, ttl time.Duration) (
	v state.Version, swapped bool, err error,
) {
	if err := checkStateContext(ctx, "swap"); err != nil {
		return 0, false, err
	}
	if err := state.Validate(data, ttl); err != nil {
		return 0, false, err
	}
	stored := string(data) // copied with no lock held
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.live(key, now).version != old {
		return 0, false, nil
	}
	s.version++
	s.values[key] = stateValue{data: stored, version: s.version, written: now, deadline: retained(now, ttl)}
	s.sweep(now)
	s.tell(key)
	return s.version, true, nil
}

// Delete removes the value of a key if it is at the given version.
func (s *State) Delete(ctx context.Context, key string, version state.Version) (deleted bool, err error) {
	if err := checkStateContext(ctx, "delete"); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if version == 0 || s.live(key, s.now()).version != version {
		return false, nil
	}
	delete(s.values, key)
	s.tell(key)
	return true, nil
}

// Watch tells what becomes of a key. It ends with ctx, or with the loop over it.
func (s *State) Watch(ctx context.Context, key string) iter.Seq2[state.Value, error] {
	return func(yield func(state.Value, error) bool) {
		s.join(key)
		defer s.leave(key)
		told := state.Version(-1)
		for ctx.Err() == nil {
			seen := s.read(key)
			if seen.version == told {
				seen.await(ctx)
				continue
			}
			told = seen.version
			if !yield(seen.value(), nil) {
				return
			}
		}
	}
}

// sight is what there was to see of a key.
type sight struct {
	stateValue               // that of an absent key is zero
	at         int64         // when
	changed    chan struct{} // closed at the next change; nil if nobody watches
}

func (s *State) read(key string) sight {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	seen := sight{stateValue: s.live(key, now), at: now}
	if a := s.audience[key]; a != nil {
		seen.changed = a.changed
	}
	return seen
}

func (v sight) value() state.Value {
	if v.version == 0 {
		return state.Value{}
	}
	out := state.Value{Data: []byte(v.data), Version: v.version, Age: time.Duration(v.at - v.written)}
	if v.deadline != never {
		out.ExpiresIn = time.Duration(v.deadline - v.at)
	}
	return out
}

// await waits until what was seen may be out of date, or ctx ends.
func (v sight) await(ctx context.Context) {
	var expired <-chan time.Time
	if v.version != 0 && v.deadline != never {
		timer := time.NewTimer(time.Duration(v.deadline - v.at))
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case <-ctx.Done():
	case <-v.changed:
	case <-expired:
	}
}

func (s *State) join(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.audience[key]
	if a == nil {
		a = &audience{changed: make(chan struct{})}
		s.audience[key] = a
	}
	a.size++
}

func (s *State) leave(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.audience[key]
	if a.size--; a.size == 0 {
		delete(s.audience, key)
	}
}

// tell wakes who watches the key. The caller holds the lock.
func (s *State) tell(key string) {
	if a := s.audience[key]; a != nil {
		close(a.changed)
		a.changed = make(chan struct{})
	}
}

// live returns the value of a key, which is zero where there is none, and forgets it if its time is up. The caller
// holds the lock.
func (s *State) live(key string, now int64) stateValue {
	v, found := s.values[key]
	if found && now >= v.deadline {
		delete(s.values, key)
		return stateValue{}
	}
	return v
}

// sweep forgets expired values when there are twice as many as it left behind the last time, which makes its cost a
// constant for each write. The caller holds the lock.
func (s *State) sweep(now int64) {
	if len(s.values) < s.sweepAt {
		return
	}
	for key, v := range s.values {
		if now >= v.deadline {
			delete(s.values, key)
		}
	}
	s.sweepAt = max(minSweep, 2*len(s.values))
}

// now is the time since the store was made, in nanoseconds.
func (s *State) now() int64 { return int64(time.Since(s.start)) }

// checkStateContext returns the error of a context that is over already.
func checkStateContext(ctx context.Context, op string) error {
	if err := ctx.Err(); err != nil {
		return &state.BackendError{Backend: backend, Op: op, Err: err}
	}
	return nil
}
