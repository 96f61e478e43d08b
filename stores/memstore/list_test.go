package memstore

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestListKeepsTheOrderOfAdding(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var l list
		var slots []int32
		rt.Repeat(map[string]func(*rapid.T){
			"add": func(rt *rapid.T) {
				slot := rapid.Int32Range(0, 20).Draw(rt, "slot")
				if slices.Contains(slots, slot) {
					rt.Skip()
				}
				l.add(slot)
				slots = append(slots, slot)
			},
			"remove": func(rt *rapid.T) {
				if len(slots) == 0 {
					rt.Skip()
				}
				i := rapid.IntRange(0, len(slots)-1).Draw(rt, "which")
				l.remove(slots[i])
				slots = slices.Delete(slots, i, i+1)
			},
			"": func(rt *rapid.T) {
				first, last := int32(none), int32(none)
				if len(slots) > 0 {
					first, last = slots[0], slots[len(slots)-1]
				}
				if l.first() != first || l.last() != last {
					rt.Fatalf("got slots %d to %d, want %v", l.first(), l.last(), slots)
				}
			},
		})
		for len(slots) > 0 {
			if l.first() != slots[0] {
				rt.Fatalf("got slot %d, want those of %v", l.first(), slots)
			}
			l.remove(slots[0])
			slots = slots[1:]
		}
	})
}
