package storetest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns/state"
)

// State checks that the stores that open returns are what [state.Store] says. Each check gets a store of its own, which
// must be empty; what has to be closed, open registers with t.Cleanup. That a watch leaves nothing behind is seen in a
// bubble, or with a leak detector in TestMain.
func State(t *testing.T, open func(t *testing.T) state.Store, opts ...Option) {
	o := options{keys: 200}
	for _, opt := range opts {
		opt(&o)
	}
	for _, c := range stateChecks {
		t.Run(c.name, func(t *testing.T) {
			run := func(t *testing.T) {
				c.run(&stateSuite{TB: t, Store: open(t), raceKeys: o.keys, exact: o.inBubble})
			}
			if o.inBubble {
				synctest.Test(t, run)
			} else {
				run(t)
			}
		})
	}
}

// stateSuite is what a check works with: a test to report to and the store to ask. Its helpers end the check on an
// unexpected error, so they are for the check's own goroutine.
type stateSuite struct {
	testing.TB
	state.Store
	raceKeys int
	exact    bool // no time passes but what the check lets pass
}

type stateCheck struct {
	name string
	run  func(s *stateSuite)
}

var stateChecks = []stateCheck{
	{"AbsentKeyIsNotFound", absentKeyIsNotFound},
	{"SwapStoresAValue", swapStoresAValue},
	{"SwapNeedsTheCurrentVersion", swapNeedsTheCurrentVersion},
	{"DeleteNeedsTheCurrentVersion", deleteNeedsTheCurrentVersion},
	{"VersionsOutliveTheirValues", versionsOutliveTheirValues},
	{"ValueExpires", valueExpires},
	{"ExpiredValueIsAbsent", expiredValueIsAbsent},
	{"EachSwapSetsTheTTL", eachSwapSetsTheTTL},
	{"AgeIsSinceTheWrite", ageIsSinceTheWrite},
	{"StateKeysAreBytes", stateKeysAreBytes},
	{"DataIsBytes", dataIsBytes},
	{"DataIsCopied", dataIsCopied},
	{"SwapOutOfRangeIsRefused", swapOutOfRangeIsRefused},
	{"StateObeysContexts", stateObeysContexts},
	{"StateErrorsAreDiscreet", stateErrorsAreDiscreet},
	{"OneSwapWins", oneSwapWins},
	{"NoUpdateIsLost", noUpdateIsLost},
	{"HistoriesAreLinearizable", historiesAreLinearizable},
	{"WatchBeginsWithWhatIsThere", watchBeginsWithWhatIsThere},
	{"WatchTellsOfChanges", watchTellsOfChanges},
	{"WatchIsOfOneKey", watchIsOfOneKey},
	{"SlowWatchGetsTheNewest", slowWatchGetsTheNewest},
	{"SlowWatchHoldsUpNobody", slowWatchHoldsUpNobody},
	{"LastChangeComes", lastChangeComes},
	{"WatchEndsWithItsContext", watchEndsWithItsContext},
	{"WatchEndsWithItsLoop", watchEndsWithItsLoop},
}

// patience is more than a store needs for what must happen at some time.
const patience = 30 * time.Second

func (s *stateSuite) must(err error, what string) {
	s.Helper()
	if err != nil {
		s.Fatalf("%s: %v", what, err)
	}
}

// swap wants a swap to succeed.
func (s *stateSuite) swap(key string, old state.Version, data string, ttl time.Duration) state.Version {
	s.Helper()
	v, swapped, err := s.CompareAndSwap(s.Context(), key, old, []byte(data), ttl)
	s.must(err, "swap")
	if !swapped {
		s.Fatalf("swap of version %d was refused", old)
	}
	if v <= old {
		s.Fatalf("swap of version %d made version %d", old, v)
	}
	return v
}

// refused wants a swap of "key" to be refused.
func (s *stateSuite) refused(old state.Version, what string) {
	s.Helper()
	v, swapped, err := s.CompareAndSwap(s.Context(), "key", old, []byte("refused"), long)
	s.must(err, "swap")
	if swapped || v != 0 {
		s.Errorf("%s: swapped %v, version %d, want it refused", what, swapped, v)
	}
}

