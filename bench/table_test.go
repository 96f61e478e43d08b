package main

import (
	"strings"
	"testing"
)

func TestTableComparesMedians(t *testing.T) {
	measured := func(nanos ...float64) cell {
		return cell{nanos: nanos, bytes: []int64{48, 48, 49}, allocs: []int64{2, 1, 1}}
	}
	one := &table{
		group: group{
			name: "Breaker", about: "It is closed.", modes: []mode{{"serial", 1}, {"parallel", 2}},
			contenders: []contender{{name: "a clock", role: floor}, {name: "other"}, {name: "ours", role: steady}},
		},
		cells: [][]cell{
			{measured(30, 26, 25), measured(13, 13, 13)},
			{measured(124, 104, 110), measured(220, 220, 210)},
			{measured(52, 55, 50), measured(26, 29, 26)},
		},
	}
	want := `
### Breaker

It is closed.

|  | serial ns | × Steady | × floor | parallel ns | × Steady | × floor | B | allocs |
| --- | --: | --: | --: | --: | --: | --: | --: | --: |
| a clock | 26.0 (25.0) | 0.50 | 1.00 | 13.0 (13.0) | 0.50 | 1.00 | 48 | 1 |
| other | 110 (104) | 2.12 | 4.23 | 220 (210) | 8.46 | 16.9 | 48 | 1 |
| **ours** | 52.0 (50.0) | 1.00 | 2.00 | 26.0 (26.0) | 1.00 | 2.00 | 48 | 1 |
`
	var out strings.Builder
	one.print(&out)
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestTableHasOnlyTheRatiosThatMeanSomething(t *testing.T) {
	for _, tt := range []struct {
		name  string
		roles []role
		want  string
	}{
		{"floors alone", []role{floor, floor}, "|  | serial ns | B | allocs |"},
		{"no floor", []role{peer, steady, steady}, "|  | serial ns | × Steady | B | allocs |"},
		{"none of ours", []role{floor, peer}, "|  | serial ns | × floor | B | allocs |"},
	} {
		one := &table{group: group{modes: []mode{serial()}}}
		for _, r := range tt.roles {
			one.contenders = append(one.contenders, contender{role: r})
			one.cells = append(one.cells, []cell{{nanos: []float64{1}, bytes: []int64{0}, allocs: []int64{0}}})
		}
		var out strings.Builder
		one.print(&out)
		if !strings.Contains(out.String(), tt.want+"\n") {
			t.Errorf("%s: got %s, want %s", tt.name, out.String(), tt.want)
		}
	}
}

func TestNumbersHaveThreeDigits(t *testing.T) {
	for v, want := range map[float64][2]string{
		0:      {"0.0", "0.00"},
		0.838:  {"0.8", "0.84"},
		9.994:  {"10.0", "9.99"},
		9.996:  {"10.0", "10.0"},
		26.04:  {"26.0", "26.0"},
		99.96:  {"100", "100"},
		1288.6: {"1289", "1289"},
	} {
		if got := [2]string{nanos(v), ratio(v)}; got != want {
			t.Errorf("%v: got %q, want %q", v, got, want)
		}
	}
}
