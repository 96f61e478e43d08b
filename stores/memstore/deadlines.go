package memstore

// deadlines tells which of some records ends first. Those whose deadlines come in order, as they do where all last
// equally long, are in a list, to which it costs next to nothing to add one, and the others in a binary heap. What
// never ends is in neither.
type deadlines struct {
	inOrder list
	heap    []deadline
}

type deadline struct {
	at   int64
	slot int32
}

// first returns the record with the earliest deadline, or none and never.
func (d *deadlines) first(records []record) deadline {
	first := deadline{at: never, slot: none}
	if slot := d.inOrder.first(); slot != none {
		first = deadline{at: records[slot].deadline, slot: slot}
	}
	if len(d.heap) > 0 && d.heap[0].at < first.at {
		first = d.heap[0]
	}
	return first
}

func (d *deadlines) add(records []record, slot int32) {
	at := records[slot].deadline
	if at == never {
		return
	}
	if last := d.inOrder.last(); last == none || records[last].deadline <= at {
		records[slot].position = none
		d.inOrder.add(slot)
		return
	}
	d.heap = append(d.heap, deadline{})
	d.up(records, len(d.heap)-1, deadline{at: at, slot: slot})
}

// remove wants the deadline of the record to be what it was when it was added.
func (d *deadlines) remove(records []record, slot int32) {
	if records[slot].deadline == never {
		return
	}
	i := int(records[slot].position)
	if i == none {
		d.inOrder.remove(slot)
		return
	}
	last := len(d.heap) - 1
	moved := d.heap[last]
	d.heap = d.heap[:last]
	if i == last {
		return
	}
	if i > 0 && moved.at < d.heap[(i-1)/2].at {
		d.up(records, i, moved)
	} else {
		d.down(records, i, moved)
	}
}

// up puts e into the hole at i, or above.
func (d *deadlines) up(records []record, i int, e deadline) {
	for i > 0 {
		parent := (i - 1) / 2
		if d.heap[parent].at <= e.at {
			break
		}
		d.put(records, i, d.heap[parent])
		i = parent
	}
	d.put(records, i, e)
}

// down puts e into the hole at i, or below.
func (d *deadlines) down(records []record, i int, e deadline) {
	for {
		child := 2*i + 1
		if child >= len(d.heap) {
			break
		}
		if other := child + 1; other < len(d.heap) && d.heap[other].at < d.heap[child].at {
			child = other
		}
		if e.at <= d.heap[child].at {
			break
		}
		d.put(records, i, d.heap[child])
		i = child
	}
	d.put(records, i, e)
}

func (d *deadlines) put(records []record, i int, e deadline) {
	d.heap[i] = e
	records[e.slot].position = int32(i)
}
