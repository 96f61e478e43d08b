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
		deadlineOf := rapid.OneOf(rapid.Int64Range(0, 20), rapid.Just(never))
		for slot := range int32(30) {
			records[slot].deadline = deadlineOf.Draw(rt, "deadline")
			d.add(records, slot)
			slots = append(slots, slot)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"add": func(rt *rapid.T) {
				slot := int32(rapid.IntRange(0, len(records)-1).Draw(rt, "slot"))
				if slices.Contains(slots, slot) {
					return
				}
				records[slot].deadline = deadlineOf.Draw(rt, "deadline")
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
				first, heaped := never, 0
				for _, slot := range slots {
					r := &records[slot]
					first = min(first, r.deadline)
					if r.deadline == never || r.position == none {
						continue
					}
					heaped++
					if at := d.heap[r.position]; at.slot != slot || at.at != r.deadline {
						rt.Fatalf("slot %d is not where it says: there is %+v", slot, at)
					}
				}
				for i, e := range d.heap {
					if e.at < d.heap[max(i-1, 0)/2].at {
						rt.Fatalf("not a heap: %v", d.heap)
					}
				}
				got := d.first(records)
				if got.at != first || first != never && records[got.slot].deadline != first || len(d.heap) != heaped {
					rt.Fatalf("got the first at %d in slot %d, %d in the heap; want it at %d, and %d", got.at, got.slot, len(d.heap), first, heaped)
				}
			},
		})
	})
}

// The heap is for the few that come out of order.
func TestDeadlinesThatComeInOrderCostNoHeap(t *testing.T) {
	var d deadlines
	records := make([]record, 100)
	for slot := range int32(100) {
		records[slot].deadline = int64(slot / 2)
		if slot%10 == 9 {
			records[slot].deadline = never
		}
		d.add(records, slot)
	}
	if len(d.heap) != 0 {
		t.Errorf("%d of 100 deadlines are in the heap, want none", len(d.heap))
	}
}
