package memstore

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestDeadlinesAreInOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var d deadlines
		records := make([]record, 50)
		var slots []int32 // in the heap
		for slot := range int32(30) {
			records[slot].deadline = rapid.Int64Range(0, 20).Draw(rt, "deadline")
			d.add(records, slot)
			slots = append(slots, slot)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"add": func(rt *rapid.T) {
				slot := int32(rapid.IntRange(0, len(records)-1).Draw(rt, "slot"))
				if slices.Contains(slots, slot) {
					return
				}
				records[slot].deadline = rapid.Int64Range(0, 20).Draw(rt, "deadline")
				d.add(records, slot)
				slots = append(slots, slot)
			},
			"remove": func(rt *rapid.T) {
				if len(slots) == 0 {
					return
				}
				i := rapid.IntRange(0, len(slots)-1).Draw(rt, "which")
				d.remove(records, slots[i])
				slots = slices.Delete(slots, i, i+1)
			},
			"": func(rt *rapid.T) {
				first := never
				for _, slot := range slots {
					first = min(first, records[slot].deadline)
					if at := d.heap[records[slot].position]; at.slot != slot || at.at != records[slot].deadline {
						rt.Fatalf("slot %d is not where it says: there is %+v", slot, at)
					}
				}
				for i, e := range d.heap {
					if e.at < d.heap[max(i-1, 0)/2].at {
						rt.Fatalf("not a heap: %v", d.heap)
					}
				}
				if d.first() != first || len(d.heap) != len(slots) {
					rt.Fatalf("got %d deadlines, the first at %d, want %d, at %d", len(d.heap), d.first(), len(slots), first)
				}
			},
		})
	})
}
