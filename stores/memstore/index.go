package memstore

// index finds the slot of a key: a hash table with open addressing and linear probing. The records hold the digests, so
// the table does not: an entry is 8 bytes and no pointer. The zero index is empty.
type index struct {
	entries []entry // a power of two of them
	used    int
}

// entry is empty if its slot is 0.
type entry struct {
	tag  uint32 // bits of the digest, the lowest of which are its place in the table
	slot int32  // and 1
}

const smallestIndex = 8

// tag takes other bits than those that choose the shard.
func (d digest) tag() uint32 { return uint32(d.b) }

// find returns the slot of a key.
func (x *index) find(records []record, key digest) (slot int32, found bool) {
	if x.used == 0 {
		return 0, false
	}
	tag, mask := key.tag(), uint32(len(x.entries)-1)
	for i := tag & mask; ; i = (i + 1) & mask {
		switch e := x.entries[i]; {
		case e.slot == 0:
			return 0, false
		case e.tag == tag && records[e.slot-1].key == key:
			return e.slot - 1, true
		}
	}
}

// add adds a key that is not in the table.
func (x *index) add(key digest, slot int32) {
	if 4*(x.used+1) > 3*len(x.entries) {
		x.grow()
	}
	x.used++
	x.put(entry{tag: key.tag(), slot: slot + 1})
}

func (x *index) put(e entry) {
	mask := uint32(len(x.entries) - 1)
	i := e.tag & mask
	for x.entries[i].slot != 0 {
		i = (i + 1) & mask
	}
	x.entries[i] = e
}

func (x *index) grow() {
	old := x.entries
	x.entries = make([]entry, max(2*len(old), smallestIndex))
	for _, e := range old {
		if e.slot != 0 {
			x.put(e)
		}
	}
}

// remove removes a key that is in the table. What follows its entry moves up, unless that would put an entry before its
// place: so no search ends too early, and nothing is left behind that searches would have to pass.
func (x *index) remove(key digest, slot int32) {
	mask := uint32(len(x.entries) - 1)
	hole := key.tag() & mask
	for x.entries[hole].slot != slot+1 {
		hole = (hole + 1) & mask
	}
	for i := (hole + 1) & mask; x.entries[i].slot != 0; i = (i + 1) & mask {
		if e := x.entries[i]; (i-e.tag)&mask >= (i-hole)&mask {
			x.entries[hole] = e
			hole = i
		}
	}
	x.entries[hole] = entry{}
	x.used--
}