// deleted wants a deletion to succeed, or not to.
func (s *stateSuite) deleted(key string, version state.Version, want bool, what string) {
	s.Helper()
	got, err := s.Delete(s.Context(), key, version)
	s.must(err, "delete")
	if got != want {
		s.Errorf("%s: deleted %v, want %v", what, got, want)
	}
}

// value wants a value of key.
func (s *stateSuite) value(key string) state.Value {
	s.Helper()
	v, found, err := s.Get(s.Context(), key)
	s.must(err, "get")
	if !found {
		s.Fatal("get: found none")
	}
	return v
}

// holds wants key to be at a version with data.
func (s *stateSuite) holds(key string, version state.Version, data, what string) {
	s.Helper()
	if v := s.value(key); v.Version != version || string(v.Data) != data {
		s.Fatalf("%s: got %.40q at version %d, want %.40q at %d", what, v.Data, v.Version, data, version)
	}
}

// absent wants no value of key.
func (s *stateSuite) absent(key, what string) {
	s.Helper()
	v, found, err := s.Get(s.Context(), key)
	s.must(err, "get")
	if found || v.Version != 0 || v.Data != nil {
		s.Fatalf("%s: found %v, version %d, %d bytes, want none", what, found, v.Version, len(v.Data))
	}
}

// lapse waits until the value of key, which was written after started for short, has expired.
func (s *stateSuite) lapse(key string, started time.Time) {
	s.Helper()
	for {
		_, found, err := s.Get(s.Context(), key)
		s.must(err, "get")
		passed := time.Since(started)
		switch {
		case !found && passed < short:
			s.Fatalf("a value for %v has expired after %v", short, passed)
		case !found:
			return
		case passed > patience, s.exact && passed > short:
			s.Fatalf("a value for %v has not expired after %v", short, passed)
		}
		<-time.After(time.Millisecond)
	}
}

// turn is what a watch yields.
type turn struct {
	state.Value
	err error
}

// watching is a watch in a goroutine, which waits for each turn to be taken.
type watching struct {
	s       *stateSuite
	turns   chan turn
	cancel  context.CancelFunc
	ended   chan struct{}
	begun   bool
	last    state.Version
	highest state.Version
}

// watch watches key until the check ends, or the watch is.
func (s *stateSuite) watch(key string) *watching {
	ctx, cancel := context.WithCancel(s.Context())
	w := &watching{s: s, turns: make(chan turn), cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(w.ended)
		defer cancel()
		for v, err := range s.Watch(ctx, key) {
			select {
			case w.turns <- turn{v, err}:
			case <-ctx.Done(): // the watch must notice
			}
		}
	}()
	return w
}

// next takes a turn.
func (w *watching) next(what string) state.Value {
	w.s.Helper()
	select {
	case t := <-w.turns:
		w.s.must(t.err, what)
		switch {
		case w.begun && t.Version == w.last:
			w.s.Errorf("%s: version %d was told twice", what, t.Version)
		case t.Version != 0 && t.Version <= w.highest:
			w.s.Errorf("%s: version %d was told after %d", what, t.Version, w.highest)
		}
		w.begun, w.last, w.highest = true, t.Version, max(w.highest, t.Version)
		return t.Value
	case <-w.ended:
		w.s.Fatalf("%s: the watch has ended", what)
	case <-time.After(patience):
		w.s.Fatalf("%s: the watch has told nothing for %v", what, patience)
	}
	return state.Value{}
}

// tells wants the next turn to be a version with data.
func (w *watching) tells(version state.Version, data, what string) {
	w.s.Helper()
	if v := w.next(what); v.Version != version || string(v.Data) != data {
		w.s.Fatalf("%s: got %.40q at version %d, want %.40q at %d", what, v.Data, v.Version, data, version)
	}
}

// reaches takes turns until one is of a version, and returns how many it took.
func (w *watching) reaches(version state.Version, what string) int {
	w.s.Helper()
	for n := 1; ; n++ {
		if w.next(what).Version == version {
			return n
		}
	}
}

// end ends the watch and waits for it.
func (w *watching) end() {
	w.s.Helper()
	w.cancel()
	select {
	case <-w.ended:
	case <-time.After(patience):
		w.s.Fatalf("the watch has not ended %v after its context", patience)
	}
}
