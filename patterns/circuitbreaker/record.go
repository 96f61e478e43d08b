package circuitbreaker

import (
	"encoding/json"
	"errors"
	"maps"
	"time"

	"github.com/steadyfx/steady/patterns/state"
)

// record is what replicas share of a circuit. All times in it are what was left when it was written: with the age of the
// value, nobody needs the clock of another.
type record struct {
	State    State                    `json:"state"`              // never HalfOpen: that comes with time
	Change   string                   `json:"change"`             // decision.id of the one to State; "" if there was none
	Wait     time.Duration            `json:"wait,omitempty"`     // Open: until probes may go through
	Reopened int                      `json:"reopened,omitempty"` // Open: as phase.reopened
	Votes    map[string]time.Duration `json:"votes,omitempty"`    // the replicas that are open of their own, and how long
}

// errForeign does not say what there is: nobody knows whose it is.
var errForeign = errors.New("what the store holds is not the state of a circuit breaker: delete it, or use another prefix")

// readRecord returns what a value says now. An absent value says that nothing has happened.
func readRecord(v state.Value) (r record, err error) {
	if v.Version == 0 {
		return record{}, nil
	}
	if json.Unmarshal(v.Data, &r) != nil || r.State == HalfOpen || r.State == DryRun || r.Reopened < 0 {
		return record{}, errForeign
	}
	r.Wait = left(r.Wait, v.Age)
	for replica, wait := range r.Votes {
		if r.Votes[replica] = left(wait, v.Age); r.Votes[replica] == 0 {
			delete(r.Votes, replica)
		}
	}
	return r, nil
}

// left returns what is left of a wait that was written so long ago.
func left(wait, age time.Duration) time.Duration { return max(0, min(wait, longestWait)-age) }

// byHand reports whether somebody has set the state, so that nothing but a hand changes it.
func (r record) byHand() bool { return r.State == ForcedOpen || r.State == Disabled }

// decision is what a replica has decided and the others should know.
type decision struct {
	id       string // the name of the replica, a dot and a number
	state    State  // Open, Closed, ForcedOpen or Disabled
	byHand   bool
	until    time.Duration // Open: on the breaker's clock
	reopened int           // Open: 0 if calls have failed, else probes have
	known    record        // what the replica knew
}

// apply returns what becomes of r by a decision of a replica, and whether that is anything new. wait is what is left of
// an opening.
func (r record) apply(d decision, wait time.Duration, replica string, quorum int) (record, bool) {
	current := r.Change == "" || r.Change == d.known.Change || madeBy(replica, r.Change) // else others have decided since
	switch {
	case r.Change == d.id: // it has been told already
		return r, false
	case d.byHand:
		return record{State: d.state, Change: d.id}, true
	case r.byHand(), r.State == Open && d.state == Closed && !current, d.reopened > 0 && !current:
		return r, false
	case d.state == Closed && (r.State == Open || r.Change == "" && d.known.State == Open): // the store may have forgotten
		return record{State: Closed, Change: d.id}, true
	case d.state == Closed:
		_, voted := r.Votes[replica]
		return r.without(replica), voted
	case r.State == Open && d.reopened > 0:
		return record{State: Open, Change: d.id, Wait: wait, Reopened: d.reopened, Votes: r.Votes}, true
	case r.State == Open && r.Wait > 0, wait == 0: // an opening that is over is no news
		return r, false
	}
	next := r.without(replica)
	next.Votes[replica] = wait
	if len(next.Votes) >= quorum {
		next.State, next.Change, next.Wait, next.Reopened = Open, d.id, wait, 0
	}
	return next, true
}

// without returns r without the vote of a replica.
func (r record) without(replica string) record {
	votes := map[string]time.Duration{}
	maps.Copy(votes, r.Votes)
	delete(votes, replica)
	r.Votes = votes
	return r
}

// ttl is how long the store must keep r: what a hand has set, until a hand changes it.
func (r record) ttl(least time.Duration) time.Duration {
	if r.byHand() {
		return 0
	}
	for _, wait := range r.Votes {
		least = max(least, 2*wait)
	}
	return max(least, 2*r.Wait)
}
