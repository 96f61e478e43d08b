package circuitbreaker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/state"
	"github.com/steadyfx/steady/stores/memstore"
)

// replica is a process of a service, with one shared circuit.
type replica struct {
	*circuitbreaker.Breaker
	registry *circuitbreaker.Registry
	events   *[]string
}

func newReplica(
	t *testing.T, store state.Store, cfg circuitbreaker.DistributedConfig, breaker circuitbreaker.Config,
) replica {
	t.Helper()
	bus, events := new(hooks.Bus), new([]string)
	var mu sync.Mutex
	hooks.On(bus, func(_ context.Context, e hooks.Event) {
		mu.Lock()
		defer mu.Unlock()
		*events = append(*events, strings.TrimPrefix(e.EventName(), "circuit_breaker."))
	})
	r, err := circuitbreaker.NewRegistry(
		patterns.Instances[circuitbreaker.Config]{Default: breaker}, circuitbreaker.WithBus(bus))
	if err != nil {
		t.Fatal(err)
	}
	backend, err := circuitbreaker.NewDistributedBackend(store, cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBackend(backend)
	t.Cleanup(r.Close)
	b, err := r.GetOrCreate("payments")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait() // it has seen what there is
	return replica{b, r, events}
}

var fragile = circuitbreaker.Config{
	FailureThreshold: 1, SuccessThreshold: 2, HalfOpenMaxCalls: 1, RecoveryTimeout: time.Minute, Timeout: time.Second,
}

func newReplicas(t *testing.T, n int, store state.Store, cfg circuitbreaker.DistributedConfig) (all []replica) {
	t.Helper()
	for range n {
		all = append(all, newReplica(t, store, cfg, fragile))
	}
	return all
}

func TestCircuitOpensProbesAndClosesForAllReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newReplicas(t, 3, memstore.NewState(), circuitbreaker.DistributedConfig{})
		repeat(t, all[0].Breaker, 1, fail)
		synctest.Wait()
		for i, r := range all {
			if m := r.Metrics(); m.State != circuitbreaker.Open || m.TimeUntilReset != time.Minute {
				t.Fatalf("replica %d: %+v", i, m)
			}
		}
		time.Sleep(time.Minute)
		repeat(t, all[1].Breaker, 1, succeed) // the first of 2 probes
		for _, i := range []int{0, 2} {
			var open *circuitbreaker.OpenError
			err := all[i].Execute(t.Context(), succeed)
			if !errors.As(err, &open) || open.State != circuitbreaker.HalfOpen || open.RetryAfter != 0 {
				t.Fatalf("replica %d probes beside another: %v", i, err)
			}
		}
		repeat(t, all[1].Breaker, 1, succeed)
		synctest.Wait()
		for i, r := range all {
			if r.State() != circuitbreaker.Closed {
				t.Fatalf("replica %d is %v", i, r.State())
			}
		}
		if got := fmt.Sprint(*all[0].events, *all[1].events); got !=
			"[opened rejected closed] [opened half_opened closed]" {
			t.Fatalf("announced %s", got)
		}
	})
}

func TestFailedProbeKeepsTheCircuitOpenForAllReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newReplicas(t, 2, memstore.NewState(), circuitbreaker.DistributedConfig{})
		repeat(t, all[0].Breaker, 1, fail)
		synctest.Wait()
		time.Sleep(90 * time.Second)
		repeat(t, all[1].Breaker, 1, fail)
		synctest.Wait()
		for i, r := range all {
			if m := r.Metrics(); m.State != circuitbreaker.Open || m.TimeUntilReset != time.Minute || m.Reopened != 1 {
				t.Fatalf("replica %d: %+v", i, m)
			}
		}
	})
}

func TestAnotherReplicaProbesWhenTheFirstIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newReplicas(t, 2, memstore.NewState(), circuitbreaker.DistributedConfig{})
		repeat(t, all[0].Breaker, 1, fail)
		synctest.Wait()
		time.Sleep(time.Minute)
		if _, err := all[0].Acquire(t.Context()); err != nil { // and is never heard of again
			t.Fatal(err)
		}
		if _, err := all[1].Acquire(t.Context()); !errors.Is(err, circuitbreaker.ErrOpen) {
			t.Fatalf("got %v", err)
		}
		time.Sleep(time.Second) // the lease is a little longer than a probe may take
		if _, err := all[1].Acquire(t.Context()); !errors.Is(err, circuitbreaker.ErrOpen) {
			t.Fatalf("got %v", err)
		}
		time.Sleep(300 * time.Millisecond)
		if _, err := all[1].Acquire(t.Context()); err != nil {
			t.Fatalf("got %v", err)
		}
	})
}

