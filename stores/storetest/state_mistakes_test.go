package storetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/steadyfx/steady/patterns/state"
	"github.com/steadyfx/steady/stores/memstore"
)

// stateMistake is a way to get a store wrong, and the checks that must notice.
type stateMistake struct {
	name     string
	caughtBy []string
	spoil    func(*memstore.State) state.Store
}

// stateWrite is the arguments of a swap.
type stateWrite struct {
	key  string
	old  state.Version
	data []byte
	ttl  time.Duration
}

// spoiledState is a store with some of its operations replaced.
type spoiledState struct {
	*memstore.State
	get    func(ctx context.Context, key string) (state.Value, bool, error)
	swap   func(ctx context.Context, w stateWrite) (state.Version, bool, error)
	delete func(ctx context.Context, key string, version state.Version) (bool, error)
	watch  func(ctx context.Context, key string) iter.Seq2[state.Value, error]
}

func (s *spoiledState) Get(ctx context.Context, key string) (state.Value, bool, error) {
	return s.get(ctx, key)
}

func (s *spoiledState) CompareAndSwap(
	ctx context.Context, key string, old state.Version, data []byte, ttl time.Duration,
) (state.Version, bool, error) {
	return s.swap(ctx, stateWrite{key, old, data, ttl})
}

func (s *spoiledState) Delete(ctx context.Context, key string, version state.Version) (bool, error) {
	return s.delete(ctx, key, version)
}

func (s *spoiledState) Watch(ctx context.Context, key string) iter.Seq2[state.Value, error] {
	return s.watch(ctx, key)
}

// right is the swap of the right store.
func (s *spoiledState) right(ctx context.Context, w stateWrite) (state.Version, bool, error) {
	return s.State.CompareAndSwap(ctx, w.key, w.old, w.data, w.ttl)
}

// spoilState lets change replace operations of a right store.
func spoilState(change func(s *spoiledState)) func(*memstore.State) state.Store {
	return func(m *memstore.State) state.Store {
		s := &spoiledState{State: m, get: m.Get, delete: m.Delete, watch: m.Watch}
		s.swap = s.right
		change(s)
		return s
	}
}

// answers replaces the values that Get finds.
func answers(change func(v *state.Value)) func(*memstore.State) state.Store {
	return spoilState(func(s *spoiledState) {
		s.get = func(ctx context.Context, key string) (state.Value, bool, error) {
			v, found, err := s.State.Get(ctx, key)
			if found {
				change(&v)
			}
			return v, found, err
		}
	})
}

// writes replaces the arguments of swaps.
func writes(change func(w *stateWrite)) func(*memstore.State) state.Store {
	return spoilState(func(s *spoiledState) {
		s.swap = func(ctx context.Context, w stateWrite) (state.Version, bool, error) {
			change(&w)
			return s.right(ctx, w)
		}
	})
}

// stateKeys replaces every key.
func stateKeys(change func(key string) string) func(*memstore.State) state.Store {
	return spoilState(func(s *spoiledState) {
		s.get = func(ctx context.Context, key string) (state.Value, bool, error) { return s.State.Get(ctx, change(key)) }
		s.swap = func(ctx context.Context, w stateWrite) (state.Version, bool, error) {
			w.key = change(w.key)
			return s.right(ctx, w)
		}
	})
}

// watches replaces Watch.
func watches(
	watch func(ctx context.Context, m *memstore.State, key string, yield func(state.Value, error) bool),
) func(*memstore.State) state.Store {
	return spoilState(func(s *spoiledState) {
		s.watch = func(ctx context.Context, key string) iter.Seq2[state.Value, error] {
			return func(yield func(state.Value, error) bool) { watch(ctx, s.State, key, yield) }
		}
	})
}

// turns lets a watch of the right store through as change says: each turn it may tell, alter or leave out.
func turns(change func(n int, v state.Value, tell func(state.Value) bool) bool) func(*memstore.State) state.Store {
	return watches(func(ctx context.Context, m *memstore.State, key string, yield func(state.Value, error) bool) {
		n := 0
		for v, err := range m.Watch(ctx, key) {
			if err != nil || !change(n, v, func(v state.Value) bool { return yield(v, nil) }) {
				return
			}
			n++
		}
	})
}

