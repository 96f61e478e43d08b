package circuitbreaker

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/state"
	"github.com/steadyfx/steady/stores/memstore"
	"pgregory.net/rapid"
)

// TestFleetHealsAfterAnything plays random calls, commands, restarts and steps of time on replicas whose store fails,
// delays and loses replies. When the store is sound again, all must agree, and follow what their calls then say.
func TestFleetHealsAfterAnything(t *testing.T) {
	inBubble(t, func(t *rapid.T) {
		f := newFleet(t, rapid.IntRange(1, 3).Draw(t, "quorum"))
		defer f.close()
		actions := f.commands(rapid.Bool().Draw(t, "console"))
		for range 3 {
			t.Repeat(actions)
		}
		actions["calm"](t)
		f.pick(t).Reset()
		f.agree(t)
		f.callAll(nil)
		f.want(t, Closed)
		f.callAll(errors.New("down"))
		f.want(t, Open)
		f.agree(t)
		time.Sleep(time.Minute) // nobody calls
		f.callAll(nil)
		f.want(t, Closed)
		f.agree(t)
		f.pick(t).ForceOpen()
		f.agree(t)
		f.want(t, ForcedOpen)
	})
}

// TestFleetNeverProbesMoreThanOneReplicaMay plays the same with a store that is slow, but answers in time.
func TestFleetNeverProbesMoreThanOneReplicaMay(t *testing.T) {
	inBubble(t, func(t *rapid.T) {
		f := newFleet(t, 1)
		defer f.close()
		actions := f.actions()
		actions[""] = func(t *rapid.T) {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.excess != "" {
				t.Fatal(f.excess)
			}
		}
		for range 5 {
			t.Repeat(actions)
		}
	})
}

// inBubble checks play with rapid, each game in a bubble of its own.
func inBubble(t *testing.T, play func(*rapid.T)) {
	rapid.Check(t, func(rt *rapid.T) {
		var verdict any // by which rapid ends a game; it must not end the bubble
		synctest.Test(t, func(*testing.T) {
			defer func() { verdict = recover() }()
			play(rt)
		})
		if verdict != nil {
			panic(verdict)
		}
	})
}

// fleet is a service of some replicas with one shared circuit.
type fleet struct {
	cfg        Config
	backend    DistributedConfig
	store      *faulty
	registries []*Registry
	breakers   []*Breaker
	calls      sync.WaitGroup

	mu     sync.Mutex
	probes map[*Permit]time.Time // in flight, until when
	excess string                // how they were more than one replica may have
}

func newFleet(t *rapid.T, quorum int) *fleet {
	f := &fleet{
		cfg: Config{
			FailureThreshold: rapid.IntRange(1, 3).Draw(t, "failure_threshold"),
			SuccessThreshold: rapid.IntRange(1, 3).Draw(t, "success_threshold"),
			HalfOpenMaxCalls: rapid.IntRange(1, 2).Draw(t, "half_open_max_calls"),
			RecoveryTimeout:  rapid.SampledFrom([]time.Duration{1, 4}).Draw(t, "recovery_timeout") * time.Second,
			RecoveryJitter:   rapid.SampledFrom([]float64{0, 0.5}).Draw(t, "recovery_jitter"),
			HalfOpenTimeout:  rapid.SampledFrom([]time.Duration{0, 5}).Draw(t, "half_open_timeout") * time.Second,
			Timeout:          rapid.SampledFrom([]time.Duration{1, 3}).Draw(t, "timeout") * time.Second,
		},
		backend: DistributedConfig{Quorum: quorum},
		store:   &faulty{Store: memstore.NewState(), random: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))},
		probes:  map[*Permit]time.Time{},
	}
	for i := range rapid.IntRange(2, 4).Draw(t, "replicas") {
		f.registries, f.breakers = append(f.registries, nil), append(f.breakers, nil)
		f.start(i)
	}
	return f
}

// start begins a replica.
func (f *fleet) start(i int) {
	r, err := NewRegistry(patterns.Instances[Config]{Default: f.cfg})
	if err != nil {
		panic(err)
	}
	backend, err := NewDistributedBackend(f.store, f.backend)
	if err != nil {
		panic(err)
	}
	r.SetBackend(backend)
	if f.breakers[i], err = r.GetOrCreate("model"); err != nil {
		panic(err)
	}
	f.registries[i] = r
	time.Sleep(100 * time.Millisecond) // it sees what there is
}

func (f *fleet) close() {
	f.calls.Wait()
	for _, r := range f.registries {
		r.Close()
	}
	f.store.late.Wait()
}

