package circuitbreaker

import (
	"maps"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns/state"
)

func TestDecisionsChangeTheSharedState(t *testing.T) {
	const wait = time.Minute
	open := record{State: Open, Change: "a", Wait: time.Second}
	lapsed := record{State: Open, Change: "a"}
	voted := record{Votes: map[string]time.Duration{"other": time.Second}}
	for name, tt := range map[string]struct {
		from   record
		d      decision
		quorum int
		want   record // Change "new" if it is another one
		wrote  bool
	}{
		"first to open":           {record{}, decision{state: Open}, 1, record{State: Open, Change: "new", Wait: wait}, true},
		"opens what is open":      {open, decision{state: Open, change: "a"}, 1, open, false},
		"opens what was open":     {lapsed, decision{state: Open}, 1, record{State: Open, Change: "new", Wait: wait}, true},
		"votes alone":             {record{}, decision{state: Open}, 2, record{}, true},
		"votes with another":      {voted, decision{state: Open}, 2, record{State: Open, Change: "new", Wait: wait}, true},
		"probe failed":            {lapsed, decision{state: Open, reopened: 2, change: "a"}, 3, record{State: Open, Change: "new", Wait: wait, Reopened: 2}, true},
		"probe failed too late":   {open, decision{state: Open, reopened: 2, change: "old"}, 1, open, false},
		"probe failed, own vote":  {record{Change: "b"}, decision{state: Open, reopened: 1, change: "b"}, 2, record{Change: "b"}, true},
		"probes succeeded":        {lapsed, decision{state: Closed, change: "a"}, 1, record{State: Closed, Change: "new"}, true},
		"... and it is forgotten": {record{}, decision{state: Closed, change: "a"}, 1, record{}, false},
		"... too late":            {open, decision{state: Closed, change: "old"}, 1, open, false},
		"takes its vote back":     {record{Votes: map[string]time.Duration{"me": wait}}, decision{state: Closed}, 2, record{}, true},
		"by hand":                 {open, decision{state: ForcedOpen, byHand: true}, 9, record{State: ForcedOpen, Change: "new"}, true},
		"against a hand":          {record{State: Disabled, Change: "h"}, decision{state: Open}, 1, record{State: Disabled, Change: "h"}, false},
		"by another hand":         {record{State: ForcedOpen, Change: "h"}, decision{state: Closed, byHand: true}, 1, record{State: Closed, Change: "new"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			votes := maps.Clone(tt.from.Votes)
			got, wrote := tt.from.apply(tt.d, wait, "me", tt.quorum, "new")
			if got.State != tt.want.State || got.Change != tt.want.Change || got.Wait != tt.want.Wait ||
				got.Reopened != tt.want.Reopened || wrote != tt.wrote {
				t.Errorf("got %+v, %v, want %+v, %v", got, wrote, tt.want, tt.wrote)
			}
			if _, mine := got.Votes["me"]; mine && tt.d.state == Closed {
				t.Errorf("it still votes: %v", got.Votes)
			}
			if !maps.Equal(votes, tt.from.Votes) {
				t.Errorf("the votes that it was made from are %v now", tt.from.Votes)
			}
		})
	}
}

func TestOlderValuesAreNotFollowed(t *testing.T) {
	b, err := New("payments", Config{})
	if err != nil {
		t.Fatal(err)
	}
	m := &member{backend: &distributedBackend{}, breaker: b, ctx: t.Context()}
	b.join(m)
	follow := func(v state.Version, r record) { b.follow(m, v, r, func() bool { return false }) }
	follow(2, record{State: Open, Change: "b", Wait: time.Hour})
	follow(1, record{State: Closed, Change: "a"})
	if b.State() != Open {
		t.Fatalf("state is %v", b.State())
	}
	follow(3, record{State: Open, Change: "b", Votes: map[string]time.Duration{"x": time.Hour}}) // nothing but a vote
	if m := b.Metrics(); m.Generation != 1 {
		t.Fatalf("got %+v", m)
	}
}
