package histories

import (
	"testing"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// The states that a key can be in, seen from the claim number 1.
var (
	absent   = state{}
	released = state{released: 1}
	pending  = state{status: idempotency.StatusPending, owner: 1, fence: 7, fingerprint: "a"}
	unseen   = state{status: idempotency.StatusPending, owner: 1, fingerprint: "a"} // nobody knows its fence
	done     = state{status: idempotency.StatusComplete, owner: 1, fence: 7, fingerprint: "a", value: "v"}
	wasSet   = state{status: idempotency.StatusComplete, owner: 3, fingerprint: anyPrint, value: "v"}
	over     = state{over: true}
)

func TestStepAllowsWhatTheInterfaceSays(t *testing.T) {
	type answers = map[state]state // and what follows: not in it is not allowed
	every := []state{absent, released, pending, unseen, done, wasSet}
	same := func(states ...state) answers {
		m := answers{}
		for _, s := range states {
			m[s] = s
		}
		return m
	}
	fresh := func(fence int64) state {
		return state{status: idempotency.StatusPending, owner: 5, fence: fence, fingerprint: "a"}
	}
	fenced := func(s state) state { s.fence = 7; return s }
	owner, stranger := input{owner: 1}, input{owner: 2}
	ask := func(in input, k kind) input { in.kind = k; return in }
	for name, tc := range map[string]struct {
		in    input
		out   output
		after answers
	}{
		"claim acquired": {
			input{kind: claim, id: 5, fingerprint: "a"}, output{outcome: idempotency.Acquired, fence: 8},
			answers{absent: fresh(8), released: fresh(8)},
		},
		"claim acquired without a fence": {
			input{kind: claim, id: 5, fingerprint: "a"}, output{outcome: idempotency.Acquired}, nil,
		},
		"claim in progress": {
			input{kind: claim, id: 5, fingerprint: "a"}, output{outcome: idempotency.InProgress, fence: 7},
			answers{pending: pending, unseen: pending},
		},
		"claim in progress with another fence": {
			input{kind: claim, id: 5}, output{outcome: idempotency.InProgress, fence: 8}, answers{unseen: func() state {
				s := unseen
				s.fence = 8
				return s
			}()},
		},
		"claim done": {
			input{kind: claim, id: 5}, output{outcome: idempotency.Done, fence: 7, value: "v"},
			answers{done: done, wasSet: fenced(wasSet)},
		},
		"claim done with another result": {
			input{kind: claim, id: 5}, output{outcome: idempotency.Done, fence: 7, value: "w"}, nil,
		},
		"claim mismatch": {
			input{kind: claim, id: 5, fingerprint: "b"}, output{outcome: idempotency.Mismatch, fence: 7},
			answers{pending: pending, unseen: pending, done: done, wasSet: fenced(wasSet)},
		},
		"claim mismatch with the same": {
			input{kind: claim, id: 5, fingerprint: "a"}, output{outcome: idempotency.Mismatch, fence: 7},
			answers{wasSet: fenced(wasSet)},
		},
		"claim done with another fingerprint": {
			input{kind: claim, id: 5, fingerprint: "b"}, output{outcome: idempotency.Done, fence: 7, value: "v"},
			answers{wasSet: fenced(wasSet)},
		},
		"claim unknown": {
			input{kind: claim, id: 5, fingerprint: "a"}, output{unknown: true}, answers{absent: fresh(0), released: fresh(0), over: over},
		},
		"claim with no outcome": {input{kind: claim, id: 5}, output{}, nil},

		"acquire true": {
			input{kind: acquire, id: 5, fingerprint: "a"}, output{acquired: true}, answers{absent: fresh(0), released: fresh(0)},
		},
		"acquire false": {input{kind: acquire, id: 5}, output{}, same(pending, unseen, done, wasSet)},

		"complete": {
			input{kind: complete, owner: 1, value: "v"}, output{},
			answers{pending: done, unseen: func() state { s := done; s.fence = 0; return s }(), done: done},
		},
		"complete lost":      {ask(owner, complete), output{lost: true}, same(absent, released, wasSet)},
		"strangers complete": {ask(stranger, complete), output{}, nil},
		"complete unknown": {
			input{kind: complete, owner: 1, value: "v"}, output{unknown: true},
			answers{pending: done, unseen: func() state { s := done; s.fence = 0; return s }(), over: over},
		},

		"extend":           {ask(owner, extend), output{}, same(pending, unseen)},
		"extend lost":      {ask(owner, extend), output{lost: true}, same(absent, released, done, wasSet)},
		"strangers extend": {ask(stranger, extend), output{}, nil},
		"extend unknown":   {ask(owner, extend), output{unknown: true}, same(over)}, // it changes nothing

		"release":           {ask(owner, release), output{}, answers{pending: released, unseen: released, released: released}},
		"release lost":      {ask(owner, release), output{lost: true}, same(absent, released, done, wasSet)},
		"strangers release": {ask(stranger, release), output{}, nil},
		"release unknown":   {ask(owner, release), output{unknown: true}, answers{pending: released, unseen: released, over: over}},
		"release lost by a client that repeats": {
			input{kind: release, owner: 1, repeats: true}, output{lost: true}, answers{
				pending: released, unseen: released, absent: absent, released: released, done: done, wasSet: wasSet,
			},
		},

		"get":            {input{kind: get}, output{found: true, value: "v"}, same(done, wasSet)},
		"get of another": {input{kind: get}, output{found: true, value: "w"}, nil},
		"get none":       {input{kind: get}, output{}, same(absent, released, pending, unseen)},

		"record pending": {
			input{kind: getRecord}, output{found: true, status: idempotency.StatusPending, fence: 7, fingerprint: "a"},
			answers{pending: pending, unseen: pending},
		},
		"record complete": {
			input{kind: getRecord}, output{found: true, status: idempotency.StatusComplete, fence: 7, fingerprint: "a", value: "v"},
			answers{done: done, wasSet: fenced(wasSet)},
		},
		"record with another fingerprint": {
			input{kind: getRecord}, output{found: true, status: idempotency.StatusPending, fence: 7, fingerprint: "b"}, nil,
		},
		"record none": {input{kind: getRecord}, output{}, same(absent, released)},

		"set": {input{kind: set, id: 3, value: "v"}, output{}, answers{
			absent: wasSet, released: wasSet, pending: wasSet, unseen: wasSet, done: wasSet, wasSet: wasSet,
		}},
		"delete": {input{kind: remove}, output{}, answers{
			absent: absent, released: absent, pending: absent, unseen: absent, done: absent, wasSet: absent,
		}},
		"end": {input{kind: end}, output{}, answers{
			absent: over, released: ended(released), pending: ended(pending), unseen: ended(unseen), done: ended(done), wasSet: ended(wasSet),
		}},
	} {
		for _, before := range append(every, over) {
			ok, after := model.Step(before, tc.in, tc.out)
			want, wanted := tc.after[before]
			if ok != wanted || ok && after != any(want) {
				t.Errorf("%s in %+v: allowed %v, then %+v; want %v, then %+v", name, before, ok, after, wanted, want)
			}
		}
	}
}

func ended(s state) state {
	s.over = true
	return s
}
