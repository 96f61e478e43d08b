package storetest

import (
	"context"
	"strconv"
	"time"

	"github.com/steadyfx/steady/patterns/state"
)

func watchBeginsWithWhatIsThere(s *stateSuite) {
	w := s.watch("key")
	w.tells(0, "", "watch of an absent key")
	w.end()
	version := s.swap("key", 0, "value", long)
	w = s.watch("key")
	if v := w.next("watch of a key"); v.Version != version || string(v.Data) != "value" || v.ExpiresIn <= 0 {
		s.Errorf("got %+v, want what Get returns", v)
	}
	w.end()
}

func watchTellsOfChanges(s *stateSuite) {
	w := s.watch("key")
	defer w.end()
	w.tells(0, "", "first turn")
	one := s.swap("key", 0, "one", long)
	w.tells(one, "one", "after a swap of an absent key")
	two := s.swap("key", one, "one", long)
	w.tells(two, "one", "after a swap of the same data")
	s.refused(one, "swap of an old version")
	s.deleted("key", one, false, "an old version")
	s.deleted("key", two, true, "the current version")
	w.tells(0, "", "after a deletion") // and nothing of what was refused
	started := time.Now()
	three := s.swap("key", 0, "three", short)
	if v := w.next("after a swap for a short time"); v.Version == three {
		w.tells(0, "", "after the value has expired")
	} else if v.Version != 0 { // it had expired before anybody could look
		s.Errorf("got version %d, want %d or 0", v.Version, three)
	}
	if passed := time.Since(started); passed < short || s.exact && passed > short {
		s.Errorf("the end of a value for %v was told after %v", short, passed)
	}
	four := s.swap("key", 0, "four", 0)
	w.tells(four, "four", "after a swap of an expired key")
}

func watchIsOfOneKey(s *stateSuite) {
	other, w := s.watch("other"), s.watch("key")
	defer other.end()
	defer w.end()
	other.tells(0, "", "first turn")
	w.tells(0, "", "first turn")
	changed := s.swap("other", 0, "other", long)
	other.tells(changed, "other", "after its key has changed")
	version := s.swap("key", 0, "value", long)
	w.tells(version, "value", "after another key has changed, and then its own")
}

func slowWatchGetsTheNewest(s *stateSuite) {
	w := s.watch("key")
	defer w.end()
	w.tells(0, "", "first turn")
	version := state.Version(0)
	for n := range 50 {
		version = s.swap("key", version, strconv.Itoa(n), long)
	}
	// One turn may have been waiting to be taken since an earlier change.
	if n := w.reaches(version, "after 50 changes"); n > 2 {
		s.Errorf("50 changes during one turn came as %d turns", n)
	}
}

func slowWatchHoldsUpNobody(s *stateSuite) {
	slow, quick := s.watch("key"), s.watch("key")
	defer slow.end()
	defer quick.end()
	version := state.Version(0)
	for n := range 20 {
		version = s.swap("key", version, strconv.Itoa(n), long)
		quick.reaches(version, "while another watch is slow")
	}
	slow.reaches(version, "the slow one")
}

// lastChangeComes lets several write at the same time and wants watches that began before, meanwhile and with them to
// arrive where the key is left.
func lastChangeComes(s *stateSuite) {
	const writers, each = 4, 25
	watches := make(chan *watching, 1+writers)
	watches <- s.watch("key")
	atOnce(writers, func(int) {
		watches <- s.watch("key")
		for done := 0; done < each; {
			v, _, err := s.Get(s.Context(), "key")
			if err != nil {
				s.Errorf("get: %v", err)
				return
			}
			_, swapped, err := s.CompareAndSwap(s.Context(), "key", v.Version, nil, long)
			if err != nil {
				s.Errorf("swap: %v", err)
				return
			}
			if swapped {
				done++
			}
		}
	})
	close(watches)
	last := s.value("key").Version
	for w := range watches {
		w.reaches(last, "after the last change")
		w.end()
	}
}

func watchEndsWithItsContext(s *stateSuite) {
	over, cancel := context.WithCancel(s.Context())
	cancel()
	for v, err := range s.Watch(over, "key") {
		s.Errorf("got version %d, error %v of a watch whose context is over", v.Version, err)
	}
	version := s.swap("key", 0, "value", long)
	waiting, busy := s.watch("key"), s.watch("key")
	waiting.tells(version, "value", "first turn")
	waiting.end() // while it waits for a change
	busy.end()    // while it waits for its turn to be taken

	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	turns := 0
	for v, err := range s.Watch(ctx, "key") {
		turns++
		if s.must(err, "watch"); v.Version != version {
			s.Errorf("got version %d, want %d", v.Version, version)
		}
		cancel() // in the loop
	}
	if turns != 1 {
		s.Errorf("got %d turns of a watch that was ended in the first", turns)
	}
}

func watchEndsWithItsLoop(s *stateSuite) {
	version := s.swap("key", 0, "value", long)
	watch := s.Watch(s.Context(), "key")
	for range 2 { // the second loop is a watch of its own
		turns := 0
		for v, err := range watch {
			turns++
			if s.must(err, "watch"); v.Version != version {
				s.Errorf("got version %d, want %d", v.Version, version)
			}
			break
		}
		if turns != 1 {
			s.Errorf("got %d turns", turns)
		}
		version = s.swap("key", version, "value", long) // must not come to a loop that is left
	}
}
