package histories

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// always is a time that no history outlives.
const always = time.Hour

const (
	pace          = 8 * time.Millisecond // the longest time between operations of a client that is disturbed
	keysOfHistory = 2                    // few, so that clients meet
	maxUnknown    = 8                    // outcomes of a key: a search that has to guess more may take too long

	// judgement bounds the search for an order, which mostly takes milliseconds.
	judgement = 3 * time.Second
)

// linearizable runs one history with long leases. To judge it is to look for an order that explains it.
func linearizable(w *world, n int) (judge func() history) {
	r := &recording{world: w, start: time.Now(), keys: make([]keyRecording, keysOfHistory)}
	for i := range r.keys {
		r.keys[i].name = fmt.Sprintf("history-%x-%d-%d", w.o.Seed, n, i)
	}
	var clients sync.WaitGroup
	for id := range w.o.Clients {
		random := w.random(uint64(n), uint64(id))
		clients.Go(func() {
			for range w.o.Operations {
				if w.o.Disturb != nil {
					pause(time.Duration(random.Int64N(int64(pace)))) // or all would be over before the first trouble is
				}
				r.operate(id, random)
			}
		})
	}
	clients.Wait()
	return func() (h history) {
		for i := range r.keys {
			h.add(r.keys[i].judge(n))
		}
		return h
	}
}

// recording is what clients did in one history.
type recording struct {
	*world
	start time.Time
	ids   atomic.Int64
	keys  []keyRecording
}

type keyRecording struct {
	name string

	mu         sync.Mutex
	operations []porcupine.Operation
	unknown    int     // of these: that may have been carried out, or not
	tokens     []owned // of all claims that were acquired
	errors     []string
}

// owned is a claim and what proves it.
type owned struct {
	claim int
	token idempotency.Token
}

// draw returns a random token, the last one more often than the others, or one that nobody has.
func (k *keyRecording) draw(random *rand.Rand) owned {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.tokens) == 0 {
		return owned{claim: -1, token: idempotency.Token{Owner: [16]byte{1}, Fence: 1}}
	}
	if random.IntN(4) > 0 {
		return k.tokens[len(k.tokens)-1]
	}
	return k.tokens[random.IntN(len(k.tokens))]
}

// blurred reports whether too little is known of what was done with the key to go on.
func (k *keyRecording) blurred() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.unknown >= maxUnknown
}

// What clients choose from: mostly what callers of a store mostly do. Some of it cannot be repeated safely.
var (
	unrepeatable = []kind{set, remove, remove}
	repeatable   = []kind{
		claim, claim, claim, claim, claim, claim, acquire, complete, complete, complete, release, release, extend, get, getRecord,
	}
)

// operate lets a client do one random operation, and writes it down.
func (r *recording) operate(client int, random *rand.Rand) {
	choice := repeatable
	if !r.o.Repeats {
		choice = slices.Concat(repeatable, unrepeatable)
	}
	k := &r.keys[random.IntN(len(r.keys))]
	if k.blurred() {
		return
	}
	in := input{kind: choice[random.IntN(len(choice))], id: int(r.ids.Add(1)), repeats: r.o.Repeats}
	var token idempotency.Token
	switch in.kind {
	case claim:
		in.fingerprint = []string{"", "a", "a", "b"}[random.IntN(4)]
	case complete, extend, release:
		o := k.draw(random)
		in.owner, token = o.claim, o.token
	}
	if in.kind == complete || in.kind == set {
		in.value = fmt.Sprintf("result-%d", in.id)
	}
	ctx, cancel := context.WithTimeout(r.Context(), r.o.Timeout)
	defer cancel()
	called := time.Since(r.start)
	out, err := r.call(ctx, k, in, token)
	returned := time.Since(r.start)
	k.record(client, called, returned, in, out, err)
	if out.unknown {
		pause(breath)
	}
}