var stateMistakes = []stateMistake{
	{"absence is an empty value", []string{"AbsentKeyIsNotFound"},
		spoilState(func(s *spoiledState) {
			s.get = func(ctx context.Context, key string) (state.Value, bool, error) {
				v, _, err := s.State.Get(ctx, key)
				return v, err == nil, err
			}
		})},
	{"one value for all keys", []string{"AbsentKeyIsNotFound", "StateKeysAreBytes"}, stateKeys(func(string) string { return "" })},
	{"the last byte gets lost", []string{"SwapStoresAValue", "DataIsBytes"},
		writes(func(w *stateWrite) { w.data = w.data[:max(len(w.data), 1)-1] })},
	{"get tells another version", []string{"SwapStoresAValue"}, answers(func(v *state.Value) { v.Version++ })},
	{"swap of the same data does nothing", []string{"SwapStoresAValue"},
		spoilState(func(s *spoiledState) {
			s.swap = func(ctx context.Context, w stateWrite) (state.Version, bool, error) {
				if v, found, err := s.State.Get(ctx, w.key); err == nil && found && string(v.Data) == string(w.data) {
					return v.Version, true, nil
				}
				return s.right(ctx, w)
			}
		})},
	{"swap does not compare", []string{"SwapNeedsTheCurrentVersion", "OneSwapWins", "HistoriesAreLinearizable"},
		spoilState(func(s *spoiledState) {
			s.swap = func(ctx context.Context, w stateWrite) (state.Version, bool, error) {
				return overwrite(ctx, s.State, w)
			}
		})},
	{"swap of an absent key does not compare", []string{"SwapNeedsTheCurrentVersion", "ExpiredValueIsAbsent"},
		spoilState(func(s *spoiledState) {
			s.swap = func(ctx context.Context, w stateWrite) (state.Version, bool, error) {
				if _, found, err := s.State.Get(ctx, w.key); err == nil && !found {
					w.old = 0
				}
				return s.right(ctx, w)
			}
		})},
	{"a refused swap tells the version", []string{"SwapNeedsTheCurrentVersion", "HistoriesAreLinearizable"},
		spoilState(func(s *spoiledState) {
			s.swap = func(ctx context.Context, w stateWrite) (state.Version, bool, error) {
				version, swapped, err := s.right(ctx, w)
				if err == nil && !swapped {
					v, _, err := s.State.Get(ctx, w.key)
					return v.Version, false, err
				}
				return version, swapped, err
			}
		})},
	{"delete does not compare", []string{"DeleteNeedsTheCurrentVersion", "HistoriesAreLinearizable"},
		spoilState(func(s *spoiledState) {
			s.delete = func(ctx context.Context, key string, _ state.Version) (bool, error) {
				v, _, err := s.State.Get(ctx, key)
				if err != nil {
					return false, err
				}
				return s.State.Delete(ctx, key, v.Version)
			}
		})},
	{"delete is always a success", []string{"DeleteNeedsTheCurrentVersion"},
		spoilState(func(s *spoiledState) {
			s.delete = func(ctx context.Context, key string, version state.Version) (bool, error) {
				_, err := s.State.Delete(ctx, key, version)
				return true, err
			}
		})},
	{"delete does nothing", []string{"DeleteNeedsTheCurrentVersion", "StateKeysAreBytes", "WatchTellsOfChanges"},
		spoilState(func(s *spoiledState) {
			s.delete = func(ctx context.Context, key string, version state.Version) (bool, error) {
				v, _, err := s.State.Get(ctx, key)
				return v.Version == version && version != 0, err
			}
		})},
	{"versions begin anew", []string{"VersionsOutliveTheirValues"}, beginningAnew},
	{"values do not expire", []string{"ValueExpires", "ExpiredValueIsAbsent", "WatchTellsOfChanges"},
		writes(func(w *stateWrite) {
			if w.ttl > 0 {
				w.ttl = 0
			}
		})},
	{"values expire early", []string{"ValueExpires"}, writes(func(w *stateWrite) { w.ttl = w.ttl * 9 / 10 })},
	{"values expire in whole seconds", []string{"ValueExpires"},
		writes(func(w *stateWrite) {
			if w.ttl > 0 {
				w.ttl = (w.ttl + time.Second - 1).Truncate(time.Second)
			}
		})},
	{"expired values can be swapped", []string{"ExpiredValueIsAbsent"},
		spoilState(func(s *spoiledState) {
			last := map[string]state.Version{}
			s.swap = func(ctx context.Context, w stateWrite) (state.Version, bool, error) {
				if v, found, err := s.State.Get(ctx, w.key); err == nil && !found && v.Version == 0 && w.old == last[w.key] {
					w.old = 0
				}
				version, swapped, err := s.right(ctx, w)
				last[w.key] = version
				return version, swapped, err
			}
		})},
	{"the first ttl stays", []string{"EachSwapSetsTheTTL"}, firstTTL},
	{"age is not told", []string{"AgeIsSinceTheWrite"}, answers(func(v *state.Value) { v.Age = 0 })},
	{"age is since the value came", []string{"AgeIsSinceTheWrite"}, ageOfTheFirst},
	{"the ttl is told as what is left", []string{"AgeIsSinceTheWrite"},
		answers(func(v *state.Value) {
			if v.ExpiresIn > 0 {
				v.ExpiresIn += v.Age
			}
		})},
	{"without expiry means an hour", []string{"EachSwapSetsTheTTL"},
		writes(func(w *stateWrite) {
			if w.ttl == 0 {
				w.ttl = time.Hour
			}
		})},
	{"keys are folded", []string{"StateKeysAreBytes"}, stateKeys(strings.ToLower)},
	{"keys end before spaces", []string{"StateKeysAreBytes"}, stateKeys(strings.TrimSpace)},
	{"keys end at NUL", []string{"StateKeysAreBytes"},
		stateKeys(func(key string) string { key, _, _ = strings.Cut(key, "\x00"); return key })},
	{"keys are cut", []string{"StateKeysAreBytes"}, stateKeys(func(key string) string { return key[:min(len(key), 512)] })},
	{"keys are UTF-8", []string{"StateKeysAreBytes"}, stateKeys(func(key string) string { return strings.ToValidUTF8(key, "?") })},
	{"data ends at NUL", []string{"DataIsBytes"},
		writes(func(w *stateWrite) { text, _, _ := strings.Cut(string(w.data), "\x00"); w.data = []byte(text) })},
	{"data is cut", []string{"DataIsBytes"}, writes(func(w *stateWrite) { w.data = w.data[:min(len(w.data), state.MaxData-1)] })},
	{"data is not copied", []string{"DataIsCopied"}, aliasingState},
	{"arguments are not checked", []string{"SwapOutOfRangeIsRefused"}, writes(func(w *stateWrite) { w.ttl = max(w.ttl, 0) })},
	{"contexts are ignored", []string{"StateObeysContexts"},
		spoilState(func(s *spoiledState) {
			s.delete = func(ctx context.Context, key string, version state.Version) (bool, error) {
				return s.State.Delete(context.WithoutCancel(ctx), key, version)
			}
		})},
	{"an error is absence", []string{"StateObeysContexts"}, // pitfall 29
		spoilState(func(s *spoiledState) {
			s.get = func(ctx context.Context, key string) (state.Value, bool, error) {
				v, found, err := s.State.Get(ctx, key)
				if len(v.Data) == 0 {
					return state.Value{}, false, nil
				}
				return v, found, err
			}
		})},
	{"an error quotes the key", []string{"StateErrorsAreDiscreet"},
		spoilState(func(s *spoiledState) {
			s.get = func(ctx context.Context, key string) (state.Value, bool, error) {
				v, found, err := s.State.Get(ctx, key)
				if err != nil {
					err = fmt.Errorf("get %q: %w", key, err)
				}
				return v, found, err
			}
		})},
	{"swaps are not atomic", []string{"OneSwapWins", "NoUpdateIsLost", "HistoriesAreLinearizable"}, getThenSwap}, // pitfall 28
	{"reads are stale", []string{"HistoriesAreLinearizable", "SwapStoresAValue"}, stale},
	{"the watch waits for a change", []string{"WatchBeginsWithWhatIsThere"},
		turns(func(n int, v state.Value, tell func(state.Value) bool) bool { return n == 0 || tell(v) })},
	{"the watch does not tell of absence", []string{"WatchBeginsWithWhatIsThere", "WatchTellsOfChanges"},
		turns(func(_ int, v state.Value, tell func(state.Value) bool) bool { return v.Version == 0 || tell(v) })},
	{"the watch leaves out what is left of the ttl", []string{"WatchBeginsWithWhatIsThere"},
		turns(func(_ int, v state.Value, tell func(state.Value) bool) bool { v.ExpiresIn = 0; return tell(v) })},
	{"the watch tells everything twice", []string{"WatchTellsOfChanges"},
		turns(func(_ int, v state.Value, tell func(state.Value) bool) bool {
			for range 2 {
				if !tell(v) {
					return false
				}
			}
			return true
		})},
	{"the watch does not see expiry", []string{"WatchTellsOfChanges"}, blindToExpiry},
	{"the watch is of all keys", []string{"WatchIsOfOneKey"}, watchingAll},
	{"the watch tells of every write", []string{"SlowWatchGetsTheNewest"}, queueing},
	{"writers wait for watches", []string{"SlowWatchHoldsUpNobody"}, waitingForWatches},
	{"changes get lost", []string{"LastChangeComes", "SlowWatchHoldsUpNobody"},
		turns(func(n int, v state.Value, tell func(state.Value) bool) bool { return n > 0 || tell(v) })},
	{"the watch fails", []string{"LastChangeComes"},
		watches(func(_ context.Context, _ *memstore.State, _ string, yield func(state.Value, error) bool) {
			yield(state.Value{}, errors.New("down"))
		})},
	{"the watch ends late", []string{"WatchEndsWithItsContext"},
		watches(func(ctx context.Context, m *memstore.State, key string, yield func(state.Value, error) bool) {
			later, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*patience)
			defer cancel()
			for v, err := range m.Watch(later, key) {
				if !yield(v, err) {
					return
				}
			}
		})},
	{"the watch looks once more", []string{"WatchEndsWithItsContext"},
		watches(func(ctx context.Context, m *memstore.State, key string, yield func(state.Value, error) bool) {
			for v, err := range m.Watch(ctx, key) {
				if !yield(v, err) {
					return
				}
			}
			yield(state.Value{}, ctx.Err())
		})},
	{"the watch can be read once", []string{"WatchEndsWithItsLoop"}, readOnce},
}