func TestQuorumKeepsOneBadReplicaToItself(t *testing.T) { // one bad node must not open the circuit of all
	synctest.Test(t, func(t *testing.T) {
		all := newReplicas(t, 3, memstore.NewState(), circuitbreaker.DistributedConfig{Quorum: 2})
		repeat(t, all[0].Breaker, 1, fail)
		synctest.Wait()
		wantState(t, all[0].Breaker, circuitbreaker.Open)
		wantState(t, all[1].Breaker, circuitbreaker.Closed)

		time.Sleep(2 * time.Minute) // its vote is old by now, and it recovers alone
		repeat(t, all[0].Breaker, 2, succeed)
		wantState(t, all[0].Breaker, circuitbreaker.Closed)
		repeat(t, all[1].Breaker, 1, fail)
		synctest.Wait()
		wantState(t, all[2].Breaker, circuitbreaker.Closed)

		repeat(t, all[0].Breaker, 1, fail) // two at a time
		synctest.Wait()
		wantState(t, all[2].Breaker, circuitbreaker.Open)
	})
}

func TestCommandsReachAllReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.NewState()
		all := newReplicas(t, 2, store, circuitbreaker.DistributedConfig{Quorum: 2})
		for _, step := range []struct {
			command func()
			want    circuitbreaker.State
		}{
			{all[0].ForceOpen, circuitbreaker.ForcedOpen}, {all[1].Reset, circuitbreaker.Closed},
			{all[1].Disable, circuitbreaker.Disabled}, {all[0].Reset, circuitbreaker.Closed},
		} {
			step.command()
			synctest.Wait()
			for i, r := range all {
				if r.State() != step.want {
					t.Fatalf("replica %d is %v, want %v", i, r.State(), step.want)
				}
			}
		}
		all[0].ForceOpen()
		time.Sleep(48 * time.Hour) // what a hand has set does not expire
		wantState(t, newReplica(t, store, circuitbreaker.DistributedConfig{}, fragile).Breaker, circuitbreaker.ForcedOpen)
	})
}

func TestDryRunTellsOthersNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.NewState()
		trial := fragile
		trial.DryRun = true
		dry := newReplica(t, store, circuitbreaker.DistributedConfig{}, trial)
		real := newReplica(t, store, circuitbreaker.DistributedConfig{}, fragile)
		repeat(t, dry.Breaker, 1, fail)
		synctest.Wait()
		wantState(t, real.Breaker, circuitbreaker.Closed)
		repeat(t, real.Breaker, 1, fail)
		synctest.Wait()
		if m := dry.Metrics(); m.DryRunState != circuitbreaker.Open {
			t.Fatalf("got %+v", m)
		}
		if err := dry.Execute(t.Context(), succeed); err != nil {
			t.Fatal(err)
		}
	})
}

func TestPitfall27NoLockIsHeldDuringACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newReplicas(t, 2, memstore.NewState(), circuitbreaker.DistributedConfig{})
		begun := time.Now()
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				_ = all[i%2].Execute(t.Context(), taking(50*time.Millisecond))
			})
		}
		wg.Wait()
		if took := time.Since(begun); took != 50*time.Millisecond {
			t.Fatalf("6 calls at once took %v", took)
		}
	})
}

func TestPitfall28DecisionsAtTheSameTimeAreNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 8
		store := memstore.NewState()
		all := newReplicas(t, n, store, circuitbreaker.DistributedConfig{Quorum: n})
		watching := newReplica(t, store, circuitbreaker.DistributedConfig{Quorum: n}, fragile)
		var wg sync.WaitGroup
		for _, r := range all {
			wg.Go(func() { r.RecordFailure(errDown) })
		}
		wg.Wait()
		synctest.Wait()
		wantState(t, watching.Breaker, circuitbreaker.Open) // every vote was counted
	})
}

func TestReplicasThatAreOpenOfTheirOwnProbeOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newReplicas(t, 2, memstore.NewState(), circuitbreaker.DistributedConfig{Quorum: 3})
		for _, r := range all {
			repeat(t, r.Breaker, 1, fail)
		}
		time.Sleep(time.Minute)
		for i, r := range all {
			if _, err := r.Acquire(t.Context()); err != nil {
				t.Errorf("replica %d: %v", i, err)
			}
		}
	})
}

