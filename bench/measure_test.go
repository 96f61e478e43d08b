package main

import (
	"errors"
	"flag"
	"slices"
	"strings"
	"testing"
	"time"
)

// quick makes every benchmark of a test three calls long.
func quick(t *testing.T) {
	t.Helper()
	benchtime := flag.Lookup("test.benchtime").Value
	before := benchtime.String()
	if err := benchtime.Set("3x"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = benchtime.Set(before) })
}

func TestEveryContenderIsMeasuredInEveryRound(t *testing.T) {
	quick(t)
	var calls [2]int
	tables, err := measure([]group{
		{modes: []mode{{"a", 1}, {"b", 1}}, contenders: []contender{{run: func(n int) error { calls[0] += n; return nil }}}},
		{modes: []mode{{"a", 1}}, contenders: []contender{{run: func(n int) error { calls[1] += n; return nil }}}},
	}, 5)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		for _, cells := range table.cells {
			for _, c := range cells {
				if len(c.nanos) != 5 || len(c.bytes) != 5 || len(c.allocs) != 5 {
					t.Errorf("got %+v, want five entries of each", c)
				}
			}
		}
	}
	if calls[0] < 2*5*3 || calls[1] < 5*3 {
		t.Errorf("made %v calls, want three in each mode and round", calls)
	}
}

func TestFailureNamesTheContender(t *testing.T) {
	quick(t)
	broken := errors.New("broken")
	_, err := measure([]group{{
		name: "Retry", modes: []mode{{"serial", 1}},
		contenders: []contender{{name: "backoff", run: func(int) error { return broken }}},
	}}, 1)
	if !errors.Is(err, broken) || err.Error() != "Retry, backoff, serial: broken" {
		t.Errorf("got %v", err)
	}
}

func TestMedianIsTheMiddleOne(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{7}, 7},
		{[]float64{9, 3}, 3},
		{[]float64{9, 1, 4}, 4},
		{[]float64{100, 1, 3, 2, 2.5}, 2.5},
	} {
		before := slices.Clone(tt.values)
		if got := median(tt.values); got != tt.want || !slices.Equal(tt.values, before) {
			t.Errorf("median of %v: got %v, want %v", before, got, tt.want)
		}
	}
}

func TestCompareMeasuresWhatMatches(t *testing.T) {
	quick(t)
	var out strings.Builder
	if err := compare(&out, 1, time.Microsecond, "^(Open|Free|SQLite: replay)"); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(out.String(), "\n### "); got != 3 {
		t.Errorf("got %d tables, want 3:\n%s", got, out.String())
	}
	for _, want := range []string{
		"### Open breaker\n", "### Free bulkhead\n", "### SQLite: replay\n", "| gobreaker | ", "Noise: ", "Versions: ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output has no %q:\n%s", want, out.String())
		}
	}
}

func TestCompareRefusesWhatMakesNoSense(t *testing.T) {
	for _, tt := range []struct {
		rounds int
		slice  time.Duration
		only   string
		want   string
	}{
		{0, time.Second, "", "must be positive, got 0 and 1s"},
		{1, 0, "", "must be positive, got 1 and 0s"},
		{1, time.Second, "(", "-run: error parsing regexp"},
		{1, time.Second, "nobody", `-run: no group matches "nobody"`},
	} {
		err := compare(new(strings.Builder), tt.rounds, tt.slice, tt.only)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
}