// beginningAnew counts the versions of a value from 1.
func beginningAnew(m *memstore.State) state.Store {
	offset := map[string]state.Version{}
	return spoilState(func(s *spoiledState) {
		s.get = func(ctx context.Context, key string) (state.Value, bool, error) {
			v, found, err := m.Get(ctx, key)
			if found {
				v.Version -= offset[key]
			}
			return v, found, err
		}
		s.swap = func(ctx context.Context, w stateWrite) (state.Version, bool, error) {
			fresh := w.old == 0
			if !fresh {
				w.old += offset[w.key]
			}
			version, swapped, err := s.right(ctx, w)
			if swapped && fresh {
				offset[w.key] = version - 1
			}
			if swapped {
				version -= offset[w.key]
			}
			return version, swapped, err
		}
		s.delete = func(ctx context.Context, key string, version state.Version) (bool, error) {
			return m.Delete(ctx, key, version+offset[key])
		}
	})(m)
}

// firstTTL keeps the time at which a value that is there expires.
func firstTTL(m *memstore.State) state.Store {
	return spoilState(func(s *spoiledState) {
		s.swap = func(ctx context.Context, w stateWrite) (state.Version, bool, error) {
			if v, found, err := m.Get(ctx, w.key); err == nil && found {
				w.ttl = v.ExpiresIn
			}
			return s.right(ctx, w)
		}
	})(m)
}

