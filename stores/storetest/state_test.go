package storetest

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns/state"
	"github.com/steadyfx/steady/stores/memstore"
)

func TestStateSuitePassesARightStore(t *testing.T) {
	State(t, func(*testing.T) state.Store { return memstore.NewState() }, InBubble(), RaceKeys(20))
}

// stateFailures runs a check in a bubble and returns what it complained about.
func stateFailures(t *testing.T, c stateCheck, spoil func(*memstore.State) state.Store) (complaints []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{TB: t}
		done := make(chan struct{})
		go func() { // of its own, for Fatalf to end
			defer close(done)
			c.run(&stateSuite{TB: r, Store: spoil(memstore.NewState()), raceKeys: 20, exact: true})
		}()
		<-done
		complaints = r.errors
		time.Sleep(2 * patience) // for what ends late, but does end
	})
	return complaints
}

// TestEveryStateCheckCatchesItsMistake spoils a right store in one way at a time and wants the check that is there for
// it to complain.
func TestEveryStateCheckCatchesItsMistake(t *testing.T) {
	caught := map[string]bool{}
	for _, m := range stateMistakes {
		t.Run(m.name, func(t *testing.T) {
			for _, name := range m.caughtBy {
				caught[name] = true
				i := slices.IndexFunc(stateChecks, func(c stateCheck) bool { return c.name == name })
				if i < 0 {
					t.Fatalf("there is no check %s", name)
				}
				if len(stateFailures(t, stateChecks[i], m.spoil)) == 0 {
					t.Errorf("check %s passes", name)
				}
			}
		})
	}
	for _, c := range stateChecks {
		if !caught[c.name] {
			t.Errorf("no mistake shows that check %s can fail", c.name)
		}
	}
}

// TestUnspoiledStatePasses is the counter-proof of the mistakes: what they are made of is right.
func TestUnspoiledStatePasses(t *testing.T) {
	for _, c := range stateChecks {
		if complaints := stateFailures(t, c, spoilState(func(*spoiledState) {})); len(complaints) > 0 {
			t.Errorf("check %s: %s", c.name, strings.Join(complaints, "; "))
		}
	}
}

// TestStateSuiteFailsAGetThenSetStore runs all checks against the store that people write first: it looks, and then it
// writes. Only what happens at the same time gives it away.
func TestStateSuiteFailsAGetThenSetStore(t *testing.T) {
	unnoticed := map[string]bool{
		"OneSwapWins": false, "NoUpdateIsLost": false, "HistoriesAreLinearizable": false,
		"SwapStoresAValue": true, "SwapNeedsTheCurrentVersion": true, "VersionsOutliveTheirValues": true,
	}
	for _, c := range stateChecks {
		want, judged := unnoticed[c.name]
		if !judged {
			continue
		}
		if complaints := stateFailures(t, c, getThenSwap); (len(complaints) == 0) != want {
			t.Errorf("check %s passes: %v, want %v; %s", c.name, !want, want, strings.Join(complaints, "; "))
		}
	}
}

// getThenSwap compares in one step and swaps in another, between which others come in, as they do when each step is a
// round trip.
func getThenSwap(m *memstore.State) state.Store {
	return spoilState(func(s *spoiledState) {
		s.swap = func(ctx context.Context, w stateWrite) (state.Version, bool, error) {
			v, _, err := m.Get(ctx, w.key)
			if err != nil || v.Version != w.old {
				return 0, false, err
			}
			runtime.Gosched()
			return overwrite(ctx, m, w)
		}
	})(m)
}

// overwrite is a swap of whatever there is.
func overwrite(ctx context.Context, m *memstore.State, w stateWrite) (state.Version, bool, error) {
	for {
		v, _, err := m.Get(ctx, w.key)
		if err != nil {
			return 0, false, err
		}
		if version, swapped, err := m.CompareAndSwap(ctx, w.key, v.Version, w.data, w.ttl); swapped || err != nil {
			return version, swapped, err
		}
	}
}
