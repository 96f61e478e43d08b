package storetest

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/anishathalye/porcupine"

	"github.com/steadyfx/steady/patterns/state"
)

// historiesAreLinearizable lets clients read, swap and delete a key at random, with versions that they have seen, and
// looks for an order of all these calls in which each answer is right and which no answer came before.
func historiesAreLinearizable(s *stateSuite) {
	const rounds, clients, calls = 10, 8, 30
	for round := range rounds {
		history := s.history("key-"+strconv.Itoa(round), clients, calls)
		if !porcupine.CheckOperations(stateModel, history) {
			s.Fatalf("these answers are right in no order of the calls:\n%s", describeHistory(history))
		}
	}
}

// history records what clients have asked for and what they were told.
func (s *stateSuite) history(key string, clients, calls int) []porcupine.Operation {
	var mu sync.Mutex
	var history []porcupine.Operation
	var clock atomic.Int64
	atOnce(clients, func(client int) {
		known := state.Version(0)
		for n := range calls {
			ask := stateCall{op: stateOps[rand.IntN(len(stateOps))], version: known, data: fmt.Sprintf("%d of %d", n, client)}
			called := clock.Add(1)
			answer, err := s.carryOut(key, ask)
			returned := clock.Add(1)
			if err != nil {
				s.Errorf("%s: %v", ask.op, err)
				return
			}
			if ask.op == "get" || answer.done {
				known = answer.version // of an absent or deleted key, 0
			}
			mu.Lock()
			history = append(history, porcupine.Operation{
				ClientId: client, Input: ask, Output: answer, Call: called, Return: returned,
			})
			mu.Unlock()
		}
	})
	return history
}

// stateCall is what a client asks for.
type stateCall struct {
	op      string
	version state.Version // of a swap, the old one
	data    string        // of a swap
}

// stateAnswer is what it is told.
type stateAnswer struct {
	version state.Version
	data    string
	done    bool // found, swapped or deleted
}

var stateOps = []string{"get", "get", "swap", "swap", "swap", "delete"}

func (s *stateSuite) carryOut(key string, c stateCall) (a stateAnswer, err error) {
	switch c.op {
	case "get":
		var v state.Value
		v, a.done, err = s.Get(s.Context(), key)
		a.version, a.data = v.Version, string(v.Data)
	case "swap":
		a.version, a.done, err = s.CompareAndSwap(s.Context(), key, c.version, []byte(c.data), long)
	case "delete":
		a.done, err = s.Delete(s.Context(), key, c.version)
	}
	return a, err
}

// modelState is a key as it is if the calls so far came one after the other.
type modelState struct {
	version state.Version // 0: absent
	data    string
	highest state.Version // that the key ever had
}

var stateModel = porcupine.Model{
	Init: func() any { return modelState{} },
	Step: func(before, call, answer any) (bool, any) {
		return before.(modelState).step(call.(stateCall), answer.(stateAnswer))
	},
}

// step reports whether an answer is right, and what the key is then.
func (m modelState) step(c stateCall, a stateAnswer) (right bool, after modelState) {
	current := c.version == m.version
	switch {
	case c.op == "get":
		return a == stateAnswer{m.version, m.data, m.version != 0}, m
	case c.op == "swap" && a.done:
		return current && a.version > m.highest, modelState{version: a.version, data: c.data, highest: a.version}
	case c.op == "swap":
		return !current && a.version == 0, m
	case a.done:
		return current && m.version != 0, modelState{highest: m.highest}
	default: // a refused deletion
		return !current || m.version == 0, m
	}
}

func describeHistory(history []porcupine.Operation) string {
	var b strings.Builder
	for _, op := range history {
		fmt.Fprintf(&b, "client %d from %d to %d: %+v: %+v\n", op.ClientId, op.Call, op.Return, op.Input, op.Output)
	}
	return b.String()
}