// ageOfTheFirst counts the age of a value from when its key came.
func ageOfTheFirst(m *memstore.State) state.Store {
	born := map[string]time.Time{}
	return spoilState(func(s *spoiledState) {
		s.swap = func(ctx context.Context, w stateWrite) (state.Version, bool, error) {
			if w.old == 0 {
				born[w.key] = time.Now()
			}
			return s.right(ctx, w)
		}
		s.get = func(ctx context.Context, key string) (state.Value, bool, error) {
			v, found, err := m.Get(ctx, key)
			v.Age = time.Since(born[key])
			return v, found, err
		}
	})(m)
}

// aliasingState hands the caller's slice to everybody who asks.
func aliasingState(m *memstore.State) state.Store {
	kept := map[string][]byte{}
	return spoilState(func(s *spoiledState) {
		s.swap = func(ctx context.Context, w stateWrite) (state.Version, bool, error) {
			kept[w.key] = w.data
			return s.right(ctx, w)
		}
		s.get = func(ctx context.Context, key string) (state.Value, bool, error) {
			v, found, err := m.Get(ctx, key)
			v.Data = kept[key]
			return v, found, err
		}
	})(m)
}

// stale answers with the value before the last, as a replica does that has fallen behind.
func stale(m *memstore.State) state.Store {
	var mu sync.Mutex
	before := map[string]state.Value{}
	return spoilState(func(s *spoiledState) {
		s.swap = func(ctx context.Context, w stateWrite) (state.Version, bool, error) {
			v, _, err := m.Get(ctx, w.key)
			if err != nil {
				return 0, false, err
			}
			version, swapped, err := s.right(ctx, w)
			if swapped {
				mu.Lock()
				before[w.key] = v
				mu.Unlock()
			}
			return version, swapped, err
		}
		s.get = func(ctx context.Context, key string) (state.Value, bool, error) {
			mu.Lock()
			defer mu.Unlock()
			v, found := before[key]
			return v, found && v.Version != 0, ctx.Err()
		}
	})(m)
}

