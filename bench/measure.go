package main

import (
	"fmt"
	"log"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// table holds what was measured of a group.
type table struct {
	group
	cells [][]cell // by contender, by mode
}

// cell is one contender in one mode: an entry for each round.
type cell struct {
	nanos         []float64 // wall time for one call, or what the group's clock shows
	bytes, allocs []int64   // for one call, as testing counts them
}

// measure goes round all groups. The contenders of a group come right after one another, in another order each
// time, so that whatever else the machine does meets all of them alike.
func measure(groups []group, rounds int) ([]*table, error) {
	tables := make([]*table, len(groups))
	for i, g := range groups {
		tables[i] = &table{group: g, cells: make([][]cell, len(g.contenders))}
		for c := range g.contenders {
			tables[i].cells[c] = make([]cell, len(g.modes))
		}
	}
	for round := range rounds {
		begun := time.Now()
		for _, t := range tables {
			for m, mode := range t.modes {
				for _, c := range rand.Perm(len(t.contenders)) {
					if err := t.cells[c][m].add(&t.group, t.contenders[c], mode); err != nil {
						return nil, fmt.Errorf("%s, %s, %s: %w", t.name, t.contenders[c].name, mode.name, err)
					}
				}
			}
		}
		log.Printf("round %d of %d took %v", round+1, rounds, time.Since(begun).Round(100*time.Millisecond))
	}
	return tables, nil
}

// add runs one benchmark.
func (c *cell) add(g *group, what contender, m mode) error {
	var (
		err   error
		shown time.Duration // by the group's clock, in the last and longest attempt
	)
	result := testing.Benchmark(func(b *testing.B) {
		if shown, err = g.run(b, what, m); err != nil {
			b.FailNow()
		}
	})
	if err != nil {
		return err
	}
	if g.clock == nil {
		shown = result.T
	}
	c.nanos = append(c.nanos, float64(shown)/float64(result.N))
	c.bytes = append(c.bytes, result.AllocedBytesPerOp())
	c.allocs = append(c.allocs, result.AllocsPerOp())
	return nil
}

func (c *cell) minimum() float64 { return slices.Min(c.nanos) }
func (c *cell) median() float64  { return median(c.nanos) }

// median returns the middle one, of an even number of values the lower of both. There must be one.
func median[T float64 | int64](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)/2]
}
