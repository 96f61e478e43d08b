package main

import "testing"

func TestUsageOfTheMachineIsRead(t *testing.T) {
	const (
		machine = "cpu  100 20 30 4000 500 6 7 8 0 0\ncpu0 50 10 15 2000 250 3 3 4 0 0\n"
		process = "4711 (a (odd) name) S 1 2 3 4 5 6 7 8 9 10 61 42 0 0 20 0 5 0 1 2 3\n"
	)
	want := usage{own: 61 + 42, busy: 100 + 20 + 30 + 6 + 7 + 8, all: 4671}
	if got := parseUsage(machine, process); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, tt := range [][2]string{
		{"", process}, {machine, ""}, {"cpu 1 2 3\n", process}, {"intr 1 2 3 4 5 6 7 8 9\n", process},
	} {
		if got := parseUsage(tt[0], tt[1]); got != (usage{}) {
			t.Errorf("%q: got %+v, want nothing", tt, got)
		}
	}
}

func TestNoiseIsWhatDisturbedTheRun(t *testing.T) {
	quiet, loud := cell{nanos: []float64{100, 100, 100}}, cell{nanos: []float64{100, 150, 170}}
	tables := []*table{{cells: [][]cell{{quiet, loud}, {loud, loud}}}}
	const medians = "half of the medians are within 50 % of their minimum"
	for _, tt := range []struct {
		before, after usage
		want          string
	}{
		{usage{}, usage{}, medians},
		{usage{10, 100, 1000}, usage{110, 300, 2000}, medians + ", other processes used 10 % of the machine"},
		{usage{10, 100, 1000}, usage{111, 200, 2000}, medians + ", other processes used 0 % of the machine"},
	} {
		if got := noise(tables, tt.before, tt.after); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