func (f *fleet) index(t *rapid.T) int     { return rapid.IntRange(0, len(f.breakers)-1).Draw(t, "replica") }
func (f *fleet) pick(t *rapid.T) *Breaker { return f.breakers[f.index(t)] }

// actions returns what can happen to a fleet. Time passes with each, so that there is little that happens at once.
func (f *fleet) actions() map[string]func(*rapid.T) {
	down := errors.New("down")
	call := func(t *rapid.T, outcomes ...error) {
		b, result := f.pick(t), rapid.SampledFrom(outcomes).Draw(t, "outcome")
		took := f.store.upTo(f.cfg.Timeout - 1)
		f.calls.Go(func() { f.call(b, took, result) })
		time.Sleep(f.store.upTo(f.cfg.Timeout / 2))
	}
	return map[string]func(*rapid.T){
		"call":      func(t *rapid.T) { call(t, nil, nil, nil, down, &OpenError{}) },
		"good call": func(t *rapid.T) { call(t, nil) },
		"lost call": func(t *rapid.T) { _, _ = f.acquire(f.pick(t)) },
		"trip": func(t *rapid.T) {
			for b := f.pick(t); b.State() == Closed; {
				b.RecordFailure(down)
			}
			time.Sleep(f.store.upTo(rapid.SampledFrom([]time.Duration{20 * time.Millisecond, f.cfg.RecoveryTimeout}).Draw(t, "wait")))
		},
		"recover": func(t *rapid.T) {
			b := f.pick(t)
			time.Sleep(b.TimeUntilReset())
			for range f.cfg.SuccessThreshold {
				f.call(b, 0, nil)
			}
			time.Sleep(f.store.upTo(10 * time.Millisecond))
		},
		"wait": func(*rapid.T) { time.Sleep(f.store.upTo(f.cfg.Timeout)) },
	}
}

// commands returns what else can happen. With a console, all commands come from the first replica, so that there is a
// last one.
func (f *fleet) commands(console bool) map[string]func(*rapid.T) {
	last := Closed
	pick := func(t *rapid.T) int {
		if console {
			return 0
		}
		return f.index(t)
	}
	actions := f.actions()
	actions["command"] = func(t *rapid.T) {
		b := f.breakers[pick(t)]
		switch last = rapid.SampledFrom([]State{Closed, Closed, ForcedOpen, Disabled}).Draw(t, "command"); last {
		case ForcedOpen:
			b.ForceOpen()
		case Disabled:
			b.Disable()
		default:
			b.Reset()
		}
		time.Sleep(f.store.upTo(50 * time.Millisecond))
	}
	actions["restart"] = func(t *rapid.T) {
		if i := f.index(t); i != 0 || !console {
			f.registries[i].Close()
			f.start(i)
		}
	}
	actions["store fails"] = func(t *rapid.T) { f.store.faults.Store(rapid.Int64Range(1, 100).Draw(t, "percent")) }
	actions["store is sound"] = func(*rapid.T) { f.store.faults.Store(0) }
	actions["calm"] = func(t *rapid.T) {
		f.store.faults.Store(0)
		if r := f.agree(t); console && (r.byHand() || last != Closed) && r.State != last {
			t.Fatalf("the last command was for %v, the store holds %+v", last, r)
		}
	}
	return actions
}

func (f *fleet) call(b *Breaker, took time.Duration, result error) {
	permit, err := f.acquire(b)
	if err != nil {
		return
	}
	time.Sleep(took)
	f.mu.Lock()
	delete(f.probes, permit)
	f.mu.Unlock()
	permit.Done(result)
}

