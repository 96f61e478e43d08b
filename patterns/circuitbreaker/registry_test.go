package circuitbreaker_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
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
