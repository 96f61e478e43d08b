package main

import (
	"context"
	"runtime"
	"time"

	"github.com/steadyfx/steady/stores/memstore"
)

const million = 1_000_000

func openMemory(ctx context.Context) (groups []group, end func() error, err error) {
	full, err := filledMemory(ctx, records)
	if err != nil {
		return nil, nil, err
	}
	room := must(memstore.NewIdempotency(memstore.Config{MaxEntries: 100 * million}))
	roomy := newWorkload(ctx, room)
	roomy.value = full.value
	var collections collector
	return []group{
		{
			name: "Memory: " + pairJob,
			about: "The key is new. A full store forgets the oldest result for it, one with room grows from nothing. The floor " +
				"keeps a map of 10,000.",
			modes:   []mode{serial(), parallel()},
			prepare: func(int) error { room.Clear(); return nil },
			contenders: []contender{
				mapUnderMutex(nothing, &full.keys),
				{"Steady, full of 10,000", steady, full.pair},
				{"Steady, with room", steady, roomy.pair},
			},
		},
		{
			name:  "Memory: " + collectJob,
			about: "For how long one collection stops the program.",
			modes: []mode{serial()},
			clock: func() time.Duration { return collections.paused },
			contenders: []contender{
				collections.beside(ctx, "a store of one result", floor, 1),
				collections.beside(ctx, "Steady, a store of 10,000 results", steady, records),
				collections.beside(ctx, "Steady, a store of 1,000,000 results", steady, million),
			},
		},
	}, func() error { return nil }, nil
}

// filledMemory returns a store that is full of results.
func filledMemory(ctx context.Context, entries int) (*workload, error) {
	w := newWorkload(ctx, must(memstore.NewIdempotency(memstore.Config{MaxEntries: entries})))
	w.value = []byte(stored)
	return w, w.pair(entries)
}

// collector collects garbage beside one store at a time.
type collector struct {
	store   *workload
	entries int
	paused  time.Duration
}

const collectionsInCall = 10

func (c *collector) beside(ctx context.Context, name string, r role, entries int) contender {
	return contender{name, r, func(n int) (err error) {
		if c.entries != entries {
			c.store = nil // before there is another
			runtime.GC()
			if c.store, err = filledMemory(ctx, entries); err != nil {
				return err
			}
			c.entries = entries
			runtime.GC()
		}
		return times(n, func() error {
			before := paused()
			for range collectionsInCall {
				runtime.GC()
			}
			c.paused += (paused() - before) / collectionsInCall
			return nil
		})
	}}
}

// paused is for how long collections have stopped the program since it was started.
func paused() time.Duration {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return time.Duration(stats.PauseTotalNs)
}