// acquire notes who probes.
func (f *fleet) acquire(b *Breaker) (*Permit, error) {
	permit, err := b.Acquire(context.Background())
	if err != nil || permit.probe == 0 {
		return permit, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.probes[permit] = time.Now().Add(f.cfg.Timeout)
	n := 0
	for p, until := range f.probes {
		if time.Now().Before(until) && p.breaker.current.Load().generation == p.phase.generation {
			n++
		}
	}
	if n > f.cfg.HalfOpenMaxCalls {
		f.excess = fmt.Sprintf("%d probes at %v", n, permit.begun)
	}
	return permit, nil
}

// callAll makes calls on every replica, of which each ends with result, until every circuit has had its time.
func (f *fleet) callAll(result error) {
	const every = 100 * time.Millisecond
	for range 100 * time.Second / every {
		for _, b := range f.breakers {
			f.call(b, 0, result)
		}
		time.Sleep(every)
	}
}

func (f *fleet) want(t *rapid.T, want State) {
	t.Helper()
	for i, b := range f.breakers {
		if got := b.State(); got != want && (want != Open || got != HalfOpen) {
			t.Fatalf("replica %d is %v, want %v", i, got, want)
		}
	}
}

// agree checks that all replicas know what the store holds, and do what it says.
func (f *fleet) agree(t *rapid.T) record {
	t.Helper()
	time.Sleep(2 * longestPause)
	v, _, err := f.store.Store.Get(context.Background(), f.breakers[0].member.stateKey)
	if err != nil {
		t.Fatal(err)
	}
	r, err := readRecord(v)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	for i, b := range f.breakers {
		b.mu.Lock()
		version, shared := b.member.version, b.member.shared
		b.mu.Unlock()
		if version != v.Version || shared.Change != r.Change {
			t.Fatalf("replica %d knows %d, %+v; the store holds %d, %+v", i, version, shared, v.Version, r)
		}
		switch got := b.State(); {
		case r.byHand() && got != r.State, r.State == Open && got == Closed,
			!r.byHand() && (got == ForcedOpen || got == Disabled):
			t.Fatalf("replica %d is %v, the store holds %+v", i, got, r)
		}
	}
	return r
}

// faulty is a store that is slow, and fails when told to: before it does anything, after it, or by its silence.
type faulty struct {
	state.Store
	faults atomic.Int64 // percent

	late sync.WaitGroup // what it will still do

	mu     sync.Mutex
	random *rand.Rand
}

// reply is what a store says.
type reply struct {
	value   state.Value
	version state.Version
	done    bool // found, swapped, deleted
	err     error
}

// around runs do as the store pleases.
func (f *faulty) around(ctx context.Context, do func(context.Context) reply) reply {
	f.mu.Lock()
	fails, how := f.random.Int64N(100) < f.faults.Load(), f.random.IntN(4)
	f.mu.Unlock()
	time.Sleep(f.upTo(20 * time.Millisecond))
	if !fails {
		return do(ctx)
	}
	switch how {
	case 1: // it does it
		do(context.WithoutCancel(ctx))
	case 2: // it does it later
		f.late.Go(func() {
			time.Sleep(f.upTo(time.Second))
			do(context.WithoutCancel(ctx))
		})
		fallthrough
	case 3: // it says nothing
		<-ctx.Done()
	}
	return reply{err: errFaulty}
}

// upTo returns a time, all equally likely, which those that rapid draws are not.
func (f *faulty) upTo(longest time.Duration) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Duration(f.random.Int64N(int64(longest) + 1))
}

var errFaulty = errors.New("no route to host")

func (f *faulty) Get(ctx context.Context, key string) (state.Value, bool, error) {
	r := f.around(ctx, func(ctx context.Context) (r reply) {
		r.value, r.done, r.err = f.Store.Get(ctx, key)
		return r
	})
	return r.value, r.done, r.err
}

func (f *faulty) CompareAndSwap(
	ctx context.Context, key string, old state.Version, data []byte, ttl time.Duration,
) (state.Version, bool, error) {
	r := f.around(ctx, func(ctx context.Context) (r reply) {
		r.version, r.done, r.err = f.Store.CompareAndSwap(ctx, key, old, data, ttl)
		return r
	})
	return r.version, r.done, r.err
}

func (f *faulty) Delete(ctx context.Context, key string, version state.Version) (bool, error) {
	r := f.around(ctx, func(ctx context.Context) (r reply) {
		r.done, r.err = f.Store.Delete(ctx, key, version)
		return r
	})
	return r.done, r.err
}

// Watch looks whenever something has changed, and for as long as it cannot see.
func (f *faulty) Watch(ctx context.Context, key string) iter.Seq2[state.Value, error] {
	return func(yield func(state.Value, error) bool) {
		told := state.Version(-1)
		for _, err := range f.Store.Watch(ctx, key) {
			if err != nil {
				panic(err) // it never has one
			}
			for {
				bounded, cancel := context.WithTimeout(ctx, time.Second)
				v, _, err := f.Get(bounded, key)
				cancel()
				if ctx.Err() != nil {
					return
				}
				if err == nil && v.Version == told {
					break
				}
				if told = v.Version; err != nil {
					told = -1
				}
				if !yield(v, err) {
					return
				}
				if err == nil {
					break
				}
				time.Sleep(300 * time.Millisecond)
			}
		}
	}
}
