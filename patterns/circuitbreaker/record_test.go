package circuitbreaker

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns/state"
)

func TestDecisionsChangeTheSharedState(t *testing.T) {
	const wait = time.Minute
	open := record{State: Open, Change: "a", Wait: time.Second}
	lapsed := record{State: Open, Change: "a"}
	closed := record{State: Closed, Change: "c"}
	voted := record{Votes: map[string]time.Duration{"other": time.Second}}
	decide := func(s State, reopened int, known record) decision {
		return decision{id: "me.9", state: s, until: wait, reopened: reopened, known: known}
	}
	hand := func(s State) decision { return decision{id: "me.9", state: s, byHand: true} }
	for name, tt := range map[string]struct {
		from   record
		d      decision
		quorum int
		want   record
		wrote  bool
	}{
		"first to open":       {record{}, decide(Open, 0, record{}), 1, record{State: Open, Change: "me.9", Wait: wait}, true},
		"opens what is open":  {open, decide(Open, 0, open), 1, open, false},
		"opens what was open": {lapsed, decide(Open, 0, record{}), 1, record{State: Open, Change: "me.9", Wait: wait}, true},
		"opens what others have closed": {
			closed, decide(Open, 0, open), 1, record{State: Open, Change: "me.9", Wait: wait}, true},
		"opened long ago":    {record{}, decision{id: "me.9", state: Open}, 1, record{}, false},
		"votes alone":        {record{}, decide(Open, 0, record{}), 2, record{}, true},
		"votes with another": {voted, decide(Open, 0, record{}), 2, record{State: Open, Change: "me.9", Wait: wait}, true},
		"probe failed": {
			lapsed, decide(Open, 2, lapsed), 3, record{State: Open, Change: "me.9", Wait: wait, Reopened: 2}, true},
		"probe failed too late":              {open, decide(Open, 2, closed), 1, open, false},
		"probe failed, others have closed":   {closed, decide(Open, 1, open), 1, closed, false},
		"probe failed, own vote":             {closed, decide(Open, 1, closed), 2, closed, true},
		"probes succeeded":                   {lapsed, decide(Closed, 0, lapsed), 1, record{State: Closed, Change: "me.9"}, true},
		"... and the store has forgotten":    {record{}, decide(Closed, 0, lapsed), 1, record{State: Closed, Change: "me.9"}, true},
		"... and it was open for itself":     {record{}, decide(Closed, 0, closed), 1, record{}, false},
		"... too late":                       {open, decide(Closed, 0, closed), 1, open, false},
		"... after an opening it had to try": {record{State: Open, Change: "me.8"}, decide(Closed, 0, record{}), 1, record{State: Closed, Change: "me.9"}, true},
		"takes its vote back":                {record{Votes: map[string]time.Duration{"me": wait}}, decide(Closed, 0, record{}), 2, record{}, true},
		"by hand":                            {open, hand(ForcedOpen), 9, record{State: ForcedOpen, Change: "me.9"}, true},
		"against a hand":                     {record{State: Disabled, Change: "h"}, decide(Open, 0, open), 1, record{State: Disabled, Change: "h"}, false},
		"by another hand":                    {record{State: ForcedOpen, Change: "h"}, hand(Closed), 1, record{State: Closed, Change: "me.9"}, true},
		"of which the reply was lost":        {record{State: Closed, Change: "me.9"}, hand(Closed), 1, record{State: Closed, Change: "me.9"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			votes := maps.Clone(tt.from.Votes)
			got, wrote := tt.from.apply(tt.d, tt.d.until, "me", tt.quorum)
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

func TestForeignValuesAreToldByNobody(t *testing.T) {
	for _, data := range []string{
		`?`, `"s3cret"`, `{"state":"s3cret"}`, `{"state":"half_open"}`, `{"state":"dry_run"}`, `{"state":"open","reopened":-1}`,
	} {
		if r, err := readRecord(state.Value{Data: []byte(data), Version: 1}); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: got %+v, %v", data, r, err)
		}
	}
	r, err := readRecord(state.Value{
		Data:    []byte(`{"state":"open","wait":9223372036854775807,"votes":{"a":9223372036854775807,"b":-1,"c":5}}`),
		Version: 1, Age: 5,
	})
	if err != nil || r.Wait != longestWait-5 || !maps.Equal(r.Votes, map[string]time.Duration{"a": longestWait - 5}) {
		t.Errorf("got %+v, %v", r, err)
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
