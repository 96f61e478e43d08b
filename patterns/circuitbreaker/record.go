package circuitbreaker

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/steadyfx/steady/patterns/state"
)

// record is what replicas share of a circuit. All times in it are what was left when it was written: with the age of the
// value, nobody needs the clock of another.
type record struct {
	State    State                    `json:"state"`              // never HalfOpen: that comes with time
	Change   string                   `json:"change"`             // names the transition to State; "" if there was none
	Wait     time.Duration            `json:"wait,omitempty"`     // Open: until probes may go through
	Reopened int                      `json:"reopened,omitempty"` // Open: as phase.reopened
	Votes    map[string]time.Duration `json:"votes,omitempty"`    // the replicas that are open of their own, and how long
}

// readRecord returns what a value says now. An absent value says that nothing has happened.
func readRecord(v state.Value) (r record, err error) {
	if v.Version == 0 {
		return record{}, nil
	}
	if err := json.Unmarshal(v.Data, &r); err != nil {
		return record{}, fmt.Errorf("the shared state of a circuit breaker cannot be read: %w", err)
	}
	r.Wait = max(0, r.Wait-v.Age)
	for replica, left := range r.Votes {
		if r.Votes[replica] = left - v.Age; left <= v.Age {
			delete(r.Votes, replica)
		}
	}
	return r, nil
}

// byHand reports whether somebody has set the state, so that nothing but a hand changes it.
func (r record) byHand() bool { return r.State == ForcedOpen || r.State == Disabled }

// decision is what a replica has decided and the others should know.
type decision struct {
	state    State // Open, Closed, ForcedOpen or Disabled
	byHand   bool
	until    time.Duration // Open: on the breaker's clock
	reopened int           // Open: 0 if calls have failed, else probes have
	change   string        // the last one that the replica knew of
}

// apply returns what becomes of r by a decision of a replica, and whether that is anything new. wait is what is left of
// an opening; change names the transition if it is one.
func (r record) apply(d decision, wait time.Duration, replica string, quorum int, change string) (record, bool) {
	current := r.Change == "" || r.Change == d.change // else others have decided since
	switch {
	case d.byHand:
		return record{State: d.state, Change: change}, true
	case r.byHand():
		return r, false
	case d.state == Closed && r.State == Open && current:
		return record{State: Closed, Change: change}, true
	case d.state == Closed:
		_, voted := r.Votes[replica]
		return r.without(replica), voted
	case r.State == Open && d.reopened > 0 && current:
		return record{State: Open, Change: change, Wait: wait, Reopened: d.reopened, Votes: r.Votes}, true
	case r.State == Open && (d.reopened > 0 || r.Wait > 0):
		return r, false
	}
	next := r.without(replica)
	next.Votes[replica] = wait
	if len(next.Votes) >= quorum {
		next.State, next.Change, next.Wait, next.Reopened = Open, change, wait, 0
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
	for _, left := range r.Votes {
		least = max(least, 2*left)
	}
	return max(least, 2*r.Wait)
}
