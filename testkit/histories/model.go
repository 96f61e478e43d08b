package histories

import (
	"fmt"

	"github.com/anishathalye/porcupine"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// kind is what an operation does.
type kind uint8

const (
	claim kind = iota
	acquire
	complete
	extend
	release
	get
	getRecord
	set
	remove
	end // of the history, after which no operation is called
)

var kindNames = [...]string{"claim", "acquire", "complete", "extend", "release", "get", "record", "set", "delete", "end"}

// input is what an operation was asked to do. Claims are known by the number of the operation that made them, since
// the token of a claim whose answer was lost is known to nobody.
type input struct {
	kind        kind
	id          int // of the operation; from 1
	owner       int // the claim in whose name it acts
	fingerprint string
	value       string
	repeats     bool // as in Options
}

// output is what it answered.
type output struct {
	unknown bool // it may have been carried out, or may be yet
	lost    bool // ErrClaimLost

	outcome     idempotency.Outcome // of a claim
	acquired    bool                // of an acquire
	found       bool                // of a get
	status      idempotency.Status  // of a record
	fence       int64
	fingerprint string
	value       string
}

// state is the record of a key. The zero state is none. Leases and retentions are so long that time changes nothing.
type state struct {
	status      idempotency.Status
	owner       int    // the claim whose record it is, or the set that made it
	fence       int64  // 0: not told yet
	fingerprint string // anyPrint: the interface does not say
	value       string
	released    int // the claim whose release left no record: to release it again may succeed, or not
	over        bool
}

// anyPrint is the fingerprint of a result that was set.
const anyPrint = "*"

// model is an [idempotency.Store] as its comments describe it, for one key.
//
// An operation of unknown outcome returns after the end of the history. There it can always be put, as one that was
// never carried out; anywhere before, only if it changes something: otherwise the search would try every place for it
// in vain, and each such operation would double its work.
var model = porcupine.Model{
	Init: func() any { return state{} },
	Step: func(before, in, out any) (bool, any) {
		s, answer := before.(state), out.(output)
		if s.over {
			return answer.unknown, s
		}
		ok, after := step(s, in.(input), answer)
		return ok && (!answer.unknown || after != s), after
	},
}

// step says whether an operation can answer that in a state, and what state follows.
func step(s state, in input, out output) (ok bool, next state) {
	switch in.kind {
	case claim:
		return s.claim(in, out)
	case acquire:
		if out.unknown || out.acquired {
			return out.unknown || s.status == 0, s.claimed(in, 0)
		}
		return s.status != 0, s
	case complete:
		return s.completed(in, out)
	case extend:
		owned := s.claimedBy(in.owner)
		return out.unknown || owned != out.lost || out.lost && in.repeats, s
	case release:
		return s.release(in, out)
	case get:
		return out.unknown || out.found == (s.status == idempotency.StatusComplete) && (!out.found || out.value == s.value), s
	case getRecord:
		return s.getRecord(out)
	case set:
		return true, state{status: idempotency.StatusComplete, owner: in.id, fingerprint: anyPrint, value: in.value}
	case remove:
		return true, state{}
	default:
		s.over = true
		return true, s
	}
}

// claimed is the state after a claim that was carried out, whatever its answer.
func (s state) claimed(in input, fence int64) state {
	if s.status != 0 {
		return s
	}
	return state{status: idempotency.StatusPending, owner: in.id, fence: fence, fingerprint: in.fingerprint}
}

func (s state) claim(in input, out output) (bool, state) {
	if out.unknown {
		return true, s.claimed(in, 0)
	}
	if out.outcome == idempotency.Acquired {
		return s.status == 0 && out.fence > 0, s.claimed(in, out.fence)
	}
	differ, same := s.compare(in.fingerprint)
	switch out.outcome {
	case idempotency.InProgress:
		return s.status == idempotency.StatusPending && same && s.told(out.fence), s.withFence(out.fence)
	case idempotency.Done:
		return s.status == idempotency.StatusComplete && same && out.value == s.value && s.told(out.fence), s.withFence(out.fence)
	case idempotency.Mismatch:
		return s.status != 0 && differ && s.told(out.fence), s.withFence(out.fence)
	default:
		return false, s
	}
}

// compare says whether a fingerprint may differ from that of the record, and whether it may be the same.
func (s state) compare(fingerprint string) (differ, same bool) {
	switch {
	case fingerprint == "" || s.fingerprint == "":
		return false, true
	case s.fingerprint == anyPrint:
		return true, true
	default:
		return fingerprint != s.fingerprint, fingerprint == s.fingerprint
	}
}

// told says whether this can be the record's fence. Each record has one.
func (s state) told(fence int64) bool { return fence > 0 && (s.fence == 0 || s.fence == fence) }

func (s state) withFence(fence int64) state {
	s.fence = fence
	return s
}

func (s state) claimedBy(owner int) bool {
	return s.status == idempotency.StatusPending && s.owner == owner
}

// completed: to complete again with the same token changes nothing and is not an error.
func (s state) completed(in input, out output) (bool, state) {
	again := s.status == idempotency.StatusComplete && s.owner == in.owner
	if !s.claimedBy(in.owner) {
		return out.unknown || out.lost != again || out.lost && in.repeats, s
	}
	after := s
	after.status, after.value = idempotency.StatusComplete, in.value
	return !out.lost || in.repeats, after
}

// release: of one that is released again, the interface does not say whether its claim is lost.
func (s state) release(in input, out output) (bool, state) {
	if !s.claimedBy(in.owner) {
		again := s.status == 0 && s.released == in.owner
		return out.unknown || out.lost || again, s
	}
	return out.unknown || !out.lost || in.repeats, state{released: in.owner}
}

func (s state) getRecord(out output) (bool, state) {
	switch {
	case out.unknown:
		return true, s
	case !out.found:
		return s.status == 0, s
	}
	print := s.fingerprint == anyPrint || s.fingerprint == out.fingerprint
	return out.status == s.status && out.value == s.value && print && s.told(out.fence), s.withFence(out.fence)
}

// String tells what was asked for.
func (in input) String() string {
	text := fmt.Sprintf("#%d %s", in.id, kindNames[in.kind])
	if in.owner != 0 {
		text += fmt.Sprintf(" as owner of #%d", in.owner)
	}
	if in.fingerprint != "" {
		text += " with fingerprint " + in.fingerprint
	}
	if in.value != "" {
		text += " with " + in.value
	}
	return text
}

// describe tells what was answered.
func (out output) describe(k kind) string {
	switch {
	case out.unknown:
		return "unknown"
	case out.lost:
		return "claim lost"
	case k == claim:
		text := fmt.Sprintf("%v, fence %d", out.outcome, out.fence)
		if out.value != "" {
			text += ", " + out.value
		}
		return text
	case k == acquire:
		return fmt.Sprint(out.acquired)
	case k == get && out.found:
		return out.value
	case k == getRecord && out.found:
		return fmt.Sprintf("%v, fence %d, fingerprint %q, %s", out.status, out.fence, out.fingerprint, out.value)
	case k == get || k == getRecord:
		return "none"
	default:
		return "ok"
	}
}
