package bulkhead_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/bulkhead"
)

func newAdaptive(tb testing.TB, cfg bulkhead.AdaptiveConfig, opts ...bulkhead.Option) *bulkhead.Adaptive {
	tb.Helper()
	a, err := bulkhead.NewAdaptive("db", cfg, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// taking returns an operation that takes d and returns err.
func taking(d time.Duration, err error) patterns.Operation {
	return func(context.Context) error { time.Sleep(d); return err }
}

// limitIs fails the test unless that is the limit.
func limitIs(tb testing.TB, a *bulkhead.Adaptive, want int, when string) {
	tb.Helper()
	if got := a.Metrics().MaxConcurrent; got != want {
		tb.Errorf("%s: limit %d, want %d", when, got, want)
	}
}

func TestPitfall20AdaptiveConfigurationIsValidated(t *testing.T) {
	for _, tc := range []struct {
		name   string
		cfg    bulkhead.AdaptiveConfig
		fields []string
	}{
		{"db", bulkhead.AdaptiveConfig{}, nil},
		{"db", bulkhead.DefaultAdaptiveConfig(), nil},
		{"db", bulkhead.AdaptiveConfig{MinLimit: 500}, nil},
		{"db", bulkhead.AdaptiveConfig{MaxLimit: 5}, nil},
		{"db", bulkhead.AdaptiveConfig{InitialLimit: 500}, nil},
		{"db", bulkhead.AdaptiveConfig{IncreaseThreshold: time.Minute}, nil},
		{"db", bulkhead.AdaptiveConfig{DecreaseThreshold: time.Millisecond}, nil},
		{"db", bulkhead.AdaptiveConfig{MaxLimit: 1 << 30, QueueSize: 1 << 30}, nil},
		{"", bulkhead.AdaptiveConfig{Algorithm: "guess"}, []string{"name", "algorithm"}},
		{"db", bulkhead.AdaptiveConfig{MinLimit: -1}, []string{"min_limit"}},
		{"db", bulkhead.AdaptiveConfig{MinLimit: 5, MaxLimit: 4}, []string{"max_limit"}},
		{"db", bulkhead.AdaptiveConfig{MaxLimit: 1<<30 + 1}, []string{"max_limit"}},
		{"db", bulkhead.AdaptiveConfig{InitialLimit: 9, MaxLimit: 8}, []string{"initial_limit"}},
		{"db", bulkhead.AdaptiveConfig{InitialLimit: 1, MinLimit: 2}, []string{"initial_limit"}},
		{"db", bulkhead.AdaptiveConfig{QueueSize: -1, Timeout: -1}, []string{"queue_size", "timeout"}},
		{"db", bulkhead.AdaptiveConfig{IncreaseAmount: -1, DecreaseFactor: 1}, []string{"increase_amount", "decrease_factor"}},
		{"db", bulkhead.AdaptiveConfig{IncreaseThreshold: -1}, []string{"increase_threshold"}},
		{"db", bulkhead.AdaptiveConfig{IncreaseThreshold: 2, DecreaseThreshold: 1}, []string{"decrease_threshold"}},
	} {
		a, err := bulkhead.NewAdaptive(tc.name, tc.cfg)
		if (err == nil) != (tc.fields == nil) || (a == nil) != (err != nil) {
			t.Errorf("%q %+v: got %v, %v", tc.name, tc.cfg, a, err)
			continue
		}
		for _, field := range tc.fields {
			if !errors.Is(err, patterns.ErrConfiguration) || !strings.Contains(err.Error(), field+": ") {
				t.Errorf("%q %+v: %v does not name %s", tc.name, tc.cfg, err, field)
			}
		}
	}
	if err := (bulkhead.AdaptiveConfig{}).Validate(); !errors.Is(err, patterns.ErrConfiguration) {
		t.Errorf("an incomplete configuration is valid: %v", err)
	}
}

func TestPitfall35ZeroAdaptiveConfigurationIsTheDocumentedOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdaptive(t, bulkhead.AdaptiveConfig{})
		if got := a.Metrics(); got != (bulkhead.Metrics{MaxConcurrent: 10}) || a.Name() != "db" {
			t.Errorf("%q: %+v", a.Name(), got)
		}
		full := newAdaptive(t, bulkhead.DefaultAdaptiveConfig())
		if got := full.Metrics(); got != (bulkhead.Metrics{MaxConcurrent: 10, QueueSize: 50}) {
			t.Errorf("%+v", got)
		}
		time.Sleep(time.Second)
		_ = a.Execute(t.Context(), taking(2*time.Second, nil))
		limitIs(t, a, 5, "after a slow call")
	})
}

// many runs n calls at once and waits for them.
func many(ctx context.Context, p patterns.Policy, n int, op patterns.Operation) {
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() { _ = p.Execute(ctx, op) })
	}
	wg.Wait()
}

func TestAIMDFollowsLatencyOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdaptive(t, bulkhead.AdaptiveConfig{MinLimit: 3, MaxLimit: 12})
		fast, middling := taking(99*time.Millisecond, nil), taking(500*time.Millisecond, nil)
		slow := taking(1001*time.Millisecond, nil)
		many(t.Context(), a, 10, fast)
		limitIs(t, a, 10, "within the first second")
		time.Sleep(time.Second)
		many(t.Context(), a, 10, fast)
		limitIs(t, a, 11, "fast")
		many(t.Context(), a, 10, fast)
		limitIs(t, a, 11, "fast, within a second")
		time.Sleep(time.Second)
		many(t.Context(), a, 10, middling)
		limitIs(t, a, 11, "neither fast nor slow")
		for _, want := range []int{12, 12} {
			many(t.Context(), a, 10, fast)
			limitIs(t, a, want, "fast")
			time.Sleep(time.Second)
		}
		for _, want := range []int{6, 3, 3} {
			many(t.Context(), a, 1, slow)
			limitIs(t, a, want, "slow")
		}
		for _, op := range []patterns.Operation{taking(0, errBoom), taking(0, context.DeadlineExceeded)} {
			b := newAdaptive(t, bulkhead.AdaptiveConfig{})
			time.Sleep(time.Second)
			_ = b.Execute(t.Context(), op)
			limitIs(t, b, 5, "failed")
		}
	})
}

func TestCallsThatTeachNothingLeaveTheLimitAlone(t *testing.T) {
	for _, algorithm := range []bulkhead.Algorithm{bulkhead.AIMD, bulkhead.Gradient2, bulkhead.Vegas} {
		t.Run(string(algorithm), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAdaptive(t, bulkhead.AdaptiveConfig{Algorithm: algorithm, InitialLimit: 2, MaxLimit: 50})
				time.Sleep(time.Second)

				for range 50 { // rejected by a policy inside, and called off by the caller
					_ = a.Execute(t.Context(), taking(2*time.Second, patterns.ErrRejected))
					ctx, cancel := context.WithCancel(t.Context())
					_ = a.Execute(ctx, func(ctx context.Context) error { cancel(); time.Sleep(2 * time.Second); return ctx.Err() })
				}
				limitIs(t, a, 2, "ignored")

				hold := make(chan struct{})
				var wg sync.WaitGroup
				for range 2 {
					wg.Go(func() {
						_ = a.Execute(t.Context(), func(context.Context) error { <-hold; return patterns.ErrRejected })
					})
				}
				synctest.Wait()
				for range 50 { // rejected by itself
					if err := a.Execute(t.Context(), noop); !errors.Is(err, bulkhead.ErrRejected) {
						t.Fatalf("got %v", err)
					}
				}
				close(hold)
				wg.Wait()
				limitIs(t, a, 2, "rejected")
				if m := a.Metrics(); m.Rejected != 50 || m.InFlight != 0 {
					t.Errorf("metrics %+v", m)
				}
			})
		})
	}
}

func TestLimitDoesNotGrowWhileFewCallsRun(t *testing.T) {
	for _, algorithm := range []bulkhead.Algorithm{bulkhead.AIMD, bulkhead.Gradient2, bulkhead.Vegas} {
		t.Run(string(algorithm), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAdaptive(t, bulkhead.AdaptiveConfig{Algorithm: algorithm, InitialLimit: 9})
				for range 200 {
					many(t.Context(), a, 4, taking(50*time.Millisecond, nil))
				}
				limitIs(t, a, 9, "4 of 9 in use")
				for range 50 {
					many(t.Context(), a, 5, taking(50*time.Millisecond, nil))
				}
				if got := a.Metrics().MaxConcurrent; got <= 9 {
					t.Errorf("the limit did not grow although 5 of 9 are in use: %d", got)
				}
			})
		})
	}
}

// The dependency has 20 workers; with more calls at once each takes longer.
func TestLimitEndsNearWhatTheDependencyCanDo(t *testing.T) {
	for _, tc := range []struct {
		algorithm bulkhead.Algorithm
		after     time.Duration
		least     int
		most      int
	}{
		{bulkhead.AIMD, time.Minute, 35, 45}, // calls are fast, by its thresholds, up to twice the workers
		{bulkhead.Gradient2, time.Minute, 20, 45},
		{bulkhead.Vegas, 800 * time.Millisecond, 20, 40}, // on its way down to 26; later it begins to creep
	} {
		t.Run(string(tc.algorithm), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAdaptive(t, bulkhead.AdaptiveConfig{Algorithm: tc.algorithm, QueueSize: 200})
				var running atomic.Int64
				ctx, cancel := context.WithTimeout(t.Context(), tc.after)
				defer cancel()
				var wg sync.WaitGroup
				for range 100 {
					wg.Go(func() {
						for ctx.Err() == nil {
							_ = a.Execute(context.WithoutCancel(ctx), func(context.Context) error {
								load := max(running.Add(1), 20)
								defer running.Add(-1)
								time.Sleep(50 * time.Millisecond * time.Duration(load) / 20)
								return nil
							})
						}
					})
				}
				<-ctx.Done()
				if got := a.Metrics().MaxConcurrent; got < tc.least || got > tc.most {
					t.Errorf("limit %d, want %d to %d", got, tc.least, tc.most)
				}
				wg.Wait()
			})
		})
	}
}

func TestLimitThatGrowsServesWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdaptive(t, bulkhead.AdaptiveConfig{InitialLimit: 1, IncreaseAmount: 2, QueueSize: 5})
		time.Sleep(time.Second)
		hold := make(chan struct{})
		var running atomic.Int32
		first := func(context.Context) error { time.Sleep(time.Millisecond); return nil }
		rest := func(context.Context) error { running.Add(1); <-hold; return nil }
		go func() { _ = a.Execute(t.Context(), first) }()
		synctest.Wait()
		for range 4 {
			go func() { _ = a.Execute(t.Context(), rest) }()
		}
		synctest.Wait()
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if m := a.Metrics(); running.Load() != 3 || m.InFlight != 3 || m.Queued != 1 || m.MaxConcurrent != 3 {
			t.Errorf("%d run, metrics %+v", running.Load(), m)
		}
		close(hold)
		synctest.Wait()
		if m := a.Metrics(); running.Load() != 4 || m.InFlight != 0 || m.Queued != 0 {
			t.Errorf("%d have run, metrics %+v", running.Load(), m)
		}
	})
}

func TestPitfall02PanicAndGoexitReleaseTheAdaptiveSlotAndCount(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic("boom") }, "goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAdaptive(t, bulkhead.AdaptiveConfig{InitialLimit: 8})
				time.Sleep(time.Second)
				violently(t.Context(), a, end)
				limitIs(t, a, 4, "after one")
				time.Sleep(time.Second)
				violently(t.Context(), a.Compose(patterns.Direct{}), end)
				limitIs(t, a, 2, "after two")
				if m := a.Metrics(); m.InFlight != 0 {
					t.Errorf("metrics %+v", m)
				}
			})
		})
	}
}

func TestAdaptiveIsAPolicyLikeAnyOther(t *testing.T) {
	bus := &hooks.Bus{}
	var announced []hooks.BulkheadRejected
	hooks.On(bus, func(_ context.Context, e hooks.BulkheadRejected) { announced = append(announced, e) })
	a := newAdaptive(t, bulkhead.AdaptiveConfig{InitialLimit: 1}, bulkhead.WithBus(bus))
	inner := newBulkhead(t, bulkhead.Config{})
	both := a.Compose(inner)
	err := both.Execute(t.Context(), func(ctx context.Context) error {
		inUse(t, inner, 1, 0)
		err := a.Execute(ctx, noop)
		const want = `bulkhead "db": full (the limit at present is 1, queue_size 0); retry later, or raise max_limit or queue_size`
		if !errors.Is(err, bulkhead.ErrRejected) || err.Error() != want {
			t.Errorf("\n got %v\nwant %s", err, want)
		}
		return errBoom
	})
	if err != errBoom || !patterns.IsSequential(both) || len(announced) != 1 {
		t.Errorf("got %v, sequential %v, announced %+v", err, patterns.IsSequential(both), announced)
	}
}

// Food for the race detector: the limit moves up and down while callers come, give up and fail.
func TestAdaptiveLimitHoldsAtEveryMoment(t *testing.T) {
	const callers, calls, most = 12, 300, 6
	for _, algorithm := range []bulkhead.Algorithm{bulkhead.AIMD, bulkhead.Gradient2, bulkhead.Vegas} {
		a := newAdaptive(t, bulkhead.AdaptiveConfig{
			Algorithm: algorithm, InitialLimit: 3, MaxLimit: most, QueueSize: callers, Timeout: time.Hour,
		})
		var running, ran atomic.Int64
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(i), 1))
				for range calls {
					err := a.Execute(context.Background(), func(context.Context) error {
						if n := running.Add(1); n > most {
							t.Errorf("%d operations at once, at most %d are allowed", n, most)
						}
						defer running.Add(-1)
						for range r.IntN(10) {
							runtime.Gosched()
						}
						ran.Add(1)
						if r.IntN(10) == 0 {
							return errBoom
						}
						return nil
					})
					if err != nil && err != errBoom {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if m := a.Metrics(); m.InFlight != 0 || m.Queued != 0 || ran.Load() != callers*calls {
			t.Errorf("%s: %d ran, metrics %+v", algorithm, ran.Load(), m)
		}
	}
}
