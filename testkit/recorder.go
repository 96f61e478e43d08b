package testkit

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/steadyfx/steady/hooks"
)

// Recorder keeps the events of a bus. It listens in line: when a call has returned, its events are there, and no test
// has to wait for them. It is safe for concurrent use.
type Recorder struct {
	mu     sync.Mutex
	events []hooks.Event
}

// NewRecorder returns a Recorder of every event of b from now on.
func NewRecorder(b *hooks.Bus) *Recorder {
	r := &Recorder{}
	hooks.On(b, func(_ context.Context, e hooks.Event) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.events = append(r.events, e)
	})
	return r
}

// Events returns what was recorded, in order.
func (r *Recorder) Events() []hooks.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// EventsOf returns the events of one type, in order.
func EventsOf[E hooks.Event](r *Recorder) []E {
	var found []E
	for _, e := range r.Events() {
		if e, ok := e.(E); ok {
			found = append(found, e)
		}
	}
	return found
}

// Names returns the EventName of each event, in order.
func (r *Recorder) Names() []string {
	events := r.Events()
	names := make([]string, len(events))
	for i, e := range events {
		names[i] = e.EventName()
	}
	return names
}

// Reset forgets what was recorded.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = nil
}

// Require ends the test unless events with these names were recorded in this order. Others may lie in between.
func (r *Recorder) Require(tb testing.TB, names ...string) {
	tb.Helper()
	recorded := r.Names()
	rest := recorded
	for i, name := range names {
		at := slices.Index(rest, name)
		if at < 0 {
			tb.Fatalf("no event %s%s\nwant, in this order:%s\nrecorded:%s",
				name, following(names[:i]), listed(names), listed(recorded))
		}
		rest = rest[at+1:]
	}
}

func following(found []string) string {
	if len(found) == 0 {
		return ""
	}
	return " after " + strings.Join(found, ", ")
}

func listed(names []string) string {
	if len(names) == 0 {
		return " nothing"
	}
	var b strings.Builder
	for i, name := range names {
		fmt.Fprintf(&b, "\n  %d. %s", i+1, name)
	}
	return b.String()
}
