package throttle_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/throttle"
)

func newRegistry(t *testing.T, configs patterns.Instances[throttle.Config]) *throttle.Registry {
	t.Helper()
	r, err := throttle.NewRegistry(configs)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRegistryMakesThrottlersFromTheirConfiguration(t *testing.T) {
	r := newRegistry(t, patterns.Instances[throttle.Config]{
		Default: throttle.Config{Calls: 5},
		Named:   map[string]throttle.Config{"mail": {Calls: 7, Strategy: throttle.SlidingWindow}},
	})
	if _, ok := r.Get("mail"); ok {
		t.Error("a throttler nobody asked for")
	}
	for name, want := range map[string]int{"mail": 7, "sms": 5} {
		th, err := r.GetOrCreate(name)
		if err != nil || th.Name() != name || th.Config().Calls != want {
			t.Errorf("%s: %+v, %v", name, th.Config(), err)
		}
		if same, ok := r.Get(name); !ok || same != th {
			t.Errorf("%s: there are two", name)
		}
	}
	if all := r.All(); len(all) != 2 || all[0].Name() != "mail" || all[1].Name() != "sms" {
		t.Errorf("%v", all)
	}
	mail, _ := r.Get("mail")
	mail.TryAcquire()
	if s, err := r.Stats("mail"); err != nil || s.Name != "mail" || s.Limit != 7 || s.Allowed != 1 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestRegistryDoesNotKnowWhatWasNeverMade(t *testing.T) {
	r := newRegistry(t, patterns.Instances[throttle.Config]{})
	_, err := r.Stats("mail")
	var unknown *throttle.UnknownError
	if !errors.Is(err, throttle.ErrUnknown) || !errors.Is(err, patterns.ErrResilience) || !errors.As(err, &unknown) ||
		unknown.Name != "mail" || patterns.Code(err) != patterns.CodeResilience {
		t.Errorf("got %v", err)
	}
	if want := `throttle "mail": unknown; get it from the registry first, which makes it`; err.Error() != want {
		t.Errorf("got %q", err)
	}
}

func TestNameHasOneConfiguration(t *testing.T) {
	r := newRegistry(t, patterns.Instances[throttle.Config]{})
	own := throttle.Config{Calls: 3, Period: time.Minute}
	th, err := r.GetOrCreate("mail", own)
	if err != nil || th.Config().Calls != 3 {
		t.Fatalf("%+v, %v", th, err)
	}
	if same, err := r.GetOrCreate("mail", own); same != th || err != nil {
		t.Errorf("the same again: %v", err)
	}
	if same, err := r.GetOrCreate("mail"); same != th || err != nil {
		t.Errorf("any: %v", err)
	}
	if _, err := r.GetOrCreate("mail", throttle.Config{Calls: 4}); !errors.Is(err, patterns.ErrConfiguration) {
		t.Errorf("another: %v", err)
	}
	if _, err := r.GetOrCreate(""); !errors.Is(err, patterns.ErrConfiguration) {
		t.Errorf("no name: %v", err)
	}
}

func TestRegistryReportsMistakesAtOnce(t *testing.T) {
	for _, configs := range []patterns.Instances[throttle.Config]{
		{Default: throttle.Config{Calls: -1}},
		{Named: map[string]throttle.Config{"mail": {Calls: -1}}},
		{Named: map[string]throttle.Config{"": {}}},
	} {
		if r, err := throttle.NewRegistry(configs); r != nil || !errors.Is(err, patterns.ErrConfiguration) {
			t.Errorf("%+v: %v", configs, err)
		}
	}
}

func TestRacingCallersShareOneThrottler(t *testing.T) {
	r := newRegistry(t, patterns.Instances[throttle.Config]{})
	got := make([]*throttle.Throttler, 8)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() { got[i], _ = r.GetOrCreate("mail") })
	}
	wg.Wait()
	for _, th := range got {
		if th == nil || th != got[0] {
			t.Fatal("there is more than one")
		}
	}
}