// call asks the store. An error is one that is none of its answers.
func (r *recording) call(ctx context.Context, k *keyRecording, in input, token idempotency.Token) (output, error) {
	var out output
	var err error
	switch in.kind {
	case claim:
		var c idempotency.Claim
		c, err = r.store.Claim(ctx, idempotency.ClaimRequest{
			Key: k.name, Fingerprint: []byte(in.fingerprint), Lease: always, Retention: always,
		})
		out = output{outcome: c.Outcome, fence: c.Fence, value: string(c.Value)}
		if err == nil && c.Outcome == idempotency.Acquired {
			k.own(owned{in.id, c.Token})
		}
	case acquire:
		out.acquired, err = r.store.Acquire(ctx, k.name, always)
	case complete:
		err = r.store.Complete(ctx, k.name, token, []byte(in.value), always)
	case extend:
		err = r.store.Extend(ctx, k.name, token, always)
	case release:
		err = r.store.Release(ctx, k.name, token)
	case get:
		var value []byte
		value, out.found, err = r.store.Get(ctx, k.name)
		out.value = string(value)
	case getRecord:
		var rec idempotency.Record
		rec, out.found, err = r.store.GetRecord(ctx, k.name)
		out.status, out.fence, out.fingerprint, out.value = rec.Status, rec.Fence, string(rec.Fingerprint), string(rec.Value)
	case set:
		err = r.store.Set(ctx, k.name, []byte(in.value), always)
	case remove:
		err = r.store.Delete(ctx, k.name)
	}
	switch {
	case err == nil:
		return out, nil
	case errors.Is(err, idempotency.ErrClaimLost) && (in.kind == complete || in.kind == extend || in.kind == release):
		return output{lost: true}, nil
	case isUnknown(err):
		return output{unknown: true}, nil
	default:
		return output{unknown: true}, err
	}
}

// isUnknown reports whether an error leaves open what became of the operation.
func isUnknown(err error) bool {
	_, unavailable := errors.AsType[*idempotency.BackendError](err)
	return unavailable
}

func (k *keyRecording) own(o owned) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tokens = append(k.tokens, o)
}

func (k *keyRecording) record(client int, called, returned time.Duration, in input, out output, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		k.errors = append(k.errors, fmt.Sprintf("%v: %v", in, err))
	}
	op := porcupine.Operation{ClientId: client, Input: in, Output: out, Call: int64(called), Return: int64(returned)}
	if !out.unknown {
		k.operations = append(k.operations, op)
		return
	}
	if in.kind == get || in.kind == getRecord {
		return // nothing has changed, and nothing was learned
	}
	k.unknown++
	op.Return = math.MaxInt64
	k.operations = append(k.operations, op)
	if in.kind == claim || in.kind == acquire {
		// A store may give back a claim that nobody has been told of.
		op.Input, op.Output = input{kind: release, id: -in.id, owner: in.id}, output{unknown: true}
		k.operations = append(k.operations, op)
	}
}

// judge looks for an order of the operations in which each answers what it did.
func (k *keyRecording) judge(n int) history {
	h := history{operations: len(k.operations), unknown: k.unknown}
	for _, err := range k.errors {
		h.violations = append(h.violations, fmt.Sprintf("history %d: an error that no store may answer: %s", n, err))
	}
	if h.violations != nil {
		return h
	}
	last := int64(0)
	for _, op := range k.operations {
		if !op.Output.(output).unknown {
			last = max(last, op.Return)
		}
	}
	k.operations = append(k.operations, porcupine.Operation{
		ClientId: -1, Input: input{kind: end}, Output: output{}, Call: last + 1, Return: last + 1,
	})
	switch result, info := porcupine.CheckOperationsVerbose(model, k.operations, judgement); result {
	case porcupine.Ok:
	case porcupine.Illegal:
		h.violations = append(h.violations, fmt.Sprintf("history %d, key %s: no order of the operations explains what they "+
			"answered\n%s", n, k.name, k.evidence(info)))
	default:
		h.violations = append(h.violations, fmt.Sprintf("history %d could not be judged within %v: make it smaller, or "+
			"fewer outcomes unknown", n, judgement))
	}
	return h
}

// evidence lists the operations in the order of their calls, and marks those that fit into the longest order that was
// found.
func (k *keyRecording) evidence(info porcupine.LinearizationInfo) string {
	fits := map[int]int{} // place of an operation, by its number
	var longest []porcupine.Operation
	for _, partial := range info.PartialLinearizationsOperations()[0] {
		if len(partial) > len(longest) {
			longest = partial
		}
	}
	for i, op := range longest {
		fits[op.Input.(input).id] = i + 1
	}
	var text strings.Builder
	text.WriteString("order  client      call µs    return µs  operation\n")
	byCall := func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) }
	for _, op := range slices.SortedFunc(slices.Values(k.operations), byCall) {
		in, out := op.Input.(input), op.Output.(output)
		order, returned := "-", "-"
		if i := fits[in.id]; i > 0 {
			order = fmt.Sprint(i)
		}
		if !out.unknown {
			returned = fmt.Sprintf("%.1f", float64(op.Return)/1e3)
		}
		fmt.Fprintf(&text, "%5s  %6d  %12.1f %12s  %v: %s\n",
			order, op.ClientId, float64(op.Call)/1e3, returned, in, out.describe(in.kind))
	}
	text.WriteString("order: in the longest that was found; - is not in it. #-1: the store may release #1, whose answer was lost.")
	return text.String()
}
