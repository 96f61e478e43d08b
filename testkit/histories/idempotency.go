package histories

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// Options changes what [Idempotency] does. A zero field takes the value that its comment names.
type Options struct {
	Histories  int           // of each of the two checks; 200
	Clients    int           // that work at once in a history; 4
	Operations int           // of each client; 10
	Timeout    time.Duration // of an operation; 1 s
	Seed       uint64        // of what clients do; a random one

	// Repeats says that the client of the backend repeats a call whose answer it has lost, by itself. A Set or a Delete
	// may then be carried out twice, with the calls of others in between, and an ErrClaimLost may be about what the
	// first one has done. So clients do without Set and Delete, and ErrClaimLost proves nothing.
	Repeats bool

	// Disturb is called again and again, in the goroutine of the test, while clients work. What it breaks it mends
	// before it returns. Faults that need nobody to switch them are set up before [Idempotency] is called.
	Disturb func(random *rand.Rand)
}

func (o Options) withDefaults() Options {
	or := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	or(&o.Histories, 200)
	or(&o.Clients, 4)
	or(&o.Operations, 10)
	if o.Timeout == 0 {
		o.Timeout = time.Second
	}
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	return o
}

// Idempotency lets random clients work on the stores that open returns, which need not be empty, and checks two things,
// each on a store of its own. What has to be closed, open registers with t.Cleanup.
//
// That claims, completions, extensions, releases and the rest are linearizable while leases are long: each operation
// takes effect at one moment between its call and its return, and what it answers is what [idempotency.Store] says it
// answers at that moment. An operation that could not tell (its error is an [idempotency.BackendError]) takes effect at
// some moment after its call, or never.
//
// And while leases are short and clients die: that no key is acted for twice within a lease, that no result is lost
// once it was stored, and that no record blocks a key for longer than its lease.
//
// What it reports it reports with the history, and with a seed that makes clients do the same again. When they do it is
// up to the machine, so that a violation may need more than one run to come back.
func Idempotency(t *testing.T, open func(t *testing.T) idempotency.Store, o Options) {
	o = o.withDefaults()
	for _, c := range []struct {
		name string
		run  check
	}{
		{"Linearizable", linearizable},
		{"WithinLeases", withinLeases},
	} {
		t.Run(c.name, func(t *testing.T) { (&world{TB: t, store: open(t), o: o}).runAll(c.run) })
	}
}

const (
	together = 16                    // histories that run at a time: they mostly wait
	breath   = 10 * time.Millisecond // that a client takes when it could not reach the store
)

func pause(d time.Duration) { <-time.After(d) }

// world is what histories have in common.
type world struct {
	testing.TB
	store idempotency.Store
	o     Options
}

// check runs a history, which may wait for others that run at the same time, and returns how to judge it.
type check func(w *world, n int) (judge func() history)

// history is what became of one history.
type history struct {
	operations int
	unknown    int      // of these: whose outcome nobody knows
	violations []string // of what was promised, with the evidence
}

func (h *history) add(other history) {
	h.operations += other.operations
	h.unknown += other.unknown
	h.violations = append(h.violations, other.violations...)
}

// enough violations have been reported: more of them say the same.
const enough = 3

func (w *world) runAll(run check) {
	w.Helper()
	var sum history
	for first := 0; first < w.o.Histories && len(sum.violations) < enough; first += together {
		for _, judge := range w.runSome(run, first, min(first+together, w.o.Histories)) {
			sum.add(judge())
		}
	}
	for _, v := range sum.violations[:min(len(sum.violations), enough)] {
		w.Errorf("%s\nseed %#x", v, w.o.Seed)
	}
	w.Logf("%d operations, %d of them with an unknown outcome", sum.operations, sum.unknown)
}

// runSome runs histories at the same time, and disturbs them meanwhile.
func (w *world) runSome(run check, from, to int) (judges []func() history) {
	judges = make([]func() history, to-from)
	var running sync.WaitGroup
	for i := range judges {
		running.Go(func() { judges[i] = run(w, from+i) })
	}
	over := make(chan struct{})
	go func() {
		running.Wait()
		close(over)
	}()
	for random := w.random(uint64(from), disturber); ; {
		select {
		case <-over:
			return judges
		default:
			if w.o.Disturb == nil {
				<-over
			} else {
				w.o.Disturb(random)
			}
		}
	}
}

// disturber is the number of whoever is no client.
const disturber = 1 << 32

// random is what decides for one client in one history.
func (w *world) random(n, client uint64) *rand.Rand {
	return rand.New(rand.NewPCG(w.o.Seed, n<<33|client))
}
