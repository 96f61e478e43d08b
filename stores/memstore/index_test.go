package memstore

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// TestIndexFollowsAMap uses keys of which many have the same tag or the same place.
func TestIndexFollowsAMap(t *testing.T) {
	keys := rapid.Custom(func(t *rapid.T) digest {
		place, tag := rapid.Uint64Range(0, 20).Draw(t, "place"), rapid.Uint64Range(0, 2).Draw(t, "tag")
		return digest{a: rapid.Uint64Range(0, 2).Draw(t, "rest"), b: tag<<24 | place}
	})
	rapid.Check(t, func(t *rapid.T) {
		var x index
		var records []record
		model := map[digest]int32{}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				key := keys.Draw(t, "key")
				if _, there := model[key]; there {
					t.Skip()
				}
				slot := int32(len(records))
				records = append(records, record{key: key})
				x.add(key, slot)
				model[key] = slot
			},
			"remove": func(t *rapid.T) {
				key := keys.Draw(t, "key")
				slot, there := model[key]
				if !there {
					t.Skip()
				}
				x.remove(key, slot)
				records[slot] = record{}
				delete(model, key)
			},
			"": func(t *rapid.T) {
				if x.used != len(model) {
					t.Fatalf("the index says it has %d keys, want %d", x.used, len(model))
				}
				for key, want := range model {
					if slot, found := x.find(records, key); !found || slot != want {
						t.Fatalf("key %v: got slot %d, found %v, want %d", key, slot, found, want)
					}
				}
				if absent := keys.Draw(t, "absent"); model[absent] == 0 {
					if slot, found := x.find(records, absent); found && model[absent] != slot {
						t.Fatalf("found key %v, which is not there, in slot %d", absent, slot)
					}
				}
			},
		})
	})
}

func TestIndexKeepsSearchesShort(t *testing.T) {
	var x index
	random := rand.NewPCG(1, 2)
	for slot := range int32(50_000) {
		x.add(digest{random.Uint64(), random.Uint64()}, slot)
	}
	longest, run := 0, 0
	for _, e := range x.entries {
		run++
		if e.slot == 0 {
			run = 0
		}
		longest = max(longest, run)
	}
	if load := float64(x.used) / float64(len(x.entries)); load > 0.75 || longest > 500 {
		t.Errorf("at a load of %.2f, %d entries follow each other", load, longest)
	}
}