func TestReplicaThatHasProbedLetsAnotherProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quick := fragile
		quick.RecoveryTimeout, quick.Timeout = time.Second, time.Minute // a lease is much longer than the wait
		store := memstore.NewState()
		one := newReplica(t, store, circuitbreaker.DistributedConfig{}, quick)
		two := newReplica(t, store, circuitbreaker.DistributedConfig{}, quick)
		for range 3 {
			repeat(t, one.Breaker, 1, fail)
			synctest.Wait()
			time.Sleep(time.Second)
		}
		if _, err := two.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestOnlyOneCallWaitsForTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &outage{Store: memstore.NewState()}
		r := newReplica(t, store, circuitbreaker.DistributedConfig{}, fragile)
		repeat(t, r.Breaker, 1, fail)
		time.Sleep(time.Minute)
		store.delay.Store(int64(20 * time.Millisecond))
		begun := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			if permit, err := r.Acquire(t.Context()); err != nil {
				t.Error(err)
			} else {
				permit.Done(nil)
			}
		})
		synctest.Wait()
		if _, err := r.Acquire(t.Context()); !errors.Is(err, circuitbreaker.ErrOpen) || time.Since(begun) != 0 {
			t.Errorf("got %v after %v", err, time.Since(begun))
		}
		wg.Wait()
		if _, err := r.Acquire(t.Context()); err != nil { // the lease is there
			t.Error(err)
		}
	})
}

func TestLaterDecisionIsTheOneThatIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &outage{Store: memstore.NewState()}
		one := newReplica(t, store, circuitbreaker.DistributedConfig{}, fragile)
		two := newReplica(t, store, circuitbreaker.DistributedConfig{}, fragile)
		store.down.Store(true)
		store.delay.Store(int64(20 * time.Millisecond))
		repeat(t, one.Breaker, 1, fail)
		synctest.Wait() // that is on its way, and will fail
		one.Disable()
		time.Sleep(time.Second)
		store.down.Store(false)
		time.Sleep(10 * time.Second)
		wantState(t, two.Breaker, circuitbreaker.Disabled)
		wantState(t, one.Breaker, circuitbreaker.Disabled)
	})
}

// outage is a store that does not answer while down is set.
type outage struct {
	state.Store
	down  atomic.Bool
	delay atomic.Int64 // of each call
	calls atomic.Int64
}

// ask is what comes before each call.
func (o *outage) ask() error {
	o.calls.Add(1)
	down := o.down.Load()
	if delay := o.delay.Load(); delay > 0 {
		time.Sleep(time.Duration(delay))
	}
	if down {
		return errOutage
	}
	return nil
}

var errOutage = errors.New("no route to host")

func (o *outage) Get(ctx context.Context, key string) (state.Value, bool, error) {
	if err := o.ask(); err != nil {
		return state.Value{}, false, err
	}
	return o.Store.Get(ctx, key)
}

func (o *outage) CompareAndSwap(
	ctx context.Context, key string, old state.Version, data []byte, ttl time.Duration,
) (state.Version, bool, error) {
	if err := o.ask(); err != nil {
		return 0, false, err
	}
	return o.Store.CompareAndSwap(ctx, key, old, data, ttl)
}

func (o *outage) Watch(ctx context.Context, key string) iter.Seq2[state.Value, error] {
	return func(yield func(state.Value, error) bool) {
		for ctx.Err() == nil {
			v, _, err := o.Get(ctx, key)
			if !yield(v, err) {
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
}

func TestPitfall29ReadErrorIsNotAnAbsentState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &outage{Store: memstore.NewState()}
		first := newReplica(t, store, circuitbreaker.DistributedConfig{}, fragile)
		repeat(t, first.Breaker, 1, fail)
		synctest.Wait()
		store.down.Store(true)
		booting := newReplica(t, store, circuitbreaker.DistributedConfig{}, fragile)
		if err := booting.Execute(t.Context(), succeed); err != nil { // on its own, and not failing closed
			t.Fatal(err)
		}
		store.down.Store(false)
		time.Sleep(time.Second)
		wantState(t, first.Breaker, circuitbreaker.Open)
		wantState(t, booting.Breaker, circuitbreaker.Open)
		if got := fmt.Sprint(*booting.events); got != "[degraded recovered opened]" {
			t.Fatalf("announced %s", got)
		}
	})
}

