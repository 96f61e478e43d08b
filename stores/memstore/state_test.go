package memstore_test

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/steadyfx/steady/patterns/state"
	"github.com/steadyfx/steady/stores/memstore"
	"github.com/steadyfx/steady/stores/storetest"
)

func TestStateConformance(t *testing.T) {
	storetest.State(t, func(*testing.T) state.Store { return memstore.NewState() }, storetest.InBubble())
}

// The bubble makes the checks fast; this makes them race.
func TestStateConformanceInRealTime(t *testing.T) {
	storetest.State(t, func(*testing.T) state.Store { return memstore.NewState() })
}

func swap(tb testing.TB, s *memstore.State, key string, old state.Version, ttl time.Duration) state.Version {
	tb.Helper()
	v, swapped, err := s.CompareAndSwap(tb.Context(), key, old, []byte(key), ttl)
	if err != nil || !swapped {
		tb.Fatalf("swap of version %d: swapped %v, error %v", old, swapped, err)
	}
	return v
}

func TestValuesThatNobodyAsksForMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.NewState()
		for n := range 1000 {
			swap(t, s, "kept-"+strconv.Itoa(n), 0, 0)
		}
		for round := range 20 {
			for n := range 1000 {
				swap(t, s, "lapses-"+strconv.Itoa(round)+"-"+strconv.Itoa(n), 0, short)
			}
			time.Sleep(short)
		}
		if values, _ := s.Held(); values > 4000 { // twice what lived at any time
			t.Errorf("1000 values are left, and %d are held", values)
		}
		for n := range 1000 {
			key := "kept-" + strconv.Itoa(n)
			if _, found, err := s.Get(t.Context(), key); !found || err != nil {
				t.Fatalf("%s: found %v, error %v", key, found, err)
			}
		}
	})
}

func TestWatchesLeaveNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.NewState()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for n := range 10 {
			wg.Go(func() {
				for _, err := range s.Watch(ctx, strconv.Itoa(n/2)) {
					if err != nil {
						t.Errorf("watch: %v", err)
					}
				}
			})
		}
		synctest.Wait()
		if _, watched := s.Held(); watched != 5 {
			t.Errorf("%d keys are watched, want 5", watched)
		}
		cancel()
		wg.Wait()
		func() {
			defer func() { _ = recover() }()
			for v, err := range s.Watch(t.Context(), "k") {
				panic(fmt.Sprint("in the loop: ", v, err))
			}
		}()
		if _, watched := s.Held(); watched != 0 {
			t.Errorf("%d keys are watched by nobody", watched)
		}
	})
}

// TestStateFollowsTheModel runs random calls against the store and against a map.
func TestStateFollowsTheModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(noDeadline{t}, func(rt *rapid.T) {
			m := &stateModel{t: t, store: memstore.NewState(), values: map[string]*modelValue{}}
			rt.Repeat(map[string]func(*rapid.T){
				"swap": m.swap, "delete": m.delete, "wait": m.wait, "": m.check,
			})
		})
	})
}

type stateModel struct {
	t       *testing.T
	store   *memstore.State
	values  map[string]*modelValue
	highest state.Version
}

type modelValue struct {
	data    []byte
	version state.Version
	written time.Time
	ends    time.Time // zero: never
}

// current returns the value of a key, which is of version 0 if there is none.
func (m *stateModel) current(key string) modelValue {
	v := m.values[key]
	if v == nil || !v.ends.IsZero() && !time.Now().Before(v.ends) {
		return modelValue{}
	}
	return *v
}

func drawKey(rt *rapid.T) string { return rapid.SampledFrom([]string{"", "a", "b"}).Draw(rt, "key") }

// drawVersion is the right one as often as not.
func (m *stateModel) drawVersion(rt *rapid.T, key string) state.Version {
	if rapid.Bool().Draw(rt, "right") {
		return m.current(key).version
	}
	return state.Version(rapid.Int64Range(-1, int64(m.highest)+1).Draw(rt, "version"))
}

func (m *stateModel) swap(rt *rapid.T) {
	key := drawKey(rt)
	old := m.drawVersion(rt, key)
	data := rapid.SliceOfN(rapid.Byte(), 0, 4).Draw(rt, "data")
	ttl := rapid.SampledFrom([]time.Duration{0, time.Millisecond, time.Second, time.Minute}).Draw(rt, "ttl")
	v, swapped, err := m.store.CompareAndSwap(m.t.Context(), key, old, data, ttl)
	if want := old == m.current(key).version; err != nil || swapped != want || (v > m.highest) != want || !want && v != 0 {
		rt.Fatalf("swap of version %d: got version %d, swapped %v, error %v; the key is at %d", old, v, swapped, err, m.current(key).version)
	}
	if swapped {
		now := time.Now()
		m.values[key], m.highest = &modelValue{data: data, version: v, written: now}, v
		if ttl > 0 {
			m.values[key].ends = now.Add(ttl)
		}
	}
}

func (m *stateModel) delete(rt *rapid.T) {
	key := drawKey(rt)
	version := m.drawVersion(rt, key)
	deleted, err := m.store.Delete(m.t.Context(), key, version)
	if want := version != 0 && version == m.current(key).version; err != nil || deleted != want {
		rt.Fatalf("delete of version %d: deleted %v, error %v; the key is at %d", version, deleted, err, m.current(key).version)
	}
	if deleted {
		delete(m.values, key)
	}
}

func (m *stateModel) wait(rt *rapid.T) {
	time.Sleep(rapid.SampledFrom([]time.Duration{1, time.Millisecond, time.Second, time.Minute}).Draw(rt, "time"))
}

func (m *stateModel) check(rt *rapid.T) {
	for _, key := range []string{"", "a", "b"} {
		got, found, err := m.store.Get(m.t.Context(), key)
		want := m.current(key)
		if err != nil || found != (want.version != 0) || got.Version != want.version || !bytes.Equal(got.Data, want.data) {
			rt.Fatalf("%q: got %+v, found %v, error %v, want %+v", key, got, found, err, want)
		}
		if !found {
			continue
		}
		left := time.Duration(0)
		if !want.ends.IsZero() {
			left = time.Until(want.ends)
		}
		if got.Age != time.Since(want.written) || got.ExpiresIn != left {
			rt.Fatalf("%q: aged %v, expires in %v, want %v and %v", key, got.Age, got.ExpiresIn, time.Since(want.written), left)
		}
	}
}
