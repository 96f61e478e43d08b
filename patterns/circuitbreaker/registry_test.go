package circuitbreaker_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/stores/memstore"
)

func TestRegistrySharesABreakerByName(t *testing.T) {
	r, err := circuitbreaker.NewRegistry(patterns.Instances[circuitbreaker.Config]{
		Default: circuitbreaker.DefaultConfig(),
		Named:   map[string]circuitbreaker.Config{"payments": circuitbreaker.Sensitive()},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := r.Get("payments"); ok {
		t.Fatal("a breaker nobody asked for")
	}
	var wg sync.WaitGroup
	got := make([]*circuitbreaker.Breaker, 16)
	for i := range got {
		wg.Go(func() { got[i], _ = r.GetOrCreate("payments") })
	}
	wg.Wait()
	for _, b := range got {
		if b == nil || b != got[0] {
			t.Fatal("two breakers of one name")
		}
	}
	if got[0].Config() != circuitbreaker.Sensitive() {
		t.Errorf("its own configuration is not in force: %+v", got[0].Config())
	}
	other, err := r.GetOrCreate("mail")
	if err != nil || other.Config() != circuitbreaker.DefaultConfig() {
		t.Errorf("the default is not in force: %v, %v", other, err)
	}
	var names []string
	for _, b := range r.All() {
		names = append(names, b.Name())
	}
	if strings.Join(names, " ") != "mail payments" {
		t.Errorf("got %v", names)
	}
}

func TestRegistryRefusesASecondConfiguration(t *testing.T) {
	r, err := circuitbreaker.NewRegistry(patterns.Instances[circuitbreaker.Config]{})
	if err != nil {
		t.Fatal(err)
	}
	first, err := r.GetOrCreate("payments", circuitbreaker.Config{FailureThreshold: 2})
	if err != nil {
		t.Fatal(err)
	}
	again, err := r.GetOrCreate("payments", circuitbreaker.Config{FailureThreshold: 2})
	if err != nil || again != first {
		t.Fatalf("the same configuration: %v", err)
	}
	if _, err := r.GetOrCreate("payments", circuitbreaker.Config{FailureThreshold: 3}); !errors.Is(err, patterns.ErrConfiguration) {
		t.Fatalf("another configuration: %v", err)
	}
	if b, err := r.GetOrCreate("payments"); err != nil || b != first {
		t.Fatalf("no configuration: %v", err)
	}
}

func TestRegistryChecksEveryConfigurationFirst(t *testing.T) {
	_, err := circuitbreaker.NewRegistry(patterns.Instances[circuitbreaker.Config]{
		Default: circuitbreaker.Config{FailureThreshold: -1},
		Named:   map[string]circuitbreaker.Config{"payments": {MinimumCalls: -1}},
	})
	for _, want := range []string{"default.failure_threshold: ", "instances.payments.minimum_calls: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
}

func TestRegistryOperatesByName(t *testing.T) {
	r, err := circuitbreaker.NewRegistry(patterns.Instances[circuitbreaker.Config]{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.ForceOpen("payments"); !errors.Is(err, circuitbreaker.ErrUnknown) {
		t.Fatalf("a typo must not pass silently: %v", err)
	}
	if _, err := r.GetOrCreate("payments"); err != nil {
		t.Fatal(err)
	}
	if err := r.ForceOpen("payments"); err != nil {
		t.Fatal(err)
	}
	if m, err := r.Metrics("payments"); err != nil || m.State != circuitbreaker.ForcedOpen {
		t.Fatalf("got %+v, %v", m, err)
	}
	if err := r.Reset("payments"); err != nil {
		t.Fatal(err)
	}
	if m, err := r.Metrics("payments"); err != nil || m.State != circuitbreaker.Closed {
		t.Fatalf("got %+v, %v", m, err)
	}
	if first, again := circuitbreaker.Default(), circuitbreaker.Default(); first != again {
		t.Error("two default registries")
	}
}

// TestRegistryUnderFire asks for breakers, uses, reconfigures, shares and commands them, all at once.
func TestRegistryUnderFire(t *testing.T) {
	const goroutines, rounds = 6, 300
	configs := func(n int) patterns.Instances[circuitbreaker.Config] {
		c := circuitbreaker.Config{FailureThreshold: 1 << 30, FailureRateThreshold: 1, MinimumCalls: 10 + n%5}
		c.SlidingWindow, c.SlidingWindowCalls = time.Duration(n%3+1)*time.Minute, n%2*50
		c.Backend = []string{"", circuitbreaker.MemoryBackend}[n/2%2]
		return patterns.Instances[circuitbreaker.Config]{
			Default: c, Named: map[string]circuitbreaker.Config{"b0": {FailureThreshold: 1<<30 + n%3}},
		}
	}
	r, err := circuitbreaker.NewRegistry(configs(0))
	if err != nil {
		t.Fatal(err)
	}
	backend, err := circuitbreaker.NewDistributedBackend(memstore.NewState(), circuitbreaker.DistributedConfig{})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var calls atomic.Uint64
	for g := range goroutines {
		wg.Go(func() {
			for i := range rounds {
				name := fmt.Sprintf("b%d", (i+g)%7)
				b, err := r.GetOrCreate(name)
				if err != nil {
					t.Error(err)
					return
				}
				calls.Add(1)
				if g%2 == 0 {
					_ = b.Execute(t.Context(), succeed)
				} else {
					_ = b.Execute(t.Context(), fail)
				}
				switch {
				case g == 0 && i%10 == 0:
					err = r.Reconfigure(configs(i / 10))
				case g == 1 && i%20 == 0:
					r.SetBackend(backend)
				case g == 1 && i%20 == 10:
					r.Close()
				case g == 2 && i%15 == 0:
					err = r.ForceOpen(name)
				case g == 3 && i%5 == 0:
					err = r.Reset(name)
				case g == 4 && i%5 == 0:
					_, err = r.Metrics(name)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	r.SetBackend(backend)
	last := configs(99)
	if err := r.Reconfigure(last); err != nil {
		t.Fatal(err)
	}
	var counted uint64
	for _, b := range r.All() {
		m := b.Metrics()
		counted += m.TotalSuccesses + m.TotalFailures + m.TotalRejected
		if got, want := b.Config(), last.For(b.Name()); got.FailureThreshold != want.FailureThreshold ||
			got.SlidingWindowCalls != want.SlidingWindowCalls {
			t.Errorf("%s: got %+v, want %+v", b.Name(), got, want)
		}
	}
	if counted != calls.Load() {
		t.Errorf("%d calls counted of %d", counted, calls.Load())
	}
	r.Close() // or else goroutines are left
}