func TestReplicasGoOnAloneWhenTheStoreIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &outage{Store: memstore.NewState()}
		one := newReplica(t, store, circuitbreaker.DistributedConfig{}, fragile)
		two := newReplica(t, store, circuitbreaker.DistributedConfig{}, fragile)
		repeat(t, one.Breaker, 1, fail)
		time.Sleep(time.Second)
		store.down.Store(true)
		time.Sleep(time.Minute)
		for _, r := range []replica{one, two} { // nobody can ask for the lease, so each probes
			repeat(t, r.Breaker, 2, succeed)
			wantState(t, r.Breaker, circuitbreaker.Closed)
		}
		repeat(t, two.Breaker, 1, fail)
		wantState(t, one.Breaker, circuitbreaker.Closed)
		store.down.Store(false)
		time.Sleep(10 * time.Second) // what has been decided meanwhile is told
		wantState(t, one.Breaker, circuitbreaker.Open)
		wantState(t, two.Breaker, circuitbreaker.Open)
		if got := strings.Join(*one.events, " "); strings.Count(got, "degraded") != 1 || strings.Count(got, "recovered") != 1 {
			t.Fatalf("announced %s", got)
		}
	})
}

func TestPitfall30StoreIsAskedWithinLimitsAndForgetsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &recording{Store: memstore.NewState()}
		r := newReplica(t, store, circuitbreaker.DistributedConfig{TTL: 10 * time.Minute}, fragile)
		repeat(t, r.Breaker, 1, fail)
		synctest.Wait()
		time.Sleep(time.Minute)
		repeat(t, r.Breaker, 2, succeed)
		synctest.Wait()
		if len(store.ttls) != 3 || store.ttls[0] != 10*time.Minute || store.ttls[1] != 1300*time.Millisecond ||
			store.ttls[2] != 10*time.Minute {
			t.Fatalf("kept for %v", store.ttls)
		}
		if store.unbounded.Load() != 0 {
			t.Fatalf("%d calls without a deadline", store.unbounded.Load())
		}
	})
}

// recording notes how a store is asked.
type recording struct {
	state.Store
	mu        sync.Mutex
	ttls      []time.Duration
	unbounded atomic.Int64
}

func (r *recording) Get(ctx context.Context, key string) (state.Value, bool, error) {
	if _, ok := ctx.Deadline(); !ok {
		r.unbounded.Add(1)
	}
	return r.Store.Get(ctx, key)
}

func (r *recording) CompareAndSwap(
	ctx context.Context, key string, old state.Version, data []byte, ttl time.Duration,
) (state.Version, bool, error) {
	if _, ok := ctx.Deadline(); !ok {
		r.unbounded.Add(1)
	}
	r.mu.Lock()
	r.ttls = append(r.ttls, ttl)
	r.mu.Unlock()
	return r.Store.CompareAndSwap(ctx, key, old, data, ttl)
}

func TestClosedCircuitDoesNotAskTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &outage{Store: memstore.NewState()}
		r := newReplica(t, store, circuitbreaker.DistributedConfig{}, fragile)
		asked := store.calls.Load()
		repeat(t, r.Breaker, 1000, succeed)
		if n := store.calls.Load() - asked; n != 0 {
			t.Fatalf("%d calls of the store for 1000 calls", n)
		}
	})
}

func TestForeignValueChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.NewState()
		r := newReplica(t, store, circuitbreaker.DistributedConfig{Prefix: "p:"}, fragile)
		if _, _, err := store.CompareAndSwap(t.Context(), "p:state:payments", 0, []byte("?"), 0); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		wantState(t, r.Breaker, circuitbreaker.Closed)
		if got := fmt.Sprint(*r.events); got != "[degraded]" {
			t.Fatalf("announced %s", got)
		}
	})
}

func TestBreakerThatIsOpenWhenItJoinsTellsTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.NewState()
		other := newReplica(t, store, circuitbreaker.DistributedConfig{}, fragile)
		r, err := circuitbreaker.NewRegistry(patterns.Instances[circuitbreaker.Config]{Default: fragile})
		if err != nil {
			t.Fatal(err)
		}
		b, err := r.GetOrCreate("payments")
		if err != nil {
			t.Fatal(err)
		}
		trip(t, b)
		backend, err := circuitbreaker.NewDistributedBackend(store, circuitbreaker.DistributedConfig{})
		if err != nil {
			t.Fatal(err)
		}
		r.SetBackend(backend)
		synctest.Wait()
		wantState(t, other.Breaker, circuitbreaker.Open)
		r.Close()
		other.Reset()
		synctest.Wait()
		wantState(t, b, circuitbreaker.Open) // it shares no more
	})
}

// local is fragile, and shared with nobody.
func local() circuitbreaker.Config {
	cfg := fragile
	cfg.Backend = circuitbreaker.MemoryBackend
	return cfg
}

func TestBreakerWithTheMemoryBackendStaysLocal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.NewState()
		shared := newReplica(t, store, circuitbreaker.DistributedConfig{}, fragile)
		alone := newReplica(t, store, circuitbreaker.DistributedConfig{}, local())
		shared.ForceOpen()
		synctest.Wait()
		wantState(t, alone.Breaker, circuitbreaker.Closed)
		shared.Reset()
		synctest.Wait()
		alone.ForceOpen()
		synctest.Wait()
		wantState(t, shared.Breaker, circuitbreaker.Closed)
	})
}