// blindToExpiry looks again only when somebody writes.
func blindToExpiry(m *memstore.State) state.Store {
	return watches(func(ctx context.Context, m *memstore.State, key string, yield func(state.Value, error) bool) {
		deleted := false
		for v, err := range m.Watch(ctx, key) {
			if v.Version == 0 && deleted {
				continue
			}
			deleted = v.ExpiresIn > 0 && v.ExpiresIn < long/2
			if !yield(v, err) {
				return
			}
		}
	})(m)
}

// watchingAll tells every watch of the changes of "other" too.
func watchingAll(m *memstore.State) state.Store {
	return watches(func(ctx context.Context, m *memstore.State, key string, yield func(state.Value, error) bool) {
		both := make(chan state.Value)
		var wg sync.WaitGroup
		defer wg.Wait()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		for _, watched := range []string{key, "other"} {
			wg.Go(func() {
				for v, err := range m.Watch(ctx, watched) {
					if err != nil || v.Version == 0 && watched != key {
						continue
					}
					select {
					case both <- v:
					case <-ctx.Done():
					}
				}
			})
		}
		for {
			select {
			case v := <-both:
				if !yield(v, nil) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	})(m)
}

// queueing keeps every change until it is told.
func queueing(m *memstore.State) state.Store {
	queue := make(chan state.Value, 1000)
	return spoilState(func(s *spoiledState) {
		s.swap = func(ctx context.Context, w stateWrite) (state.Version, bool, error) {
			version, swapped, err := s.right(ctx, w)
			if swapped {
				queue <- state.Value{Version: version}
			}
			return version, swapped, err
		}
		s.watch = func(ctx context.Context, _ string) iter.Seq2[state.Value, error] {
			return func(yield func(state.Value, error) bool) {
				next := state.Value{}
				for yield(next, nil) {
					select {
					case next = <-queue:
					case <-ctx.Done():
						return
					}
				}
			}
		}
	})(m)
}

// waitingForWatches hands each change to each watch before it returns.
func waitingForWatches(m *memstore.State) state.Store {
	var mu sync.Mutex
	watching := map[chan state.Value]bool{}
	return spoilState(func(s *spoiledState) {
		s.swap = func(ctx context.Context, w stateWrite) (state.Version, bool, error) {
			version, swapped, err := s.right(ctx, w)
			mu.Lock()
			all := make([]chan state.Value, 0, len(watching))
			for ch := range watching {
				all = append(all, ch)
			}
			mu.Unlock()
			for _, ch := range all {
				select {
				case ch <- state.Value{Version: version}:
				case <-time.After(2 * patience):
				}
			}
			return version, swapped, err
		}
		s.watch = func(ctx context.Context, _ string) iter.Seq2[state.Value, error] {
			return func(yield func(state.Value, error) bool) {
				ch := make(chan state.Value)
				mu.Lock()
				watching[ch] = true
				mu.Unlock()
				next := state.Value{}
				for yield(next, nil) {
					select {
					case next = <-ch:
					case <-ctx.Done():
						return
					}
				}
			}
		}
	})(m)
}

// readOnce has one end for all loops.
func readOnce(m *memstore.State) state.Store {
	return spoilState(func(s *spoiledState) {
		s.watch = func(ctx context.Context, key string) iter.Seq2[state.Value, error] {
			next, stop := iter.Pull2(m.Watch(ctx, key))
			context.AfterFunc(ctx, stop)
			return func(yield func(state.Value, error) bool) {
				defer stop()
				for v, err, ok := next(); ok && yield(v, err); v, err, ok = next() {
				}
			}
		}
	})(m)
}
