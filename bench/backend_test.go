package main

import (
	"context"
	"errors"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/steadyfx/steady/testkit/services"
)

// openIn opens a backend for a test or a benchmark, which it skips where the backend is not installed.
func openIn(tb testing.TB, b backend) []group {
	tb.Helper()
	groups, end, err := b.open(context.Background())
	if errors.Is(err, services.ErrNotInstalled) && os.Getenv("STEADY_TEST_REQUIRE_SERVICES") != "1" {
		tb.Skip(err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := end(); err != nil {
			tb.Error(err)
		}
	})
	return groups
}

func TestBackendsDoTheirJobs(t *testing.T) {
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			groups := openIn(t, b)
			var jobs []string
			for _, g := range groups {
				jobs = append(jobs, g.name)
				for _, c := range g.contenders {
					for _, m := range g.modes {
						calls := 3 * m.workers
						if g.prepare != nil {
							if err := g.prepare(calls); err != nil {
								t.Fatal(err)
							}
						}
						if err := c.calls(calls, m); err != nil {
							t.Errorf("%s, %s, %s: %v", g.name, c.name, m.name, err)
						}
					}
				}
			}
			want := slices.Clone(b.jobs)
			for i := range want {
				want[i] = b.groupName(want[i])
			}
			if !slices.Equal(jobs, want) {
				t.Errorf("it has the groups %q, and says %q", jobs, want)
			}
		})
	}
}

// What the clock of a group shows is measured, and what it prepares is not.
func TestGroupWithAClock(t *testing.T) {
	quick(t)
	var now time.Duration
	prepared := 0
	tables, err := measure([]group{{
		modes: []mode{{"a", 1}},
		clock: func() time.Duration { return now },
		prepare: func(n int) error {
			prepared += n
			now += time.Hour
			return nil
		},
		contenders: []contender{{run: func(n int) error {
			prepared -= n
			now += time.Duration(7 * n)
			return nil
		}}},
	}}, 2)
	if err != nil {
		t.Fatal(err)
	}
	if got := tables[0].cells[0][0].nanos; !slices.Equal(got, []float64{7, 7}) || prepared != 0 {
		t.Errorf("got %v and %d more calls prepared than made, want 7 twice and none", got, prepared)
	}
}

func TestPreparationThatFailsFailsTheRun(t *testing.T) {
	quick(t)
	broken := errors.New("broken")
	_, err := measure([]group{{
		name: "Redis", modes: []mode{{"a", 1}}, prepare: func(int) error { return broken },
		contenders: []contender{{name: "SET", run: func(int) error { return nil }}},
	}}, 1)
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
}

func TestBackendThatIsNotInstalledIsLeftOut(t *testing.T) {
	quick(t)
	broken, closed := errors.New("broken"), 0
	answering := func(err error) backend {
		return backend{"Disk", []string{pairJob}, func(context.Context) ([]group, func() error, error) {
			return []group{{
				name: "Disk: " + pairJob, modes: []mode{{"a", 1}},
				contenders: []contender{{run: func(int) error { return nil }}},
			}}, func() error { closed++; return nil }, err
		}}
	}
	all := regexp.MustCompile("")
	tables, err := measureAll(nil, []backend{answering(services.ErrNotInstalled), answering(nil)}, all, 1)
	if err != nil || len(tables) != 1 || closed != 1 {
		t.Errorf("got %d tables, error %v, and closed %d; want those of the one that is there", len(tables), err, closed)
	}
	if _, err := measureAll(nil, []backend{answering(broken)}, all, 1); !errors.Is(err, broken) {
		t.Errorf("got error %v, want %v", err, broken)
	}
}