func TestOneInstanceWithTheMemoryBackendStaysLocal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend, err := circuitbreaker.NewDistributedBackend(memstore.NewState(), circuitbreaker.DistributedConfig{})
		if err != nil {
			t.Fatal(err)
		}
		var replicas [2]*circuitbreaker.Registry
		for i := range replicas {
			r, err := circuitbreaker.NewRegistry(patterns.Instances[circuitbreaker.Config]{
				Default: fragile, Named: map[string]circuitbreaker.Config{"mail": local()},
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"payments", "mail"} {
				if _, err := r.GetOrCreate(name); err != nil {
					t.Fatal(err)
				}
			}
			r.SetBackend(backend) // after they were made
			defer r.Close()
			replicas[i] = r
		}
		if _, err := replicas[1].GetOrCreate("mail"); err != nil { // which must not make it join
			t.Fatal(err)
		}
		for _, b := range replicas[0].All() {
			b.ForceOpen()
		}
		synctest.Wait()
		for name, want := range map[string]circuitbreaker.State{
			"payments": circuitbreaker.ForcedOpen, "mail": circuitbreaker.Closed,
		} {
			if m, err := replicas[1].Metrics(name); err != nil || m.State != want {
				t.Errorf("%s is %v, want %v", name, m.State, want)
			}
		}
	})
}

func TestReconfiguredBackendIsJoinedAndLeft(t *testing.T) {
	for name, change := range map[string]func(replica, circuitbreaker.Config) error{
		"breaker": func(r replica, cfg circuitbreaker.Config) error { return r.Reconfigure(cfg) },
		"registry": func(r replica, cfg circuitbreaker.Config) error {
			return r.registry.Reconfigure(patterns.Instances[circuitbreaker.Config]{Default: cfg})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := memstore.NewState()
				other := newReplica(t, store, circuitbreaker.DistributedConfig{}, fragile)
				r := newReplica(t, store, circuitbreaker.DistributedConfig{}, fragile)
				for range 2 {
					if err := change(r, local()); err != nil {
						t.Fatal(err)
					}
					other.ForceOpen()
					synctest.Wait()
					wantState(t, r.Breaker, circuitbreaker.Closed)
					if err := change(r, fragile); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					wantState(t, r.Breaker, circuitbreaker.ForcedOpen) // it finds what it has missed
					r.Reset()
					synctest.Wait()
					wantState(t, other.Breaker, circuitbreaker.Closed)
				}
			})
		})
	}
}

func TestMistakeInAReconfigurationLeavesNoBackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newReplicas(t, 2, memstore.NewState(), circuitbreaker.DistributedConfig{})
		wrong := local()
		wrong.MinimumCalls = -1
		if err := all[1].Reconfigure(wrong); !errors.Is(err, patterns.ErrConfiguration) {
			t.Fatalf("got %v", err)
		}
		all[0].ForceOpen()
		synctest.Wait()
		wantState(t, all[1].Breaker, circuitbreaker.ForcedOpen)
	})
}

func TestDistributedBackendReportsEveryMistake(t *testing.T) {
	_, err := circuitbreaker.NewDistributedBackend(nil, circuitbreaker.DistributedConfig{Quorum: -1, TTL: -1, Timeout: -1})
	_, tooMany := circuitbreaker.NewDistributedBackend(memstore.NewState(), circuitbreaker.DistributedConfig{Quorum: 1001})
	if !errors.Is(tooMany, patterns.ErrConfiguration) {
		t.Errorf("got %v", tooMany)
	}
	for _, field := range []string{"store", "quorum", "ttl", "timeout"} {
		if !errors.Is(err, patterns.ErrConfiguration) || !strings.Contains(err.Error(), field+": ") {
			t.Errorf("%q is missing in: %v", field, err)
		}
	}
}

func TestStatesAreReadAsTheyAreWritten(t *testing.T) {
	for s := circuitbreaker.Closed; s <= circuitbreaker.DryRun; s++ {
		data, err := json.Marshal(s)
		var got circuitbreaker.State
		if err != nil || json.Unmarshal(data, &got) != nil || got != s {
			t.Errorf("%v became %s and %v", s, data, got)
		}
	}
	var s circuitbreaker.State
	if err := json.Unmarshal([]byte(`"ajar"`), &s); err == nil {
		t.Error("an unknown state was read")
	}
}
