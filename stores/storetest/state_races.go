package storetest

import (
	"strconv"
	"sync/atomic"

	"github.com/steadyfx/steady/patterns/state"
)

const swappers = 32

// oneSwapWins lets swappers swap each key at the same time: one wins, when it is absent and when it is not.
func oneSwapWins(s *stateSuite) {
	for n := range s.raceKeys {
		key := "race-" + strconv.Itoa(n)
		old := state.Version(0)
		if n%2 == 0 {
			old = s.swap(key, 0, "old", long)
		}
		var winners atomic.Int32
		var winner atomic.Int64
		atOnce(swappers, func(int) {
			v, swapped, err := s.CompareAndSwap(s.Context(), key, old, []byte("new"), long)
			if err != nil {
				s.Errorf("swap: %v", err)
			}
			if swapped {
				winners.Add(1)
				winner.Store(int64(v))
			}
		})
		if n := winners.Load(); n != 1 {
			s.Fatalf("%d of %d swaps of the same version succeeded, want 1", n, swappers)
		}
		s.holds(key, state.Version(winner.Load()), "new", "after the race")
	}
}

// noUpdateIsLost counts in a value: pitfall 28.
func noUpdateIsLost(s *stateSuite) {
	const each = 10
	atOnce(swappers, func(int) {
		for done := 0; done < each; {
			v, _, err := s.Get(s.Context(), "count")
			if err != nil {
				s.Errorf("get: %v", err)
				return
			}
			count, _ := strconv.Atoi(string(v.Data)) // 0 where there is none
			_, swapped, err := s.CompareAndSwap(s.Context(), "count", v.Version, []byte(strconv.Itoa(count+1)), long)
			if err != nil {
				s.Errorf("swap: %v", err)
				return
			}
			if swapped {
				done++
			}
		}
	})
	if got := string(s.value("count").Data); got != strconv.Itoa(swappers*each) {
		s.Errorf("%d increments have made %s", swappers*each, got)
	}
}
